"""Columns of times, however they are written, become microseconds since 1970 UTC."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import DataError
from recsys.interactions.parsing import MISSING, Flaw, Numbers, is_text
from recsys.interactions.tables import MICROSECONDS_PER_DAY, BoolArray, LongArray

_UNITS = np.array([1e11, 1e14, 1e17])
"""Below which size a whole number is seconds, milliseconds, microseconds; above, nanoseconds."""
_PER_UNIT = (1_000_000.0, 1_000.0, 1.0, 0.001)
_UNIT_NAMES = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_NAIVE, _ZONED = "dates", "dates with a zone"

_UNIX = r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$"
_ISO = r"^\d{4}(-\d{1,2}|\d{4}T)"
_ENDS_IN_ZONE = r"\d:?\d{2}.*([+-]\d{2}(:?\d{2})?|[zZ])$"

_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000
_CALENDAR = 19_000_101, 21_001_231
"""Days that are written as one number."""
_OFF_CALENDAR = "not within the years 1 to 9999"
_NO_DATE = "not a date; write 2011-02-01, 2011-02-01 10:00:00 or unix seconds"
_NO_ZONE = "no time zone, where other rows have one; write its zone too"
_NO_NUMBERS = "a number, where most of the column is dates"


def parse_times(column: Any, place: str, name: str) -> Numbers:
    """Return a column of times as int64 microseconds since 1970 UTC.

    Whole numbers are unix seconds, milliseconds, microseconds or nanoseconds, by their size; a time
    without a zone is UTC; another zone is converted. Anything finer than a microsecond is cut off.

    Raises
    ------
    DataError
        The column's type cannot hold times, or its numbers are dates written as YYYYMMDD.
    """
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_text(kind):
        column = column.cast(pa.string())
        column = pc.if_else(pc.equal(column, ""), None, column)
    missing = np.asarray(column.is_null().to_numpy(), np.bool_)
    if types.is_timestamp(kind) or types.is_date(kind):
        parsed = _of_timestamps(column)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        parsed = _of_numbers(column, missing, place, name)
    elif types.is_null(kind):
        parsed = Numbers(np.zeros(len(column), np.int64))
    elif is_text(kind):
        parsed = _of_texts(column, missing, place, name)
    else:
        raise DataError(
            f"column {name!r} is of type {kind}, which is no time",
            file=place,
            hint="name another column with --time-column",
        )
    if missing.any():
        parsed = replace(parsed, flaws=[Flaw(np.flatnonzero(missing), MISSING), *parsed.flaws])
    return parsed


def _of_timestamps(column: Any, *forms: str) -> Numbers:
    """Convert Arrow dates and timestamps (whose zones Arrow has made UTC already)."""
    if pa.types.is_date32(column.type):
        counts, per_count = pc.fill_null(column.cast(pa.int32()), 0), MICROSECONDS_PER_DAY
    else:
        unit = "ms" if pa.types.is_date64(column.type) else column.type.unit
        counts = pc.fill_null(column.cast(pa.int64()), 0)
        per_count = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0}[unit]
    numbers = np.asarray(counts.to_numpy(), np.int64)
    if not per_count:  # nanoseconds cannot leave the calendar
        return Numbers(numbers // 1_000)
    outside = (numbers < _YEAR_1 // per_count) | (numbers >= _YEAR_10000 // per_count)
    return Numbers(numbers * per_count, _found((outside, _OFF_CALENDAR)), frozenset(forms))


def _of_numbers(column: Any, missing: BoolArray, place: str, name: str) -> Numbers:
    """Convert unix times, whose unit is that of the column's median."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    numbers = pc.fill_null(column, 0).to_numpy()
    if not missing.any() and (unit := _obvious_unit(numbers)) is not None:
        return Numbers(_in_microseconds(numbers, unit), forms=frozenset({_UNIT_NAMES[unit]}))
    finite = np.isfinite(numbers) & ~missing
    given = numbers[finite]
    if not len(given):
        wrong = ~finite & ~missing
        return Numbers(np.zeros(len(numbers), np.int64), _found((wrong, _NO_DATE)))
    _refuse_calendar(given, place, name)
    size = np.abs(np.where(finite, numbers, 0).astype(np.float64))
    unit = _unit_of(np.abs(given.astype(np.float64)))
    own_unit = np.searchsorted(_UNITS, size, side="right")
    mixed = finite & _in_other_unit(numbers, own_unit, unit, finite)
    outside = finite & ~mixed & (size * _PER_UNIT[unit] >= _YEAR_10000)
    usable = np.where(finite & ~mixed & ~outside, numbers, 0)
    return Numbers(
        _in_microseconds(usable, unit),
        _found(
            (~finite & ~missing, _NO_DATE),
            (mixed, f"not in {_UNIT_NAMES[unit]} since 1970, as most of the column is"),
            (outside, _OFF_CALENDAR),
        ),
        frozenset(_UNIT_NAMES[own] for own in np.unique(own_unit[finite])),
    )


def _obvious_unit(numbers: npt.NDArray[Any]) -> int | None:
    """Return the unit of whole numbers if they are beyond doubt, which takes two looks at each."""
    if numbers.dtype.kind != "i" or not len(numbers):
        return None
    low, high = int(numbers.min()), int(numbers.max())
    unit, largest = np.searchsorted(_UNITS, [low, high], side="right").tolist()
    if low <= _CALENDAR[1] or unit != largest or high * _PER_UNIT[unit] >= _YEAR_10000:
        return None
    return int(unit)


