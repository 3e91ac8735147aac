"""What is asked of a recommender and what it answers, in outside ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fallback = Literal["popular", "none"]
Basis = Literal["history", "popular"]


@dataclass(frozen=True)
class Rules:
    """What may stand in a list.

    Attributes
    ----------
    category
        Only items of this category, compared exactly with each of an item's categories.
    exclude
        Items to leave out; ids that are no item change nothing.
    include_seen
        Whether items of the history may come back.
    """

    category: str | None = None
    exclude: frozenset[str] = frozenset()
    include_seen: bool = False


@dataclass(frozen=True)
class HistoryEntry:
    """One event of a history given outright.

    Attributes
    ----------
    item
        Its id.
    time
        Microseconds since 1970 UTC; None means now, the reference time.
    value
        Quantity or rating; None counts as 1. Data without values ignore it.
    """

    item: str
    time: int | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One line of a list; `rank` counts from 1, `score` is finite."""

    rank: int
    item: str
    title: str
    score: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A list for one user, or for a history given outright where `user` is None.

    Attributes
    ----------
    basis
        `history`: the model scored what the user took; `popular`: nothing is known of the user.
    items
        Best first.
    note
        Why the list is shorter than asked for, where it is.
    """

    user: str | None
    basis: Basis
    items: tuple[Suggestion, ...]
    note: str | None = None


@dataclass(frozen=True)
class HistoryItem:
    """An item that a user took: in how many events, and when last (microseconds since 1970 UTC)."""

    item: str
    title: str
    times: int
    last: int | None


@dataclass(frozen=True)
class ItemInfo:
    """What a search shows of an item; `price` is None where unknown."""

    item: str
    title: str
    category: tuple[str, ...]
    price: float | None
