"""From audience rows to shards: each user once, in the order they come, cut by count alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from recsys.campaigns.audience import USER, Audience


@dataclass(frozen=True, eq=False)
class Shard:
    """What is scored and written together.

    Attributes
    ----------
    number
        Counts from 0; it names the parts.
    rows
        One row a user: the id as text, then the audience's own columns.
    """

    number: int
    rows: pa.Table

    @property
    def users(self) -> list[str]:
        """The users' ids, row for row."""
        users: list[str] = self.rows[USER].to_pylist()
        return users


class Reject(Protocol):
    """What is told of each row of the audience that is left out."""

    def __call__(self, row: int, user: str | None, reason: str) -> None:
        """Take note of the row, its user id (None without one) and why it is left out."""


def cut(audience: Audience, size: int, reject: Reject) -> Iterator[Shard]:
    """Yield shards of `size` distinct users, the last perhaps smaller.

    A user's first row counts. Later rows and rows without an id go to `reject`. What stays in
    memory is one shard and the ids seen so far.
    """
    seen: set[str] = set()
    waiting: list[pa.Table] = []
    number = 0
    for numbers, rows in audience.batches():
        waiting.append(rows.take(_first_rows(rows[USER].to_pylist(), numbers, seen, reject)))
        while sum(map(len, waiting)) >= size:
            whole = pa.concat_tables(waiting)
            yield Shard(number, whole.slice(0, size))
            number, waiting = number + 1, [whole.slice(size)]
    if any(map(len, waiting)):
        yield Shard(number, pa.concat_tables(waiting))


def _first_rows(
    users: Sequence[str | None], numbers: Sequence[int], seen: set[str], reject: Reject
) -> list[int]:
    """Return the positions of users not seen before; `seen` grows by them."""
    kept = []
    for position, (user, row) in enumerate(zip(users, numbers, strict=True)):
        if user is None:
            reject(row, None, "no user id")
        elif user in seen:
            reject(row, user, "user is in an earlier row")
        else:
            seen.add(user)
            kept.append(position)
    return kept
