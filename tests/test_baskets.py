"""Baskets become the events that stored histories are."""

from __future__ import annotations

import numpy as np

from recsys.ids import IdMap
from recsys.interactions.tables import Interactions
from recsys.recommender import HistoryEntry
from recsys.recommender.baskets import events_of

NOW = 1_300_000_000_000_000
STORED = Interactions.from_events(
    np.array([0, 0]), np.array([0, 1]), shape=(1, 3), times=np.array([5, 6])
)


def test_the_order_of_a_basket_of_ids_is_its_order_in_time() -> None:
    entries = [HistoryEntry(item) for item in ("c", "a", "b")]
    events = events_of(entries, IdMap(["a", "b", "c"]), STORED, NOW)
    assert events.items.tolist() == [2, 0, 1]
    assert events.times is not None
    assert (np.diff(events.times) > 0).all()
    assert (events.times - NOW <= 3).all()


def test_a_time_that_is_given_is_kept() -> None:
    entries = [HistoryEntry("a"), HistoryEntry("b", time=7)]
    events = events_of(entries, IdMap(["a", "b", "c"]), STORED, NOW)
    assert events.times is not None
    assert events.times.tolist() == [7, NOW]
