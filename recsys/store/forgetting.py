"""Forgetting a person: nothing is left but a keyed hash, by which later events are refused."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from recsys.store.events import pieces
from recsys.store.items import next_version
from recsys.store.schema import events, forgotten, meta, sends


@dataclass(frozen=True)
class Forgotten:
    """How many events and sends of a person were erased."""

    events: int
    sends: int


class Hasher:
    """Hashes user ids with the store's secret: without it nobody can look for an id.

    Parameters
    ----------
    secret
        The store's.
    """

    def __init__(self, secret: str) -> None:
        self._key = bytes.fromhex(secret)

    def __call__(self, user: str) -> str:
        """Return a user's keyed hash."""
        return hmac.digest(self._key, user.encode("utf-8", "surrogatepass"), "sha256").hex()


def hasher(connection: sa.Connection) -> Hasher:
    """Return what hashes for this store."""
    return Hasher(
        connection.execute(sa.select(meta.c.text).where(meta.c.name == "secret")).scalar_one()
    )


def forget(connection: sa.Connection, user: str) -> Forgotten:
    """Erase a person, known or not; once more erases what came meanwhile: nothing."""
    hashed = hasher(connection)(user)
    if not connection.scalar(sa.select(forgotten.c.hash).where(forgotten.c.hash == hashed)):
        connection.execute(sa.insert(forgotten), {"hash": hashed})
        next_version(connection, "forgotten")
    counts = [
        connection.execute(sa.delete(table).where(table.c.user_id == user)).rowcount
        for table in (events, sends)
    ]
    return Forgotten(*counts)


def among(connection: sa.Connection, users: Iterable[str]) -> list[str]:
    """Return those of the users who are forgotten."""
    if not connection.scalar(sa.select(forgotten.c.hash).limit(1)):
        return []
    hashed = hasher(connection)
    by_hash = {hashed(user): user for user in users}
    return [
        by_hash[found]
        for some in pieces(by_hash)
        for found in connection.scalars(
            sa.select(forgotten.c.hash).where(forgotten.c.hash.in_(some))
        )
    ]


def hashes(connection: sa.Connection) -> frozenset[str]:
    """Return the hashes of everyone who is forgotten."""
    return frozenset(connection.scalars(sa.select(forgotten.c.hash)))
