"""What was read, what was dropped, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """What one step of cleaning took away.

    Attributes
    ----------
    reason
        Why: `value below 4`, `before 2011-01-01`, …
    events, users, items
        How many went; a user or an item goes with its last event.
    """

    reason: str
    events: int
    users: int
    items: int


@dataclass(frozen=True)
class ReadReport:
    """How a data set came about.

    Attributes
    ----------
    files
        What was read, the events first.
    rows
        Rows of events, the bad ones included.
    columns
        The events' columns that were read, by `dataset.toml` key.
    bad_rows
        Rows skipped for what stands in them, those of the items file included.
    bad_rows_file
        Where they are listed.
    steps
        What cleaning took away, in the order in which it was done.
    listed_items
        Items in the items file; None without one.
    described_items
        Items of the data set that the items file has.
    """

    files: tuple[str, ...]
    rows: int
    columns: Mapping[str, str] = field(default_factory=dict)
    bad_rows: int = 0
    bad_rows_file: str | None = None
    steps: tuple[Step, ...] = ()
    listed_items: int | None = None
    described_items: int = 0
