"""Requests made up by machines, on every route: refused or answered, never a 5xx."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api import create_app
from recsys.store.store import open_store

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def app_and_key(models: Path, folder: Path) -> tuple[Flask, str]:
    url = f"sqlite:///{folder / 'store.db'}"
    store = open_store(url)
    key, _ = store.add_key("write")
    store.close()
    return create_app({"models": models, "store": url}), key


@pytest.fixture(scope="module")
def open_app(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, str]:
    return app_and_key(models, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def described(open_app: tuple[Flask, str]) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", open_app[0])


def send(case: Case, key: str) -> None:
    """Send a made-up request with a good key, so that it gets as far as it can."""
    response = case.call(headers={"Authorization": f"Bearer {key}"})
    case.validate_response(response, checks=CHECKS)


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_answers_are_as_described(case: Case, open_app: tuple[Flask, str]) -> None:
    send(case, open_app[1])


# --- requests that no description has ---

WORDS = [
    "", "u001", "i1", "0042", "nobody", "5", "-1", "0", "1e309", "NaN", "null", "true", "[]", "{}",
    "' OR 1=1 --", '"; DROP TABLE events; --', "%00", "\x00", "\ud800", "🙂" * 40,
    "../../etc/passwd",
    "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "a" * 5000, "9" * 400, "\r\nX: y",
    "kitchen", "garden", "popular", "colour:red", "size:..3", "2011-06-01", "292277026596-12-04",
]  # fmt: skip
NAMES = [
    "user", "item", "k", "category", "exclude", "only", "attribute", "min_price", "max_price",
    "per_category", "diversity", "include_seen", "fallback", "at", "why", "q", "limit", "history",
    "events", "id", "time", "value", "type", "title", "price", "attributes", "in_stock", "blocked",
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW"]
HEADERS = [
    "Accept", "Accept-Encoding", "Authorization", "Content-Type", "Content-Encoding", "Cookie",
    "Host", "If-None-Match", "Origin", "Range", "X-Forwarded-For", "X-HTTP-Method-Override",
    "X-Request-ID", "Transfer-Encoding",
]  # fmt: skip


def junk(rng: random.Random, depth: int = 0) -> Any:
    """Return a JSON value that may be near to what is meant."""
    kind = rng.randrange(8 if depth < 3 else 5)
    if kind < 3:
        return rng.choice(WORDS)
    if kind == 3:
        return rng.choice([None, True, 0, -1, 1e308, 2**70, float("nan"), float("inf"), 1.5])
    if kind == 4:
        return "".join(rng.choices(string.printable, k=rng.randrange(30)))
    if kind == 5:
        return [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice([*NAMES, *WORDS]): junk(rng, depth + 1) for _ in range(rng.randrange(5))}


def quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def hostile(rng: random.Random, route: str, methods: list[str], key: str) -> dict[str, Any]:
    """Return a request for the route as Flask's test client takes it."""
    path = "/".join(
        quoted(rng.choice(WORDS) or "x") if part.startswith("<") else part
        for part in route.split("/")
    )
    pairs = [(rng.choice([*NAMES, *WORDS]), rng.choice(WORDS)) for _ in range(rng.randrange(5))]
    query = "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs)
    body = rng.choice(
        [
            b"",
            rng.randbytes(rng.randrange(200)),
            json.dumps(junk(rng)).encode(),
            json.dumps({"history": junk(rng), "events": junk(rng)}).encode(),
            b"[" * rng.randrange(2000),
            b"x" * rng.randrange(2**20 + 10),
        ]
    )
    values = [value.replace("\r", "").replace("\n", "") for value in WORDS]
    headers = {
        name: rng.choice(values).encode("latin-1", "replace").decode("latin-1")
        for name in rng.sample(HEADERS, rng.randrange(4))
    }
    if rng.random() < 0.7:
        headers["Authorization"] = f"Bearer {key}"
    return {
        "path": f"{path}?{query}",
        "method": rng.choice(methods if rng.random() < 0.7 else METHODS),
        "data": body,
        "headers": headers,
    }


def routes(app: Flask) -> Iterator[tuple[str, list[str]]]:
    for rule in app.url_map.iter_rules():
        yield rule.rule, sorted(rule.methods or [])


def bombard(models: Path, folder: Path, each: int) -> None:
    app, key = app_and_key(models, folder)
    client, seen = app.test_client(), set()
    for route, methods in routes(app):
        rng = random.Random(f"{route} {methods}")
        for _ in range(each):
            request = hostile(rng, route, methods, key)
            with client.open(**request) as answer:
                status, kind, text = answer.status_code, answer.mimetype, answer.text
            seen.add(status)
            assert status < 500, (request, text[:500])
            assert "Traceback" not in text
            if status >= 400 and request["method"] != "HEAD":
                assert kind == "application/problem+json", (request, text[:500])
                assert len(text) < 20_000
    assert {200, 400, 401, 404, 405} <= seen
    assert client.get("/recommend?user=u001").status_code == 200


def test_a_hundred_hostile_requests_on_every_route(models: Path, tmp_path: Path) -> None:
    bombard(models, tmp_path, 100)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_hostile_requests_on_every_route(models: Path, tmp_path: Path) -> None:
    bombard(models, tmp_path, 1000)
