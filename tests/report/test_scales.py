"""Where values lie on an axis and where its ticks are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.report.scales import Scale, short

NUMBERS = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-6)
POSITIVE = st.floats(1e-3, 1e9)


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.booleans(), st.integers(2, 12))
def test_linear_scales_hold_all_values_and_have_ticks_within(
    values: list[float], zero: bool, most: int
) -> None:
    scale = Scale.around(values, zero=zero)
    for value in [*values, *([0.0] if zero else [])]:
        assert -1e-9 <= scale(value) <= 1 + 1e-9
    ticks = [value for value, _ in scale.ticks(most)]
    assert len(ticks) <= most + 1
    assert ticks == sorted(set(ticks))
    assert all(-1e-6 <= scale(tick) <= 1 + 1e-6 for tick in ticks)


@given(st.lists(POSITIVE, min_size=1, max_size=8), st.integers(4, 12))
def test_scales_of_ratios_hold_all_values_and_have_ticks_within(
    values: list[float], most: int
) -> None:
    scale = Scale.around(values, log=True)
    assert all(0 <= scale(value) <= 1 for value in values)
    ticks = scale.ticks(most)
    assert ticks
    assert all(-1e-6 <= scale(tick) <= 1 + 1e-6 for tick, _ in ticks)


def test_equal_ratios_are_equal_distances() -> None:
    scale = Scale(1, 10_000, log=True)
    assert [scale(value) for value in (1, 10, 100, 1000, 10_000)] == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1]
    )
    assert [label for _, label in scale.ticks(5)] == ["1", "10", "100", "1k", "10k"]


@pytest.mark.parametrize(
    ("low", "high", "most", "labels"),
    [
        (0, 0.4, 4, ["0.0", "0.1", "0.2", "0.3", "0.4"]),
        (0, 1, 4, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (-50, 50, 2, ["-50", "0", "50"]),
        (0, 40_000, 4, ["0", "10k", "20k", "30k", "40k"]),
    ],
)
def test_ticks_stand_at_round_numbers(
    low: float, high: float, most: int, labels: list[str]
) -> None:
    assert [label for _, label in Scale(low, high).ticks(most)] == labels


def test_a_scale_of_nothing_or_of_one_value_has_length() -> None:
    for values in ([], [0.0], [3.0]):
        scale = Scale.around(values)
        assert scale.low < scale.high
    assert Scale.around([0.2, 0.4], zero=True).low == 0


@pytest.mark.parametrize(("value", "text"), [(0.05, "0.05"), (20, "20"), (5000, "5k"), (2e6, "2M")])
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


def test_steps_of_two_and_a_half_say_so() -> None:
    assert [label for _, label in Scale(0, 9).ticks(4)] == ["0.0", "2.5", "5.0", "7.5"]
    assert [label for _, label in Scale(0, 90).ticks(4)] == ["0", "25", "50", "75"]
