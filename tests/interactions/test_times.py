from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import UsageError
from recsys.interactions.times import from_iso, to_iso


@given(st.integers(-62_000_000_000_000_000, 253_000_000_000_000_000))
def test_a_time_comes_back_from_its_text(time: int) -> None:
    assert from_iso(to_iso(time), "--at") == time


@pytest.mark.parametrize(
    "text",
    ["2011-12-09T12:50:00Z", "2011-12-09 12:50", "2011-12-09T14:50+02:00", " 20111209T125000 "],
)
def test_zones_are_heeded_and_none_means_utc(text: str) -> None:
    assert to_iso(from_iso(text, "--at")) == "2011-12-09T12:50:00Z"


@pytest.mark.parametrize("text", ["", "now", "2011-13-01", "12/09/2011", "1323435000"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=rf"--at: '{text}' is no date or time"):
        from_iso(text, "--at")
