"""The OpenAPI description, made from the routes and the models that validate them."""

from __future__ import annotations

import re
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.operations import Operation, rendered
from api.problems import PROBLEM, Problem
from recsys import __version__

_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_REFERENCE = "#/components/schemas/{model}"

openapi = Blueprint("openapi", __name__)


@openapi.get("/openapi.json")
def description() -> Response:
    """Return the OpenAPI 3.1 description of the API."""
    return rendered(describe(current_app))


def describe(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of an app's routes that are an `Operation`."""
    paths: dict[str, dict[str, Any]] = {}
    used: set[tuple[type[BaseModel], JsonSchemaMode]] = {(Problem, "serialization")}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        operation = getattr(view, "operation", None)
        if not isinstance(operation, Operation):
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            name = rule.endpoint.rpartition(".")[2]
            described = _described(operation, name, view.__doc__ or "")
            path = _CONVERTER.sub(r"{\1}", rule.rule)
            paths.setdefault(path, {})[method.lower()] = described
        used.add((operation.answer, "serialization"))
        if operation.body is not None:
            used.add((operation.body, "validation"))
    _, schemas = models_json_schema(sorted(used, key=str), ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "recsys",
            "version": __version__,
            "description": "Recommendations for users, for histories given outright, for items.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `recsys keys add`. Reads need one where the server "
                    "was started so.",
                }
            },
        },
    }


def _described(operation: Operation, name: str, documentation: str) -> dict[str, Any]:
    summary, _, rest = cleandoc(documentation).partition("\n")
    described: dict[str, Any] = {
        "operationId": name,
        "summary": summary.rstrip("."),
        "parameters": [
            *(_parameters(operation.path, "path") if operation.path is not None else []),
            *_parameters(operation.query, "query"),
        ],
        "responses": {"200": _content(operation.answer, "application/json", summary)},
    }
    if rest.strip():
        described["description"] = " ".join(rest.split())
    if operation.scope is not None:
        # no key at all is one of the ways to read
        described["security"] = [{"key": []}] if operation.scope == "write" else [{}, {"key": []}]
    if operation.body is not None:
        body = _content(operation.body, "application/json", operation.body.__doc__ or "")
        described["requestBody"] = {**body, "required": True}
    keyed = () if operation.scope is None else (401, 403, 429)
    for status in sorted({400, *keyed, *operation.problems, 500}):
        phrase = HTTPStatus(status).phrase
        described["responses"][str(status)] = _content(Problem, PROBLEM, phrase)
    return described


def _content(model: type[BaseModel], mimetype: str, text: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"description": text, "content": {mimetype: {"schema": schema}}}


def _parameters(given: type[BaseModel], place: str) -> list[dict[str, Any]]:
    schema = given.model_json_schema(ref_template=_REFERENCE)
    required, fields = schema.get("required", []), schema["properties"]
    return [_parameter(name, field, place, name in required) for name, field in fields.items()]


def _parameter(name: str, field: dict[str, Any], place: str, required: bool) -> dict[str, Any]:
    text = field.pop("description", "")
    parameter = {"name": name, "in": place, "required": required, "schema": field}
    return {**parameter, "description": text} if text else parameter
