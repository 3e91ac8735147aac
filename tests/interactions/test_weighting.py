"""Weights: what is scored has proportions, what is learnt from has an age."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import SettingsError
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.weighting import Weighting

START = 1_300_000_000_000_000
EVENTS = (  # user, item, day, value
    (0, 0, 0, 2),
    (0, 0, 10, 3),
    (0, 2, 40, 1),
    (1, 1, 20, 5),
    (1, 1, 20, -4),
)


def interactions(*, timed: bool = True, valued: bool = True) -> Interactions:
    users, items, days, values = (np.array(column) for column in zip(*EVENTS, strict=True))
    return Interactions.from_events(
        users,
        items,
        shape=(3, 3),
        times=START + days * MICROSECONDS_PER_DAY if timed else None,
        values=values.astype(np.float32) if valued else None,
    )


def day(number: float) -> int:
    return START + int(number * MICROSECONDS_PER_DAY)


def test_by_default_every_weight_is_1() -> None:
    for histories in (Weighting().histories, Weighting().training):
        np.testing.assert_array_equal(
            histories(interactions()).matrix.toarray(), [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
        )


def test_a_row_to_learn_from_keeps_its_age_and_one_to_score_has_1_at_most() -> None:
    weighting = Weighting(half_life_days=20)
    learnt = weighting.training(interactions(), day(50)).matrix.toarray()
    np.testing.assert_allclose(learnt, [[0.25, 0, 2**-0.5], [0, 2**-1.5, 0], [0, 0, 0]], rtol=1e-6)
    scored = weighting.histories(interactions(), day(50)).matrix.toarray()
    np.testing.assert_allclose(scored, [[2**-1.5, 0, 1], [0, 1, 0], [0, 0, 0]], rtol=1e-6)


def test_what_is_learnt_from_may_age_faster() -> None:
    both = Weighting(half_life_days=20, train_half_life_days=10)
    scored, learnt = both.histories(interactions()), both.training(interactions())
    alone = Weighting(half_life_days=20).histories(interactions())
    np.testing.assert_array_equal(scored.matrix.data, alone.matrix.data)
    np.testing.assert_allclose(learnt.matrix.data, [2**-3, 1, 2**-2], rtol=1e-6)  # the newest is 1
    only = Weighting(train_half_life_days=10)
    np.testing.assert_array_equal(only.histories(interactions()).matrix.data, 1)
    np.testing.assert_array_equal(only.training(interactions()).matrix.data, learnt.matrix.data)


def test_days_and_values_add_to_a_weight() -> None:
    weighting = Weighting(per_day_bought=0.5, value=0.1)
    strength = np.array(
        [1 + 0.5 * np.log(2) + 0.1 * np.log(6), 1 + 0.1 * np.log(2), 1 + 0.1 * np.log(2)]
    )
    learnt = weighting.training(interactions()).matrix.data
    np.testing.assert_allclose(learnt, strength, rtol=1e-6)
    scored = weighting.histories(interactions()).matrix.data
    np.testing.assert_allclose(scored, strength / strength[[0, 0, 2]], rtol=1e-6)


def test_events_after_the_reference_time_are_brand_new() -> None:
    weighting = Weighting(half_life_days=10)
    np.testing.assert_allclose(
        weighting.training(interactions(), day(20)).matrix.data, [0.5, 1, 1], rtol=1e-6
    )


def test_times_before_1970_age_too() -> None:
    old = replace(interactions(), times=np.array([-50, -40, -10, -30, -30]) * MICROSECONDS_PER_DAY)
    learnt = Weighting(half_life_days=10).training(old).matrix.data
    np.testing.assert_allclose(learnt, [2**-3, 1, 2**-2], rtol=1e-6)


@given(days=st.floats(0, 40_000), half_life=st.floats(0.01, 1000))
def test_however_old_no_weight_vanishes(days: float, half_life: float) -> None:
    weighting, at = Weighting(half_life_days=half_life), day(40 + days)
    learnt = weighting.training(interactions(), at).matrix.data
    assert (np.square(learnt) > 0).all()
    scored = weighting.histories(interactions(), at).matrix.data
    fresh = weighting.histories(interactions(), day(40)).matrix.data
    assert (scored > 0).all()
    np.testing.assert_allclose(scored, fresh, rtol=1e-3)  # whatever the row's age


@pytest.mark.parametrize("way", ["histories", "training"])
def test_what_a_weight_needs_must_be_there(way: str) -> None:
    for weighting in (
        Weighting(half_life_days=5),
        Weighting(train_half_life_days=5),
        Weighting(per_day_bought=1),
    ):
        with pytest.raises(SettingsError, match="need a time column"):
            getattr(weighting, way)(interactions(timed=False))
    with pytest.raises(SettingsError, match="needs a value column"):
        getattr(Weighting(value=1), way)(interactions(valued=False))


@pytest.mark.parametrize("way", ["histories", "training"])
def test_nobody_and_nothing_give_no_rows_and_no_entries(way: str) -> None:
    weighting = Weighting(half_life_days=5, per_day_bought=1, value=1)
    nothing = interactions().where(np.zeros(len(EVENTS), np.bool_))
    assert getattr(weighting, way)(nothing).matrix.shape == (3, 3)
    nobody = interactions().rows(np.zeros(0, np.int32))
    assert getattr(weighting, way)(nobody).matrix.shape == (0, 3)


def test_baskets_are_further_rows_to_learn_from() -> None:
    events = [(0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 1, 7), (0, 2, 7), (1, 0, 7), (1, 1, 8)]
    users, items, days = (np.array(column) for column in zip(*events, strict=True))
    data = Interactions.from_events(
        users, items, shape=(3, 3), times=START + days * MICROSECONDS_PER_DAY
    )
    weighting = Weighting(baskets=0.5)
    learnt = weighting.training(data)
    rows = [[1, 1, 1], [1, 1, 0], [0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.5]]
    np.testing.assert_array_equal(learnt.matrix.toarray(), rows)  # a day of one item is no basket
    assert learnt.times is not None
    assert learnt.times[-2:].tolist() == [START + 7 * MICROSECONDS_PER_DAY] * 2
    assert learnt.times[5:8].tolist() == [START] * 3
    np.testing.assert_array_equal(
        weighting.histories(data).matrix.toarray(), Weighting().histories(data).matrix.toarray()
    )
    aged = Weighting(train_half_life_days=7, baskets=1).training(data, START + day_length(7))
    np.testing.assert_allclose(aged.matrix.toarray()[3:], [[0.5] * 3, [0, 1, 1]])


def day_length(number: int) -> int:
    return number * MICROSECONDS_PER_DAY


def test_baskets_need_times() -> None:
    with pytest.raises(SettingsError, match="per_day_bought and baskets need a time column"):
        Weighting(baskets=1).training(interactions(timed=False))
