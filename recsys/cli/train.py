"""`recsys train`: learn from a data set and publish what was learnt."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import settings_option

if TYPE_CHECKING:
    from recsys.evaluation.entries import Entry
    from recsys.evaluation.fitting import Fit
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
@click.option("--seed", default=98765, show_default=True, help="Seeds all that is random.")
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
    """
    from recsys.artifacts import prepare, publish
    from recsys.errors import UsageError
    from recsys.evaluation.fitting import fit_with_curves
    from recsys.evaluation.protocols import Protocol
    from recsys.models.base import RunOptions

    if resume and checkpoints is None:
        raise UsageError("--resume needs --checkpoints: the folder to go on from")
    prepare(out)  # rather now than after an hour's training
    dataset = dataset_from_flags(data_flags)
    label, known = _model(name, dataset, protocol, settings)
    entry = _entry(label, dataset, known, overrides)
    if not as_json:
        click.echo(_data_line(dataset))
        click.echo(f"training  {entry.name}  {_settings_line(entry.described())}")
    started = time.perf_counter()
    options = RunOptions(seed, device, checkpoints, resume)
    training = Protocol(protocol).training(dataset, seed)
    fit = fit_with_curves(entry.name, entry.settings, entry.weighting, training, options)
    seconds = time.perf_counter() - started
    metrics = _metrics(fit)
    version = publish(out, fit.model, dataset, weighting=entry.weighting, metrics=metrics)
    if as_json:
        click.echo(json.dumps(_as_json(out / version, seconds), indent=2, ensure_ascii=False))
        return
    chosen = _settings_line(_changed(entry.described(), fit.model))
    click.echo(f"trained   in {seconds:.1f} s" + (f"; chosen: {chosen}" if chosen else ""))
    for metric, value in metrics.items():
        click.echo(f"{'':<9} {metric} {value:.4f}")
    click.echo(f"published {out / version}, now current")


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


def _metrics(fit: Fit) -> dict[str, float]:
    """Return the best metric on the users on whom was chosen, where something was."""
    points = [point for point in fit.curves.get("choosing", []) if "ndcg@100" in point]
    return {"validation ndcg@100": max(point["ndcg@100"] for point in points)} if points else {}


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
