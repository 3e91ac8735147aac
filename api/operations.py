"""A view with its contract: what it takes is validated, what it gives is rendered and described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response, current_app, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.problems import LARGEST_BODY, FieldProblem, InvalidRequestError
from api.schemas import NoParameters, Request

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
    """

    answer: type[BaseModel]
    query: type[Request] = NoParameters
    body: type[Request] | None = None
    problems: tuple[int, ...] = ()

    def __call__(self, view: View) -> Callable[[], Response]:
        """Return the view for Flask, which calls `view` with the query and the body, if any."""

        @wraps(view)
        def validated_view() -> Response:
            query = _query(self.query)
            given = [query] if self.query.model_fields else []
            if self.body is not None:
                given.append(_body(self.body))
            return rendered(view(*given))

        validated_view.operation = self  # type: ignore[attr-defined]
        return validated_view


def _query(kind: type[Request]) -> Request:
    """Validate the query string.

    Raises
    ------
    InvalidRequestError
        A parameter is unknown, missing, malformed, or given twice.
    """
    for name, values in request.args.lists():
        if len(values) > 1:
            raise InvalidRequestError(FieldProblem(field=name[:200], message="is given twice"))
    try:
        return kind.model_validate_strings(request.args.to_dict())
    except ValidationError as error:
        raise InvalidRequestError.of(error, "query", list(kind.model_fields)) from error


def _body(kind: type[Request]) -> Request:
    """Validate the body as JSON, whatever content type it claims.

    Raises
    ------
    InvalidRequestError
        It is no JSON, no object, or has unknown, missing or malformed members.
    """
    try:
        return kind.model_validate_json(_bytes())
    except ValidationError as error:
        raise InvalidRequestError.of(error, "body", list(kind.model_fields)) from error


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
