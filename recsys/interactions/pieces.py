"""Large arrays, a piece at a time, so that what is made of them on the way stays small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from recsys.interactions.tables import LongArray

_LENGTH = 1 << 18


def pieces(length: int) -> Iterator[slice]:
    """Yield slices that together cover an array of this length."""
    for start in range(0, length, _LENGTH):
        yield slice(start, min(start + _LENGTH, length))


def counted(codes: npt.NDArray[np.integer], n_codes: int) -> LongArray:
    """Return (n_codes,): how often each code occurs."""
    counts = np.zeros(n_codes, np.int64)
    for piece in pieces(len(codes)):
        there = np.bincount(codes[piece])
        counts[: len(there)] += there
    return counts
