"""Requests over connections that are kept open, sent again where that may help."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from recsys.errors import RecsysError, UsageError

_TRY_AGAIN = (429, 503)
_WAIT = 1.0  # seconds before trying again, where the server does not say
_LONGEST_WAIT = 30.0


class ApiError(RecsysError):
    """A request that was refused, or had no answer: the problem details of RFC 9457.

    Attributes
    ----------
    status
        The HTTP status; None where the server did not answer.
    type
        What kind of problem, stable: `urn:recsys:problem:unknown-item` and the like.
    title, detail
        The status in words, and what is wrong here.
    instance
        Name of this one event in the server's log, where it has one.
    errors
        Each part of the request at fault, as `{"field", "message"}`.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        type: str = "about:blank",  # noqa: A002
        title: str = "",
        instance: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail if status is None else f"{status}: {detail}")
        self.status, self.type, self.title, self.detail = status, type, title, detail
        self.instance, self.errors = instance, tuple(errors)


class Transport:
    """An API at an address; parameters and what is raised are those of `Client`."""

    def __init__(self, url: str, key: str | None, timeout: float, retries: int) -> None:
        try:
            parts = urlsplit(url)
            scheme, host, self._port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            scheme, host = "", None
        if scheme not in ("http", "https") or not host:
            raise UsageError(f"url {url!r}: give http://HOST[:PORT] or https://HOST[:PORT]")
        self._secure = ssl.create_default_context() if scheme == "https" else None
        self._host, self._base = host, parts.path.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if key is not None:
            if not (key.isascii() and key.isprintable()):
                raise UsageError("key: has characters that no key has")
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout, self._retries = timeout, retries
        self._idle: list[http.client.HTTPConnection] = []  # its pop and append are atomic

    def close(self) -> None:
        """Close the connections that are open; the next call opens another."""
        while self._idle:
            self._idle.pop().close()

    def get(self, path: str, query: Mapping[str, Any]) -> Any:
        """Return what the API answers to a query: see `send`."""
        return self.send("GET", f"{path}?{urlencode(query)}")

    def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """Return what the API answers to a body: see `send`."""
        return self.send("POST", path, content)

    def send(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Return what the API answers, sending again what may well be answered the next time.

        Raises
        ------
        ApiError
            It was refused, or had no answer.
        """
        body = None if content is None else json.dumps(content, default=_as_json).encode()
        left = self._retries
        while True:
            try:
                status, wait, answer = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise ApiError(f"{self._host} does not answer: {error}") from error
                wait = _WAIT
            else:
                if status < http.client.BAD_REQUEST:
                    return _parsed(answer, status)
                if status not in _TRY_AGAIN or not left:
                    raise _refusal(answer, status)
            left -= 1
            time.sleep(wait)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, float, bytes]:
        """Return the status, how long to wait before trying again, and the body."""
        try:
            kept = self._idle.pop()
        except IndexError:
            return self._over(self._open(), method, path, body)
        try:
            return self._over(kept, method, path, body)
        except (ConnectionError, http.client.BadStatusLine):  # the server had closed it meanwhile
            return self._over(self._open(), method, path, body)

    def _over(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> tuple[int, float, bytes]:
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, self._base + path, body, {**self._headers, **kind})
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return response.status, _wait(response.headers.get("Retry-After")), answer

    def _open(self) -> http.client.HTTPConnection:
        if self._secure is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=self._secure
        )


def _wait(said: str | None) -> float:
    """Return the seconds that `Retry-After` says; a date, or nothing, is a second."""
    try:
        return min(max(float(said or _WAIT), 0.0), _LONGEST_WAIT)
    except ValueError:
        return _WAIT


def _parsed(answer: bytes, status: int) -> Any:
    try:
        return json.loads(answer)
    except ValueError as error:
        raise ApiError("the answer is not JSON: is this the API?", status=status) from error


def _refusal(answer: bytes, status: int) -> ApiError:
    """Return the error that problem details tell; of another body, its first line."""
    try:
        said = json.loads(answer)
    except ValueError:
        said = None
    if not isinstance(said, dict) or "detail" not in said:
        return ApiError(answer[:200].decode(errors="replace").partition("\n")[0], status=status)
    known = ("type", "title", "instance", "errors")
    return ApiError(
        said["detail"], status=status, **{name: said[name] for name in known if name in said}
    )


def _as_json(value: object) -> str:
    """Return what JSON does not have: a time, as ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be sent")
