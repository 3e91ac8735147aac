"""Errors as problem details (RFC 9457): one shape, whatever went wrong."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException

from recsys.errors import (
    ArtifactError,
    DataError,
    ForgottenError,
    NotFoundError,
    StoreError,
    UsageError,
)

PROBLEM = "application/problem+json"

LARGEST_BODY = 2**20
"""Bytes that a request's body may have."""

KINDS: dict[str, str] = {
    "urn:recsys:problem:invalid-request": "The request cannot be meant; `errors` names each place.",
    "urn:recsys:problem:unknown-user": "Nobody here knows the user.",
    "urn:recsys:problem:unknown-item": "The model does not know the item.",
    "urn:recsys:problem:forgotten-user": "Events of someone who asked to be forgotten are refused.",
    "urn:recsys:problem:no-model": "No model can be served yet; `detail` says why.",
    "urn:recsys:problem:store-down": "The store does not answer; nothing was written; try again.",
}
"""What a problem's `type` may be, besides `about:blank`."""

_DETAILS: dict[int, str] = {
    404: "there is nothing at this address; /openapi.json lists what there is",
    405: "this address does not take this method; the Allow header lists those it takes",
    413: f"the body is over {LARGEST_BODY} bytes; send less at a time",
}


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    field: str = Field(description="Where: a parameter, or a path into the body.")
    message: str


class Problem(BaseModel):
    """Problem details for HTTP APIs, RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:recsys:problem:unknown-item",
                "title": "Not Found",
                "status": 404,
                "detail": "unknown item '99999'",
            }
        }
    )

    type: str = Field(
        default="about:blank",
        description="What kind of problem, stable; `about:blank`: see the status.",
    )
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong here, and what to do.")
    instance: str | None = Field(
        default=None, description="Name of this one event, as it stands in the server's log."
    )
    errors: list[FieldProblem] | None = Field(
        default=None, description="Each part at fault, if known."
    )


class InvalidRequestError(Exception):
    """A request that cannot be meant: each place at fault with what is wrong there."""

    def __init__(self, *errors: FieldProblem) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = list(errors)

    @classmethod
    def of(cls, error: ValidationError, whole: str, allowed: list[str]) -> InvalidRequestError:
        """Translate pydantic's findings.

        Parameters
        ----------
        error
            What the model found.
        whole
            What to call the input itself: `query` or `body`.
        allowed
            The names that may be given, to list where another one was.
        """
        found = error.errors(include_url=False, include_context=False, include_input=False)[:10]
        return cls(*(_field_problem(each, whole, allowed) for each in found))


def _field_problem(found: Any, whole: str, allowed: list[str]) -> FieldProblem:
    place = ".".join(str(part) for part in found["loc"]) or whole
    message = {
        "missing": "is missing",
        "extra_forbidden": f"is unknown; there are {', '.join(allowed) or 'none'}",
    }.get(found["type"], found["msg"].removeprefix("Value error, "))
    return FieldProblem(field=_shortened(place), message=message)


def _shortened(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def problem_body(status: int, detail: str, kind: str | None = None, **more: Any) -> str:
    """Return problem details as JSON; `kind` names the type, `more` adds members."""
    content = Problem(
        type="about:blank" if kind is None else f"urn:recsys:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        **more,
    )
    return content.model_dump_json(exclude_none=True) + "\n"


def problem(
    status: int, detail: str, kind: str | None = None, headers: Any = None, **more: Any
) -> Response:
    """Return problem details as a response."""
    body = problem_body(status, detail, kind, **more)
    return Response(body, status, headers=headers, mimetype=PROBLEM)


def register(app: Flask) -> None:
    """Make every error of the app a problem."""
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(InvalidRequestError, _on_invalid)
    app.register_error_handler(NotFoundError, _on_unknown)
    app.register_error_handler(ArtifactError, _on_no_model)
    app.register_error_handler(StoreError, _on_no_store)
    app.register_error_handler(ForgottenError, _on_forgotten)
    app.register_error_handler(UsageError, _on_refused)
    app.register_error_handler(DataError, _on_refused)
    app.register_error_handler(Exception, _on_unexpected)


def _on_http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error  # a redirection
    detail = _DETAILS.get(error.code, error.description or error.name)
    kept = ("Allow", "WWW-Authenticate", "Retry-After")
    headers = [(name, value) for name, value in error.get_headers() if name in kept]
    return problem(error.code, detail, headers=headers)


def _on_invalid(error: InvalidRequestError) -> Response:
    return problem(400, str(error), kind="invalid-request", errors=error.errors)


def _on_unknown(error: NotFoundError) -> Response:
    return problem(404, str(error), kind=f"unknown-{error.kind}")


def _on_no_model(error: ArtifactError) -> Response:
    return problem(503, str(error), kind="no-model", headers={"Retry-After": "10"})


def _on_no_store(error: StoreError) -> Response:
    return problem(503, str(error), kind="store-down", headers={"Retry-After": "5"})


def _on_forgotten(error: ForgottenError) -> Response:
    return problem(409, str(error), kind="forgotten-user")


def _on_refused(error: UsageError | DataError) -> Response:
    return problem(400, str(error), kind="invalid-request")


def _on_unexpected(error: Exception) -> Response:
    name = f"urn:uuid:{uuid.uuid4()}"
    current_app.logger.error("unexpected error %s", name, exc_info=error)
    return problem(500, "something went wrong here; the server's log says what", instance=name)
