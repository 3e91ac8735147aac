"""What is answered: models that render answers, and describe them in the OpenAPI."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from recsys.interactions.times import to_iso
from recsys.recommender import Basis, Contribution, HistoryItem, ItemInfo, Suggestion


class RecommendAnswer(BaseModel):
    """A list of items, best first."""

    user: str | None = Field(description="Whose list it is; null for a history given outright.")
    model: str = Field(description="The model's name.")
    version: str = Field(description="The published version of the model.")
    basis: Basis = Field(
        description="`popular`: nothing is known of the user; `trained-history`: the store is "
        "down, so only what the model was trained on counts."
    )
    items: list[Suggestion]
    note: str | None = Field(None, description="Why the list is shorter than asked for.")


class SimilarAnswer(BaseModel):
    """What suits someone of whom only this item is known."""

    item: str
    items: list[Suggestion]


class ExplainAnswer(BaseModel):
    """Why an item has its score for a user."""

    user: str
    item: str
    score: float = Field(description="As /recommend has it.")
    because: list[Contribution] = Field(
        description="What each item of the history adds to the score, the most first: the score "
        "less what it were without the item."
    )


class ItemsAnswer(BaseModel):
    """Items found."""

    items: list[ItemInfo]


class CategoryCount(BaseModel):
    """A category."""

    category: str
    items: int = Field(description="How many items are in it.")


class CategoriesAnswer(BaseModel):
    """The categories of the items, those of most items first."""

    categories: list[CategoryCount]


class ModelData(BaseModel):
    """What a model was trained on."""

    name: str
    users: int
    items: int
    interactions: int
    reference_time: str | None = Field(
        description="When the newest event was, ISO 8601 in UTC; null where times are unknown.",
        json_schema_extra={"example": "2011-12-09T12:50:00Z"},
    )


class ModelAnswer(BaseModel):
    """The model being served."""

    model: str = Field(description="The model's name.")
    version: str = Field(description="The published version of the model.")
    created: str = Field(
        description="When it was published, ISO 8601.",
        json_schema_extra={"example": "2026-01-31T12:00:00+00:00"},
    )
    data: ModelData
    metrics: dict[str, Any] = Field(
        description="What it reached on users held out while settings were chosen, if any were."
    )


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
