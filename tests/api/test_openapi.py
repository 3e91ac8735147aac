"""The description is valid, whole, and what requests and answers are held to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

OPERATIONS = {
    ("/recommend", "get"),
    ("/recommend", "post"),
    ("/similar", "get"),
    ("/explain", "get"),
    ("/items", "get"),
    ("/categories", "get"),
    ("/model", "get"),
    ("/items/{item}", "put"),
    ("/users/{user}", "delete"),
    ("/events", "post"),
    ("/admin/reload", "post"),
    ("/users", "get"),
    ("/history", "get"),
    ("/healthz", "get"),
    ("/readyz", "get"),
}


@pytest.fixture(scope="module")
def description(ask: Callable[..., Any]) -> Any:
    return ask("/openapi.json").json


def conforms(description: Any, schema: Any, value: Any) -> None:
    whole = {**schema, "components": description["components"]}
    errors = [error.message for error in Draft202012Validator(whole).iter_errors(value)]
    assert not errors, errors


def test_it_is_valid(description: Any) -> None:
    assert description["openapi"].startswith("3.1")
    validate(description)


def test_it_names_every_route(description: Any, app: Flask) -> None:
    found = {(path, method) for path, item in description["paths"].items() for method in item}
    assert found == OPERATIONS
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    described = {path.replace("{", "<path:").replace("}", ">") for path, _ in found}
    for_people_and_machines = {"/", "/docs", "/metrics", "/openapi.json", "/static/<path:filename>"}
    assert routes - described == for_people_and_machines


def test_every_operation_says_what_it_is_for(description: Any) -> None:
    for item in description["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert all(parameter["description"] for parameter in operation["parameters"])
            refusals = {status for status in operation["responses"] if status != "200"}
            assert {"400", "500"} <= refusals
            for status in refusals:
                assert list(operation["responses"][status]["content"]) == [
                    "application/problem+json"
                ]


def test_the_bounds_of_k_are_described(description: Any) -> None:
    parameters = {
        parameter["name"]: parameter
        for parameter in description["paths"]["/recommend"]["get"]["parameters"]
    }
    schema = parameters["k"]["schema"]
    assert (schema["minimum"], schema["maximum"], schema["default"]) == (1, 1000, 10)
    assert parameters["user"]["required"]
    assert not parameters["k"]["required"]


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/recommend?user=u001&k=3", "get", None),
        ("/recommend?user=u001&category=attic", "get", None),
        ("/recommend?user=u001&why=true", "get", None),
        ("/recommend?user=u001&attribute=shape:round&per_category=1", "get", None),
        ("/explain?user=u001&item=i1", "get", None),
        ("/explain?user=u001&item=none", "get", None),
        ("/recommend", "post", {"history": ["i1", {"item": "i2", "time": 5, "value": 1.5}]}),
        ("/similar?item=i1", "get", None),
        ("/items?q=cafe", "get", None),
        ("/users?q=1", "get", None),
        ("/history?user=u001", "get", None),
        ("/healthz", "get", None),
        ("/readyz", "get", None),
        ("/recommend", "get", None),
        ("/similar?item=none", "get", None),
        ("/recommend", "post", {"history": 5}),
    ],
)
def test_answers_conform(
    ask: Callable[..., Any], description: Any, path: str, method: str, body: Any
) -> None:
    answer = ask(path, method.upper(), None if body is None else json.dumps(body).encode())
    operation = description["paths"][path.partition("?")[0]][method]
    content = operation["responses"][str(answer.status)]["content"]
    conforms(description, content[answer.mimetype]["schema"], answer.json)


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"history": ["i1", {"item": "i2", "time": "2011-06-01", "value": None}]}, True),
        ({"history": ["i1"], "exclude": "i2,i3", "at": 1_300_000_000.5, "k": 1000}, True),
        ({"history": ["i1"], "exclude": ["i2"], "category": None, "fallback": "none"}, True),
        ({"history": [5]}, False),
        ({"history": ["i1"], "k": 1001}, False),
        ({"history": ["i1"], "k": "5"}, False),
        ({"history": ["i1"], "include_seen": 1}, False),
        ({"history": ["i1"], "why": True}, True),
        ({"history": ["i1"], "why": "yes"}, False),
        ({"history": ["i1"], "only": ["i2"], "attribute": "size:1", "diversity": 1}, True),
        ({"history": ["i1"], "only": "i2", "attribute": ["size:1", "size:..3"]}, True),
        ({"history": ["i1"], "min_price": 1, "max_price": None, "per_category": None}, True),
        ({"history": ["i1"], "only": [2]}, False),
        ({"history": ["i1"], "attribute": {"size": "1"}}, False),
        ({"history": ["i1"], "attribute": ["size"]}, False),
        ({"history": ["i1"], "min_price": "1"}, False),
        ({"history": ["i1"], "per_category": 0}, False),
        ({"history": ["i1"], "diversity": 1.1}, False),
        ({"history": [{"item": "i1", "value": "2"}]}, False),
        ({"history": ["i1"], "more": 1}, False),
    ],
)
def test_bodies_are_judged_as_described(
    ask: Callable[..., Any], description: Any, body: Any, good: bool
) -> None:
    operation = description["paths"]["/recommend"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": description["components"]}
    assert Draft202012Validator(whole).is_valid(body) is good
    assert (ask("/recommend", "POST", json.dumps(body).encode()).status == 200) is good
