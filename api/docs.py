"""The API's reference for people: made here from the OpenAPI description, without scripts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, render_template

from api.openapi import describe
from api.problems import KINDS

docs = Blueprint("docs", __name__)

_Schema = dict[str, Any]


@docs.get("/docs")
def show() -> str:
    """Return the page."""
    description = describe(current_app)
    schemas = description["components"]["schemas"]
    return render_template(
        "docs.html",
        info=description["info"],
        operations=[
            _operation(path, method, said)
            for path, methods in description["paths"].items()
            for method, said in methods.items()
        ],
        problem_types=KINDS,
        schemas=[_model(name, schema) for name, schema in sorted(schemas.items())],
    )


def _operation(path: str, method: str, said: dict[str, Any]) -> dict[str, Any]:
    body = said.get("requestBody", {}).get("content", {}).get("application/json")
    return {
        "id": f"{method}-{said['operationId']}",
        "method": method.upper(),
        "path": path,
        "summary": said["summary"],
        "description": said.get("description", ""),
        "parameters": [
            _field(each["name"], each["schema"], each["required"], each.get("description", ""))
            for each in said["parameters"]
        ],
        "body": None if body is None else _in_words(body["schema"]),
        "key": {"key": []} in said.get("security", []),
        "key_optional": {} in said.get("security", []),
        "answer": _in_words(_schema(said["responses"]["200"])),
        "problem": _in_words({"$ref": "#/components/schemas/Problem"}),
        "refusals": [
            (status, answer["description"])
            for status, answer in said["responses"].items()
            if status != "200"
        ],
    }


def _schema(answer: dict[str, Any]) -> _Schema:
    (content,) = answer["content"].values()
    schema: _Schema = content["schema"]
    return schema


def _model(name: str, schema: _Schema) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        "name": name,
        "description": schema.get("description", ""),
        "kind": None if "properties" in schema else _in_words(schema),
        "fields": [
            _field(each, said, each in required, said.get("description", ""))
            for each, said in schema.get("properties", {}).items()
        ],
    }


def _field(name: str, schema: _Schema, required: bool, text: str) -> dict[str, Any]:
    default = schema.get("default")
    return {
        "name": name,
        "required": required,
        "kind": _in_words(schema),
        "default": None if default in (None, [], {}) else str(default).lower(),
        "text": text,
    }


def _in_words(schema: _Schema) -> list[tuple[str, str | None]]:
    """Return a schema in words, in pieces: each with the name of the model that it links to.

    `{"anyOf": [{"type": "integer", "minimum": 1}, {"$ref": …/Entry}]}` becomes `integer ≥ 1`,
    ` or `, `Entry`.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [(name, name)]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            pieces: list[tuple[str, str | None]] = []
            for each in schema[word]:
                found = _in_words(each)
                if all(piece not in pieces for piece in found):
                    pieces += [(" or ", None), *found]
            return pieces[1:]
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return [(" | ".join(f"“{value}”" for value in values), None)]
    if schema.get("type") == "array":
        return [("list of ", None), *_in_words(schema.get("items", {}))]
    if isinstance(schema.get("additionalProperties"), dict):
        return [("object of ", None), *_in_words(schema["additionalProperties"])]
    return [(schema.get("type", "anything") + _bounds(schema), None)]


def _bounds(schema: _Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least:,} to {most:,}"
    if least is not None:
        return f", at least {least:,}"
    if "maxLength" in schema:
        return f", at most {schema['maxLength']} characters"
    return ""
