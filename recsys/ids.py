"""The only place where outside ids exist: text on the outside, a column number on the inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from recsys.files import Tensors


class IdMap:
    """A fixed list of distinct text ids, each standing for its position.

    Parameters
    ----------
    ids
        Distinct texts; the position of each is its code.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids: list[str] = list(ids)
        if len(self._codes) != len(self.ids):
            raise ValueError("ids are not distinct")

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {identifier: code for code, identifier in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._codes

    def __getitem__(self, code: int) -> str:
        return self.ids[code]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self.ids == other.ids

    __hash__ = None  # type: ignore[assignment]  # a list of ids is compared, never a key

    def code(self, identifier: str) -> int | None:
        """Return the id's code, or None for an id that is not in the map."""
        return self._codes.get(identifier)

    def take(self, codes: Sequence[int] | npt.NDArray[np.integer]) -> IdMap:
        """Return a new map of the ids at `codes`, renumbered in that order."""
        return IdMap(self.ids[code] for code in codes)

    def tensors(self, prefix: str) -> Tensors:
        """Return the ids as UTF-8 bytes and offsets, ready for a safetensors file."""
        encoded = [identifier.encode("utf-8") for identifier in self.ids]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return {
            f"{prefix}.bytes": np.frombuffer(b"".join(encoded), np.uint8),
            f"{prefix}.offsets": offsets,
        }

    @classmethod
    def from_tensors(cls, tensors: Tensors, prefix: str) -> IdMap:
        """Return the map that `tensors(prefix)` described."""
        text, offsets = tensors[f"{prefix}.bytes"].tobytes(), tensors[f"{prefix}.offsets"].tolist()
        return cls(text[start:end].decode("utf-8") for start, end in pairwise(offsets))
