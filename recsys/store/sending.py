"""What campaigns sent to whom, so that later ones can leave it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from recsys.store.events import insert_new, pieces, storable
from recsys.store.schema import sends


@dataclass(frozen=True, slots=True)
class Send:
    """An item that a campaign sent to a user; `time` in microseconds, `arm` of a test if any."""

    campaign: str
    user: str
    item: str
    time: int
    arm: str | None = None


def add(connection: sa.Connection, given: Iterable[Send]) -> int:
    """Write down what was sent; what a campaign sent a user already is kept once."""
    rows = {
        (send.campaign, send.user, send.item): {
            "campaign": send.campaign,
            "user_id": send.user,
            "item_id": send.item,
            "time": send.time,
            "arm": send.arm,
        }
        for send in given
    }
    return insert_new(connection, sends, rows)


def to_users(connection: sa.Connection, users: Sequence[str], since: int) -> list[Send]:
    """Return what the users were sent from a time on, the oldest first."""
    found = [
        Send(row.campaign, row.user_id, row.item_id, row.time, row.arm)
        for some in pieces(user for user in users if storable(user))
        for row in connection.execute(
            sa.select(sends).where(sends.c.user_id.in_(some), sends.c.time >= since)
        )
    ]
    return sorted(found, key=lambda send: (send.time, send.campaign, send.user, send.item))
