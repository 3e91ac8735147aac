"""Headers of every answer: what a browser may do with it, and which other sites may read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_Headers = list[tuple[str, str]]

_ALWAYS: _Headers = [
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
_PREFLIGHT: _Headers = [
    ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-ID"),
    ("Access-Control-Max-Age", "600"),
]
_SHOWN = ("Access-Control-Expose-Headers", "Retry-After, X-Request-ID")


class WithHeaders:
    """A WSGI app with these headers; around Flask, where they cost next to nothing.

    Parameters
    ----------
    app
        The app.
    origins
        The other sites whose pages may read answers, `*` for all.
    """

    def __init__(self, app: WSGIApplication, origins: tuple[str, ...]) -> None:
        self._app, self._origins = app, origins

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: _Headers, exc_info: Any = None) -> Any:
            headers += _ALWAYS
            if all(name != "Cache-Control" for name, _ in headers):  # files have one of their own
                headers.append(("Cache-Control", "no-store"))
            headers += self._sharing(environ)
            return start_response(status, headers, exc_info)

        return self._app(environ, start)

    def _sharing(self, environ: WSGIEnvironment) -> _Headers:
        """Let the asking site read the answer, if it may; keys go in a header, never in cookies."""
        if not self._origins:
            return [("Cross-Origin-Resource-Policy", "same-origin")]
        vary, origin = ("Vary", "Origin"), environ.get("HTTP_ORIGIN")
        everyone = "*" in self._origins
        if origin is None or not (everyone or origin in self._origins):
            return [vary]
        allowed = ("Access-Control-Allow-Origin", "*" if everyone else origin)
        preflight = _PREFLIGHT if environ["REQUEST_METHOD"] == "OPTIONS" else []
        return [vary, allowed, _SHOWN, *preflight]
