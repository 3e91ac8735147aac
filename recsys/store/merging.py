"""What a model was trained on and what came since, as one history."""

from __future__ import annotations

import numpy as np

from recsys.ids import IdMap
from recsys.interactions.tables import BoolArray, Interactions, LongArray
from recsys.store.events import EventRows


def with_events(
    trained: Interactions, rows: EventRows, items: IdMap, least_value: float | None = None
) -> Interactions:
    """Return the trained events with those of the store: without what was taken back.

    A remove takes back what the user did to the item up to its time; events of a log without times
    came before every remove. An event that the model was trained on, as one with the same user,
    item and time is, counts once. Events on items that the model does not know are left out.

    Parameters
    ----------
    trained
        A row for each user.
    rows
        The store's events; their users are rows of `trained`.
    items
        The ids of the columns.
    least_value
        Events with a smaller value are left out, as they were in training.
    """
    codes = [items.code(item) for item in rows.items]
    known = np.array([code is not None for code in codes], np.bool_)
    if not known.any():
        return trained
    keys = np.array(rows.users, np.int64)[known] * len(items)
    keys += np.array([code for code in codes if code is not None], np.int64)
    times = np.array(rows.times, np.int64)[known]
    values = np.array(rows.values, np.float64)[known]
    removes = np.array(rows.removes, np.bool_)[known]
    own_keys = trained.users.astype(np.int64) * len(items) + trained.items
    new, kept = ~removes, trained
    if removes.any():
        taken_back = _TakenBack(keys[removes], times[removes])
        new &= ~taken_back(keys, times)
        kept = trained.where(~taken_back(own_keys, trained.times))
    if least_value is not None:
        new &= values >= least_value
    if trained.times is not None:
        new &= ~_among(keys, times, own_keys, trained.times)
    return Interactions.from_events(
        np.concatenate([kept.users, keys[new] // len(items)]),
        np.concatenate([kept.items, keys[new] % len(items)]),
        shape=(trained.n_users, trained.n_items),
        times=None if kept.times is None else np.concatenate([kept.times, times[new]]),
        values=None
        if kept.values is None
        else np.concatenate([kept.values, values[new].astype(np.float32)]),
    )


class _TakenBack:
    """Tells which events a remove of the same key, at or after their time, takes back.

    There is at least one remove.
    """

    def __init__(self, keys: LongArray, times: LongArray) -> None:
        order = np.lexsort((times, keys))
        last = np.append(np.diff(keys[order]) != 0, True)
        self._keys, self._times = keys[order][last], times[order][last]

    def __call__(self, keys: LongArray, times: LongArray | None) -> BoolArray:
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        same: BoolArray = self._keys[place] == keys
        if times is not None:
            same &= times <= self._times[place]
        return same


def _among(
    keys: LongArray, times: LongArray, other_keys: LongArray, other_times: LongArray
) -> BoolArray:
    """Tell which pairs of key and time stand among the others."""
    near = np.isin(other_keys, keys)
    if not near.any():
        return np.zeros(len(keys), np.bool_)
    return np.isin(
        np.rec.fromarrays([keys, times]),
        np.rec.fromarrays([other_keys[near], other_times[near]]),
    )
