"""What Prometheus reads: right across worker processes, also when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from api import create_app, metrics
from recsys.store.store import open_store

Sample = tuple[str, tuple[tuple[str, str], ...]]


def read(text: str) -> dict[Sample, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrape:
    """All samples of one moment."""

    def __init__(self, text: str) -> None:
        self.samples = read(text)

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)


def scrape_app(app: Flask) -> Scrape:
    return Scrape(app.test_client().get("/metrics").text)


def scrape_server(url: str) -> Scrape:
    with urlopen(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Scrape(answer.read().decode())


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def app(models: Path, tmp_path: Path) -> Flask:
    return create_app({"models": models, "store": f"sqlite:///{tmp_path / 'store.db'}"})


def test_requests_are_counted_by_route_method_and_status(app: Flask) -> None:
    client, before = app.test_client(), scrape_app(app)
    for path in ("/recommend?user=u001", "/recommend?user=u002", "/recommend", "/no/such", "/n"):
        client.get(path)
    client.open("/recommend?user=u001", method="BREW")
    after = scrape_app(app)

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    total = "recsys_http_requests_total"
    assert more(total, route="/recommend", method="GET", status="200") == 2
    assert more(total, route="/recommend", method="GET", status="400") == 1
    assert more(total, route="(none)", method="GET", status="404") == 2
    assert more(total, route="(none)", method="other", status="405") == 1
    seconds = "recsys_http_request_seconds"
    assert more(f"{seconds}_count", route="/recommend", method="GET") == 3
    assert more(f"{seconds}_bucket", route="/recommend", method="GET", le="+Inf") == 3
    assert 0 < more(f"{seconds}_sum", route="/recommend", method="GET") < 10


def test_answers_are_counted_by_what_they_rest_on(app: Flask) -> None:
    client, before = app.test_client(), scrape_app(app)
    client.get("/recommend?user=u001")
    client.get("/recommend?user=nobody")
    client.post("/recommend", json={"history": ["i1"]})
    after = scrape_app(app)
    for basis, expected in (("history", 2), ("popular", 1)):
        name = "recsys_answers_total"
        assert after(name, basis=basis) - before(name, basis=basis) == expected


def test_events_on_unknown_items_are_counted(models: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    app, store = create_app({"models": models, "store": url}), open_store(url)
    headers = {"Authorization": f"Bearer {store.add_key('write')[0]}"}
    before = scrape_app(app)
    events = [{"id": item, "user": "u001", "item": item} for item in ("i1", "i2", "new", "newer")]
    answer = app.test_client().post("/events", json={"events": events}, headers=headers)
    assert answer.status_code == 200
    refused = app.test_client().post("/events", json={"events": [{}]}, headers=headers)
    assert refused.status_code == 400
    after = scrape_app(app)
    for name, expected in (("recsys_events_total", 4), ("recsys_events_unknown_item_total", 2)):
        assert after(name) - before(name) == expected
    store.close()


def test_the_store_s_time_and_failures_are_counted(app: Flask, tmp_path: Path) -> None:
    before = scrape_app(app)
    app.test_client().get("/recommend?user=u001")
    between = scrape_app(app)
    name = "recsys_store_seconds_count"
    assert between(name, operation="read") > before(name, operation="read")
    (tmp_path / "store.db").rename(tmp_path / "aside.db")
    app.test_client().get("/recommend?user=u001")
    after = scrape_app(app)
    assert after("recsys_store_failures_total") == between("recsys_store_failures_total") + 1


def test_batches_are_counted_by_size(app: Flask) -> None:
    before = scrape_app(app)
    metrics.batch_scored(3)
    after = scrape_app(app)
    name = "recsys_batch_size_bucket"
    assert after(name, le="2.0") - before(name, le="2.0") == 0
    assert after(name, le="4.0") - before(name, le="4.0") == 1


def test_the_model_and_its_age(app: Flask, models: Path) -> None:
    labels = {"model": "ease", "version": (models / "current").readlink().name}
    found = scrape_app(app)
    assert found("recsys_model_info", **labels) == 1
    assert 0 <= found("recsys_model_age_seconds") < 3600
    trained = found("recsys_model_trained_timestamp_seconds")
    assert abs(time.time() - trained - found("recsys_model_age_seconds")) < 5


def test_without_a_model_there_are_metrics_all_the_same(tmp_path: Path) -> None:
    answer = create_app({"models": tmp_path}).test_client().get("/metrics")
    assert answer.status_code == 200
    assert "recsys_model_info" not in answer.text


def test_they_need_a_key_where_reads_do(models: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    client = create_app({"models": models, "store": url, "read_keys": True}).test_client()
    assert client.get("/metrics").status_code == 401
    store = open_store(url)
    headers = {"Authorization": f"Bearer {store.add_key('read')[0]}"}
    assert client.get("/metrics", headers=headers).status_code == 200
    store.close()


def test_workers_count_together(models: Path, serving: Any, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    key, _ = store.add_key("write")
    flags = ("--workers", "2", "--store", f"sqlite:///{tmp_path / 'store.db'}")
    with serving(models, *flags) as running:
        version = (models / "current").readlink().name

        def alive() -> float:
            found = scrape_server(running.url)
            return found("recsys_model_workers", model="ease", version=version)

        def recommended() -> float:
            labels = {"route": "/recommend", "method": "GET", "status": "200"}
            return scrape_server(running.url)("recsys_http_requests_total", **labels)

        assert eventually(lambda: alive() == 2)
        for number in range(40):
            urlopen(f"{running.url}/recommend?user=u001").close()
            event = {"id": str(number), "user": "u001", "item": "i1" if number % 4 else "new"}
            urlopen(
                Request(
                    f"{running.url}/events",
                    json.dumps(event).encode(),
                    {"Authorization": f"Bearer {key}"},
                )
            ).close()
        # whichever worker answers
        assert {recommended() for _ in range(8)} == {40}
        found = scrape_server(running.url)
        assert (found("recsys_events_total"), found("recsys_events_unknown_item_total")) == (40, 10)
        dead = running.workers()[0]
        os.kill(dead, signal.SIGKILL)
        assert eventually(lambda: dead not in running.workers() and alive() == 2)
        assert {recommended() for _ in range(8)} == {40}  # what it counted is not lost
    store.close()
