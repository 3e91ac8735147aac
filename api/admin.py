"""The routes for those who run the server: its metrics, and having it look at the model again."""

from __future__ import annotations

from flask import Blueprint, Response

from api import metrics
from api.operations import Operation, admit
from api.served import served
from api.write_schemas import ReloadAnswer
from recsys.errors import ArtifactError

admin = Blueprint("admin", __name__)


@admin.get("/metrics")
def show_metrics() -> Response:
    """Return what Prometheus reads; it needs a key where reads do."""
    admit("read")
    try:
        recommender = served().current.recommender()
    except ArtifactError:
        recommender = None
    return Response(metrics.exposition(recommender), content_type=metrics.CONTENT_TYPE)


@admin.post("/admin/reload")
@Operation(answer=ReloadAnswer, problems=(503,), scope="write")
def reload() -> ReloadAnswer:
    """Open the current model anew, in every worker.

    It is rarely needed: each request notices by itself when another model is published or rolled
    back to. A model that could not be opened is tried again only so. The others follow at their
    next request. If it still cannot be opened, the model before it stays and the answer is a 503.
    """
    opened = served().current.reload()
    return ReloadAnswer(model=opened.model, version=opened.version)
