"""What cleaning takes away, in which order, and how it is counted."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import SettingsError
from recsys.interactions.cleaning import Events, clean
from recsys.interactions.report import Step
from recsys.interactions.spec import Clean

DAY = 86_400_000_000


def events(rows: list[tuple], *, times: bool = True, values: bool = True) -> Events:
    users, items, when, value = zip(*rows, strict=True)
    return Events(
        np.array(users, np.int64),
        np.array(items, np.int64),
        np.array(when, np.int64) if times else None,
        np.array(value, np.float64) if values else None,
    )


def rows(cleaned: Events) -> list[tuple]:
    columns = [cleaned.users, cleaned.items]
    columns += [column for column in (cleaned.times, cleaned.values) if column is not None]
    return list(zip(*(column.tolist() for column in columns), strict=True))


LOG = [(1, 0, 5, 2.0), (0, 1, 3, 1.0), (0, 1, 3, 4.0), (0, 1, 9, 8.0), (0, 0, 3, 1.0)]


def test_by_default_repeats_at_one_time_are_added_up_and_the_rest_put_in_order() -> None:
    cleaned, steps = clean(events(LOG), Clean(), "log")
    assert rows(cleaned) == [(0, 0, 3, 1), (0, 1, 3, 5), (0, 1, 9, 8), (1, 0, 5, 2)]
    assert steps == (Step("same user, item and time, added up", 1, 0, 0),)


def test_without_times_sum_makes_one_event_a_pair() -> None:
    cleaned, _ = clean(events(LOG, times=False), Clean(), "log")
    assert rows(cleaned) == [(0, 0, 1), (0, 1, 13), (1, 0, 2)]


def test_first_and_last_keep_one_event_a_pair_with_its_value() -> None:
    first, _ = clean(events(LOG), Clean(duplicates="first"), "log")
    assert rows(first) == [(0, 0, 3, 1), (0, 1, 3, 1), (1, 0, 5, 2)]
    last, steps = clean(events(LOG), Clean(duplicates="last"), "log")
    assert rows(last) == [(0, 0, 3, 1), (0, 1, 9, 8), (1, 0, 5, 2)]
    assert steps == (Step("not the last of its user and item", 2, 0, 0),)


def test_without_times_first_and_last_go_by_the_order_of_the_rows() -> None:
    last, _ = clean(events(LOG, times=False), Clean(duplicates="last"), "log")
    assert rows(last) == [(0, 0, 1), (0, 1, 8), (1, 0, 2)]
    first, _ = clean(events(LOG, times=False), Clean(duplicates="first"), "log")
    assert rows(first) == [(0, 0, 1), (0, 1, 1), (1, 0, 2)]


def test_a_value_is_judged_after_duplicates() -> None:
    log = events([(0, 0, 1, 5.0), (0, 0, 2, 2.0), (0, 1, 1, 2.0), (0, 1, 1, 3.0), (1, 0, 1, 9.0)])
    last, _ = clean(log, Clean(duplicates="last", min_value=4), "log")
    assert rows(last) == [(1, 0, 1, 9)]
    added, _ = clean(log, Clean(min_value=4), "log")
    assert rows(added) == [(0, 0, 1, 5), (0, 1, 1, 5), (1, 0, 1, 9)]


def test_from_is_included_and_to_is_not() -> None:
    log = events([(0, day, day * DAY, 1.0) for day in range(5)])
    rules = Clean(from_=datetime(1970, 1, 2), to=datetime(1970, 1, 4, tzinfo=UTC))
    cleaned, steps = clean(log, rules, "log")
    assert cleaned.items.tolist() == [1, 2]
    assert steps == (
        Step("before 1970-01-02", 1, 0, 1),
        Step("from 1970-01-04 00:00:00+00:00 on", 2, 0, 2),
    )


def test_users_and_items_go_with_their_last_event() -> None:
    log = events([(0, 0, 1, 1.0), (0, 1, 1, 5.0), (1, 0, 1, 1.0)])
    cleaned, steps = clean(log, Clean(min_value=2), "log")
    assert rows(cleaned) == [(0, 1, 1, 5)]
    assert steps == (Step("value below 2", 2, 1, 1),)


def test_rules_that_need_a_column_say_so() -> None:
    with pytest.raises(SettingsError, match="--time-column"):
        clean(events(LOG, times=False), Clean(from_=datetime(2011, 1, 1)), "log")
    with pytest.raises(SettingsError, match="--value-column"):
        clean(events(LOG, values=False), Clean(min_value=1), "log")


PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=40)


@given(PAIRS, st.integers(1, 4), st.integers(1, 4))
def test_the_core_is_the_largest_part_in_which_both_rules_hold(
    pairs: list[tuple[int, int]], min_user_items: int, min_item_users: int
) -> None:
    expected = set(pairs)
    while True:  # the definition, one user or item at a time
        users = {u for u, _ in expected if sum(p[0] == u for p in expected) < min_user_items}
        items = {i for _, i in expected if sum(p[1] == i for p in expected) < min_item_users}
        if not users | items:
            break
        expected = {(u, i) for u, i in expected if u not in users} if users else {
            (u, i) for u, i in expected if i not in items
        }  # fmt: skip
    log = events([(user, item, at, 1.0) for at, (user, item) in enumerate(pairs)])
    rules = Clean(min_user_items=min_user_items, min_item_users=min_item_users)
    if not expected:
        with pytest.raises(Exception, match="nothing is left"):
            clean(log, rules, "log")
        return
    cleaned, steps = clean(log, rules, "log")
    assert set(zip(cleaned.users.tolist(), cleaned.items.tolist(), strict=True)) == expected
    assert len(cleaned) == sum(pair in expected for pair in pairs)
    assert sum(step.events for step in steps) == len(pairs) - len(cleaned)
    assert sum(step.users for step in steps) == len(
        {u for u, _ in pairs} - {u for u, _ in expected}
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-5, 5), st.integers(1, 5)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([1, 1_000_000, 2**58]),  # one packed key, in seconds, and too wide for one
)
def test_order_and_sums_are_as_by_hand(log: list[tuple], unit: int) -> None:
    spread = [(user, item, time * unit, float(value)) for user, item, time, value in log]
    expected: dict[tuple, float] = {}
    for user, item, time, value in spread:
        expected[user, time, item] = expected.get((user, time, item), 0) + value
    cleaned, _ = clean(events(spread), Clean(), "log")
    assert rows(cleaned) == [
        (user, item, time, value) for (user, time, item), value in sorted(expected.items())
    ]
