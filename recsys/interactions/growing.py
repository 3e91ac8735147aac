"""Columns that grow block by block: numbers in as few bytes as hold them, ids as codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recsys.interactions.parsing import looks
from recsys.interactions.pieces import pieces
from recsys.interactions.tables import IntArray

_ROWS = 1 << 20
"""Rows of ids that are encoded at once, at least."""


class GrowingArray:
    """Numbers, at the end of which there is room for more.

    Parameters
    ----------
    dtype, unit
        What they are kept as, and the multiples of what they are kept in, until some come that do
        not fit; then all are kept as they come.
    """

    def __init__(self, dtype: type[np.generic], unit: int = 1) -> None:
        self.unit = unit
        self._array: npt.NDArray[Any] = np.empty(0, dtype)
        self._length = 0

    def append(self, numbers: npt.NDArray[Any]) -> None:
        """Take further numbers."""
        multiples = numbers if self.unit == 1 else numbers // self.unit
        kept = multiples.astype(self._array.dtype, copy=False)
        if not np.array_equal(kept.astype(numbers.dtype, copy=False) * self.unit, numbers):
            self._array = self._array.astype(numbers.dtype)
            self._array *= self.unit
            self.unit, kept = 1, numbers
        start, self._length = self._length, self._length + len(numbers)
        if self._length > len(self._array):  # the system moves large arrays without a copy
            self._array.resize(self._length + self._length // 8, refcheck=False)
        self._array[start : self._length] = kept

    def finished(self) -> npt.NDArray[Any]:
        """Return all numbers; nothing can be added any more."""
        self._array.resize(self._length, refcheck=False)
        return self._array


class GrowingIds:
    """Ids, as codes that count up from 0 as new ones come."""

    def __init__(self) -> None:
        self._known: Any = None
        self._codes = GrowingArray(np.int32)
        self._pending: list[Any] = []
        self._noted: list[Any] = []

    def append(self, column: Any) -> None:
        """Take a column of texts, encoded or not, or of whole numbers, none of them missing."""
        if self._pending and self._pending[0].type != column.type:
            self._encode()
        self._pending += column.chunks
        known = 0 if self._known is None else len(self._known)
        if sum(map(len, self._pending)) >= max(_ROWS, 2 * known):  # known ids cost time, too
            self._encode()

    def note(self, column: Any) -> None:
        """Take the ids of rows that are left out, which others may look like; null for none."""
        self._noted += column.drop_null().cast(pa.string()).chunks

    def finished(self) -> tuple[Any, IntArray]:
        """Return the texts in their order and the code of each row; nothing can be added more."""
        texts, codes = self._texts(), self._codes.finished()
        order = pc.sort_indices(texts)
        place_of = np.empty(len(order), np.int32)
        place_of[order.to_numpy()] = np.arange(len(order))
        for piece in pieces(len(codes)):
            codes[piece] = place_of[codes[piece]]
        return texts.take(order), codes

    def look_alike(self) -> bool:
        """Return whether there are ids that can hardly be told apart."""
        texts = pa.chunked_array([self._texts(), *self._noted]).unique()
        return len(looks(texts).unique()) < len(texts)

    def _texts(self) -> Any:
        self._encode()
        return pa.array([], pa.string()) if self._known is None else self._known.cast(pa.string())

    def _encode(self) -> None:
        """Give pending ids their codes: with the known ones put first, those keep theirs."""
        if not self._pending:
            return
        kind = self._pending[0].type
        if pa.types.is_dictionary(kind):
            known = pa.array([], kind.value_type) if self._known is None else self._known
            none = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), known)
            encoded = pa.chunked_array([none, *self._pending]).unify_dictionaries()
        else:
            known = pa.array([], kind) if self._known is None else self._known
            encoded = pa.chunked_array([known, *self._pending]).dictionary_encode()
            encoded = encoded.slice(len(known))
        self._pending = []
        for chunk in encoded.chunks:
            self._codes.append(chunk.indices.to_numpy())
            self._known = chunk.dictionary
