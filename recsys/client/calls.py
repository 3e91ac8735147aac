"""The API's calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Self, Unpack
from urllib.parse import quote

from recsys.client.results import (
    Added,
    Changes,
    Event,
    Explanation,
    Forgotten,
    Item,
    Options,
    Recommendation,
    StoredItem,
    Suggestion,
    made,
    reasons,
    recommendation,
    suggestion,
)
from recsys.client.transport import Transport


class Client:
    """The API at an address; connections are kept open, and threads may share it.

    Every call may safely be sent twice, so one that met a server which was not ready (503, 429) or
    gone is sent again, after as long as the server asks for, up to half a minute.

    Parameters
    ----------
    url
        Where the API is: `http://127.0.0.1:8000`.
    key
        An API key, for writing, and for reading where the server wants one.
    timeout
        Seconds to wait for an answer.
    retries
        How often to send a request again.

    Raises
    ------
    UsageError
        The URL is none, or the key cannot be one.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 10.0, retries: int = 2
    ) -> None:
        self._api = Transport(url, key, timeout, retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are open; the next call opens another."""
        self._api.close()

    def recommend(self, user: str, **options: Unpack[Options]) -> Recommendation:
        """Return a user's list."""
        return recommendation(self._api.post("/recommend", {"user": user, **options}))

    def recommend_basket(self, items: Sequence[str], **options: Unpack[Options]) -> Recommendation:
        """Return the list for someone who took these items, the oldest first."""
        return recommendation(self._api.post("/recommend", {"history": list(items), **options}))

    def similar(self, item: str, *, k: int = 10) -> tuple[Suggestion, ...]:
        """Return the items most like one."""
        found = self._api.get("/similar", {"item": item, "k": k})
        return tuple(suggestion(each) for each in found["items"])

    def explain(self, user: str, item: str) -> Explanation:
        """Return how much each item of a user's history adds to an item's score."""
        found = self._api.get("/explain", {"user": user, "item": item})
        return made(Explanation, found, because=reasons(found["because"]))

    def items(self, query: str = "", *, limit: int = 20) -> tuple[Item, ...]:
        """Return the items with every word of the query in title or id, at most a hundred."""
        found = self._api.get("/items", {"q": query, "limit": limit})
        return tuple(made(Item, each, category=tuple(each["category"])) for each in found["items"])

    def add_events(self, events: Iterable[Event]) -> Added:
        """Tell what users did: all of it is kept, on disk, or none; at most 1 MiB at a time."""
        told = [
            {name: value for name, value in asdict(event).items() if value is not None}
            for event in events
        ]
        return made(Added, self._api.post("/events", {"events": told}))

    def put_item(self, item: str, **changes: Unpack[Changes]) -> StoredItem:
        """Change what is said of an item, and return what is said now."""
        found = self._api.send("PUT", f"/items/{quote(item, safe='')}", dict(changes))
        category = found["category"]
        return made(StoredItem, found, category=None if category is None else tuple(category))

    def forget(self, user: str) -> Forgotten:
        """Erase a person; later events of theirs are refused."""
        found = self._api.send("DELETE", f"/users/{quote(user, safe='')}")
        return made(Forgotten, found, artifacts=tuple(found["artifacts"]))
