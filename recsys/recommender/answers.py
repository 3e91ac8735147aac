"""What is asked of a recommender and what it answers, in outside ids."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Fallback = Literal["popular", "none"]
Basis = Literal["history", "trained-history", "popular"]


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
class Contribution:
    """What an item of the history adds to a score: the score less what it were without the item."""

    item: str
    title: str
    contribution: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One line of a list.

    Attributes
    ----------
    rank
        Counts from 1.
    score
        Finite.
    because
        What of the history adds most to the score, at most three; None where nobody asked.
    new
        Whether it has its place as a product that the model knows little of: the score is then how
        like the history it is, 0 to 1.
    probability
        How likely the user takes it; None where nobody asked or it is not known.
    stability
        In what share of draws from what the model thinks the user's taste may be it would be
        listed; None where nobody asked, or of a model that is not variational.
    """

    rank: int
    item: str
    title: str
    score: float
    because: tuple[Contribution, ...] | None = None
    new: bool = False
    probability: float | None = None
    stability: float | None = None

    def shown(self, *, uncertainty: bool = False) -> dict[str, Any]:
        """Return it as the API and `--json` show it."""
        shown: dict[str, Any] = {
            "rank": self.rank,
            "item": self.item,
            "title": self.title,
            "score": self.score,
        }
        if self.new:
            shown["new"] = True
        if uncertainty:
            shown |= {"probability": self.probability, "stability": self.stability}
        if self.because is None:
            return shown
        return {**shown, "because": [asdict(each) for each in self.because]}


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A list for one user, or for a history given outright where `user` is None.

    Attributes
    ----------
    basis
        `history`: the model scored what the user took; `trained-history`: only of what it was
        trained on, since what came later cannot be read; `popular`: nothing is known of the user.
    items
        Best first.
    note
        Why the list is shorter than asked for, or a figure is missing, where that is so.
    uncertainty
        Whether it was asked how sure the items are.
    """

    user: str | None
    basis: Basis
    items: tuple[Suggestion, ...]
    note: str | None = None
    uncertainty: bool = False

    def shown(self, model: str, version: str) -> dict[str, Any]:
        """Return it as the API and `--json` show it, with the name and version of the model."""
        shown = {
            "user": self.user,
            "model": model,
            "version": version,
            "basis": self.basis,
            "items": [one.shown(uncertainty=self.uncertainty) for one in self.items],
        }
        return shown if self.note is None else {**shown, "note": self.note}


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score for a user.

    Attributes
    ----------
    score
        What the user's list gives the item; its popularity for a user without history.
    because
        What each item of the history adds to it, the most first.
    """

    user: str
    item: str
    score: float
    because: tuple[Contribution, ...]

    def shown(self) -> dict[str, Any]:
        """Return it as the API and `--json` show it."""
        because = [asdict(each) for each in self.because]
        return {"user": self.user, "item": self.item, "score": self.score, "because": because}


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
