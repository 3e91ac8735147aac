"""Tables for people, and JSON for programs, on the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table


def new_table(heading: str) -> Table:
    """Return an empty table under a heading."""
    from rich import box
    from rich.table import Table

    return Table(title=plain(heading), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def plain(text: str) -> str:
    """Return outside text so that it is shown as it is: not as markup, nor as terminal commands."""
    from rich.markup import escape

    return escape(printable(text))


def printable(text: str) -> str:
    """Return outside text without what a terminal would take for a command."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; 120 columns where there is none."""
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def print_json(answer: dict[str, Any]) -> None:
    """Print what the API would answer."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))
