"""gunicorn's threaded worker, answering requests for lists together, and errors as the API does."""

from __future__ import annotations

import re
import selectors
import socket
import time
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors, get_parser  # type: ignore[import-untyped]
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from api.batching import Batches
from api.problems import PROBLEM, problem_body

_STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.ForbiddenProxyRequest: HTTPStatus.FORBIDDEN,
}

_LARGEST_HEAD = 4096  # bytes of a request that is answered in the main thread
_QUICK = re.compile(  # what takes longer, as reasons do, would keep all others waiting
    rb"GET /recommend\?(?:(?:user|k|category|exclude|only|attribute|min_price|max_price"
    rb"|include_seen|fallback|at)=[^& \r\n]*(?:&|(?= )))+ HTTP/1\.[01]\r\n"
)
_MORE_TO_COME = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|expect|upgrade):", re.IGNORECASE
)
_ACCEPTED = 8  # connections at a time
_SWEEP = 1.0  # seconds between two looks for connections that were quiet for too long


class _Outgoing:
    """A connection as gunicorn writes an answer to it; kept until it is whole."""

    def __init__(self, conn: TConn) -> None:
        self.sock, self.client, self.server = self, conn.client, conn.server
        self.data = b""

    def sendall(self, data: bytes) -> None:
        """Take what is to be sent."""
        self.data += data


class Worker(ThreadWorker):  # type: ignore[misc]
    """A `gthread` worker that answers what it can in its main thread, see `api.batching`.

    That is GET /recommend, once the whole request is there, with parameters that are soon done.
    Everything else goes to the threads. Its own refusals are problem details, as the app's are.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._batches = Batches()
        self._swept = 0.0

    def accept(self, listener: socket.socket) -> None:
        """Accept connections, and wait for what they say without keeping a thread for each.

        Not all at once: the other workers are to have their share.
        """
        for _ in range(_ACCEPTED):
            try:
                client, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            conn = TConn(self.cfg, client, address, listener.getsockname())
            self.nr_conns += 1
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            readable = partial(self.on_client_socket_readable, conn)
            self.poller.register(client, selectors.EVENT_READ, readable)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Answer here, or hand the connection to a thread."""
        if not self.cfg.is_ssl and _asks_for_a_list(client):
            self._batches.start(partial(self._answer, conn))
            return
        conn.data_ready = True
        super().on_client_socket_readable(conn, client)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Answer all that came in."""
        super().wait_for_and_dispatch_events(timeout)
        self._batches.finish()

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that were quiet for too long: any of them, as none changes place."""
        now = time.monotonic()
        if self.alive and not force and now < self._swept + _SWEEP:
            return
        self._swept = now
        for conn in [each for each in self.keepalived_conns if force or each.timeout <= now]:
            self._leave(conn)
            self._drop(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Refuse a request that never reached the app."""
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("Invalid request: %s", type(exc).__name__)  # the rest is the client's text
        try:
            write_nonblock(client, _refusal(exc))
        except OSError:
            self.log.debug("Failed to send error message.")

    def _answer(self, conn: TConn) -> None:
        """Answer a request that is there, in a greenlet of the main thread."""
        outgoing, request, kept = _Outgoing(conn), None, False
        try:
            if conn.parser is None:
                conn.parser, conn.initialized = get_parser(self.cfg, conn.sock, conn.client), True
            request = next(conn.parser)
            kept = self.handle_request(request, outgoing)
        except StopIteration:
            pass
        except Exception as error:
            outgoing.data = b""
            self.handle_error(request, conn.sock, conn.client, error)
        self._send(conn, outgoing.data, kept)

    def _send(self, conn: TConn, data: bytes, kept: bool) -> None:
        """Send an answer; what the client is too slow for, in a thread."""
        try:
            sent = conn.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent, data, kept = 0, b"", False
        if sent == len(data) and kept:
            conn.set_timeout()
            return
        self._leave(conn)
        if sent == len(data):
            self._drop(conn)  # nothing it sent is unread, so nothing is lost
            return
        rest = self.tpool.submit(_send_rest, conn.sock, data[sent:], kept)
        rest.add_done_callback(partial(self.method_queue.defer, self.finish_request, conn))

    def _leave(self, conn: TConn) -> None:
        """Listen to a connection no longer."""
        self.poller.unregister(conn.sock)
        self.keepalived_conns.remove(conn)

    def _drop(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def _asks_for_a_list(client: socket.socket) -> bool:
    """Return whether a whole request, and no more, is there that the main thread is to answer."""
    try:
        head = client.recv(_LARGEST_HEAD, socket.MSG_PEEK)
    except OSError:
        return False
    return (
        _QUICK.match(head) is not None
        and head.find(b"\r\n\r\n") == len(head) - 4
        and not _MORE_TO_COME.search(head)
    )


def _send_rest(client: socket.socket, data: bytes, kept: bool) -> bool:
    client.setblocking(True)
    client.sendall(data)
    return kept


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
