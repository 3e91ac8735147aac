"""`recsys tune`: find the best settings of models on validation users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import names, overrides_option, settings_option
from recsys.cli.protocol_options import checked_protocol, protocol_from, protocol_options
from recsys.errors import RecsysError, UsageError

if TYPE_CHECKING:
    from recsys.evaluation.entries import Entry
    from recsys.evaluation.protocols import Protocol
    from recsys.evaluation.tuned import Tuned
    from recsys.evaluation.tuning import Tuner
    from recsys.interactions.dataset import Dataset
    from recsys.interactions.parts import Training

DEFAULT_MODELS = "popularity,item-knn,als,ease,dan-edlae,blend"

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@data_options
@protocol_options
@click.option(
    "--validation-users",
    type=int,
    metavar="N",
    help="strong: users to choose on.  [default: as many as are tested; a tenth with --folds]",
)
@click.option(
    "--popular",
    "n_items",
    type=click.IntRange(min=2),
    metavar="N",
    help="Choose on the N most popular items alone: where solving for all takes minutes.",
)
@click.option(
    "--models", default=DEFAULT_MODELS, show_default=True, metavar="NAME,…", help="What to tune."
)
@settings_option("default")
@overrides_option("Fix a setting, which then is not searched; may be given again.")
@click.option(
    "--trials", type=click.IntRange(min=1), default=30, show_default=True, help="Tries a model."
)
@click.option(
    "--cap",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for one of them.",
)
@click.option(
    "--study", type=_FILE, help="SQLite file of all trials.  [default: tuning/DATA.PROTOCOL.sqlite]"
)
@click.option("--out", type=_FILE, help="Settings file to write.  [default: with the code]")
@click.option("--seed", default=98765, show_default=True, type=click.IntRange(min=0))
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def tune(
    *,
    validation_users: int | None,
    n_items: int | None,
    models: str,
    settings: str,
    overrides: Sequence[str],
    trials: int,
    cap: float,
    study: Path | None,
    out: Path | None,
    seed: int,
    device: str,
    **flags: Any,
) -> None:
    """Find the best settings of models on validation users, and keep them in a file.

    Each model gets the same number of trials. They are kept in a study, so that an interrupted
    run, started again, goes on. Test users take no part: of folds the first one's training is
    tuned in, of cuts the last horizon before each. Name a blend last: it starts from what was
    found for its members.
    """
    asked = checked_protocol(flags)
    dataset = dataset_from_flags(flags)

    from recsys.evaluation.entries import entries
    from recsys.evaluation.tuned import file_for, tuned_from
    from recsys.evaluation.tuning import Effort, Tuner
    from recsys.models.base import RunOptions

    protocol = replace(protocol_from(asked, dataset), validation_users=validation_users)
    if validation_users is not None and protocol.kind != "strong":
        raise UsageError("--validation-users is for --protocol strong alone")
    wanted = entries(
        names(models),
        dataset,
        settings=tuned_from(settings, dataset, protocol.kind).models,
        overrides=overrides,
    )
    if any(entry.label != entry.name for entry in wanted):
        raise UsageError("--models: NAME:FILE.toml cannot be tuned; fix settings by --set")
    trainings = _trainings(protocol, dataset, seed, n_items)
    origin = _origin(protocol, dataset, seed, n_items, trainings)
    tuner = Tuner(
        trainings,
        study=study or Path("tuning") / f"{dataset.name}.{protocol.kind}.sqlite",
        identity={**origin, "protocol": asdict(protocol)},
        effort=Effort(trials, cap),
        options=RunOptions(seed, device),
        tell=lambda line: click.echo(line, err=True),
    )
    out = out or file_for(dataset, protocol.kind)
    failed = _tune(wanted, overrides, tuner, origin, out)
    if len(failed) < len(wanted):
        _print(out)
    if failed:
        raise RecsysError(f"nothing was found for {', '.join(failed)}")


def _trainings(
    protocol: Protocol, dataset: Dataset, seed: int, n_items: int | None
) -> list[Training]:
    """Return what to tune in; each has someone to choose on."""
    trainings = protocol.trainings(dataset, seed)
    if n_items is not None:
        trainings = [training.of_popular(n_items) for training in trainings]
    if not all(len(training.validation.users) for training in trainings):
        raise UsageError("the data leaves no validation user to choose on")
    return trainings


def _origin(
    protocol: Protocol,
    dataset: Dataset,
    seed: int,
    n_items: int | None,
    trainings: Sequence[Training],
) -> dict[str, Any]:
    """Return what settings are found on, as their file says it."""
    said = {
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "protocol": protocol.kind,
        **protocol.asked(),
        "validation_users": sum(len(training.validation.users) for training in trainings),
        "items": n_items,
        "seed": seed,
    }
    return {name: value for name, value in said.items() if value is not None}


def _tune(
    wanted: Sequence[Entry],
    overrides: Sequence[str],
    tuner: Tuner,
    origin: Mapping[str, Any],
    out: Path,
) -> list[str]:
    """Tune one model after the other, keeping what was found; return those that failed."""
    from recsys.evaluation.entries import changed
    from recsys.evaluation.tuned import Tuned

    known, failed, fixed = _known(out, origin), [], changed(overrides)
    for entry in wanted:
        try:
            found = tuner.tune(entry, fixed.get(entry.name, {}), _starts(entry, known))
        except RecsysError as error:
            failed.append(entry.name)
            click.echo(f"error: {error}", err=True)
            continue
        known = Tuned(
            origin,
            {**known.found, entry.name: found.facts()},
            {**known.models, entry.name: _kept(found.settings)},
        )
        known.write(out)
    return failed


def _known(out: Path, origin: Mapping[str, Any]) -> Tuned:
    """Return what the file has already; what was found on something else does not compare."""
    from recsys.evaluation.tuned import Tuned

    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        return Tuned()
    tuned = Tuned.read(out)
    return tuned if tuned.origin == origin else Tuned()


def _starts(entry: Entry, known: Tuned) -> list[dict[str, Any]]:
    """Return, for a blend, what was found of its members, with the best one's weights."""
    from recsys.evaluation.entries import merged
    from recsys.training.validation import METRIC

    described = entry.described()
    members = [name for name in described.get("members", ()) if name in known.models]
    if not members:
        return []
    best = max(members, key=lambda name: float(known.found[name][METRIC]))
    own = {
        name: {k: v for k, v in known.models[name].items() if k != "weights"} for name in members
    }
    weights = known.models[best].get("weights", {})
    return [merged(described, {"settings": own, "weights": weights})]


def _kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for a file: of the weights what differs from the defaults alone."""
    from recsys.interactions.weighting import Weighting

    default = asdict(Weighting())
    weights = {name: w for name, w in settings["weights"].items() if w != default[name]}
    kept = {name: value for name, value in settings.items() if name != "weights"}
    return {**kept, "weights": weights} if weights else kept


def _print(out: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from recsys.evaluation.tuned import Tuned
    from recsys.training.validation import METRIC

    tuned = Tuned.read(out)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("model", METRIC, "start", "trials", "pruned", "failed", "seconds"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for name, facts in tuned.found.items():
        cells = [facts.get(METRIC), facts.get("start")]
        counts = [str(facts.get(key, "")) for key in ("trials", "pruned", "failed", "seconds")]
        table.add_row(name, *("–" if cell is None else f"{cell:.4f}" for cell in cells), *counts)
    Console(highlight=False).print(table)
    click.echo(f"best: {tuned.winner}; settings in {out}")
