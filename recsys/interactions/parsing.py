"""Arrow columns become ids, times and values; what cannot is told by position and reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recsys.errors import DataError
from recsys.interactions.tables import LongArray

DoubleArray = npt.NDArray[np.float64]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_WHOLE_ZERO = r"^([+-]?\d+)\.0+$"
_CONTROL = r"[\x00-\x1f\x7f]|\p{Cc}"
MISSING = "missing"
"""Reason of cells in which nothing stands."""
_EXACT = 2**53
"""Floats up to here are exact whole numbers."""


@dataclass(frozen=True, eq=False)
class Flaw:
    """Cells of one column that share a reason why they cannot be used.

    Attributes
    ----------
    positions
        Which rows of the raw table, ascending.
    reason
        What is wrong, as it follows `row 7, column 'value' is 'abc':`.
    like
        Position of another row that the reason speaks of.
    """

    positions: LongArray
    reason: str
    like: int | None = None


@dataclass(frozen=True, eq=False)
class Ids:
    """A column of ids.

    Attributes
    ----------
    codes
        int64 (n,): which text each row has; anything where there is a flaw.
    texts
        Arrow strings, distinct.
    """

    codes: LongArray
    texts: Any
    flaws: Sequence[Flaw] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class IdColumn:
    """A column of ids that are not told apart yet.

    Attributes
    ----------
    column
        Chunked Arrow texts (encoded or not) or whole numbers; null where there is a flaw.
    """

    column: Any
    flaws: Sequence[Flaw] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of times (int64 microseconds) or values (float64).

    Attributes
    ----------
    numbers
        One for each row; anything where there is a flaw.
    flaws
        Cells that are no such number.
    forms
        The ways in which the numbers are written, where the commonest decides what they mean.
        Blocks of a column may be parsed one by one if they have but one form between them.
    """

    numbers: npt.NDArray[Any]
    flaws: Sequence[Flaw] = field(default_factory=list)
    forms: frozenset[str] = frozenset()


def parse_ids(column: Any, place: str, name: str) -> Ids:
    """Return the ids of a column: text as it stands, whole numbers as decimal text.

    A float column that holds only whole numbers (what pandas makes of whole numbers with a gap) is
    read as whole numbers. Empty ids, ids with control characters and ids that only look different
    from another one are flaws.

    Raises
    ------
    DataError
        The column's type cannot hold ids.
    """
    encoded = column
    if not pa.types.is_dictionary(column.type):
        try:
            encoded = column.dictionary_encode()
        except pa.ArrowNotImplementedError as error:
            raise _no_ids(column.type, place, name) from error
    encoded = encoded.unify_dictionaries().combine_chunks()
    texts, flawed = _id_texts(encoded.dictionary, place, name)
    codes = _filled(encoded.indices, len(texts))
    distinct = texts.dictionary_encode()  # a dictionary may hold a text twice, and more than used
    code_of = np.append(_filled(distinct.indices, len(distinct.dictionary)), len(texts))
    missing = np.flatnonzero(np.append(texts.is_null(), True)[codes])
    flaws = [Flaw(np.flatnonzero(np.append(bad, False)[codes]), why) for why, bad in flawed.items()]
    taken = np.concatenate([flaw.positions for flaw in flaws]) if flaws else missing[:0]
    flaws.append(Flaw(np.setdiff1d(missing, taken), MISSING))
    codes, texts = code_of[codes], distinct.dictionary
    flaws += _text_flaws(codes, texts)
    return Ids(codes, texts, [flaw for flaw in flaws if len(flaw.positions)])


def _filled(indices: Any, missing: int) -> LongArray:
    filled: LongArray = pc.fill_null(indices.cast(pa.int64()), missing).to_numpy(
        zero_copy_only=False
    )
    return filled


def _id_texts(ids: Any, place: str, name: str) -> tuple[Any, dict[str, npt.NDArray[np.bool_]]]:
    """Return distinct ids as text, null where there is none, and which are bad for what reason."""
    types = pa.types
    if types.is_string(ids.type) or types.is_large_string(ids.type):
        return ids.cast(pa.string()), {}
    if types.is_string_view(ids.type) or types.is_integer(ids.type):
        return ids.cast(pa.string()), {}
    if types.is_null(ids.type):
        return ids.cast(pa.string()), {}
    if types.is_floating(ids.type) or types.is_decimal(ids.type):
        numbers = ids.cast(pa.float64()).to_numpy(zero_copy_only=False)
        given = ~np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            whole = given & (np.abs(numbers) < _EXACT) & (numbers == np.floor(numbers))
        integers = pa.array(np.where(whole, numbers, 0).astype(np.int64), mask=~whole)
        return integers.cast(pa.string()), {
            "a fraction or a number too large to be exact, so not an id": given & ~whole
        }
    raise _no_ids(ids.type, place, name)


def _no_ids(kind: Any, place: str, name: str) -> DataError:
    return DataError(
        f"column {name!r} is of type {kind}, which cannot hold ids",
        file=place,
        hint="write ids as text or whole numbers",
    )


def _text_flaws(codes: LongArray, texts: Any) -> list[Flaw]:
    """Find ids that are blank, unprintable, or look like another one."""
    trimmed = pc.utf8_trim_whitespace(texts)
    blank = _mask(pc.equal(pc.utf8_length(trimmed), 0))
    control = _mask(pc.match_substring_regex(texts, _CONTROL)) & ~blank
    flaws = []
    for bad, reason in ((blank, "empty"), (control, "holds a control character")):
        if bad.any():
            flaws.append(Flaw(np.flatnonzero(np.append(bad, False)[codes]), reason))
    shape = looks(texts).dictionary_encode()
    if len(shape.dictionary) == len(texts):
        return flaws
    shapes = np.where(blank | control, len(texts), shape.indices.to_numpy(zero_copy_only=False))
    return flaws + _look_alikes(codes, texts, shapes)


