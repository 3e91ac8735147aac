"""What becomes of the users of a shard."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from recsys.campaigns.deciding import Status
from recsys.campaigns.lists import Lists
from recsys.interactions.tables import IntArray


@dataclass(frozen=True, eq=False)
class Final:
    """A shard's last word, row for row.

    Attributes
    ----------
    rows
        The id and the audience's own columns.
    users, statuses, reasons
        What becomes of whom, and why.
    arms
        int32 (n,): place of the arm in the run.
    lists
        Those of users who are sent; others' are empty.
    rejected
        Rows of the audience that are left out.
    """

    rows: pa.Table
    users: list[str]
    statuses: list[Status]
    reasons: list[str | None]
    arms: IntArray
    lists: Lists
    rejected: pa.Table
