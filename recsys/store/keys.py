"""API keys: shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from recsys.errors import DataError, NotFoundError, UsageError
from recsys.store.events import now
from recsys.store.items import next_version
from recsys.store.schema import keys

Scope = Literal["read", "write"]

_SHOWN = 8  # characters of a hash by which a person names a key


@dataclass(frozen=True)
class Key:
    """A key without its secret: what it may do, whose it is, and since when (microseconds)."""

    id: str
    scope: Scope
    name: str
    created: int


def hash_of(token: str) -> str:
    """Return what is kept of a key; it has 256 random bits, so a plain hash hides it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def add(connection: sa.Connection, scope: Scope, name: str) -> tuple[str, Key]:
    """Make a key; its text is returned here and never again."""
    if len(name) > 100 or not name.isprintable():
        raise DataError("a name is up to 100 printable characters", column="name", value=name)
    token = f"recsys_{secrets.token_urlsafe(32)}"
    hashed, created = hash_of(token), now()
    connection.execute(
        sa.insert(keys), {"hash": hashed, "scope": scope, "name": name, "created": created}
    )
    next_version(connection, "keys")
    return token, Key(hashed[:_SHOWN], scope, name, created)


def listed(connection: sa.Connection) -> list[Key]:
    """Return all keys, the oldest first."""
    found = connection.execute(sa.select(keys).order_by(keys.c.created, keys.c.hash))
    return [Key(row.hash[:_SHOWN], row.scope, row.name, row.created) for row in found]


def remove(connection: sa.Connection, identifier: str) -> Key:
    """Remove the key of this id.

    Raises
    ------
    NotFoundError
        There is none.
    UsageError
        Several begin like that.
    """
    rows = connection.execute(sa.select(keys)).all()
    found = [row for row in rows if identifier and row.hash.startswith(identifier.lower())]
    if not found:
        raise NotFoundError("key", identifier)
    if len(found) > 1:
        raise UsageError(f"several keys begin with {identifier!r}; give more of the id")
    (row,) = found
    connection.execute(sa.delete(keys).where(keys.c.hash == row.hash))
    next_version(connection, "keys")
    return Key(row.hash[:_SHOWN], row.scope, row.name, row.created)


def scopes(connection: sa.Connection) -> dict[str, Scope]:
    """Return what each hash may do."""
    found = connection.execute(sa.select(keys.c.hash, keys.c.scope))
    return {row.hash: row.scope for row in found}
