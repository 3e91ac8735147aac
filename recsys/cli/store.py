"""`recsys store`: events and items into the store and out of it, and forgetting people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from recsys.cli.data_options import spec_from_flags, spec_options
from recsys.cli.model_options import opened_store, store_options


@click.group()
def store() -> None:
    """Import, export, count, tidy, forget."""


@store.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@store_options
@spec_options(raw=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_command(
    source: Path, models: Path, url: str | None, as_json: bool, **flags: Any
) -> None:
    """Read the events and items of SOURCE, a folder or a file of events, into the store.

    What is there already stays, so the same import again changes nothing. An events file may have
    the columns id and type (add or remove). Events of people who are forgotten are left out.
    """
    from dataclasses import asdict

    from recsys.store.exchange import import_files

    spec = spec_from_flags(source, flags)
    done = import_files(opened_store(models, url), source, spec)
    if done.bad_rows:
        rows = "bad row" if done.bad_rows == 1 else "bad rows"
        click.echo(f"{done.bad_rows:,} {rows} left out, listed in {done.bad_rows_file}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return
    click.echo(f"{done.accepted:,} events imported, {done.duplicates:,} were there already")
    if done.refused:
        click.echo(f"{done.refused:,} of people who are forgotten left out")
    if done.items:
        click.echo(f"{done.items:,} items described")


@store.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@store_options
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Kind of the files.",
)
def export_command(
    out: Path, models: Path, url: str | None, kind: Literal["parquet", "csv"]
) -> None:
    """Write all events and items into the folder OUT, which is made.

    `recsys store import OUT` reads them again, elsewhere. The column type tells removes.
    """
    from recsys.store.exchange import export_files

    n_events, n_items = export_files(opened_store(models, url, create=False), out, kind)
    click.echo(f"{n_events:,} events and {n_items:,} items written to {out}")


@store.command("counts")
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def counts_command(models: Path, url: str | None, as_json: bool) -> None:
    """Show how much the store holds."""
    counts = opened_store(models, url, create=False).counts()
    if as_json:
        click.echo(json.dumps(counts, indent=2))
        return
    for name, count in counts.items():
        click.echo(f"{name:<10} {count:>12,}")


@store.command("vacuum")
@store_options
def vacuum_command(models: Path, url: str | None) -> None:
    """Give back room, and overwrite what was deleted."""
    opened = opened_store(models, url, create=False)
    before = opened.file.stat().st_size if opened.file else None
    opened.vacuum()
    if opened.file is None or before is None:
        click.echo(f"{opened.shown} is tidied")
    else:
        click.echo(f"{opened.file}: {before:,} bytes before, {opened.file.stat().st_size:,} now")


@store.command("forget")
@click.argument("user")
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print what DELETE /users answers.")
def forget_command(user: str, models: Path, url: str | None, as_json: bool) -> None:
    """Forget USER: erase their events and sends, use no model's data of them, refuse new ones.

    Nothing is kept but a keyed hash of the id.
    """
    from recsys.artifacts import versions_with

    erased = opened_store(models, url).forget(user)
    holding = versions_with(models, user) if models.is_dir() else []
    if as_json:
        counts = {"events": erased.events, "sends": erased.sends}
        said = {"user": user, **counts, "artifacts": holding}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    click.echo(f"{erased.events:,} events and {erased.sends:,} sends erased")
    for version in holding:
        click.echo(f"still in the data of {models / version}: retrain, then remove that folder")
