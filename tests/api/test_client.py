"""The Python client, against the real server."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.client import Added, ApiError, Client, Event
from recsys.errors import RecsysError, UsageError
from recsys.recommender import HistoryEntry, Recommender, Rules
from recsys.store.live import default_url
from recsys.store.store import open_store


@pytest.fixture(scope="module")
def live(publish_shop: Any, serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server of its own, which may be written to: its URL and a key."""
    models = tmp_path_factory.mktemp("client") / "models"
    publish_shop(models)
    store = open_store(default_url(models))
    key, _ = store.add_key("write", "client")
    store.close()
    with serving(models) as running:
        yield running.url, key


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    with Client(server) as opened:
        yield opened


def rank_of(line: Any) -> tuple[int, str, str]:
    return line.rank, line.item, line.title


def test_lists_are_those_of_the_recommender(client: Client, recommender: Recommender) -> None:
    found = client.recommend("u001", k=5, category="garden", exclude=["i1"], why=True)
    rules = Rules(category="garden", exclude=frozenset(["i1"]))
    expected = recommender.recommend("u001", k=5, rules=rules, why=True)
    for line, wanted in zip(found.items, expected.items, strict=True):
        assert (line.rank, line.item, line.title, line.new) == (*rank_of(wanted), False)
        assert line.score == pytest.approx(wanted.score, rel=1e-5)
        assert [each.item for each in line.because] == [each.item for each in wanted.because]
    assert (found.model, found.version, found.basis) == ("ease", recommender.version, "history")
    moment = datetime(2011, 6, 1, tzinfo=UTC)
    basket = client.recommend_basket(["i3", "i8"], at=moment, max_price=5.5, newcomers=1)
    assert basket.user is None
    at = int(moment.timestamp()) * 1_000_000
    entries = [HistoryEntry("i3"), HistoryEntry("i8")]
    rules = Rules(max_price=5.5, newcomers=1)
    expected = recommender.recommend_basket(entries, at=at, rules=rules)
    assert [line.item for line in basket.items] == [line.item for line in expected.items]
    similar = client.similar("i3", k=4)
    assert [each.item for each in similar] == [each.item for each in recommender.similar("i3", k=4)]


def test_items_and_reasons(client: Client, recommender: Recommender) -> None:
    (found,) = client.items("cafe creme")
    assert (found.item, found.category, found.price) == ("i3", ("kitchen",), None)
    explained = client.explain("u001", "i3")
    expected = recommender.explain("u001", "i3")
    for each, wanted in zip(explained.because, expected.because, strict=True):
        assert (each.item, each.title) == (wanted.item, wanted.title)
        assert each.contribution == pytest.approx(wanted.contribution, abs=1e-6)


def test_writing(live: tuple[str, str]) -> None:
    url, key = live
    with Client(url, key=key) as shop:
        best = shop.recommend("u001", k=1).items[0].item
        event = Event("client-1", "u001", best, datetime(2012, 1, 1, tzinfo=UTC), value=2.0)
        assert shop.add_events([event, Event("client-2", "u/2 ü", "brand new")]) == Added(2, 0)
        assert shop.add_events([event]) == Added(0, 1)
        assert best not in [each.item for each in shop.recommend("u001", k=50).items]
        stored = shop.put_item("a/new ü", title="A cup", category=["kitchen"], in_stock=False)
        assert (stored.item, stored.category, stored.price) == ("a/new ü", ("kitchen",), None)
        assert shop.put_item("a/new ü", title=None).title is None
        forgotten = shop.forget("u/2 ü")
        assert (forgotten.user, forgotten.events, forgotten.artifacts) == ("u/2 ü", 1, ())


def test_a_refusal_carries_the_problem(client: Client) -> None:
    with pytest.raises(ApiError, match="404: unknown item 'none'") as caught:
        client.similar("none")
    assert isinstance(caught.value, RecsysError)
    assert (caught.value.status, caught.value.title) == (404, "Not Found")
    assert caught.value.type == "urn:recsys:problem:unknown-item"
    with pytest.raises(ApiError) as caught:
        client.recommend("u001", k=5000)
    assert caught.value.status == 400
    assert caught.value.errors[0]["field"] == "k"
    with pytest.raises(ApiError) as caught:
        client.add_events([Event("1", "u001", "i3")])
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "", "ftp://a", "http://", "http://a:b", "http://["]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="give http"):
        Client(url)
    with pytest.raises(UsageError, match="key"):
        Client("http://127.0.0.1", key="two\nlines")


def test_threads_share_a_client(client: Client) -> None:
    users = [f"u{number:03}" for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(client.recommend, users))
    assert [each.user for each in found] == users


class _Script(http.server.BaseHTTPRequestHandler):
    """Answers with what stands in `answers`, one after the other, and keeps what was asked."""

    protocol_version = "HTTP/1.1"
    answers: list[tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, int]]

    def do_GET(self) -> None:
        status, headers, body = type(self).answers.pop(0)
        type(self).asked.append((self.path, self.client_address[1]))
        if not status:  # gone, in the middle of it
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = headers.get("X-Then") == "close"

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002


@contextmanager
def scripted(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[Any]]]:
    handler = type("Script", (_Script,), {"answers": list(answers), "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


FOUND = (200, {}, b'{"item": "a", "items": [], "more": 1}')
LATER = (503, {"Retry-After": "0"}, b'{"detail": "not now", "title": "x", "type": "t"}')
GONE: tuple[int, dict[str, str], bytes] = (0, {}, b"")


def test_what_may_pass_is_tried_again() -> None:
    with scripted(LATER, LATER, FOUND) as (url, asked), Client(url) as client:
        assert client.similar("a") == ()
        assert len({port for _, port in asked}) == 1  # one connection, kept open
    with scripted(LATER, FOUND) as (url, asked), Client(url, retries=0) as client:
        with pytest.raises(ApiError, match="503: not now"):
            client.similar("a")
        assert len(asked) == 1
    refused = (404, {}, b'{"detail": "no"}')
    with scripted(refused, FOUND) as (url, asked), Client(url) as client:
        with pytest.raises(ApiError, match="404: no"):
            client.similar("a")
        assert len(asked) == 1


def test_a_connection_that_was_closed_is_opened_anew() -> None:
    closing = (200, {"X-Then": "close"}, FOUND[2])
    with scripted(closing, FOUND, FOUND) as (url, asked), Client(url, retries=0) as client:
        assert client.similar("a") == client.similar("a") == client.similar("a") == ()
        assert len({port for _, port in asked}) == 2
    with scripted(GONE) as (url, _), Client(url, retries=0) as client:
        with pytest.raises(ApiError, match="does not answer") as caught:
            client.similar("a")
        assert caught.value.status is None


def test_what_is_no_api_is_named() -> None:
    page = (200, {}, b"<html>")
    with scripted(page, (500, {}, b"Oops\nmore")) as (url, _), Client(url) as client:
        with pytest.raises(ApiError, match="not JSON"):
            client.similar("a")
        with pytest.raises(ApiError, match=r"^500: Oops$"):
            client.similar("a")


def test_it_is_light() -> None:
    heavy = ("numpy", "scipy", "pydantic", "torch", "flask", "sqlalchemy")
    code = f"import sys, recsys.client; print([name for name in {heavy} if name in sys.modules])"
    folder = Path(__file__).parents[2]
    told = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=folder)
    assert told == "[]\n"
