"""Requests that come together: scored as one batch, and each answered as if it were alone."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from api import batching
from api.batching import Batches
from api.schemas import RecommendQuery
from recsys.errors import NotFoundError
from recsys.recommender import Recommendation, Recommender


class Counting(Recommender):
    """A recommender that remembers how many lists it was asked for at once."""

    def __init__(self, recommender: Recommender) -> None:
        super().__init__(recommender.artifact)
        self.asked: list[int] = []

    def recommend_many(self, users: Sequence[str], **options: Any) -> list[Recommendation]:
        self.asked.append(len(users))
        return super().recommend_many(users, **options)


def together(recommender: Recommender, *queries: dict[str, str]) -> list[Any]:
    """Answer queries as one worker does, and return each one's list or what it raised."""
    batches, found = Batches(), [None] * len(queries)

    def answer(place: int, query: RecommendQuery) -> None:
        try:
            found[place] = batching.recommend(recommender, query.user, query.arguments)
        except NotFoundError as error:
            found[place] = error

    for place, texts in enumerate(queries):
        query = RecommendQuery.model_validate_strings(texts)
        batches.start(lambda place=place, query=query: answer(place, query))
    batches.finish()
    return found


def test_one_batch_for_all_that_ask_alike(recommender: Recommender) -> None:
    counting = Counting(recommender)
    users = recommender.users.ids[:20]
    found = together(counting, *({"user": user} for user in users))
    assert counting.asked == [20]
    assert found == [recommender.recommend(user) for user in users]


def test_those_who_ask_for_something_else_are_apart(recommender: Recommender) -> None:
    counting = Counting(recommender)
    user, other = recommender.users.ids[:2]
    queries = [{"user": user}, {"user": user, "k": "3"}, {"user": other, "category": "garden"}]
    found = together(counting, *queries, *queries)
    assert sorted(counting.asked) == [2, 2, 2]
    assert found[:3] == found[3:]
    assert [len(each.items) for each in found[:2]] == [10, 3]


def test_one_who_is_refused_harms_nobody(recommender: Recommender) -> None:
    known = recommender.users.ids[0]
    queries = [{"user": user, "fallback": "none"} for user in (known, "nobody", known)]
    first, refused, last = together(recommender, *queries)
    assert first == last == recommender.recommend(known)
    assert isinstance(refused, NotFoundError)


def test_outside_a_worker_nothing_waits(recommender: Recommender) -> None:
    query = RecommendQuery.model_validate_strings({"user": recommender.users.ids[3]})
    found = batching.recommend(recommender, query.user, query.arguments)
    assert found == recommender.recommend(query.user)


PATHS = (
    *(f"/recommend?user=u{user:03}" for user in range(30)),
    *(f"/recommend?user=u{user:03}&k=3&category=garden" for user in range(5)),
    f"/recommend?user=u000&category={quote('Büro & Café')}",
    "/recommend?user=nobody",
    "/recommend?user=nobody&fallback=none",
    "/recommend?user=u001&k=0",
    "/recommend?user=u001&k=1000&include_seen=true",
    "/recommend?user=u001&why=true",
    "/recommend",
    "/similar?item=i5",
    "/healthz",
)


@contextmanager
def connected(server: str) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)) as connection:
        yield connection


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, Any]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_many_connections_at_once(server: str) -> None:
    with connected(server) as alone:
        expected = {path: ask(alone, path) for path in PATHS}
    assert {status for status, _ in expected.values()} == {200, 400, 404}
    wrong: list[str] = []

    def visit(first: int) -> None:
        with connected(server) as connection:
            for path in (*PATHS[first:], *PATHS[:first]):
                if ask(connection, path) != expected[path]:
                    wrong.append(path)

    visitors = [threading.Thread(target=visit, args=(first,)) for first in range(16)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert wrong == []


@pytest.fixture
def line(server: str) -> Iterator[socket.socket]:
    address = urlsplit(server)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        yield connection


REQUEST = b"GET /recommend?user=u001 HTTP/1.1\r\nHost: shop\r\n\r\n"


def answers(line: socket.socket, n: int) -> list[Any]:
    """Read n answers."""
    found = []
    with line.makefile("rb") as stream:
        for _ in range(n):
            assert stream.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (header := stream.readline()) != b"\r\n":
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            found.append(json.loads(stream.read(length)))
    return found


def test_a_request_that_comes_in_pieces(line: socket.socket) -> None:
    for byte in REQUEST[:12]:
        line.sendall(bytes([byte]))
        time.sleep(0.01)
    line.sendall(REQUEST[12:-1])
    time.sleep(0.1)
    line.sendall(REQUEST[-1:])
    assert answers(line, 1)[0]["user"] == "u001"


def test_requests_sent_ahead(line: socket.socket) -> None:
    line.sendall(3 * REQUEST)
    assert [answer["user"] for answer in answers(line, 3)] == 3 * ["u001"]
    line.sendall(REQUEST)
    assert answers(line, 1)[0]["user"] == "u001"


def test_a_body_that_nobody_asked_for(line: socket.socket) -> None:
    head = REQUEST[:-2] + b"Content-Length: 5\r\n\r\n"
    line.sendall(head)
    time.sleep(0.1)
    line.sendall(b"12345" + REQUEST)
    assert len(answers(line, 2)) == 2


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_connection_that_is_to_be_closed(line: socket.socket, version: bytes) -> None:
    head = REQUEST[:-2].replace(b"HTTP/1.1", version) + b"Connection: close\r\n\r\n"
    line.sendall(head)
    text = b""
    while piece := line.recv(65536):
        text += piece
    assert b"Connection: close" in text
    assert text.endswith(b"}\n")


def test_a_client_that_does_not_read(server: str, line: socket.socket) -> None:
    """Its answers wait in a thread; all others are served meanwhile."""
    long = b"GET /recommend?user=u001&k=1000&include_seen=true HTTP/1.1\r\nHost: shop\r\n\r\n"
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(40):
        line.sendall(long)
        time.sleep(0.002)
    with connected(server) as connection:
        assert ask(connection, "/recommend?user=u002")[0] == 200
    assert len(answers(line, 40)) == 40


def test_a_client_that_goes_away(server: str, line: socket.socket) -> None:
    line.sendall(REQUEST)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    line.close()
    with connected(server) as connection:
        assert ask(connection, "/healthz")[0] == 200


def test_a_quiet_connection_takes_no_thread(server: str) -> None:
    address = urlsplit(server)
    quiet = [socket.create_connection((address.hostname, address.port)) for _ in range(30)]
    began = time.monotonic()
    with connected(server) as connection:
        assert ask(connection, "/similar?item=i5")[0] == 200
    assert time.monotonic() - began < 4  # gunicorn's threads would wait 5 seconds for each
    for each in quiet:
        each.close()
