"""Which campaigns were committed, and in what order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of runs, and the counter that numbers them."""
    op.create_table(
        "runs",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("campaign", sa.Text, nullable=False, unique=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("lists", sa.JSON, nullable=False),
    )
    meta = sa.table("meta", sa.column("name"), sa.column("number"))
    op.bulk_insert(meta, [{"name": "sends", "number": 0}])
