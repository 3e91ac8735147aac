"""One attribute of all items, ready to be asked which items a rule allows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recsys.interactions.tables import BoolArray
from recsys.recommender.rules import AttributeRule, as_number


class Column:
    """An attribute's value of each item, None where it has none."""

    def __init__(self, values: Sequence[str | None]) -> None:
        self._values = values

    @property
    def is_empty(self) -> bool:
        """Whether no item has a value."""
        return not self._places

    def allowed(self, rule: AttributeRule) -> BoolArray:
        """Return bool (n_items,): where the rule holds."""
        if rule.equal is None and rule.numbers is not None:
            low, high = rule.numbers
            within: BoolArray = (self._numbers >= low) & (self._numbers <= high)
            return within
        allowed = np.zeros(len(self._values), np.bool_)
        if rule.equal is not None:
            allowed[self._places.get(rule.equal, [])] = True
            return allowed
        for value, places in self._places.items():
            allowed[places] = (rule.low or "") <= value <= (rule.high or value)
        return allowed

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """The items of each value."""
        places: dict[str, list[int]] = {}
        for item, value in enumerate(self._values):
            if value is not None:
                places.setdefault(value, []).append(item)
        return places

    @cached_property
    def _numbers(self) -> npt.NDArray[np.float64]:
        """float64 (n_items,): the values that are numbers, NaN for the others."""
        return np.array([as_number(value) for value in self._values])
