"""What the API is told and what it answers, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypedDict, TypeVar

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Reason:
    """What an item of the history adds to a score."""

    item: str
    title: str
    contribution: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One line of a list; `because` is None unless it was asked for."""

    rank: int
    item: str
    title: str
    score: float
    because: tuple[Reason, ...] | None = None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A list, best first; the API's description says what `basis` means."""

    user: str | None
    model: str
    version: str
    basis: str
    items: tuple[Suggestion, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item has its score for a user."""

    user: str
    item: str
    score: float
    because: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """What is known of an item."""

    item: str
    title: str
    category: tuple[str, ...]
    price: float | None


@dataclass(frozen=True, slots=True)
class StoredItem:
    """What the store says of an item; None: nothing, so what the model was trained with counts."""

    item: str
    title: str | None
    category: tuple[str, ...] | None
    price: float | None
    attributes: Mapping[str, str]
    in_stock: bool
    blocked: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did to an item.

    Attributes
    ----------
    id
        Yours to choose; the same id again changes nothing, so that sending it twice is safe.
    user, item
        Their ids.
    time
        When; now, unless given. One without a zone is UTC.
    value
        Quantity or rating.
    type
        `remove` takes back what the user did to the item up to then.
    """

    id: str
    user: str
    item: str
    time: datetime | None = None
    value: float | None = None
    type: Literal["add", "remove"] = "add"


@dataclass(frozen=True, slots=True)
class Added:
    """How many events are new, and how many were there already."""

    accepted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased of a person, and which published models still hold the person."""

    user: str
    events: int
    sends: int
    artifacts: tuple[str, ...]


class Options(TypedDict, total=False):
    """What may stand in a list; docs/serving.md says what each means."""

    k: int
    category: str
    exclude: Sequence[str]
    only: Sequence[str]
    min_price: float
    max_price: float
    attribute: Sequence[str]
    per_category: int
    diversity: float
    include_seen: bool
    newcomers: int
    new_below: int
    fallback: Literal["popular", "none"]
    at: datetime
    why: bool


class Changes(TypedDict, total=False):
    """What to change of an item; None takes back what was said."""

    title: str | None
    category: Sequence[str] | None
    price: float | None
    attributes: Mapping[str, str | None]
    in_stock: bool
    blocked: bool


def made(kind: type[Kind], said: Mapping[str, Any], **instead: Any) -> Kind:
    """Return a result of those members that it has; a newer API may say more."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{**{name: said[name] for name in names if name in said}, **instead})


def recommendation(said: Mapping[str, Any]) -> Recommendation:
    """Return a list of what /recommend says."""
    return made(Recommendation, said, items=tuple(suggestion(each) for each in said["items"]))


def suggestion(said: Mapping[str, Any]) -> Suggestion:
    """Return a line of a list."""
    because = said.get("because")
    return made(Suggestion, said, because=None if because is None else reasons(because))


def reasons(said: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """Return what adds to a score."""
    return tuple(made(Reason, each) for each in said)
