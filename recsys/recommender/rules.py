"""What may stand in a list."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from recsys.errors import UsageError

_RANGE = ".."


@dataclass(frozen=True)
class AttributeRule:
    """What an attribute of an item must be.

    Attributes
    ----------
    name
        A column of the items file, or a name that the store gave.
    equal
        The text it must be; None where it must lie in a range.
    low, high
        Bounds, both included, None for none. Where all that are given are numbers, values are
        compared as numbers and one that is none is out; otherwise as text, as ISO dates can be.
    """

    name: str
    equal: str | None = None
    low: str | None = None
    high: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule that `NAME:VALUE` or `NAME:LOW..HIGH` states; a bound may be left out.

        Raises
        ------
        UsageError
            The text has no name or no value, or its bounds are the wrong way round.
        """
        name, _, value = text.partition(":")
        low, dots, high = (part.strip() for part in value.partition(_RANGE))
        if not name.strip() or not (low or high):
            raise UsageError(
                f"attribute {text!r:.80} is neither NAME:VALUE nor NAME:LOW..HIGH, as in colour:red"
            )
        if not dots:
            return cls(name.strip(), equal=value.strip())
        rule = cls(name.strip(), low=low or None, high=high or None)
        bounds = rule.numbers
        wrong = low > high if bounds is None else bounds[0] > bounds[1]
        if low and high and wrong:
            raise UsageError(f"attribute {text!r:.80}: {low!r:.80} is above {high!r:.80}")
        return rule

    @property
    def numbers(self) -> tuple[float, float] | None:
        """The bounds as numbers, ±inf where there is none; None where one is no number."""
        low = -math.inf if self.low is None else as_number(self.low)
        high = math.inf if self.high is None else as_number(self.high)
        return None if math.isnan(low) or math.isnan(high) else (low, high)


@dataclass(frozen=True)
class Rules:
    """What may stand in a list; all that is given must hold.

    Attributes
    ----------
    category
        Only items of this category, compared exactly with each of an item's categories.
    exclude
        Items to leave out; ids that are no item change nothing.
    include_seen
        Whether items of the history may come back.
    min_price, max_price
        Bounds of the price, both included; None for none. An item without a price is in no range.
    attributes
        What attributes must be, each of these.
    only
        The items that may stand there at all; None for every item.
    per_category
        How many items of one category at most; an item of several counts in each, one of none in
        no category.
    diversity
        d, from 0 to 1: how much unlikeness counts beside the score; see `choosing.choose`.

    Raises
    ------
    UsageError
        A bound is not finite or above the other, a limit below 1, or d out of range.
    """

    category: str | None = None
    exclude: frozenset[str] = frozenset()
    include_seen: bool = False
    min_price: float | None = None
    max_price: float | None = None
    attributes: tuple[AttributeRule, ...] = ()
    only: frozenset[str] | None = None
    per_category: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        for name, bound in (("min_price", self.min_price), ("max_price", self.max_price)):
            if bound is not None and not math.isfinite(bound):
                raise UsageError(f"{name} is {bound}: it must be a finite number")
        low, high = self.min_price, self.max_price
        if low is not None and high is not None and low > high:
            raise UsageError(f"min_price is {low:g}: it must not be above max_price, {high:g}")
        if self.per_category is not None and self.per_category < 1:
            raise UsageError(f"per_category is {self.per_category}: it must be at least 1")
        if not 0 <= self.diversity <= 1:
            raise UsageError(f"diversity is {self.diversity}: it must be from 0 to 1")

    @property
    def look_at_the_list(self) -> bool:
        """Whether an item's place depends on those before it."""
        return self.per_category is not None or self.diversity > 0


def as_number(text: str | None) -> float:
    """Return the number that a text is, NaN where it is none or not finite."""
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
