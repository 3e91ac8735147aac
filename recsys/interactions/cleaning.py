"""Events are thinned out, step by step, and each step is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError, SettingsError
from recsys.interactions.report import Step
from recsys.interactions.spec import Clean
from recsys.interactions.tables import BoolArray, LongArray
from recsys.interactions.times import microseconds


@dataclass(frozen=True, eq=False)
class Events:
    """Parsed events, one of each array per event.

    Attributes
    ----------
    users, items
        int64 codes.
    times
        int64 microseconds since 1970 UTC, or None.
    values
        float64, or None.
    """

    users: LongArray
    items: LongArray
    times: LongArray | None
    values: npt.NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.users)

    def at(self, positions: npt.NDArray[np.generic]) -> Events:
        """Return the events at these positions (or where a mask is true)."""
        return Events(
            self.users[positions],
            self.items[positions],
            None if self.times is None else self.times[positions],
            None if self.values is None else self.values[positions],
        )


def clean(events: Events, rules: Clean, place: str) -> tuple[Events, tuple[Step, ...]]:
    """Return what the rules leave of the events, ordered by user, time and item, and the steps.

    Raises
    ------
    SettingsError
        A rule needs times or values that the events do not have.
    DataError
        Nothing is left.
    """
    if events.times is None and (rules.from_ or rules.to):
        raise SettingsError(f"{place}: from and to need times; name them with --time-column")
    if events.values is None and rules.min_value is not None:
        raise SettingsError(f"{place}: min_value needs values; name them with --value-column")
    ledger = _Ledger(events, place)
    if rules.from_ and (times := ledger.events.times) is not None:
        ledger.keep(times >= microseconds(rules.from_), f"before {_date(rules.from_)}")
    if rules.to and (times := ledger.events.times) is not None:
        ledger.keep(times < microseconds(rules.to), f"from {_date(rules.to)} on")
    _merge(ledger, rules.duplicates)
    if rules.min_value is not None and (values := ledger.events.values) is not None:
        ledger.keep(values >= rules.min_value, f"value below {rules.min_value:g}")
    _core(ledger, rules.min_user_items, rules.min_item_users)
    return ledger.events, tuple(ledger.steps)


def _date(moment: datetime) -> str:
    """Write a moment in as few characters as it needs."""
    return str(moment).removesuffix(" 00:00:00")


class _Ledger:
    """The events as they are now, and what became of the others."""

    def __init__(self, events: Events, place: str) -> None:
        self.events, self.steps, self._place = events, [], place
        self._counts = self._count()

    steps: list[Step]

    def keep(self, keep: BoolArray, reason: str) -> None:
        """Keep the events where the mask is true."""
        if not keep.all():
            self.become(self.events.at(keep), reason)

    def become(self, events: Events, reason: str) -> None:
        """Put `events` in place of those before."""
        before, self.events = self._counts, events
        self._counts = self._count()
        lost = (was - now for was, now in zip(before, self._counts, strict=True))
        self.steps.append(Step(reason, *lost))
        if not len(events):
            told = ", ".join(f"{step.events:,} ({step.reason})" for step in self.steps)
            raise DataError(
                f"nothing is left after cleaning; events dropped: {told}",
                file=self._place,
                hint="loosen [clean] in dataset.toml or its flags",
            )

    def _count(self) -> tuple[int, int, int]:
        events = self.events
        return len(events), _distinct(events.users), _distinct(events.items)


def _distinct(codes: LongArray) -> int:
    return int(np.count_nonzero(np.bincount(codes))) if len(codes) else 0


def _merge(ledger: _Ledger, how: str) -> None:
    """Order the events by user, time and item, and make one of those that are repeats."""
    events = ledger.events
    pair = events.users * (int(events.items.max()) + 1) + events.items
    if how == "sum":
        order, fresh = _ordered(events, pair)
        ledger.events = events.at(order)
        if not fresh.all():
            starts = np.flatnonzero(fresh)
            merged = ledger.events.at(starts)
            if ledger.events.values is not None:
                merged = replace(merged, values=np.add.reduceat(ledger.events.values, starts))
            ledger.become(merged, "same user, item and time, added up")
        return
    order = np.lexsort((pair,) if events.times is None else (events.times, pair))
    change = pair[order][1:] != pair[order][:-1]
    edge = np.append(True, change) if how == "first" else np.append(change, True)
    chosen = np.zeros(len(events), np.bool_)
    chosen[order[edge]] = True
    ledger.keep(chosen, f"not the {how} of its user and item")
    events = ledger.events
    ledger.events = events.at(_ordered(events, pair[chosen])[0])


def _ordered(events: Events, pair: LongArray) -> tuple[LongArray, BoolArray]:
    """Return the order by user, time and item, and where in it a new such triple begins."""
    fresh = np.ones(len(events), np.bool_)
    if events.times is None:
        keys: tuple[LongArray, ...] = (pair,)
    else:
        keys = _packed(events.users, events.times, events.items)
    order = np.argsort(keys[0]) if len(keys) == 1 else np.lexsort(keys[::-1])
    for key in keys:
        ordered = key[order]
        fresh[1:] &= ordered[1:] == ordered[:-1]
    fresh[1:] = ~fresh[1:]
    return order, fresh


def _packed(*keys: LongArray) -> tuple[LongArray, ...]:
    """Return one key that sorts as these do, if 63 bits hold it: that is several times faster."""
    packed, size = np.zeros(len(keys[0]), np.int64), 1
    for key in keys:
        low = int(key.min())
        unit = 1_000_000 if not ((key - low) % 1_000_000).any() else 1  # times in whole seconds
        width = (int(key.max()) - low) // unit + 1
        size *= width
        if size >= 2**63:
            return keys
        packed = packed * width + (key - low) // unit
    return (packed,)


def _core(ledger: _Ledger, min_user_items: int, min_item_users: int) -> None:
    """Take out rare users and items until none is left."""
    if min_user_items <= 1 and min_item_users <= 1:
        return
    events = ledger.events
    n_items = int(events.items.max()) + 1
    pairs = np.unique(events.users * n_items + events.items)
    users, items = pairs // n_items, pairs % n_items
    good_user = np.ones(int(users.max()) + 1, np.bool_)
    good_item = np.ones(n_items, np.bool_)
    while True:
        good_user &= np.bincount(users, minlength=len(good_user)) >= min_user_items
        keep = good_user[users]
        good_item &= np.bincount(items[keep], minlength=n_items) >= min_item_users
        keep &= good_item[items]
        if keep.all():
            break
        users, items = users[keep], items[keep]
    rules = [
        f"users with fewer than {min_user_items} items" if min_user_items > 1 else "",
        f"items with fewer than {min_item_users} users" if min_item_users > 1 else "",
    ]
    ledger.keep(
        good_user[events.users] & good_item[events.items],
        " and ".join(rule for rule in rules if rule) + (", repeated" if all(rules) else ""),
    )
