"""gunicorn's threaded worker, answering what it cannot parse as the API answers errors."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from api.problems import PROBLEM, problem_body

_STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.ForbiddenProxyRequest: HTTPStatus.FORBIDDEN,
}


class Worker(ThreadWorker):  # type: ignore[misc]
    """A `gthread` worker whose own refusals are problem details, too."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Refuse a request that never reached the app."""
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("Invalid request: %s", exc)
        try:
            write_nonblock(client, _refusal(exc))
        except OSError:
            self.log.debug("Failed to send error message.")


def _refusal(error: Exception) -> bytes:
    """Return the whole response; what the client sent is not repeated in it."""
    status = _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
    body = problem_body(status, status.description or status.phrase).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Connection: close\r\n"
        f"Content-Type: {PROBLEM}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
