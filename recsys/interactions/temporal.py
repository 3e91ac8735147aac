"""The temporal protocol: train on what came before a cut, find what followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal

import numpy as np

from recsys.errors import UsageError
from recsys.interactions.pairs import Pairs
from recsys.interactions.parts import Probe, Split, Training
from recsys.interactions.splits import unknown_items
from recsys.interactions.tables import Interactions, LongArray
from recsys.interactions.times import microseconds

Targets = Literal["first", "all"]


def temporal_splits(
    interactions: Interactions,
    cuts: Sequence[date],
    horizon: timedelta,
    *,
    targets: Targets = "first",
) -> Iterator[Split]:
    """Cut by time: one split a cut, the earliest first.

                    cut − horizon          cut     cut + horizon
        ────────────────┼───────────────────┼────────────┼────────▶ time
         training.train │    .validation    │    test    │ unused
        ─────────── training.full ──────────│

    A cut is 00:00 UTC of its day: an event at that instant comes after it, one at the very end of
    the horizon is outside. Tested are users with an event before the cut and something to find.
    New users and items not seen before the cut are left out, and counted. Validation asks the
    same of the last horizon before the cut. Nothing is random.

    Parameters
    ----------
    interactions
        The data set's, with times.
    cuts, horizon
        Days to cut at, and how long after them to look.
    targets
        `first`: what a user first took within the horizon, seen items left out of the lists;
        `all`: whatever the user took, seen items staying in.

    Raises
    ------
    UsageError
        No times, a horizon of nothing, or a cut at which nobody can be tested.
    """
    if interactions.times is None:
        raise UsageError("--protocol temporal: the data has no times; name its time column")
    if horizon <= timedelta(0):
        raise UsageError(f"--horizon {horizon.days}d: must be at least a day")
    for cut in sorted(set(cuts)):
        yield _split(interactions, interactions.times, cut, horizon, targets)


def _split(
    interactions: Interactions, times: LongArray, cut: date, horizon: timedelta, targets: Targets
) -> Split:
    at, length = microseconds(datetime.combine(cut, time.min)), horizon // timedelta(microseconds=1)
    past = interactions.where(times < at)
    columns = np.unique(past.items)
    following = interactions.where((times >= at) & (times < at + length))
    test = _forecast(past.columns(columns), following.columns(columns), at, targets)
    if not len(test.users):
        raise UsageError(
            f"--cut {cut}: no user has events both before it and, of items seen before it, "
            f"within {horizon.days} days after it; {_span(times)}"
        )
    took_before, took_after = np.diff(past.indptr) > 0, np.diff(following.indptr) > 0
    left_out = {
        "new users": int(np.count_nonzero(took_after & ~took_before)),
        **unknown_items(following, columns),
        "users with nothing to find": int(np.count_nonzero(took_after & took_before))
        - len(test.users),
    }
    training = _training(past.columns(columns), at, length, targets)
    return Split(str(cut), at, columns, training, test, left_out)


def temporal_training(
    interactions: Interactions, horizon: timedelta, *, targets: Targets = "first"
) -> Training:
    """Return what `train` learns from where it should foresee: everything, the last horizon apart.

    What is chosen is chosen on what users took in the horizon before the newest event.

    Raises
    ------
    UsageError
        No times.
    """
    if interactions.newest is None:
        raise UsageError("--protocol temporal: the data has no times; name its time column")
    length = horizon // timedelta(microseconds=1)
    return _training(interactions, interactions.newest + 1, length, targets)


def _training(past: Interactions, at: int, length: int, targets: Targets) -> Training:
    times = past.times if past.times is not None else np.empty(0, np.int64)
    older, newer = past.where(times < at - length), past.where(times >= at - length)
    newer = newer.where(np.isin(newer.items, older.items))
    return Training(
        _without_empty_rows(older),
        at - length,
        _forecast(older, newer, at - length, targets),
        _without_empty_rows(past),
        at,
    )


def _forecast(past: Interactions, following: Interactions, at: int, targets: Targets) -> Probe:
    """Return the users of `past` and what they took in `following`; both hold all users."""
    if targets == "first":
        taken, after = Pairs.of(past), Pairs.of(following)
        again = np.isin(after.keys(past.n_items), taken.keys(past.n_items))
        following = following.where(~again[after.of_event])
    users = np.flatnonzero((np.diff(past.indptr) > 0) & (np.diff(following.indptr) > 0))
    return Probe(
        users.astype(np.int32),
        past.rows(users),
        following.rows(users),
        at,
        repeats=targets == "all",
    )


def _without_empty_rows(interactions: Interactions) -> Interactions:
    return interactions.rows(np.flatnonzero(np.diff(interactions.indptr)))


def _span(times: LongArray) -> str:
    if not len(times):
        return "the data has no events"
    first, last = np.array([times.min(), times.max()], "datetime64[us]").astype("datetime64[D]")
    return f"the data goes from {first} to {last}"
