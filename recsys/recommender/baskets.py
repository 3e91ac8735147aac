"""Histories given outright, turned into the same events as stored ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.errors import NotFoundError, UsageError
from recsys.ids import IdMap
from recsys.interactions.tables import Interactions
from recsys.recommender.answers import HistoryEntry


def events_of(
    entries: Sequence[HistoryEntry], items: IdMap, stored: Interactions, now: int | None
) -> Interactions:
    """Return the entries as the events of one user.

    Parameters
    ----------
    entries
        At least one, oldest first.
    items
        The known items.
    stored
        The events trained on: entries have times, or values, if these do.
    now
        Time of an entry without one, microseconds since 1970 UTC; each such entry comes a
        microsecond after the one before it, so that models that read order see theirs.

    Raises
    ------
    NotFoundError
        An entry names an unknown item.
    UsageError
        An entry's value is not finite, or its time beyond any calendar.
    """
    codes = np.array([_code(entry, items) for entry in entries], np.int32)
    times, values = None, None
    if stored.times is not None:
        places = enumerate(entries, now or 0)
        times = np.array([_time(entry, place) for place, entry in places], np.int64)
    if stored.values is not None:
        values = np.array([_value(entry) for entry in entries], np.float32)
    return Interactions.from_events(
        np.zeros(len(codes), np.int32), codes, shape=(1, len(items)), times=times, values=values
    )


def _code(entry: HistoryEntry, items: IdMap) -> int:
    code = items.code(entry.item)
    if code is None:
        raise NotFoundError("item", entry.item)
    return code


def _time(entry: HistoryEntry, now: int) -> int:
    time = now if entry.time is None else entry.time
    if not abs(time) < 2**62:
        raise UsageError(f"time of item {entry.item!r} is {time}: beyond any calendar")
    return time


def _value(entry: HistoryEntry) -> float:
    value = 1.0 if entry.value is None else entry.value
    if not abs(value) < 1e38:  # NaN fails too; the bound is float32's
        raise UsageError(f"value of item {entry.item!r} is {value}: it must be a finite number")
    return value
