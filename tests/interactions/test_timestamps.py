"""Times, however they are written."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import DataError
from recsys.interactions.timestamps import parse_times

MOMENT = datetime(2011, 3, 4, 5, 6, 7, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


def parse(values: object, kind: pa.DataType | None = None) -> tuple[list[int], list[tuple]]:
    parsed = parse_times(pa.chunked_array([pa.array(values, kind)]), "log", "when")
    assert parsed.numbers.dtype == np.int64
    return parsed.numbers.tolist(), [(f.positions.tolist(), f.reason) for f in parsed.flaws]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([SECONDS], pa.int64()),
        ([SECONDS], pa.uint32()),
        ([SECONDS * 1000], pa.int64()),
        ([SECONDS * 10**6], pa.int64()),
        ([SECONDS * 10**9], pa.uint64()),
        ([float(SECONDS)], pa.float64()),
        ([float(SECONDS * 1000)], pa.float64()),
        ([str(SECONDS)], pa.string()),
        ([f"{SECONDS}.0"], pa.string()),
        ([f" {SECONDS} "], pa.string()),
        ([str(SECONDS * 10**9)], pa.large_string()),
        ([MOMENT], pa.timestamp("s")),
        ([MOMENT], pa.timestamp("ns", "Europe/Berlin")),
        ([MOMENT], pa.date64()),
        (["2011-03-04T05:06:07"], pa.string()),
        (["2011-03-04 05:06:07"], pa.string_view()),
        (["2011-03-04T05:06:07Z"], pa.string()),
        (["2011-03-04 05:06:07 UTC"], pa.string()),
        (["2011-03-04 06:36:07+01:30"], pa.string()),
        (["2011-03-04T00:06:07.000000-0500"], pa.string()),
        (["2011-03-04 05:06:07.0000009"], pa.string()),
        (["  2011-03-04 05:06:07"], pa.string()),
        (["20110304T050607"], pa.string()),
    ],
)
def test_a_moment_is_the_same_however_it_is_written(values: list, kind: pa.DataType) -> None:
    expected = SECONDS * 10**6
    if kind == pa.date64():  # has days only
        expected = int(datetime(2011, 3, 4, tzinfo=UTC).timestamp()) * 10**6
    assert parse(values, kind) == ([expected], [])
    if kind != pa.string_view():  # Arrow itself cannot decode dictionaries of these
        assert parse(pa.array(values, kind).dictionary_encode()) == ([expected], [])


def test_dates_begin_at_midnight_utc() -> None:
    day = int(datetime(2011, 3, 4, tzinfo=UTC).timestamp()) * 10**6
    assert parse([date(2011, 3, 4)]) == ([day], [])
    assert parse(["2011-03-04"]) == ([day], [])
    assert parse(["2011-03-04", "2011-03-04 00:00"]) == ([day, day], [])


def test_moments_before_1970_and_long_after_are_no_special_case() -> None:
    assert parse(["1969-12-31T23:59:59.5"]) == ([-500_000], [])
    assert parse(["0001-01-01", "9999-12-31"])[1] == []
    assert parse([-86_400, SECONDS]) == ([-86_400 * 10**6, SECONDS * 10**6], [])
    assert parse([-1], pa.timestamp("ns")) == ([-1], [])  # cut off towards the past


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**62, SECONDS * 1000], pa.timestamp("ms")),
        ([-(2**62), SECONDS], pa.timestamp("s")),
        ([2**31 - 1, 1], pa.date32()),
        ([1e300, 1e300, float(SECONDS)], pa.float64()),
        (["9" * 30, "2" * 30], pa.string()),
    ],
)
def test_times_off_the_calendar_are_flaws(values: list, kind: pa.DataType) -> None:
    _, flaws = parse(values, kind)
    assert "not within the years 1 to 9999" in [reason for _, reason in flaws]


def test_a_bad_cell_does_not_make_the_others_dates() -> None:
    _, flaws = parse([str(SECONDS), "", "x", "y"])
    assert sorted(position for positions, _ in flaws for position in positions) == [1, 2, 3]


def test_fractions_of_a_second_survive() -> None:
    assert parse([SECONDS + 0.25]) == ([SECONDS * 10**6 + 250_000], [])
    assert parse([f"{SECONDS}.25"]) == ([SECONDS * 10**6 + 250_000], [])
    assert parse(["2011-03-04T05:06:07.25Z"]) == ([SECONDS * 10**6 + 250_000], [])


@given(st.lists(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=9))
def test_text_and_arrow_agree(moments: list[datetime]) -> None:
    expected = parse(moments, pa.timestamp("us"))
    assert expected[1] == []
    assert parse([moment.isoformat() for moment in moments]) == expected
    assert parse([f"{moment.isoformat()}+00:00" for moment in moments]) == expected
    assert parse([f" {moment.isoformat(' ')}" for moment in moments]) == expected


def test_the_unit_is_that_of_most_and_the_others_are_flaws() -> None:
    times, flaws = parse([SECONDS, SECONDS * 1000, SECONDS + 1])
    assert flaws == [([1], "not in seconds since 1970, as most of the column is")]
    assert times[0] == SECONDS * 10**6
    _, flaws = parse([SECONDS * 1000, SECONDS, SECONDS * 1000 + 1])
    assert flaws == [] or flaws[0][0] == [1]
    _, flaws = parse([SECONDS * 1000 - 1, SECONDS, SECONDS * 1000 + 1])
    assert flaws == [([1], "not in milliseconds since 1970, as most of the column is")]


def test_a_zero_in_milliseconds_is_1970() -> None:
    assert parse([0, SECONDS * 1000]) == ([0, SECONDS * 10**6], [])


@pytest.mark.parametrize(
    "text", ["now", "today", "nan", "inf", "2011-02-30", "2011-01-01 25:00", "04/03/2011", "x", "-"]
)
def test_what_is_no_time(text: str) -> None:
    _, flaws = parse(["2011-01-01", text, "2011-01-02"])
    assert [positions for positions, _ in flaws] == [[1]]
    _, flaws = parse([str(SECONDS), text, str(SECONDS)])
    assert [positions for positions, _ in flaws] == [[1]]


def test_missing_times_are_flaws_in_every_type() -> None:
    for values in ([None, SECONDS], [None, MOMENT], [None, "2011-01-01"], ["", "2011-01-01"]):
        assert parse(values)[1] == [([0], "missing")]
    assert parse([None], pa.null())[1] == [([0], "missing")]
    assert parse([float("nan"), 1e9])[1][0][0] == [0]


def test_good_cells_are_read_the_same_beside_a_bad_one() -> None:
    stamps = [str(SECONDS * 10**9 + 123), str(SECONDS * 10**9 + 999_999)]
    alone, _ = parse(stamps)
    beside, flaws = parse([*stamps, "x"])
    assert beside[:2] == alone
    assert flaws[0][0] == [2]


def test_dates_as_numbers_are_refused_but_early_seconds_are_not() -> None:
    with pytest.raises(DataError, match=r"^log: column 'when' seems to hold dates written as 2011"):
        parse([20110304, 20110305])
    assert parse([20_113_004]) == ([20_113_004 * 10**6], [])  # no such month
    assert parse([1, 2, 3]) == ([10**6, 2 * 10**6, 3 * 10**6], [])


@pytest.mark.parametrize("values", [[True], [b"x"], [[1]], [{"a": 1}]])
def test_a_type_that_cannot_be_a_time_is_refused(values: list) -> None:
    with pytest.raises(DataError, match="which is no time; name another column with --time-column"):
        parse(values)
