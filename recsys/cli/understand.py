"""`recsys understand`: one page of all that a log tells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys.cli.data_options import data_options, dataset_from_flags
from recsys.cli.model_options import models_option

if TYPE_CHECKING:
    from recsys.insight.accounts import Log


@click.command()
@models_option
@data_options
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="OUT.html",
    help="File to write.",
)
@click.option("--quick", is_flag=True, help="Leave out what trains networks: a minute at most.")
@click.option(
    "--seed",
    default=98765,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seeds all that is random.",
)
def understand(*, models: Path, report: Path, quick: bool, seed: int, **data_flags: Any) -> None:
    """Write one HTML page: strange accounts, noise, segments, compression, synthetic users, doubt.

    The log is that of --data, else what the current model in --models was trained on. On the
    bundled shop it takes some minutes, with --quick about one.
    """
    import time

    from recsys.insight.understanding import understand as understood
    from recsys.models.base import RunOptions
    from recsys.report import write_page

    log, name = _log(models, data_flags)
    started = time.perf_counter()

    def tell(part: str) -> None:
        click.echo(f"{time.perf_counter() - started:6.0f} s  {part}", err=True)

    page = understood(log, name, RunOptions(seed=seed), quick=quick, tell=tell)
    write_page(report, page)
    click.echo(f"written {report}, in {time.perf_counter() - started:.0f} s")


def _log(models: Path, flags: dict[str, Any]) -> tuple[Log, str]:
    if flags["data"]:
        dataset = dataset_from_flags(flags)
        return dataset, dataset.name
    from recsys.artifacts import load_current

    artifact = load_current(models)
    return artifact, artifact.manifest.data.name
