"""What is known about the items besides who took them: titles, categories, prices, attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Catalogue:
    """One entry an item, in the order of the item codes.

    Attributes
    ----------
    titles
        What to show a person; an item without a title shows its id.
    categories
        The categories an item is in, perhaps none.
    prices
        float64 (n_items,), NaN where unknown.
    attributes
        Any further columns of the items file, as text, None where empty.
    """

    titles: Sequence[str]
    categories: Sequence[tuple[str, ...]]
    prices: npt.NDArray[np.float64]
    attributes: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.titles)

    @classmethod
    def untitled(cls, ids: Sequence[str]) -> Catalogue:
        """Return the catalogue of items of which nothing but the id is known."""
        return cls(list(ids), [()] * len(ids), np.full(len(ids), np.nan))
