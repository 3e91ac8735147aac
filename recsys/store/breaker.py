"""Keeping callers from waiting at a database that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from recsys.errors import StoreDownError

_FIRST, _LONGEST = 0.1, 1.0  # seconds between tries


class Breaker:
    """After a failure callers are refused at once, while a thread finds out when it is over.

    Threads share it.

    Parameters
    ----------
    answers
        Tries whether the database answers; it may take its time.
    """

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._reason: str | None = None

    def enter(self) -> None:
        """Let a caller pass.

        Raises
        ------
        StoreDownError
            The database did not answer lately.
        """
        if (reason := self._reason) is not None:
            raise StoreDownError(reason)

    def failed(self, reason: str) -> None:
        """Note that the database did not answer."""
        with self._lock:
            first, self._reason = self._reason is None, reason
            if first:
                self._closed.clear()
                threading.Thread(target=self._find_out, name="store", daemon=True).start()

    def close(self) -> None:
        """Find out no more; the next caller passes."""
        self._closed.set()

    def _find_out(self) -> None:
        pause = _FIRST
        while not self._closed.wait(pause) and not self._answers():
            pause = min(2 * pause, _LONGEST)
        with self._lock:
            self._reason = None
