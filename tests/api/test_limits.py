"""Limits on requests: per key, per address without one, counted by all workers together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from flask import Flask
from werkzeug.exceptions import TooManyRequests

from api import create_app
from api.limiting import RateLimit, caller_at
from recsys.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


def limited(models: Path, tmp_path: Path, **more: Any) -> Flask:
    # a name of its own for the folder, for the counts of all apps of a process lie together
    (tmp_path / "models").symlink_to(models)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    return create_app({"models": tmp_path / "models", "store": url, "rate_limit": 5, **more})


def statuses(app: Flask, times: int, **request: Any) -> list[int]:
    request.setdefault("path", "/recommend?user=u001")
    return [app.test_client().open(**request).status_code for _ in range(times)]


def test_too_many_from_an_address(models: Path, tmp_path: Path) -> None:
    app = limited(models, tmp_path)
    assert statuses(app, 7) == [200] * 5 + [429] * 2
    answer = app.test_client().get("/similar?item=i1")
    assert (answer.status_code, answer.mimetype) == (429, "application/problem+json")
    assert answer.get_json()["detail"].startswith("more than 5 requests a minute")
    assert 1 <= int(answer.headers["Retry-After"]) <= 12
    other = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert statuses(app, 1, **other) == [200]
    # neither a probe nor the page is refused
    assert {app.test_client().get(path).status_code for path in ("/healthz", "/readyz", "/")} == {
        200
    }


def test_each_key_has_a_limit_of_its_own(models: Path, tmp_path: Path, store: Store) -> None:
    app = limited(models, tmp_path)
    one, two = (f"Bearer {store.add_key('read')[0]}" for _ in range(2))
    assert statuses(app, 6, headers={"Authorization": one}) == [200] * 5 + [429]
    assert statuses(app, 5, headers={"Authorization": two}) == [200] * 5
    # made-up keys are no way around the limit
    made_up = [statuses(app, 1, headers={"Authorization": f"Bearer {n}"})[0] for n in range(6)]
    assert made_up == [200] * 5 + [429]


def test_guessing_keys_is_limited_too(models: Path, tmp_path: Path, store: Store) -> None:
    app = limited(models, tmp_path)
    store.add_key("write")
    request = {"path": "/events", "method": "POST", "data": b"{}"}
    guesses = [
        statuses(app, 1, headers={"Authorization": f"Bearer {n}"}, **request)[0] for n in range(7)
    ]
    assert guesses == [401] * 5 + [429] * 2


def test_behind_a_proxy_the_client_s_address_counts(models: Path, tmp_path: Path) -> None:
    app = limited(models, tmp_path, proxies=1)
    forged = "203.0.113.9, 198.51.100.1"
    assert statuses(app, 6, headers={"X-Forwarded-For": forged})[-1] == 429
    assert statuses(app, 1, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.2"}) == [200]


def test_without_proxies_the_header_is_not_believed(models: Path, tmp_path: Path) -> None:
    app = limited(models, tmp_path)
    found = [statuses(app, 1, headers={"X-Forwarded-For": f"10.0.0.{n}"})[0] for n in range(6)]
    assert found[-1] == 429


def refused(limit: RateLimit, caller: str) -> bool:
    """Return whether the caller is refused within fifty more requests."""
    try:
        for _ in range(50):
            limit.count(caller)
    except TooManyRequests:
        return True
    return False


def test_requests_come_back_one_by_one() -> None:
    limit = RateLimit(600, "one by one")
    for _ in range(600):
        limit.count("ann")
    assert refused(limit, "ann")
    time.sleep(0.25)
    limit.count("ann")
    limit.count("bob")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::1", None, False),
        ("", None, True),
    ],
)
def test_who_counts_as_one(one: str, other: str | None, same: bool) -> None:
    assert (caller_at(one) == caller_at(other)) is same


def test_workers_count_together(models: Path, tmp_path: Path, serving: Any) -> None:
    flags = ("--workers", "2", "--rate-limit", "30", "--store", f"sqlite:///{tmp_path / 's.db'}")
    with serving(models, *flags) as running:
        while len(running.workers()) < 2:
            time.sleep(0.05)
        found, start = [], time.monotonic()
        for _ in range(60):
            try:
                urlopen(f"{running.url}/recommend?user=u001").close()
            except HTTPError as error:
                found.append(error.code)
                error.close()
        came_back = (time.monotonic() - start) / 2
        assert set(found) == {429}
        assert 30 - came_back - 2 <= len(found) <= 30
