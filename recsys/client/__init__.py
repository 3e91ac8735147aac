"""A client of the API for Python programs, of the standard library alone.

with Client("http://127.0.0.1:8000", key="…") as shop:
    shop.add_events([Event("order-7-line-1", "12347", "22423")])
    for each in shop.recommend("12347", k=5, max_price=5, why=True).items:
        print(each.title, [reason.title for reason in each.because or ()])
"""

from recsys.client.calls import Client
from recsys.client.results import (
    Added,
    Changes,
    Event,
    Explanation,
    Forgotten,
    Item,
    Options,
    Reason,
    Recommendation,
    StoredItem,
    Suggestion,
)
from recsys.client.transport import ApiError

__all__ = [
    "Added",
    "ApiError",
    "Changes",
    "Client",
    "Event",
    "Explanation",
    "Forgotten",
    "Item",
    "Options",
    "Reason",
    "Recommendation",
    "StoredItem",
    "Suggestion",
]
