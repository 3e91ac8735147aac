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
class CategoryLimit:
    """How many items of a category stand in a list: `least`, and `most`, None for any number."""

    category: str
    least: int = 0
    most: int | None = None


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
    seen_days
        Items of the history may come back once their latest event is older than this, in days
        before the reference time; never, where None. Without times they never do.
    min_price, max_price
        Bounds of the price, both included; None for none. An item without a price is in no range.
    attributes
        What attributes must be, each of these.
    only
        The items that may stand there at all; None for every item.
    per_category
        How many items of one category at most; an item of several counts in each, one of none in
        no category.
    limits
        How many items of certain categories; where the least cannot be had, the list is empty.
    variants
        An attribute: of the items that share a value of it, one at most.
    min_score
        Items that the model scores lower are left out; popular items have no such score.
    min_probability
        Items that the user is less likely to take are left out; no probability is known of popular
        items, of new products and of the history's, which stay.
    diversity
        d, from 0 to 1: how much unlikeness counts beside the score; see `choosing.choose`.
    newcomers
        How many places at most go to new products, those with fewer than `new_below` events in
        training or none at all, that are most like the history; see `newcomers.Newcomers`.
    new_below
        What makes a product new.

    Raises
    ------
    UsageError
        A bound is not finite or above the other, a limit below 1, days below 0, or d or the
        probability out of range.
    """

    category: str | None = None
    exclude: frozenset[str] = frozenset()
    include_seen: bool = False
    seen_days: float | None = None
    min_price: float | None = None
    max_price: float | None = None
    attributes: tuple[AttributeRule, ...] = ()
    only: frozenset[str] | None = None
    per_category: int | None = None
    limits: tuple[CategoryLimit, ...] = ()
    variants: str | None = None
    min_score: float | None = None
    min_probability: float | None = None
    diversity: float = 0.0
    newcomers: int = 0
    new_below: int = 5

    def __post_init__(self) -> None:
        for name in ("min_price", "max_price", "min_score"):
            bound: float | None = getattr(self, name)
            if bound is not None and not math.isfinite(bound):
                raise UsageError(f"{name} is {bound}: it must be a finite number")
        low, high = self.min_price, self.max_price
        if low is not None and high is not None and low > high:
            raise UsageError(f"min_price is {low:g}: it must not be above max_price, {high:g}")
        if self.per_category is not None and self.per_category < 1:
            raise UsageError(f"per_category is {self.per_category}: it must be at least 1")
        if self.seen_days is not None and not 0 <= self.seen_days < math.inf:
            raise UsageError(f"seen_days is {self.seen_days}: it must be at least 0")
        for limit in self.limits:
            if limit.least < 0 or (limit.most is not None and limit.most < max(limit.least, 0)):
                raise UsageError(
                    f"category {limit.category!r:.80}: at least {limit.least} and at most "
                    f"{limit.most} items cannot be"
                )
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise UsageError(f"min_probability is {self.min_probability}: it must be from 0 to 1")
        if not 0 <= self.diversity <= 1:
            raise UsageError(f"diversity is {self.diversity}: it must be from 0 to 1")
        if self.newcomers < 0:
            raise UsageError(f"newcomers is {self.newcomers}: it must be at least 0")
        if self.new_below < 1:
            raise UsageError(f"new_below is {self.new_below}: it must be at least 1")

    @property
    def look_at_the_list(self) -> bool:
        """Whether an item's place depends on those before it."""
        return (
            self.per_category is not None
            or bool(self.limits)
            or self.variants is not None
            or self.diversity > 0
        )


def as_number(text: str | None) -> float:
    """Return the number that a text is, NaN where it is none or not finite."""
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
