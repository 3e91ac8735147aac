"""The app factory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

from api import observing, problems
from api.access import Access
from api.admin import admin
from api.config import Config
from api.current import CurrentModel
from api.docs import docs
from api.headers import WithHeaders
from api.limiting import RateLimit
from api.metrics import store_asked
from api.openapi import openapi
from api.page import page
from api.served import Served
from api.views import views
from api.writes import writes
from recsys.errors import ArtifactError, StoreError
from recsys.store.live import default_url
from recsys.store.store import Store

_READ_AWAY, _PIECE = 32 * 2**20, 2**16  # bytes
_PATIENCE = 3.0  # seconds that PostgreSQL has for a statement before the request goes on without


def create_app(config: Config | Mapping[str, Any] | None = None) -> Flask:
    """Return the API and the page as a WSGI app.

    It comes up without a model and without its store's database, too: then `/readyz` says what is
    missing, and what is there later is used from the next request on.

    Parameters
    ----------
    config
        A `Config`, or a mapping of its fields; None takes the environment's.

    Raises
    ------
    SettingsError
        The mapping cannot be meant, or the store's URL.
    MissingDependencyError
        The store is in PostgreSQL, whose driver is not installed.
    """
    settings = Config.of(config)
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    url = settings.store or default_url(settings.models)
    store = Store.at(url, patience=_PATIENCE, watch=store_asked)
    current = CurrentModel(settings.models, store)
    app.extensions["recsys"] = Served(settings, store, current, _access(settings, store))
    app.wsgi_app = WithHeaders(app.wsgi_app, settings.cors_origins)  # type: ignore[method-assign]
    observing.register(app)
    problems.register(app)
    app.before_request(_refuse_large_bodies)
    if settings.proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies
        )
    for blueprint in (views, writes, admin, openapi, docs, page):
        app.register_blueprint(blueprint)
    # the first request finds the store ready and the model open; what is not there yet is tried
    # again by each request that needs it
    for step in (store.prepare, current.recommender):
        try:
            step()
        except (ArtifactError, StoreError) as error:
            app.logger.warning("%s", error)
    return app


def _access(settings: Config, store: Store) -> Access:
    limit = settings.rate_limit
    counted = None if limit is None else RateLimit(limit, str(settings.models))
    return Access(store, settings.read_keys, counted)


def _refuse_large_bodies() -> None:
    """Answer 413 on every route alike, also where no body is read."""
    if (request.content_length or 0) > problems.LARGEST_BODY:
        # Most clients read no answer before they have sent everything: let them, within reason.
        for _ in range(_READ_AWAY // _PIECE):
            if not request.environ["wsgi.input"].read(_PIECE):
                break
        abort(413)
