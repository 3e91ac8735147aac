"""Writing through the API: events, items, forgetting, and who may."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from api import create_app
from databases import Postgres
from recsys.recommender import Recommender
from recsys.store.live import LiveRecommender
from recsys.store.store import open_store

Publish = Callable[..., str]


class Shop:
    """One app with its store, and a client that has a key for writing."""

    def __init__(self, models: Path, url: str, **config: Any) -> None:
        self.url, self.store = url, open_store(url)
        self.key, _ = self.store.add_key("write", "test")
        self._apps: list[Flask] = []
        self.client = self.another_process(models, **config)

    def another_process(self, models: Path, **config: Any) -> FlaskClient:
        """Return a client of another app, which shares nothing but the database."""
        self._apps.append(create_app({"models": models, "store": self.url, **config}))
        return self._apps[-1].test_client()

    def close(self) -> None:
        for store in (self.store, *(app.extensions["recsys"].store for app in self._apps)):
            store.close()

    def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        return self.client.open(
            path,
            method=method,
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key if key is None else key}"},
        )

    def post(self, body: Any) -> Any:
        return self.send("POST", "/events", body)

    def items(self, user: str, k: int = 10) -> list[str]:
        answer = self.client.get(f"/recommend?user={user}&k={k}").get_json()
        return [line["item"] for line in answer["items"]]


@pytest.fixture
def shop(models: Path, url: str) -> Iterator[Shop]:
    shop = Shop(models, url)
    yield shop
    shop.close()


@pytest.fixture
def sqlite_shop(models: Path, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(models, f"sqlite:///{tmp_path / 'store.db'}")
    yield shop
    shop.close()


def test_an_event_counts_in_the_next_answer_of_every_process(shop: Shop, models: Path) -> None:
    other = shop.another_process(models)
    best = shop.items("u001")[0]
    answer = shop.post({"id": "1", "user": "u001", "item": best})
    assert (answer.status_code, answer.get_json()) == (200, {"accepted": 1, "duplicates": 0})
    again = [{"id": "1", "user": "u001", "item": best}, {"id": "2", "user": "zoe", "item": "i4"}]
    assert shop.post({"events": again}).get_json() == {"accepted": 1, "duplicates": 1}
    assert best not in shop.items("u001", 60)
    for path in ("/recommend?user=u001&k=60", "/history?user=u001", "/recommend?user=zoe"):
        assert other.get(path).get_json() == shop.client.get(path).get_json()
    assert other.get("/recommend?user=zoe").get_json()["basis"] == "history"
    assert shop.post({"id": "3", "user": "u001", "item": best, "type": "remove"}).status_code == 200
    assert shop.items("u001")[0] == best


def test_an_unknown_item_is_kept(sqlite_shop: Shop) -> None:
    event = {"id": "1", "user": "u001", "item": "brand-new", "time": "2011-12-01", "value": 2.5}
    assert sqlite_shop.post(event).get_json()["accepted"] == 1
    history = sqlite_shop.client.get("/history?user=u001").get_json()["items"]
    assert history[0] == {
        "item": "brand-new", "title": "brand-new", "times": 1, "last": "2011-12-01T00:00:00Z"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Input should be an object"),
        (5, "Input should be an object"),
        ({}, "event.id: is missing"),
        ({"id": "1", "user": "u"}, "event.item: is missing"),
        ({"id": "1", "user": "u", "item": "i", "more": 1}, "there are id, user, item, time"),
        ({"id": 1, "user": "u", "item": "i"}, "event.id"),
        ({"id": "", "user": "u", "item": "i"}, "event.id"),
        ({"id": "x" * 201, "user": "u", "item": "i"}, "event.id"),
        ({"id": "1", "user": " u", "item": "i"}, "white space"),
        ({"id": "1", "user": "u\0", "item": "i"}, "control characters"),
        ({"id": "1", "user": "u", "item": "i", "type": "buy"}, "event.type"),
        ({"id": "1", "user": "u", "item": "i", "value": "2"}, "event.value"),
        ({"id": "1", "user": "u", "item": "i", "value": 1e300}, "event.value"),
        ({"id": "1", "user": "u", "item": "i", "time": "soon"}, "event.time"),
        ({"id": "1", "user": "u", "item": "i", "time": "2200-01-01"}, "a day to come"),
        ({"events": 5}, "batch.events"),
        ({"events": [{"id": "1", "user": "u", "item": "i"}, {}]}, "batch.events.1.id: is missing"),
        ({"events": [], "id": "1"}, "is unknown"),
        (b"\xff", "Invalid JSON"),
        (b'{"id": "\\ud800", "user": "u", "item": "i"}', "Invalid JSON"),
    ],
)
def test_events_that_cannot_be_meant(sqlite_shop: Shop, body: Any, message: str) -> None:
    answer = sqlite_shop.post(body)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert message in answer.get_json()["detail"]
    assert sqlite_shop.store.counts()["events"] == 0


def test_nobody_writes_without_a_key(models: Path, tmp_path: Path) -> None:
    shop = Shop(models, f"sqlite:///{tmp_path / 'store.db'}")
    read, kept = shop.store.add_key("read")
    event = {"id": "1", "user": "u001", "item": "i1"}
    writes = [("POST", "/events", event), ("PUT", "/items/i1", {}), ("DELETE", "/users/u9", None)]
    for method, path, body in writes:
        plain = shop.client.open(path, method=method, json=body)
        assert plain.status_code == 401
        assert plain.headers["WWW-Authenticate"].startswith("Bearer")
        assert shop.send(method, path, body, key="wrong").status_code == 401
        assert shop.send(method, path, body, key=read).status_code == 403
        assert (
            shop.client.open(path, method=method, headers={"Authorization": "Basic x"}).status_code
            == 401
        )
        assert shop.send(method, path, body).status_code == 200
    assert shop.client.get("/recommend?user=u001").status_code == 200  # reads need none
    kept_keys = shop.store.keys()
    for key in kept_keys:
        shop.store.remove_key(key.id)
    refused = shop.post(event)
    assert refused.status_code == 401
    assert "recsys keys add --scope write" in refused.get_json()["detail"]
    assert kept.scope == "read"


def test_reads_may_need_a_key(models: Path, tmp_path: Path) -> None:
    shop = Shop(models, f"sqlite:///{tmp_path / 'store.db'}", read_keys=True)
    read, _ = shop.store.add_key("read")
    path = "/recommend?user=u001"
    assert shop.client.get(path).status_code == 401
    assert shop.send("GET", path, key=read).status_code == 200
    assert shop.send("GET", path).status_code == 200  # write includes read
    for open_path in ("/healthz", "/readyz", "/openapi.json"):
        assert shop.client.get(open_path).status_code == 200


def test_items_change_at_run_time(shop: Shop) -> None:
    best = shop.items("u001")[0]
    answer = shop.send("PUT", f"/items/{best}", {"blocked": True, "attributes": {"size": 42}})
    assert answer.get_json() == {
        "item": best, "title": None, "category": None, "price": None,
        "attributes": {"size": "42"}, "in_stock": True, "blocked": True,
    }  # fmt: skip
    assert best not in shop.items("u001", 60)
    changes = {"blocked": False, "title": "Better", "category": "kitchen|sale", "price": 2}
    assert shop.send("PUT", f"/items/{best}", changes).get_json()["category"] == ["kitchen", "sale"]
    assert shop.items("u001")[0] == best
    (found,) = shop.client.get("/items?q=better").get_json()["items"]
    assert found == {
        "item": best, "title": "Better", "category": ["kitchen", "sale"], "price": 2.0
    }  # fmt: skip
    sale = shop.client.get("/recommend?user=u002&category=sale").get_json()["items"]
    assert [line["item"] for line in sale] == [best]
    assert shop.send("PUT", "/items/a//b/c", {"title": "odd"}).get_json()["item"] == "a//b/c"


@pytest.mark.parametrize(
    "body",
    [{"stock": 1}, {"blocked": 1}, {"in_stock": None}, {"price": -1}, {"category": ["a|b"]}, []],
)
def test_item_changes_that_cannot_be_meant(sqlite_shop: Shop, body: Any) -> None:
    assert sqlite_shop.send("PUT", "/items/i1", body).status_code == 400
    assert sqlite_shop.store.items() == []


def test_a_person_is_forgotten(shop: Shop, models: Path) -> None:
    shop.post({"id": "1", "user": "u003", "item": "i4"})
    answer = shop.send("DELETE", "/users/u003")
    version = (models / "current").readlink().name
    assert answer.get_json() == {"user": "u003", "events": 1, "sends": 0, "artifacts": [version]}
    assert shop.client.get("/recommend?user=u003").get_json()["basis"] == "popular"
    assert shop.client.get("/history?user=u003").status_code == 404
    late = shop.post({"id": "2", "user": "u003", "item": "i4"})
    assert (late.status_code, late.get_json()["type"]) == (409, "urn:recsys:problem:forgotten-user")
    assert shop.send("DELETE", "/users/nobody").get_json()["artifacts"] == []


def test_while_the_file_is_away(sqlite_shop: Shop, models: Path, tmp_path: Path) -> None:
    shop, event = sqlite_shop, {"id": "1", "user": "u001", "item": "i1"}
    assert shop.client.get("/readyz").status_code == 200
    aside = (tmp_path / "store.db").rename(tmp_path / "aside")
    for _ in range(2):
        assert shop.client.get("/recommend?user=u001").get_json()["basis"] == "trained-history"
        refused = shop.post(event)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert shop.client.get("/readyz").status_code == 503
    assert shop.client.get("/healthz").status_code == 200
    # a worker that starts meanwhile comes up, too
    other = create_app({"models": models, "store": "postgresql://me@127.0.0.1:1/shop"})
    answer = other.test_client().get("/recommend?user=u001").get_json()
    assert answer["basis"] == "trained-history"
    aside.rename(tmp_path / "store.db")
    assert shop.client.get("/readyz").status_code == 200
    assert shop.post(event).get_json()["accepted"] == 1


def test_postgresql_stops_and_starts(models: Path, postgres: Postgres) -> None:
    shop, event = Shop(models, postgres.new_database()), {"id": "1", "user": "u001", "item": "i1"}
    assert shop.client.get("/recommend?user=u001").get_json()["basis"] == "history"
    postgres.stop()
    try:
        assert shop.client.get("/recommend?user=u001").get_json()["basis"] == "trained-history"
        refused = shop.post(event)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.get_json()["type"] == "urn:recsys:problem:store-down"
        assert shop.client.get("/readyz").status_code == 503
    finally:
        postgres.start()
    ended = threading.Event()
    for _ in range(100):
        if shop.client.get("/readyz").status_code == 200:
            break
        ended.wait(0.1)
    assert shop.post(event).get_json()["accepted"] == 1
    assert shop.client.get("/recommend?user=u001").get_json()["basis"] == "history"
    shop.close()


def test_the_same_list_by_every_way(shop: Shop, models: Path, recommender: Recommender) -> None:
    users = ["u001", "zoe"]
    shop.post({"events": [
        {"id": f"{user}-{item}", "user": user, "item": item}
        for user in ("u001", "zoe") for item in ("i4", "i9")
    ]})  # fmt: skip
    batch = LiveRecommender(recommender, shop.store)
    for user, listed in zip(users, batch.recommend_many(users, k=5), strict=True):
        by_api = shop.client.get(f"/recommend?user={user}&k=5").get_json()
        flags = ["--user", user, "--k", "5", "--models", str(models), "--store", shop.url]
        command = [sys.executable, "-m", "recsys", "recommend", *flags, "--json"]
        by_command = json.loads(subprocess.check_output(command))
        for answer in (by_api, by_command):
            assert answer["basis"] == listed.basis
            assert [line["item"] for line in answer["items"]] == [
                line.item for line in listed.items
            ]
    assert batch.recommend("u001") != recommender.recommend("u001")


_texts = st.text(max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_event = st.fixed_dictionaries(
    {"id": _texts | _json, "user": _texts | _json, "item": _texts | _json},
    optional={"time": _json, "value": _json, "type": st.sampled_from(["add", "remove"]) | _json},
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_event | st.fixed_dictionaries({"events": st.lists(_event, max_size=3)}) | _json)
def test_hostile_events(sqlite_shop: Shop, body: Any) -> None:
    description = sqlite_shop.client.get("/openapi.json").get_json()
    answer = sqlite_shop.post(body)
    assert answer.status_code in (200, 400)
    content = description["paths"]["/events"]["post"]["responses"][str(answer.status_code)]
    schema = content["content"][answer.mimetype]["schema"]
    whole = {**schema, "components": description["components"]}
    Draft202012Validator(whole).validate(answer.get_json())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(item=_texts, body=_json)
def test_hostile_items_and_users(sqlite_shop: Shop, item: str, body: Any) -> None:
    for method, place in (("PUT", "items"), ("DELETE", "users")):
        answer = sqlite_shop.send(
            method, f"/{place}/{quote(item, safe='', errors='replace')}", body
        )
        assert answer.status_code in (200, 400, 404, 405), answer.text
