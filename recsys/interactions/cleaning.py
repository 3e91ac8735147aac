"""Events are thinned out, step by step, and each step is counted."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from recsys.errors import DataError, SettingsError
from recsys.interactions.events import Codes, Events, merged
from recsys.interactions.pieces import counted
from recsys.interactions.report import Step
from recsys.interactions.spec import Clean
from recsys.interactions.tables import BoolArray
from recsys.interactions.times import microseconds


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
    del events  # so that they are freed while they are put in order
    _between(ledger, rules)
    ledger.become(merged(ledger.let_go(), rules.duplicates), _MERGED[rules.duplicates])
    if rules.min_value is not None and (values := ledger.events.values) is not None:
        ledger.keep(values >= np.float64(rules.min_value), f"value below {rules.min_value:g}")
    _core(ledger, rules.min_user_items, rules.min_item_users)
    return ledger.events, tuple(ledger.steps)


def _between(ledger: _Ledger, rules: Clean) -> None:
    """Keep the events from one date to another."""
    if rules.from_ and (times := ledger.events.times) is not None:
        first = -(-microseconds(rules.from_) // ledger.events.tick)
        ledger.keep(times >= first, f"before {_date(rules.from_)}")
    if rules.to and (times := ledger.events.times) is not None:
        end = -(-microseconds(rules.to) // ledger.events.tick)
        ledger.keep(times < end, f"from {_date(rules.to)} on")


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

    def let_go(self) -> Events:
        """Return the events, which are held here no longer."""
        events, self.events = self.events, self.events.at(np.empty(0, np.int64))
        return events

    def become(self, events: Events, reason: str) -> None:
        """Put `events` in place of those before; a step that took none away is not counted."""
        before, self.events = self._counts, events
        self._counts = self._count()
        lost = (was - now for was, now in zip(before, self._counts, strict=True))
        step = Step(reason, *lost)
        if not step.events:
            return
        self.steps.append(step)
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


def _distinct(codes: Codes) -> int:
    return int(np.count_nonzero(counted(codes, int(codes.max()) + 1))) if len(codes) else 0


_MERGED = {
    "sum": "same user, item and time, added up",
    "first": "not the first of its user and item",
    "last": "not the last of its user and item",
}


def _core(ledger: _Ledger, min_user_items: int, min_item_users: int) -> None:
    """Take out rare users and items until none is left."""
    if min_user_items <= 1 and min_item_users <= 1:
        return
    events = ledger.events
    n_items = int(events.items.max()) + 1
    pairs = np.unique(events.users.astype(np.int64) * n_items + events.items)
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