def looks(texts: Any) -> Any:
    """Return Arrow texts that are equal where the originals can hardly be told apart.

    That is: without white space around, in Unicode's composed form, 1.0 as 1.
    """
    shape = pc.utf8_normalize(pc.utf8_trim_whitespace(texts), form="NFC")
    return pc.replace_substring_regex(shape, _WHOLE_ZERO, r"\1")


def _look_alikes(codes: LongArray, texts: Any, shapes: LongArray) -> list[Flaw]:
    """Of texts with the same shape keep the commonest; the rows of the others are flaws."""
    count = np.bincount(codes, minlength=len(texts) + 1)[: len(texts)]
    used = np.flatnonzero((count > 0) & (shapes < len(texts)))
    order = used[np.lexsort((used, -count[used], shapes[used]))]
    first_of_shape = np.ones(len(order), np.bool_)
    first_of_shape[1:] = shapes[order][1:] != shapes[order][:-1]
    kept = order[first_of_shape][np.cumsum(first_of_shape) - 1]
    where, first = positions_of(codes, order[~first_of_shape]), first_positions(codes)
    flaws = []
    for code, like in zip(order[~first_of_shape], kept[~first_of_shape], strict=True):
        reason = f"though it looks the same, another id than {texts[like].as_py()!a}"
        flaws.append(Flaw(where[code], reason, like=int(first[like])))
    return flaws


def positions_of(codes: LongArray, wanted: LongArray) -> dict[int, LongArray]:
    """Return where each of the wanted codes stands, ascending."""
    if not len(wanted):
        return {}
    there = np.flatnonzero(np.isin(codes, wanted))
    there = there[np.argsort(codes[there], kind="stable")]
    found, starts = np.unique(codes[there], return_index=True)
    return dict(zip(found.tolist(), np.split(there, starts[1:]), strict=True))


def first_positions(codes: LongArray) -> LongArray:
    """Return where each code stands first."""
    first = np.zeros(int(codes.max()) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def parse_values(column: Any, place: str, name: str) -> Numbers:
    """Return a column of finite numbers as float64.

    Raises
    ------
    DataError
        The column's type cannot hold numbers.
    """
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_text(kind):
        texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
        column = pc.if_else(pc.equal(texts, ""), None, texts)
        number = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, None)
        numbers = _doubles(number.cast(pa.float64()))
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = _doubles(column.cast(pa.float64(), safe=False))
    elif types.is_null(kind):
        numbers = np.full(len(column), np.nan)
    else:
        raise DataError(
            f"column {name!r} is of type {kind}, which is no number",
            file=place,
            hint="name another column with --value-column",
        )
    missing = _mask(column.is_null())
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(numbers) <= np.finfo(np.float32).max) & ~missing
    return Numbers(numbers, _flaws((missing, MISSING), (wrong, "not a finite number")))


def id_column(column: Any, place: str, name: str) -> IdColumn:
    """Return a column of ids ready to be encoded; ids that look alike may pass.

    Nothing is odd about whole numbers and about visible ASCII characters, so that those are spared
    the look that `parse_ids` takes at each distinct id.
    """
    types, kind = pa.types, column.type
    if types.is_integer(kind):
        return IdColumn(column, _flaws((_mask(column.is_null()), MISSING)))
    if types.is_string(kind) and all(map(_visible, column.chunks)):
        return IdColumn(column)
    if types.is_dictionary(kind) and types.is_string(kind.value_type):
        encoded = column.cast(pa.dictionary(pa.int32(), pa.string()))
        if not column.null_count and all(_visible(chunk.dictionary) for chunk in encoded.chunks):
            return IdColumn(encoded)
    return judged_ids(column, place, name)


def judged_ids(column: Any, place: str, name: str) -> IdColumn:
    """Return a column of ids ready to be encoded, with all flaws that `parse_ids` finds."""
    ids = parse_ids(column, place, name)
    flawed = np.zeros(len(column), np.bool_)
    for flaw in ids.flaws:
        flawed[flaw.positions] = True
    texts = ids.texts.take(pa.array(ids.codes, mask=flawed))
    return IdColumn(pa.chunked_array([texts]), ids.flaws)


def _visible(texts: Any) -> bool:
    """Return whether an Arrow string array has only visible ASCII characters, one a text at least.

    This looks at the bytes of all texts at once, which takes no time.
    """
    if not len(texts):
        return True
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if texts.null_count or not np.diff(ends).all():
        return False
    used = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]
    return bool(used.min() > ord(" ") and used.max() <= ord("~"))


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type is text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _doubles(column: Any) -> DoubleArray:
    """Return a numeric column as float64, NaN where it is null."""
    return np.asarray(pc.fill_null(column, np.nan).to_numpy(), np.float64)


def _mask(column: Any) -> npt.NDArray[np.bool_]:
    """Return a Boolean column, null as false."""
    return np.asarray(pc.fill_null(column, False).to_numpy(**_copying(column)), np.bool_)


def _copying(column: Any) -> dict[str, bool]:
    """Arrays, unlike chunked arrays, must be told that bits may be copied into bytes."""
    return {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}


def _flaws(*found: tuple[npt.NDArray[np.bool_], str]) -> list[Flaw]:
    return [Flaw(np.flatnonzero(bad), reason) for bad, reason in found if bad.any()]
