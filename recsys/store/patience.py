"""Not waiting for ever: PostgreSQL's connections give a statement up after a time."""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.abc import RV, PQGen

_GRACE = 0.5  # seconds more for the server, which ends a statement more tidily


class _Impatient(psycopg.Connection[Any]):
    """A connection that closes itself when a statement takes too long."""

    patience: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is None and self.patience is not None:
            timeout = self.patience + _GRACE
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def limit_waiting(engine: sa.Engine, seconds: float) -> None:
    """Bound each statement of an engine's connections, on both sides.

    The server ends a statement that takes longer. A server that hangs does not; then the
    connection is closed here, and the statement fails all the same.
    """

    @sa.event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, named: dict[str, Any]) -> Any:
        asked = f"{named.pop('options', '')} -c statement_timeout={round(seconds * 1000)}"
        connection = _Impatient.connect(*arguments, options=asked.strip(), **named)
        connection.patience = seconds
        return connection


def take_time(connection: sa.Connection) -> None:
    """Let the statements of this transaction take as long as they need."""
    driver = connection.connection.driver_connection
    if isinstance(driver, _Impatient):
        driver.patience = None
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.detach()  # it is not for those who are in a hurry
