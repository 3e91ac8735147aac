"""The routes that change something; each needs a key for writing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from flask import Blueprint

from api.metrics import events_kept
from api.operations import Operation
from api.served import served
from api.write_schemas import (
    EventsAnswer,
    EventsBody,
    ForgottenAnswer,
    ItemBody,
    ItemPath,
    StoredItem,
    UserPath,
)
from recsys.artifacts import versions_with
from recsys.errors import ArtifactError
from recsys.store.events import Event

writes = Blueprint("writes", __name__)


@writes.post("/events")
@Operation(body=EventsBody, answer=EventsAnswer, problems=(409, 413, 503), scope="write")
def events(body: EventsBody) -> EventsAnswer:
    """Tell what users did.

    One event, or a batch: all of it is kept, or none. An event that is sent again changes nothing.
    What is accepted is on disk, and counts from the next request on. Items that the model does not
    know are kept, too, and count after the next training.
    """
    given = body.events
    added = served().store.add_events(given)
    _count(given)
    return EventsAnswer(accepted=added.accepted, duplicates=added.duplicates)


def _count(events: Sequence[Event]) -> None:
    with suppress(ArtifactError):  # without a model there is no item that it does not know
        items = served().current.recommender().items
        unknown = sum(event.item not in items for event in events)
        events_kept(len(events) - unknown, unknown)


# merge_slashes off: an id with // in it is another id than one with /
@writes.put("/items/<path:item>", merge_slashes=False)
@Operation(path=ItemPath, body=ItemBody, answer=StoredItem, problems=(413, 503), scope="write")
def set_item(path: ItemPath, body: ItemBody) -> StoredItem:
    """Change what is said of an item, its stock, or whether it is blocked.

    What is not named stays as it is; null takes a title, category, price or attribute back. An
    item that is blocked or out of stock stands in no list from the next request on.
    """
    return StoredItem(**asdict(served().store.set_item(path.item, body.changes)))


@writes.delete("/users/<path:user>", merge_slashes=False)
@Operation(path=UserPath, answer=ForgottenAnswer, problems=(503,), scope="write")
def forget_user(path: UserPath) -> ForgottenAnswer:
    """Forget a person.

    Events and sends are erased, the model's history of the person is no longer used, and later
    events are refused: nothing is kept but a keyed hash of the id. `artifacts` lists the published
    models whose data still holds the person; train anew and remove those.
    """
    parts = served()
    erased = parts.store.forget(path.user)
    return ForgottenAnswer(
        user=path.user,
        events=erased.events,
        sends=erased.sends,
        artifacts=versions_with(parts.config.models, path.user),
    )
