"""Progress bars on the terminal, silent where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """What a piece of work tells while it goes on."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say that `steps` more are done, with a short note (a loss, a metric) to show."""


class _Silent:
    def advance(self, steps: int = 1, note: str = "") -> None:
        """Show nothing."""


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Bar]:
    """Show a bar with the time left on standard error while the block runs.

    Nothing is drawn when standard error is not a terminal, so logs stay clean.
    """
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=total, note="")

        class _Drawn:
            def advance(self, steps: int = 1, note: str = "") -> None:
                bars.advance(task, steps)
                if note:
                    bars.update(task, note=note)

        yield _Drawn()
