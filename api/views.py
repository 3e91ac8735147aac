"""The API's routes: each validates, asks the recommender one thing, and renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint

from api import batching
from api.answer_schemas import (
    CategoriesAnswer,
    CategoryCount,
    ExplainAnswer,
    Health,
    HistoryAnswer,
    ItemsAnswer,
    ModelAnswer,
    ModelData,
    Readiness,
    RecommendAnswer,
    SimilarAnswer,
    TakenItem,
    UsersAnswer,
)
from api.operations import Operation
from api.problems import FieldProblem, InvalidRequestError
from api.schemas import (
    ExplainQuery,
    ItemsQuery,
    Options,
    RecommendBody,
    RecommendQuery,
    SearchQuery,
    SimilarQuery,
    UserQuery,
)
from api.served import served
from recsys.recommender import Recommender

views = Blueprint("api", __name__)


def recommender() -> Recommender:
    """Return the recommender that answers this request."""
    return served().current.recommender()


@views.get("/recommend")
@Operation(query=RecommendQuery, answer=RecommendAnswer, problems=(404, 503))
def recommend(query: RecommendQuery) -> Mapping[str, Any]:
    """Recommend items to a user.

    An unknown user gets popular items, `basis` says so; with `fallback=none` it is a 404.
    """
    asked = recommender()
    return asked.answer(batching.recommend(asked, query.user, query.arguments))


@views.post("/recommend")
@Operation(query=Options, body=RecommendBody, answer=RecommendAnswer, problems=(404, 413, 503))
def recommend_history(query: Options, body: RecommendBody) -> Mapping[str, Any]:
    """Recommend items for a history given outright.

    It is a read: nothing is stored. Options may stand in the body or in the query, each once.
    """
    asked, options = recommender(), _merged(query, body)
    if body.history is None and body.user is not None:
        return asked.answer(asked.recommend(body.user, **options.arguments))
    found = asked.recommend_basket(body.entries, **options.arguments)
    return asked.answer(replace(found, user=body.user))


def _merged(query: Options, body: Options) -> Options:
    twice = sorted(query.model_fields_set & body.model_fields_set)
    if twice:
        raise InvalidRequestError(
            *(FieldProblem(field=name, message="is given in query and body") for name in twice)
        )
    return body.model_copy(update={name: getattr(query, name) for name in query.model_fields_set})


@views.get("/similar")
@Operation(query=SimilarQuery, answer=SimilarAnswer, problems=(404, 503))
def similar(query: SimilarQuery) -> Mapping[str, Any]:
    """List the items most like one."""
    asked = recommender()
    return asked.similar_answer(query.item, asked.similar(query.item, k=query.k))


@views.get("/explain")
@Operation(query=ExplainQuery, answer=ExplainAnswer, problems=(404, 503))
def explain(query: ExplainQuery) -> Mapping[str, Any]:
    """Say how much each item of a user's history adds to an item's score.

    Each is left out in turn, the others keep their weights; of a history of more than 500 items,
    the 500 weightiest. A user without history has the item's popularity for a score, and nothing
    adds to it.
    """
    return recommender().explain(query.user, query.item, at=query.at).shown()


@views.get("/items")
@Operation(query=ItemsQuery, answer=ItemsAnswer, problems=(503,))
def items(query: ItemsQuery) -> ItemsAnswer:
    """Search items by words of title or id, or look some up."""
    asked = recommender()
    if query.ids is not None:
        return ItemsAnswer(items=list(asked.items_of(query.ids)))
    return ItemsAnswer(items=list(asked.find_items(query.q, query.limit)))


@views.get("/categories")
@Operation(answer=CategoriesAnswer, problems=(503,))
def categories() -> CategoriesAnswer:
    """List the categories, those of most items first."""
    counted = recommender().categories()
    return CategoriesAnswer(
        categories=[CategoryCount(category=name, items=count) for name, count in counted]
    )


@views.get("/model")
@Operation(answer=ModelAnswer, problems=(503,))
def model() -> ModelAnswer:
    """Say which model answers, what it was trained on, and how good it was."""
    said = recommender().artifact.manifest
    return ModelAnswer(
        model=said.model,
        version=said.version,
        created=said.created,
        data=ModelData(**{name: getattr(said.data, name) for name in ModelData.model_fields}),
        metrics=said.metrics,
    )


@views.get("/users")
@Operation(query=SearchQuery, answer=UsersAnswer, problems=(503,))
def users(query: SearchQuery) -> UsersAnswer:
    """Search users by a part of their id."""
    return UsersAnswer(users=list(recommender().find_users(query.q, query.limit)))


@views.get("/history")
@Operation(query=UserQuery, answer=HistoryAnswer, problems=(404, 503))
def history(query: UserQuery) -> HistoryAnswer:
    """List what a user took, the latest first."""
    taken = recommender().history(query.user)
    return HistoryAnswer(user=query.user, items=[TakenItem.of(item) for item in taken])


@views.get("/healthz")
@Operation(answer=Health, scope=None)
def healthz() -> Health:
    """Say that the process answers."""
    return Health()


@views.get("/readyz")
@Operation(answer=Readiness, problems=(503,), scope=None)
def readyz() -> Readiness:
    """Say which model is being served; with a 503 why none is, or that the store is down."""
    ready = recommender()
    served().store.ping()
    return Readiness(
        model=ready.model, version=ready.version, users=len(ready.users), items=len(ready.items)
    )
