"""`recsys train`: learn from a data set and publish what was learnt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from recsys.cli.data_options import data_options, dataset_from_flags, spec_of_data
from recsys.cli.model_options import settings_option

if TYPE_CHECKING:
    from recsys.evaluation.entries import Entry
    from recsys.evaluation.protocols import Kind
    from recsys.evaluation.publishing import Recipe
    from recsys.interactions.dataset import Dataset
    from recsys.models.base import Model

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@data_options
@click.option(
    "--model",
    "name",
    default="auto",
    metavar="NAME",
    help="What to train.  [auto: what won when this data set was tuned, else the best known]",
)
@click.option(
    "--protocol",
    type=click.Choice(["strong", "temporal"]),
    default="strong",
    show_default=True,
    help="What to be good at: completing a history, or foreseeing what comes next.",
)
@settings_option(None)
@click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="One setting; again for more."
)
@click.option(
    "--out",
    type=_FOLDER,
    default=Path("models"),
    show_default=True,
    help="Folder to publish in.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=98765,
    show_default=True,
    help="Seeds all that is random.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--checkpoints", type=_FOLDER, help="Folder for checkpoints of a long training.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def train(
    *,
    name: str,
    protocol: Literal["strong", "temporal"],
    settings: str | None,
    overrides: tuple[str, ...],
    out: Path,
    seed: int,
    device: str,
    checkpoints: Path | None,
    resume: bool,
    as_json: bool,
    **data_flags: Any,
) -> None:
    """Train a model on a data set and publish it as the current one.

    A model with something to choose (how long to train, for one) is first trained without a tenth
    of the users, or with --protocol temporal without the last 90 days, chooses on those, and is
    then trained on everything. Without --settings a model has its defaults, and `auto` the
    settings with which it won.

    Started by torchrun, networks are trained by all its processes together, each on a share of the
    users.
    """
    from recsys.artifacts import prepare
    from recsys.errors import UsageError
    from recsys.evaluation.publishing import train_and_publish, trained
    from recsys.models.base import RunOptions
    from recsys.training.distributed import joined

    if resume and checkpoints is None:
        raise UsageError("--resume needs --checkpoints: the folder to go on from")
    prepare(out)  # rather now than after an hour's training
    dataset = dataset_from_flags(data_flags)
    label, known = _model(name, dataset, protocol, settings)
    entry = _entry(label, dataset, known, overrides)
    recipe = _recipe(data_flags, dataset, entry, protocol, seed)
    options = RunOptions(seed, device, checkpoints, resume)
    with joined(device) as world:
        if world.rank > 0:  # the first process publishes what all have trained
            trained(dataset, recipe, options)
            return
        if not as_json:
            click.echo(_data_line(dataset))
            click.echo(f"training  {entry.name}  {_settings_line(entry.described())}")
        done = train_and_publish(out, dataset, recipe, options)
    folder = out / done.version
    if as_json:
        click.echo(json.dumps(_as_json(folder, done.seconds), indent=2, ensure_ascii=False))
        return
    chosen = _settings_line(_changed(entry.described(), done.fit.model))
    click.echo(f"trained   in {done.seconds:.1f} s" + (f"; chosen: {chosen}" if chosen else ""))
    for metric, value in done.metrics.items():
        click.echo(f"{'':<9} {metric} {value:.4f}")
    click.echo(f"published {folder}, now current")


def _recipe(
    flags: Mapping[str, Any], dataset: Dataset, entry: Entry, protocol: Kind, seed: int
) -> Recipe:
    """Return how to train it again, from whatever folder."""
    from recsys.evaluation.publishing import Recipe
    from recsys.interactions.spec import is_url

    spec, source = spec_of_data(flags), dataset.source
    if not is_url(source):
        return Recipe(str(Path(source).resolve()), spec, entry, protocol, seed)
    from recsys.store.training import names_store

    whole_store = names_store(flags["data"], spec)
    return Recipe(None if whole_store else source, spec, entry, protocol, seed)


def _model(
    name: str, dataset: Dataset, protocol: str, settings: str | None
) -> tuple[str, Mapping[str, Mapping[str, Any]]]:
    """Return the model to train, and the settings of models to start from."""
    from recsys.evaluation.tuned import Tuned, tuned_for, tuned_from
    from recsys.models.registry import DEFAULT_MODEL

    if name == "auto" and settings is None:
        tuned = tuned_for(dataset, protocol) or Tuned()
    else:
        tuned = tuned_from(settings or "default", dataset, protocol)
    return (tuned.winner or DEFAULT_MODEL) if name == "auto" else name, tuned.models


def _entry(
    label: str,
    dataset: Dataset,
    known: Mapping[str, Mapping[str, Any]],
    overrides: Sequence[str],
) -> Entry:
    """Return the model to train with its settings; `FIELD=VALUE` stands for `MODEL.FIELD=VALUE`."""
    from recsys.evaluation.entries import entries

    model = label.partition(":")[0]
    changes = [text if text.startswith(f"{model}.") else f"{model}.{text}" for text in overrides]
    return entries([label], dataset, settings=known, overrides=changes)[0]


def _data_line(dataset: Dataset) -> str:
    return (
        f"data      {dataset.name}: {len(dataset.users):,} users, {len(dataset.items):,} items, "
        f"{dataset.interactions.n_events:,} interactions"
    )


def _settings_line(settings: Mapping[str, Any]) -> str:
    """Return settings on a line; a table's fields only where they say something."""
    return ", ".join(f"{name}={value}" for name, value in _flat(settings))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values; below the top those alone that say something."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value or not prefix:
            yield f"{prefix}{name}", value


def _changed(settings: Mapping[str, Any], model: Model[Any]) -> dict[str, Any]:
    """Return what validation chose: the fields of the final config that were not asked for."""
    final = asdict(model.config)
    return {key: value for key, value in final.items() if settings[key] != value}


def _as_json(folder: Path, seconds: float) -> dict[str, Any]:
    from recsys.artifacts import read_manifest

    manifest = asdict(read_manifest(folder))
    names = ("version", "model", "config", "weighting", "data", "metrics", "libraries")
    return {"folder": str(folder), "seconds": seconds, **{name: manifest[name] for name in names}}
