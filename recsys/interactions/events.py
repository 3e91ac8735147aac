"""Parsed events, and how they are put in order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from recsys.interactions.tables import BoolArray, LongArray

Codes = npt.NDArray[np.integer]
Doubles = npt.NDArray[np.floating]
How = Literal["sum", "first", "last"]
_AT_ONCE = 1 << 17
"""Events of whole users that are put in order together: as many as the processor's cache holds."""


@dataclass(frozen=True, eq=False)
class Events:
    """Parsed events, one of each array per event.

    Attributes
    ----------
    users, items
        Codes.
    times
        Ticks since 1970 UTC, or None.
    values
        float64, or float32 where that holds them exactly; or None.
    tick
        Microseconds of a tick: whole seconds, where all times are some, need half the memory.
    """

    users: Codes
    items: Codes
    times: npt.NDArray[Any] | None
    values: Doubles | None
    tick: int = 1

    def __len__(self) -> int:
        return len(self.users)

    def at(self, positions: npt.NDArray[np.generic] | slice) -> Events:
        """Return the events at these positions (or where a mask is true)."""
        return Events(
            self.users[positions],
            self.items[positions],
            None if self.times is None else self.times[positions],
            None if self.values is None else self.values[positions],
            self.tick,
        )


def merged(events: Events, how: How) -> Events:
    """Return the events ordered by user, time and item, with one in place of those that repeat.

    They are grouped by user first, in one pass, and then put in order a few users at a time, so
    that little more memory is needed than for what is given and for what is returned.

    Parameters
    ----------
    events
        Events in any order, at least one. They are freed on the way if nobody else holds them.
    how
        See `Clean.duplicates`.
    """
    users, items, ticks, values = events.users, events.items, events.times, events.values
    tick = events.tick
    del events
    rows = _rows(users, items, ticks)
    indptr, items = rows.indptr.astype(np.int64), rows.indices
    ticks = None if ticks is None else rows.data
    del rows
    if values is not None:
        values = _rows(users, users, values).data
    del users
    times = None if ticks is None else np.empty(len(items), np.int64)
    grouped = _Grouped(indptr, items, ticks, values)
    kept, end = np.zeros(len(indptr) - 1, np.int64), 0
    parts = list(_few_users(indptr))
    with ThreadPoolExecutor(pa.cpu_count()) as pool:
        for part, few in zip(parts, pool.map(partial(grouped.merged, how), parts), strict=True):
            kept[part] = np.bincount(few.users, minlength=part.stop - part.start)
            put = slice(end, end := end + len(few))  # never beyond what was read
            items[put] = few.items
            if times is not None and few.times is not None:
                np.multiply(few.times, tick, out=times[put], dtype=np.int64)
            if values is not None:
                values[put] = few.values
    del ticks, grouped
    users = np.repeat(np.arange(len(kept), dtype=np.int32), kept)
    return Events(
        users,
        items[:end],
        None if times is None else times[:end],
        None if values is None else values[:end],
    )


@dataclass(frozen=True, eq=False)
class _Grouped:
    """Events by user: user u's are `[indptr[u], indptr[u + 1])`, as they stood in the table."""

    indptr: LongArray
    items: Codes
    ticks: Codes | None
    values: Doubles | None

    def merged(self, how: How, users: slice) -> Events:
        """Return some users' events in order, with users counted from the first of them."""
        own = slice(self.indptr[users.start], self.indptr[users.stop])
        lengths = np.diff(self.indptr[users.start : users.stop + 1])
        events = Events(
            np.repeat(np.arange(len(lengths)), lengths),
            self.items[own],
            None if self.ticks is None else self.ticks[own],
            None if self.values is None else self.values[own],
        )
        return _one_of_each(events, how)


def _rows(users: Codes, columns: Codes, numbers: npt.NDArray[Any] | None) -> Any:
    """Return events as a CSR matrix, each user's in the order in which they stand.

    It is a matrix in name only: a pair may stand in it several times. That scipy fills it by a
    counting sort, in one pass, is what this is for.
    """
    if numbers is None:
        numbers = np.zeros(len(users), np.int8)
    shape = (int(users.max()) + 1, int(columns.max()) + 1)
    events = sp.coo_array((numbers, (users, columns)), shape=shape)
    events.has_canonical_format = True  # it has not, but this way no two events are added up
    return events.tocsr()


def _few_users(indptr: LongArray) -> Iterator[slice]:
    """Yield users in their order, as many together as have some `_AT_ONCE` events."""
    first, n_users = 0, len(indptr) - 1
    while first < n_users:
        enough = np.searchsorted(indptr, indptr[first] + _AT_ONCE, side="right") - 1
        last = max(first + 1, int(enough))
        if indptr[first] < indptr[last]:
            yield slice(first, last)
        first = last


def _one_of_each(events: Events, how: How) -> Events:
    """Do what `merged` does, all at once."""
    if how == "sum":
        order, fresh = _ordered(events)
        events = events.at(order)
        if fresh.all():
            return events
        starts = np.flatnonzero(fresh)
        added = events.at(starts)
        if events.values is None:
            return added
        sums = np.add.reduceat(events.values, starts, dtype=np.float64)
        return replace(added, values=sums)
    (pair,) = _packed(events.users, events.items)
    order = np.lexsort((pair,) if events.times is None else (events.times, pair))
    change = pair[order][1:] != pair[order][:-1]
    edge = np.append(True, change) if how == "first" else np.append(change, True)
    chosen = events.at(np.sort(order[edge]))
    return chosen.at(_ordered(chosen)[0])


def _ordered(events: Events) -> tuple[LongArray, BoolArray]:
    """Return the order by user, time and item, and where in it a new such triple begins."""
    if events.times is None:
        keys = _packed(events.users, events.items)
    else:
        keys = _packed(events.users, events.times, events.items)
    order = np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])
    fresh = np.zeros(len(events), np.bool_)
    fresh[0] = True
    for key in keys:
        ordered = key[order]
        fresh[1:] |= ordered[1:] != ordered[:-1]
    return order, fresh


def _packed(*keys: Codes) -> tuple[LongArray, ...]:
    """Return keys that sort as these do, as few as 63 bits each allow: fewer are faster."""
    packed: list[LongArray] = []
    size = 2**63
    for key in reversed(keys):
        low = int(key.min())
        width = int(key.max()) - low + 1
        above = key.astype(np.int64) - low
        if size * width < 2**63:
            packed[0] += above * size
            size *= width
        else:
            packed.insert(0, above)
            size = width
    return tuple(packed)
