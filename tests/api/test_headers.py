"""Headers that tell browsers what they may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from api import create_app

SHOP, OTHER = "https://shop.example", "https://other.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/recommend?user=u001", "/recommend", "/nothing", "/metrics"]
)
def test_every_answer_is_closed_to_others(app: Flask, path: str) -> None:
    headers = app.test_client().get(path, headers={"Origin": OTHER}).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not [name for name in headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def shared(models: Path, *origins: str) -> Any:
    return create_app({"models": models, "cors_origins": origins}).test_client()


def test_a_site_that_is_named_may_read(models: Path) -> None:
    client = shared(models, SHOP)
    for path in ("/recommend?user=u001", "/nothing"):
        headers = client.get(path, headers={"Origin": SHOP}).headers
        assert headers["Access-Control-Allow-Origin"] == SHOP
        assert headers["Vary"] == "Origin"
    for origin in (OTHER, "null", f"{SHOP}.evil.example", "http://shop.example"):
        headers = client.get("/recommend?user=u001", headers={"Origin": origin}).headers
        assert "Access-Control-Allow-Origin" not in headers
        assert headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_site_may_ask_whether_it_may(models: Path) -> None:
    client = shared(models, SHOP)
    answer = client.options("/events", headers={"Origin": SHOP, **PREFLIGHT})
    assert answer.status_code == 200
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    refused = client.options("/events", headers={"Origin": OTHER, **PREFLIGHT})
    assert "Access-Control-Allow-Methods" not in refused.headers


def test_all_sites_may_read_where_it_is_said_so(models: Path) -> None:
    headers = shared(models, "*").get("/healthz", headers={"Origin": OTHER}).headers
    assert headers["Access-Control-Allow-Origin"] == "*"
