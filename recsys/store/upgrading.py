"""Bringing a database to the newest schema, by Alembic."""

from __future__ import annotations

import sqlalchemy as sa

from recsys.errors import StoreError
from recsys.store.schema import HEAD

_VERSION = "alembic_version"


def is_current(connection: sa.Connection, place: str) -> bool:
    """Return whether nothing has to be done. Alembic, slow to import, is not asked for it.

    Raises
    ------
    StoreError
        The schema is of a newer version than this one, or not a store's.
    """
    if not sa.inspect(connection).has_table(_VERSION):
        return False
    version = connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION}").scalar()
    if version is not None and version > HEAD:
        raise StoreError(
            f"the store {place} is at schema {version}, newer than the {HEAD} that this version "
            "of recsys knows: upgrade recsys"
        )
    return bool(version == HEAD)


def upgrade(connection: sa.Connection) -> None:
    """Run the steps that are missing, in the connection's transaction: all of them or none."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "recsys.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
