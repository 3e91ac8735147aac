"""A view with its contract: what it takes is validated, what it gives is rendered and described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response, current_app, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.answer_schemas import RecommendAnswer
from api.metrics import list_answered
from api.problems import LARGEST_BODY, FieldProblem, InvalidRequestError
from api.schemas import NoParameters, Request, Several
from api.served import served
from api.write_schemas import Body
from recsys.store.keys import Scope

View = Callable[..., BaseModel | Mapping[str, Any]]


@dataclass(frozen=True)
class Operation:
    """What a route takes, gives and refuses.

    Attributes
    ----------
    query
        The query's parameters.
    body
        The JSON body; None for none.
    answer
        What status 200 carries.
    problems
        Statuses of the problems to expect besides 400.
    path
        The path's parameters; None for none.
    scope
        What a key must allow, where one is needed; None where none ever is.
    """

    answer: type[BaseModel]
    query: type[Request] = NoParameters
    body: type[Body] | None = None
    problems: tuple[int, ...] = ()
    path: type[Request] | None = None
    scope: Scope | None = "read"

    def __call__(self, view: View) -> Callable[..., Response]:
        """Return the view for Flask.

        It calls `view` with the path's parameters, the query and the body, those that there are.
        """

        @wraps(view)
        def validated_view(**path: str) -> Response:
            if self.scope is not None:
                admit(self.scope)
            given: list[Any] = []
            if self.path is not None:
                given.append(_validated(self.path, path, "path"))
            query = _query(self.query)
            if self.query.model_fields:
                given.append(query)
            if self.body is not None:
                given.append(_body(self.body))
            answer = view(*given)
            if self.answer is RecommendAnswer and isinstance(answer, Mapping):
                list_answered(answer["basis"])
            return rendered(answer)

        validated_view.operation = self  # type: ignore[attr-defined]
        return validated_view


def admit(scope: Scope) -> None:
    """Refuse a request without the key it needs, or of one who asks too often."""
    header = request.headers.get("Authorization")
    served().access.check(scope, header, request.remote_addr)


def _query(kind: type[Request]) -> Request:
    """Validate the query string.

    Raises
    ------
    InvalidRequestError
        A parameter is unknown, missing, malformed, or given twice where once is all it may.
    """
    given: dict[str, str] = {}
    for name, values in request.args.lists():
        if name in kind.repeatable:
            given[name] = Several(values)
        elif len(values) > 1:
            raise InvalidRequestError(FieldProblem(field=name[:200], message="is given twice"))
        else:
            given[name] = values[0]
    return _validated(kind, given, "query")


def _validated(kind: type[Request], texts: dict[str, str], whole: str) -> Request:
    try:
        return kind.model_validate_strings(texts)
    except ValidationError as error:
        raise InvalidRequestError.of(error, whole, kind.names()) from error


def _body(kind: type[Body]) -> Body:
    """Validate the body as JSON, whatever content type it claims.

    Raises
    ------
    InvalidRequestError
        It is no JSON, no object, or has unknown, missing or malformed members.
    """
    try:
        return kind.model_validate_json(_bytes())
    except ValidationError as error:
        raise InvalidRequestError.of(error, "body", kind.names()) from error


def _bytes() -> bytes:
    """Return the body's bytes, however they are sent."""
    request.max_content_length = LARGEST_BODY + 1  # a chunked body ends there without a word
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # each server has its own for bytes that are no body
        raise InvalidRequestError(FieldProblem(field="body", message="cannot be read")) from error
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    return body


def rendered(answer: BaseModel | Mapping[str, Any]) -> Response:
    """Return an answer as JSON."""
    if isinstance(answer, BaseModel):
        answer = answer.model_dump(mode="json")
    return Response(f"{current_app.json.dumps(answer)}\n", mimetype="application/json")
