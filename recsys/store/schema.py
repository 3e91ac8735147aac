"""The tables. Alembic makes them (`recsys.store.migrations`); a change here needs a migration."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0002"
"""The newest migration: what a database must be at before anything is read from it."""

INTERACTIONS = "interactions"
"""The view of the events that count, with the columns that data sets usually have."""

_REMOVES = sa.text("type = 'remove'")

metadata = sa.MetaData()

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),  # microseconds since 1970 UTC, as all here
    sa.Column("value", sa.Double),
    sa.Column("type", sa.Text, sa.CheckConstraint("type IN ('add', 'remove')"), nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Index("events_of_user", "user_id", "time"),
    sa.Index("events_by_time", "time"),
    # by which the view sees at once that hardly anything is taken back
    sa.Index(
        "removes", "user_id", "item_id", "time", sqlite_where=_REMOVES, postgresql_where=_REMOVES
    ),
)

items = sa.Table(
    "items",
    metadata,
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text),
    sa.Column("category", sa.JSON(none_as_null=True)),  # a list of names; null: not said here
    sa.Column("price", sa.Double),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("in_stock", sa.Boolean, nullable=False),
    sa.Column("blocked", sa.Boolean, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, index=True),
)

sends = sa.Table(
    "sends",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("arm", sa.Text),
    sa.Index("sends_to_user", "user_id", "time"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),  # the key of the campaign's run
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),  # in the order of commits
    sa.Column("campaign", sa.Text, nullable=False, unique=True),  # what its sends call it
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("lists", sa.JSON, nullable=False),  # suppression lists by name: how many people
)
"""Campaigns whose sends were committed."""

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, sa.CheckConstraint("scope IN ('read', 'write')"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
)

forgotten = sa.Table("forgotten", metadata, sa.Column("hash", sa.Text, primary_key=True))

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger),
    sa.Column("text", sa.Text),
)
"""Counters (items, keys, forgotten, sends) that go up with each change; `forgotten`'s secret."""
