"""The tables, the view of the events that count, the counters, and the secret."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INTERACTIONS = """
CREATE VIEW interactions AS
SELECT user_id, item_id, time AS timestamp, coalesce(value, 1) AS value FROM events AS taken
WHERE type = 'add' AND NOT EXISTS (
    SELECT 1 FROM events AS later
    WHERE later.type = 'remove' AND later.user_id = taken.user_id
        AND later.item_id = taken.item_id AND later.time >= taken.time
)
"""


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("type", sa.Text, sa.CheckConstraint("type IN ('add', 'remove')"), nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
    )
    op.create_index("events_of_user", "events", ["user_id", "time"])
    op.create_index("events_by_time", "events", ["time"])
    op.create_index(
        "removes",
        "events",
        ["user_id", "item_id", "time"],
        sqlite_where=sa.text("type = 'remove'"),
        postgresql_where=sa.text("type = 'remove'"),
    )
    op.create_table(
        "items",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text),
        sa.Column("category", sa.JSON(none_as_null=True)),
        sa.Column("price", sa.Double),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("in_stock", sa.Boolean, nullable=False),
        sa.Column("blocked", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_items_version", "items", ["version"])
    op.create_table(
        "sends",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("arm", sa.Text),
    )
    op.create_index("sends_to_user", "sends", ["user_id", "time"])
    op.create_table(
        "keys",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column(
            "scope", sa.Text, sa.CheckConstraint("scope IN ('read', 'write')"), nullable=False
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_table("forgotten", sa.Column("hash", sa.Text, primary_key=True))
    meta = op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger),
        sa.Column("text", sa.Text),
    )
    op.execute(_INTERACTIONS)
    op.bulk_insert(
        meta,
        [
            *({"name": name, "number": 0, "text": None} for name in ("items", "keys", "forgotten")),
            {"name": "secret", "number": None, "text": secrets.token_hex(32)},
        ],
    )
