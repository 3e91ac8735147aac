"""`recsys embed`: users and items as vectors, for other models to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import models_option
from recsys.cli.tables import new_table, plain, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.artifacts import Artifact
    from recsys.insight.accounts import Log
    from recsys.insight.embedding import Embeddings
    from recsys.interactions.dataset import Dataset
    from recsys.interactions.weighting import Weighting
    from recsys.models.base import Model


@click.command()
@models_option
@data_options
@click.option(
    "--model",
    "name",
    metavar="NAME",
    help="Train this one for it.  [the current model in --models; with --data: pure-svd]",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="One of its settings."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="New folder for the vectors.",
)
@click.option(
    "--seed",
    default=98765,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seeds training, segments and map.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def embed(
    *,
    models: Path,
    name: str | None,
    overrides: tuple[str, ...],
    out: Path,
    seed: int,
    as_json: bool,
    **data_flags: Any,
) -> None:
    """Write users and items as vectors, with neighbours, segments and a map of the catalogue.

    The users are those of --data, else those that the current model in --models was trained on.
    The model needs latents: ease, edlae and dan-edlae have none, so name another with --model.
    Segments and map need scikit-learn: pip install 'recsys[insight]'.
    """
    from recsys.insight.cleaned import check_folder
    from recsys.insight.embedding import embeddings_of
    from recsys.insight.embedding_files import write_embeddings

    check_folder(out)
    log, model, weighting = _model(models, name, overrides, seed, data_flags)
    found = embeddings_of(log, model, weighting, seed)
    write_embeddings(out, log, found)
    if as_json:
        print_json(_as_json(out, log, found))
        return
    if found.segments is not None:
        print_table(_segments(log, found))
    users, items = found.users.mean.shape, found.items.shape
    click.echo(f"model     {found.model}")
    click.echo(f"users     {users[0]:,} of {users[1]:,} numbers")
    click.echo(f"items     {items[0]:,} of {items[1]:,} numbers")
    if found.left_out:
        click.echo(f"left out  {found.left_out}")
    click.echo(f"written   {out}; to look at: {out / 'map.html'}")


def _model(
    models: Path, name: str | None, overrides: tuple[str, ...], seed: int, flags: dict[str, Any]
) -> tuple[Log, Model[Any], Weighting]:
    """Return the log, a model of it and what weights mean to that."""
    from recsys.artifacts import load_current
    from recsys.errors import UsageError
    from recsys.evaluation.entries import changed, nested
    from recsys.evaluation.fitting import fit_chosen
    from recsys.interactions.splits import training_split
    from recsys.models.base import RunOptions
    from recsys.models.registry import model_class

    log: Dataset | Artifact
    if flags["data"]:
        log, name = dataset_from_flags(flags), name or "pure-svd"
    else:
        log = current = load_current(models)
        if name is None:
            if overrides:
                raise UsageError("--set: the current model is trained already; name a --model")
            return current, current.model, current.weighting
    model_class(name)().check_latents()
    for text in overrides:
        if "=" not in text:
            raise UsageError(f"--set {text}: write FIELD=VALUE, such as factors=64")
    training = training_split(log.interactions, seed)
    settings = nested(changed([f"{name}.{text}" for text in overrides]).get(name, {}))
    options = RunOptions(seed=seed)
    return log, fit_chosen(name, settings, log.weighting, training, options), log.weighting


def _segments(log: Log, found: Embeddings) -> Table:
    table = new_table("Segments")
    for heading in ("segment", "users"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("typical items (lift)")
    segments = found.segments
    if segments is not None:
        for number, (size, typical) in enumerate(
            zip(segments.sizes, segments.typical, strict=True), start=1
        ):
            titles = (f"{log.catalogue.titles[one.item]} ({one.lift:.1f})" for one in typical[:3])
            table.add_row(str(number), f"{size:,}", plain("; ".join(titles)))
    return table


def _as_json(out: Path, log: Log, found: Embeddings) -> dict[str, Any]:
    segments = found.segments
    return {
        "folder": str(out),
        "model": found.model,
        "users": list(found.users.mean.shape),
        "items": list(found.items.shape),
        "variances": found.users.variance is not None,
        "segments": None
        if segments is None
        else [
            {"users": int(size), "typical": [log.items[one.item] for one in typical]}
            for size, typical in zip(segments.sizes, segments.typical, strict=True)
        ],
    }
