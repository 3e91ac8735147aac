"""What every request leaves behind: an id in its answer, counts, and a line in the access log."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from flask import Flask, request

from api.logs import REQUEST_ID, access_log, request_id
from api.metrics import request_answered

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ROUTE = "recsys.route"
_UNMATCHED = "(none)"


def register(app: Flask) -> None:
    """Observe all requests of an app."""
    app.before_request(_remember_route)
    app.wsgi_app = Observed(app.wsgi_app)  # type: ignore[method-assign]


def _remember_route() -> None:
    if request.url_rule is not None:
        request.environ[_ROUTE] = request.url_rule.rule


class Observed:
    """A WSGI app whose requests are counted; around Flask, where it costs next to nothing."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        begun = perf_counter()
        name = request_id(environ.get("HTTP_X_REQUEST_ID"))

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers.append(("X-Request-ID", name))
            _note(environ, int(status[:3]), perf_counter() - begun)
            return start_response(status, headers, exc_info)

        before = REQUEST_ID.set(name)
        try:
            return self._app(environ, start)
        finally:
            REQUEST_ID.reset(before)


def _note(environ: WSGIEnvironment, status: int, seconds: float) -> None:
    route, method = environ.get(_ROUTE, _UNMATCHED), environ["REQUEST_METHOD"]
    request_answered(route, method, status, seconds)
    if access_log.isEnabledFor(logging.INFO):
        fields = {"method": method[:10], "route": route, "status": status}
        fields["ms"] = round(1000 * seconds, 2)
        access_log.info("request", extra={"fields": fields})
