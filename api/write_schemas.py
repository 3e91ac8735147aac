"""What may be written and what is answered to it, as `api.schemas` has it for reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, RootModel, Tag

from api.schemas import Identifier, Number, Request, Time
from recsys.store.events import LONGEST, Event
from recsys.store.items import ItemChanges


def _body_kind(given: Any) -> str | None:
    """Tell a batch from one event."""
    if not isinstance(given, dict):
        return None
    return "batch" if "events" in given else "event"


def _as_text(given: Any) -> Any:
    """Take a number for its digits."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return str(given) if is_number else given


def _split(given: Any) -> Any:
    """Cut `A|B` into its categories, as an items file has them."""
    return [part.strip() for part in given.split("|")] if isinstance(given, str) else given


StoredId = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class NewEvent(Request):
    """Something that a user did to an item."""

    id: StoredId = Field(description="Chosen by the sender; the same id again changes nothing.")
    user: StoredId = Field(description="The user's id.")
    item: StoredId = Field(description="The item's id, known to the model or not.")
    time: Time | None = Field(None, description="When; now unless given.")
    value: Number | None = Field(None, description="Quantity or rating; 1 unless given.")
    type: Literal["add", "remove"] = Field(
        "add", description="`remove` takes back what the user did to the item up to then."
    )


class EventBatch(Request):
    """Several events at once."""

    events: list[NewEvent]


class EventsBody(
    RootModel[
        Annotated[
            Annotated[EventBatch, Tag("batch")] | Annotated[NewEvent, Tag("event")],
            Discriminator(
                _body_kind,
                custom_error_type="object",
                custom_error_message="Input should be an object: an event, or one with `events`",
            ),
        ]
    ]
):
    """One event, or a batch of them."""

    @classmethod
    def names(cls) -> list[str]:
        """Return what may be said of an event, for messages."""
        return NewEvent.names()

    @property
    def events(self) -> list[Event]:
        """The events as the store takes them."""
        given = self.root.events if isinstance(self.root, EventBatch) else [self.root]
        return [Event(e.id, e.user, e.item, e.time, e.value, e.type) for e in given]


Body = Request | EventsBody


class ItemPath(Request):
    """An item."""

    item: StoredId = Field(description="The item's id, known to the model or not.")


class UserPath(Request):
    """A user."""

    user: Identifier = Field(description="The user's id.")


class ItemBody(Request):
    """What to change of an item; what is not named stays as it is."""

    title: str | None = Field(None, description="null: as the model was trained with.")
    category: Annotated[
        list[str] | None, BeforeValidator(_split, json_schema_input_type=str | list[str] | None)
    ] = Field(None, description="A list, or names separated by |.")
    price: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] | None = None
    attributes: dict[
        str,
        Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | float)] | None,
    ] = Field({}, description="Further properties by name; null takes one back.")
    in_stock: Annotated[bool, Field(strict=True)] = Field(
        True, description="Whether it can be had; otherwise it stands in no list."
    )
    blocked: Annotated[bool, Field(strict=True)] = Field(
        False, description="Whether it is kept out of all lists."
    )

    @property
    def changes(self) -> ItemChanges:
        """What was named, as the store takes it."""
        return cast(ItemChanges, self.model_dump(exclude_unset=True))


class EventsAnswer(BaseModel):
    """How many events are new, and how many were there already."""

    accepted: int
    duplicates: int


class StoredItem(BaseModel):
    """What the store says of an item; null: nothing, so what the model was trained with counts."""

    item: str
    title: str | None
    category: list[str] | None
    price: float | None
    attributes: dict[str, str]
    in_stock: bool
    blocked: bool


class ForgottenAnswer(BaseModel):
    """What was erased of a person, and what is left."""

    user: str
    events: int = Field(description="How many were erased.")
    sends: int = Field(description="How many were erased.")
    artifacts: list[str] = Field(description="Published models that still hold the person.")


class ReloadAnswer(BaseModel):
    """The model that is served now."""

    model: str
    version: str
