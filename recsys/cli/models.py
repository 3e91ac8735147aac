"""`recsys models`: list published models, roll back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from recsys.artifacts import VersionInfo

_folder = click.option(
    "--models",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("models"),
    show_default=True,
    help="Folder of published models.",
)


@click.group()
def models() -> None:
    """List published models, roll back."""


@models.command("list")
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(folder: Path, as_json: bool) -> None:
    """List the versions, the newest first; the one that is served is marked *."""
    from recsys.artifacts import list_versions

    versions = list_versions(folder)
    if as_json:
        shown = {"versions": [_as_json(info) for info in versions]}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    elif not versions:
        click.echo(f"No model is published in {folder}; `recsys train` does it.")
    else:
        _print_table(versions)


@models.command("roll-back")
@click.argument("version", required=False)
@_folder
def roll_back_command(version: str | None, folder: Path) -> None:
    """Serve VERSION again; the one before the current where none is named."""
    from recsys.artifacts import roll_back

    click.echo(f"current is now {roll_back(folder, version)}")


def _as_json(info: VersionInfo) -> dict[str, Any]:
    from dataclasses import asdict

    shown: dict[str, Any] = {"version": info.version, "current": info.current}
    if info.manifest is not None:
        names = ("created", "model", "config", "weighting", "data", "metrics", "libraries")
        shown |= {name: asdict(info.manifest)[name] for name in names}
    return shown if info.problem is None else {**shown, "problem": info.problem}


def _print_table(versions: list[VersionInfo]) -> None:
    import sys

    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "version", "created", "model", "data", "metrics"):
        table.add_column(heading, no_wrap=heading in ("version", "created", "model"))
    for info in versions:
        cells = [_mark(info), info.version, *_cells(info)]
        table.add_row(*(escape(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)
    for info in versions:
        if info.problem is not None:
            click.echo(f"unusable: {info.problem}")


def _mark(info: VersionInfo) -> str:
    return ("*" if info.current else "") + ("!" if info.problem is not None else "")


def _cells(info: VersionInfo) -> list[str]:
    if info.manifest is None:
        return ["", "", "", ""]
    data, metrics = info.manifest.data, info.manifest.metrics
    return [
        info.manifest.created[:16].replace("T", " "),
        info.manifest.model,
        f"{data.name}: {data.users:,} users, {data.items:,} items",
        ", ".join(
            f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float)
        ),
    ]