def _in_microseconds(numbers: npt.NDArray[Any], unit: int) -> LongArray:
    if numbers.dtype.kind == "i":
        whole = numbers.astype(np.int64, copy=False)
        return whole // 1_000 if unit == 3 else whole * int(_PER_UNIT[unit])
    times = np.floor(numbers * _PER_UNIT[unit] + 0.5 * (unit < 2))
    return times.astype(np.int64)


def _unit_of(sizes: npt.NDArray[np.float64]) -> int:
    ends = np.searchsorted(_UNITS, [sizes.min(), sizes.max()], side="right")
    if ends[0] == ends[1]:
        return int(ends[0])
    return int(np.searchsorted(_UNITS, np.median(sizes), side="right"))


def _in_other_unit(
    numbers: npt.NDArray[Any], own: LongArray, unit: int, finite: BoolArray
) -> BoolArray:
    """Tell numbers that only make sense in another unit than the column's.

    A larger number is one; a smaller may be a moment soon after 1970, unless its own unit would
    put it among the others.
    """
    if (own[finite] == unit).all():
        return np.zeros(len(numbers), np.bool_)
    same = finite & (own == unit)
    moments = numbers.astype(np.float64) * np.take(_PER_UNIT, own)
    among = (moments >= moments[same].min(initial=np.inf)) & (
        moments <= moments[same].max(initial=-np.inf)
    )
    return np.asarray((own > unit) | ((own < unit) & among), np.bool_)


def _refuse_calendar(numbers: npt.NDArray[Any], place: str, name: str) -> None:
    """Refuse 20111209 for 9 December 2011: as unix seconds it would be a day in 1970."""
    if not ((numbers >= _CALENDAR[0]) & (numbers <= _CALENDAR[1])).all():
        return
    texts = pd.Series(np.unique(numbers)).astype(np.int64).astype(str)
    if pd.to_datetime(texts, format="%Y%m%d", errors="coerce").notna().all():
        raise DataError(
            f"column {name!r} seems to hold dates written as {texts.iloc[0]}",
            file=place,
            hint="write them as 2011-12-09, or as unix seconds",
        )


def _of_texts(column: Any, missing: BoolArray, place: str, name: str) -> Numbers:
    """Convert text: all in one go where it is all alike, else cell by distinct cell."""
    with suppress(pa.ArrowInvalid):
        return _of_numbers(pc.cast(column, pa.int64()), missing, place, name)
    with suppress(pa.ArrowInvalid):
        return _of_timestamps(pc.cast(column, pa.timestamp("us")), _NAIVE)
    with suppress(pa.ArrowInvalid):
        return _of_timestamps(pc.cast(column, pa.timestamp("us", "UTC")), _ZONED)
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    codes = pc.fill_null(encoded.indices, 0).to_numpy()
    texts = pc.utf8_trim_whitespace(encoded.dictionary)
    unix, iso = (_matches(texts, pattern)[codes] & ~missing for pattern in (_UNIX, _ISO))
    if unix.any() and unix.sum() >= iso.sum():
        numbers = pc.if_else(pc.match_substring_regex(texts, _UNIX), texts, None)
        spread = pa.chunked_array([_whole(numbers).take(encoded.indices)])
        parsed = _of_numbers(spread, ~unix, place, name)
        flaws = [*parsed.flaws, *_found((~unix & ~missing, _NO_DATE))]
        return Numbers(parsed.numbers, flaws, parsed.forms | ({_NAIVE} if iso.any() else set()))
    return _of_iso(texts, codes, missing, unix)


def _whole(texts: Any) -> Any:
    """Return numbers in text as integers where all are, else as floats."""
    try:
        return pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return pc.cast(texts, pa.float64())


def _of_iso(texts: Any, codes: npt.NDArray[Any], missing: BoolArray, unix: BoolArray) -> Numbers:
    """Convert distinct ISO 8601 texts and spread them over the rows."""
    iso = pc.replace_substring_regex(texts, r" ?UTC$", "Z")
    iso = pc.replace_substring_regex(iso, r"(\.\d{6})\d+", r"\1")
    is_iso = _matches(iso, _ISO)
    parsed = pd.to_datetime(
        pd.Series(iso.to_pandas()).where(is_iso), format="ISO8601", errors="coerce", utc=True
    )
    good = parsed.notna().to_numpy()
    times = parsed.to_numpy(dtype="datetime64[us]", na_value=np.datetime64(0, "us"))
    present = np.zeros(len(texts), np.bool_)
    present[codes[~missing]] = True
    zoned = _matches(iso, _ENDS_IN_ZONE) & good & present
    naive = good & present & ~zoned
    forms = {_UNIT_NAMES[0]: unix, _NAIVE: naive, _ZONED: zoned}
    return Numbers(
        times.astype(np.int64)[codes],
        _found(
            (unix, _NO_NUMBERS),
            (~good[codes] & ~missing & ~unix, _NO_DATE),
            ((naive & zoned.any())[codes] & ~missing, _NO_ZONE),
        ),
        frozenset(form for form, found in forms.items() if found.any()),
    )


def _matches(texts: Any, pattern: str) -> BoolArray:
    matched = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return np.asarray(matched.to_numpy(zero_copy_only=False), np.bool_)


def _found(*flaws: tuple[BoolArray, str]) -> list[Flaw]:
    return [Flaw(np.flatnonzero(bad), reason) for bad, reason in flaws if bad.any()]
