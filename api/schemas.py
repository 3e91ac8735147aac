"""What may be asked: models that validate requests and are the OpenAPI, as `answer_schemas` are."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self, TypedDict

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from recsys.errors import UsageError
from recsys.interactions.times import from_iso
from recsys.recommender import (
    MOST,
    AttributeRule,
    Fallback,
    HistoryEntry,
    Rules,
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


class Several(str):
    """What a parameter says that may be given more than once: joined, and each value by itself."""

    values: list[str]

    def __new__(cls, values: list[str]) -> Self:
        """Join the values."""
        joined = super().__new__(cls, ",".join(values))
        joined.values = values
        return joined


def _listed(given: Any) -> Any:
    """Split `A,B` into its parts, empty ones left out; anything else is the model's business."""
    return [part for part in given.split(",") if part] if isinstance(given, str) else given


def _listed_or_none(given: Any) -> Any:
    """Split `A,B`; take a blank for nothing."""
    return _listed(_named(given))


def _collected(given: Any) -> Any:
    """Return text as a list of it, blanks left out; commas are part of a value."""
    values = given.values if isinstance(given, Several) else [given]
    return [value for value in values if value] if isinstance(given, str) else given


def _rule(given: str) -> str:
    """Refuse what states no rule on an attribute."""
    try:
        AttributeRule.parse(given)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return given


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
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e12, le=1e12)]
RuleText = Annotated[
    str, AfterValidator(_rule), Field(json_schema_extra={"pattern": r"^[^:]*[^:\s][^:]*:.*\S"})
]
Length = Annotated[int, Field(ge=1, le=MOST, strict=True, description="How many, best first.")]


class Request(BaseModel):
    """Anything asked: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeatable: ClassVar[frozenset[str]] = frozenset()
    """What a query may give more than once."""

    @classmethod
    def names(cls) -> list[str]:
        """Return what may be said, for messages."""
        return list(cls.model_fields)


class NoParameters(Request):
    """Nothing to say."""


class ListArguments(TypedDict):
    """What every call for a list takes."""

    k: int
    rules: Rules
    fallback: Fallback
    at: int | None
    why: bool
    uncertainty: bool


class Options(Request):
    """What may stand in a list, and how long it is."""

    repeatable = frozenset({"exclude", "only", "attribute"})

    k: Length = 10
    category: Annotated[str | None, BeforeValidator(_named)] = Field(
        None, description="Only items of this category."
    )
    exclude: Annotated[
        list[Identifier],
        Field(fail_fast=True),
        BeforeValidator(_listed, json_schema_input_type=str | list[Identifier]),
    ] = Field([], description="Items to leave out: `ID,ID,…`; in a body, an array will do, too.")
    only: Annotated[
        list[Identifier] | None,
        Field(fail_fast=True),
        BeforeValidator(_listed_or_none, json_schema_input_type=str | list[Identifier] | None),
    ] = Field(None, description="Only these items: `ID,ID,…`; in a body, an array will do, too.")
    min_price: Number | None = Field(
        None, description="Least price; an item without one is left out."
    )
    max_price: Number | None = Field(
        None, description="Highest price; an item without one is left out."
    )
    attribute: Annotated[
        list[RuleText],
        Field(fail_fast=True),
        BeforeValidator(_collected, json_schema_input_type=RuleText | list[RuleText]),
    ] = Field(
        [],
        description="`NAME:VALUE`, or `NAME:LOW..HIGH`, bounds included, either of which may be "
        "left out; several must all hold.",
        examples=[["colour:red", "year:1990..1999"]],
    )
    per_category: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="How many items of one category at most."
    )
    diversity: Annotated[float, Field(ge=0, le=1, strict=True)] = Field(
        0.0, description="How much unlikeness to the items above counts beside the score, 0 to 1."
    )
    include_seen: Annotated[bool, Field(strict=True)] = Field(
        False, description="Whether items of the history may come back."
    )
    newcomers: Annotated[int, Field(ge=0, le=MOST, strict=True)] = Field(
        0,
        description="How many places at most, the last ones, go to new products that are like the "
        "history in title, category and price.",
    )
    new_below: Annotated[int, Field(ge=1, strict=True)] = Field(
        5, description="A product is new that the model was trained on in fewer events than that."
    )
    fallback: Fallback = Field(
        "popular", description="What an unknown user gets: popular items, or `none`, a 404."
    )
    at: Time | None = Field(
        None, description="Reference time from which ages count; the newest event unless given."
    )
    why: Annotated[bool, Field(strict=True)] = Field(
        False, description="Whether to say of each suggestion what of the history adds most to it."
    )
    uncertainty: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="Whether to say of each suggestion its `probability`, how likely the user "
        "takes it, calibrated on users held out in training, and its `stability`, the share of "
        "draws from a variational model's posterior in which it is listed; null where unknown.",
    )

    @property
    def arguments(self) -> ListArguments:
        """The options as the recommender takes them."""
        rules = Rules(
            category=self.category,
            exclude=frozenset(self.exclude),
            include_seen=self.include_seen,
            min_price=self.min_price,
            max_price=self.max_price,
            attributes=tuple(AttributeRule.parse(text) for text in self.attribute),
            only=None if self.only is None else frozenset(self.only),
            per_category=self.per_category,
            diversity=self.diversity,
            newcomers=self.newcomers,
            new_below=self.new_below,
        )
        return {
            "k": self.k,
            "rules": rules,
            "fallback": self.fallback,
            "at": self.at,
            "why": self.why,
            "uncertainty": self.uncertainty,
        }


class RecommendQuery(Options):
    """A known user's list."""

    user: Identifier = Field(description="The user's id.")


class Entry(Request):
    """One event of a history."""

    item: Identifier = Field(description="The item's id.")
    time: Time | None = Field(None, description="When; now, the reference time, unless given.")
    value: Number | None = Field(None, description="Quantity or rating; 1 unless given.")


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


class ExplainQuery(Request):
    """A user and an item."""

    user: Identifier = Field(description="The user's id.")
    item: Identifier = Field(description="The item's id.")
    at: Time | None = Field(
        None, description="Reference time from which ages count; the newest event unless given."
    )


class SearchQuery(Request):
    """What to search for, users or items."""

    q: str = Field("", description="Words or parts of them, whatever the case; empty finds all.")
    limit: Annotated[int, Field(ge=1, le=100, strict=True, description="How many at most.")] = 20


class ItemsQuery(SearchQuery):
    """Which items."""

    repeatable = frozenset({"ids"})

    ids: Annotated[
        list[Identifier] | None,
        Field(fail_fast=True, max_length=MOST),
        BeforeValidator(_listed_or_none, json_schema_input_type=str | list[Identifier] | None),
    ] = Field(
        None,
        description="Instead of a search, what is known of these items: `ID,ID,…`; those that "
        "nothing is known of are left out.",
    )


class UserQuery(Request):
    """A user."""

    user: Identifier = Field(description="The user's id.")
