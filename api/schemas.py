"""What may be asked and what is answered. These models validate requests and are the OpenAPI."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from recsys.errors import UsageError
from recsys.interactions.times import from_iso, to_iso
from recsys.recommender import (
    MOST,
    Basis,
    Fallback,
    HistoryEntry,
    HistoryItem,
    ItemInfo,
    Rules,
    Suggestion,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(given: Any) -> int:
    """Return ISO 8601 text (UTC unless it says otherwise) or Unix seconds as microseconds."""
    if isinstance(given, str):
        with suppress(UsageError):
            return from_iso(given, "time")
    if isinstance(given, str | int | float) and not isinstance(given, bool):
        with suppress(ValueError, OverflowError):  # no number, or beyond the calendar
            moment = _EPOCH + timedelta(seconds=float(given))
            return (moment - _EPOCH) // timedelta(microseconds=1)
    raise ValueError("Input should be a time: ISO 8601, as 2011-12-09T12:50:00Z, or Unix seconds")


def _listed(given: Any) -> Any:
    """Split `A,B` into its parts, empty ones left out; anything else is the model's business."""
    return [part for part in given.split(",") if part] if isinstance(given, str) else given


def _as_entry(given: Any) -> Any:
    if not isinstance(given, str | dict):
        raise PydanticCustomError(
            "entry", "Input should be an item's id (text) or an object with it"
        )
    return {"item": given} if isinstance(given, str) else given


def _named(given: Any) -> Any:
    """Take a blank for nothing: `category=` comes of a form left as it was."""
    return None if given == "" else given


Identifier = Annotated[str, Field(min_length=1)]
Time = Annotated[
    int,
    BeforeValidator(
        _microseconds,
        json_schema_input_type=Annotated[
            str | float,
            Field(description="ISO 8601 (UTC unless it says otherwise) or Unix seconds."),
        ],
    ),
]
Length = Annotated[int, Field(ge=1, le=MOST, strict=True, description="How many, best first.")]


class Request(BaseModel):
    """Anything asked: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParameters(Request):
    """Nothing to say."""


class ListArguments(TypedDict):
    """What every call for a list takes."""

    k: int
    rules: Rules
    fallback: Fallback
    at: int | None


class Options(Request):
    """What may stand in a list, and how long it is."""

    k: Length = 10
    category: Annotated[str | None, BeforeValidator(_named)] = Field(
        None, description="Only items of this category."
    )
    exclude: Annotated[
        list[Identifier],
        Field(fail_fast=True),
        BeforeValidator(_listed, json_schema_input_type=str | list[Identifier]),
    ] = Field([], description="Items to leave out: `ID,ID,…`; in a body, an array will do, too.")
    include_seen: Annotated[bool, Field(strict=True)] = Field(
        False, description="Whether items of the history may come back."
    )
    fallback: Fallback = Field(
        "popular", description="What an unknown user gets: popular items, or `none`, a 404."
    )
    at: Time | None = Field(
        None, description="Reference time from which ages count; the newest event unless given."
    )

    @property
    def arguments(self) -> ListArguments:
        """The options as the recommender takes them."""
        rules = Rules(self.category, frozenset(self.exclude), self.include_seen)
        return {"k": self.k, "rules": rules, "fallback": self.fallback, "at": self.at}


class RecommendQuery(Options):
    """A known user's list."""

    user: Identifier = Field(description="The user's id.")


class Entry(Request):
    """One event of a history."""

    item: Identifier = Field(description="The item's id.")
    time: Time | None = Field(None, description="When; now, the reference time, unless given.")
    value: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e12, le=1e12)] | None = (
        Field(None, description="Quantity or rating; 1 unless given.")
    )


class RecommendBody(Options):
    """A list for a history given outright, or for a user."""

    history: (
        Annotated[
            list[
                Annotated[
                    Entry, BeforeValidator(_as_entry, json_schema_input_type=Identifier | Entry)
                ]
            ],
            Field(fail_fast=True),
        ]
        | None
    ) = Field(
        None,
        description="What to go by instead of what is stored of the user, oldest first: an id "
        "(weight 1, now), or an object with its time and value.",
    )
    user: Identifier | None = Field(
        None, description="Whose list it is; without a history, the user's own counts."
    )

    @model_validator(mode="after")
    def _asks_for_someone(self) -> Self:
        if self.history is None and self.user is None:
            raise ValueError("give a history (a list of item ids will do) or a user")
        return self

    @property
    def entries(self) -> list[HistoryEntry]:
        """The history as the recommender takes it."""
        return [HistoryEntry(each.item, each.time, each.value) for each in self.history or []]


class SimilarQuery(Request):
    """An item, and how many like it."""

    item: Identifier = Field(description="The item's id.")
    k: Length = 10


class SearchQuery(Request):
    """What to search for."""

    q: str = Field("", description="Words or parts of them, whatever the case; empty finds all.")
    limit: Annotated[int, Field(ge=1, le=100, strict=True, description="How many at most.")] = 20


class UserQuery(Request):
    """A user."""

    user: Identifier = Field(description="The user's id.")


class RecommendAnswer(BaseModel):
    """A list of items, best first."""

    user: str | None = Field(description="Whose list it is; null for a history given outright.")
    model: str = Field(description="The model's name.")
    version: str = Field(description="The published version of the model.")
    basis: Basis = Field(description="`popular`: nothing is known of the user.")
    items: list[Suggestion]
    note: str | None = Field(None, description="Why the list is shorter than asked for.")


class SimilarAnswer(BaseModel):
    """What suits someone of whom only this item is known."""

    item: str
    items: list[Suggestion]


class ItemsAnswer(BaseModel):
    """Items found."""

    items: list[ItemInfo]


class UsersAnswer(BaseModel):
    """Ids of users found."""

    users: list[str]


class TakenItem(BaseModel):
    """An item that a user took."""

    item: str
    title: str
    times: int = Field(description="In how many events.")
    last: str | None = Field(
        description="When last, ISO 8601 in UTC; null where times are unknown.",
        json_schema_extra={"example": "2011-12-07T15:52:00Z"},
    )

    @classmethod
    def of(cls, taken: HistoryItem) -> Self:
        """Return the answer's form of what the recommender knows."""
        last = None if taken.last is None else to_iso(taken.last)
        return cls(item=taken.item, title=taken.title, times=taken.times, last=last)


class HistoryAnswer(BaseModel):
    """What a user took, the latest first."""

    user: str
    items: list[TakenItem]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """A model is being served."""

    status: Literal["ready"] = "ready"
    model: str
    version: str
    users: int = Field(description="How many users the model's data has.")
    items: int = Field(description="How many items there are to recommend.")
