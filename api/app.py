"""The app factory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, abort, request

from api import problems
from api.config import Config
from api.current import CurrentModel
from api.openapi import openapi
from api.page import page
from api.views import views
from recsys.errors import ArtifactError

_READ_AWAY, _PIECE = 32 * 2**20, 2**16  # bytes

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(config: Config | Mapping[str, Any] | None = None) -> Flask:
    """Return the API and the page as a WSGI app.

    It comes up without a model, too: then `/readyz` says what is missing, and a model that is
    published later is served from the next request on.

    Parameters
    ----------
    config
        A `Config`, or a mapping of its fields; None takes the environment's.

    Raises
    ------
    SettingsError
        The mapping cannot be meant.
    """
    settings = Config.of(config)
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions["recsys"] = current = CurrentModel(settings.models)
    problems.register(app)
    app.before_request(_refuse_large_bodies)
    app.after_request(_with_headers)
    for blueprint in (views, openapi, page):
        app.register_blueprint(blueprint)
    try:
        current.recommender()  # the first request finds the model open
    except ArtifactError as error:
        app.logger.warning("%s", error)
    return app


def _refuse_large_bodies() -> None:
    """Answer 413 on every route alike, also where no body is read."""
    if (request.content_length or 0) > problems.LARGEST_BODY:
        # Most clients read no answer before they have sent everything: let them, within reason.
        for _ in range(_READ_AWAY // _PIECE):
            if not request.environ["wsgi.input"].read(_PIECE):
                break
        abort(413)


def _with_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
