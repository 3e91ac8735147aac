"""What a store's URL may be."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from recsys.errors import MissingDependencyError, SettingsError


def parsed_url(url: str) -> sa.URL:
    """Return a store's URL, with the driver named, and a file's name as good from any folder.

    Raises
    ------
    SettingsError
        It is none, or of another kind of database.
    MissingDependencyError
        PostgreSQL's driver is not installed.
    """
    example = "write it as sqlite:///shop.db or postgresql://user:password@host/name"
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise SettingsError(f"--store: {parsed.drivername} is not supported; {example}") from error
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            f"--store: {url.partition('://')[0]}://… is no URL; {example}"
        ) from error
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            raise MissingDependencyError("psycopg", "postgres", "a store in PostgreSQL") from error
        raise SettingsError(f"--store: {parsed.drivername} is not supported; {example}") from error
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError(f"--store: {parsed.drivername} is not supported; {example}")
    if parsed.get_backend_name() == "sqlite":
        name = parsed.database or ":memory:"
        if name.startswith((":", "file:")):
            raise SettingsError("--store: SQLite in memory keeps nothing; name a file")
        # the same name from whatever folder
        parsed = parsed.set(database=str(Path(name).absolute()))
    return parsed
