"""Requests that cannot be meant: problem details with a 4xx, in this process and over HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import create_app

MIB = 2**20

BAD_GETS = [
    # path, status, what the detail names
    ("/recommend", 400, "user: is missing"),
    ("/recommend?user=", 400, "user"),
    ("/recommend?user=u001&k=0", 400, "k:"),
    ("/recommend?user=u001&k=1001", 400, "1000"),
    ("/recommend?user=u001&k=-1", 400, "k:"),
    ("/recommend?user=u001&k=abc", 400, "k:"),
    ("/recommend?user=u001&k=", 400, "k:"),
    ("/recommend?user=u001&k=1.5", 400, "k:"),
    ("/recommend?user=u001&k=NaN", 400, "k:"),
    ("/recommend?user=u001&k=1000000000", 400, "k:"),
    ("/recommend?user=u001&k=" + "9" * 5000, 400, "k:"),
    ("/recommend?user=u001&k=%00", 400, "k:"),
    ("/recommend?user=u001&kk=5", 400, "kk: is unknown"),
    ("/recommend?user=u001&%00%ff=5", 400, "is unknown"),
    ("/recommend?user=u001&user=u002", 400, "user: is given twice"),
    ("/recommend?user=u001&k=3&k=3", 400, "k: is given twice"),
    ("/recommend?user=u001&include_seen=maybe", 400, "include_seen"),
    ("/recommend?user=u001&fallback=random", 400, "fallback"),
    ("/recommend?user=u001&at=yesterday", 400, "ISO 8601"),
    ("/recommend?user=u001&at=nan", 400, "at:"),
    ("/recommend?user=u001&at=1e300", 400, "at:"),
    ("/recommend?user=u001&at=99999999999999", 400, "at:"),
    ("/recommend?user=nobody&fallback=none", 404, "unknown user 'nobody'"),
    ("/similar", 400, "item: is missing"),
    ("/similar?item=none", 404, "unknown item 'none'"),
    ("/similar?item=%00", 404, "unknown item"),
    ("/similar?item=0042&k=1001", 400, "k:"),
    ("/similar?item=0042&user=u001", 400, "user: is unknown"),
    ("/explain?user=u001", 400, "item: is missing"),
    ("/explain?item=i1", 400, "user: is missing"),
    ("/explain?user=nobody&item=i1", 404, "unknown user 'nobody'"),
    ("/explain?user=u001&item=none", 404, "unknown item 'none'"),
    ("/recommend?user=u001&why=perhaps", 400, "why:"),
    ("/recommend?user=u001&min_price=5&max_price=4", 400, "min_price is 5"),
    ("/recommend?user=u001&min_price=nan", 400, "min_price:"),
    ("/recommend?user=u001&max_price=inf", 400, "max_price:"),
    ("/recommend?user=u001&max_price=", 400, "max_price:"),
    ("/recommend?user=u001&min_price=1&min_price=1", 400, "min_price: is given twice"),
    ("/recommend?user=u001&attribute=colour", 400, "NAME:VALUE"),
    ("/recommend?user=u001&attribute=size:1&attribute=size:3..2", 400, "attribute.1:"),
    ("/recommend?user=u001&per_category=0", 400, "per_category:"),
    ("/recommend?user=u001&diversity=1.01", 400, "diversity:"),
    ("/recommend?user=u001&diversity=nan", 400, "diversity:"),
    ("/items?query=tea", 400, "query: is unknown; there are q, limit"),
    ("/items?q=tea&limit=0", 400, "limit:"),
    ("/items?q=tea&q=pot", 400, "q: is given twice"),
    ("/users?limit=101", 400, "limit:"),
    ("/history", 400, "user: is missing"),
    ("/history?user=nobody", 404, "unknown user 'nobody'"),
    ("/healthz?verbose=1", 400, "verbose: is unknown"),
    ("/readyz?x", 400, "x: is unknown"),
    ("/nothing", 404, "openapi.json"),
    ("/static/nothing.js", 404, "nothing at this address"),
    ("/static/../app.py", 404, "nothing at this address"),
    ("/static/%2e%2e/app.py", 404, "nothing at this address"),
    ("/recommend/", 404, "nothing at this address"),
]

BAD_BODIES = [
    (b"", "Invalid JSON"),
    (b"{", "Invalid JSON"),
    (b"history=i1", "Invalid JSON"),
    (b"\xff\xfe", "Invalid JSON"),
    (b"\x00", "Invalid JSON"),
    (b"[" * 100_000, "Invalid JSON"),
    (b'{"history": ["\\ud800"]}', "Invalid JSON"),
    (b'{"history": ["i1"], "k": %s}' % (b"9" * 5000), "Invalid JSON"),
    (b"[]", "object"),
    (b"null", "object"),
    (b'"i1"', "object"),
    (b"NaN", "object"),
    (b"{}", "give a history"),
    (b'{"k": 5}', "give a history"),
    (b'{"user": null}', "give a history"),
    (b'{"user": ""}', "user:"),
    (b'{"user": 12347}', "user:"),
    (b'{"history": "i1"}', "history:"),
    (b'{"history": {"item": "i1"}}', "history:"),
    (b'{"history": [1]}', "history.0:"),
    (b'{"history": [null]}', "history.0:"),
    (b'{"history": [["i1"]]}', "history.0:"),
    (b'{"history": [""]}', "history.0.item:"),
    (b'{"history": ["i1", {}]}', "history.1.item: is missing"),
    (b'{"history": [{"item": 5}]}', "history.0.item:"),
    (b'{"history": [{"item": "i1", "when": 5}]}', "history.0.when: is unknown"),
    (b'{"history": [{"item": "i1", "value": NaN}]}', "history.0.value:"),
    (b'{"history": [{"item": "i1", "value": Infinity}]}', "history.0.value:"),
    (b'{"history": [{"item": "i1", "value": 1e300}]}', "history.0.value:"),
    (b'{"history": [{"item": "i1", "value": "2"}]}', "history.0.value:"),
    (b'{"history": [{"item": "i1", "value": true}]}', "history.0.value:"),
    (b'{"history": [{"item": "i1", "time": NaN}]}', "history.0.time:"),
    (b'{"history": [{"item": "i1", "time": 1e18}]}', "history.0.time:"),
    (b'{"history": [{"item": "i1", "time": "soon"}]}', "history.0.time:"),
    (b'{"history": [{"item": "i1", "time": true}]}', "history.0.time:"),
    (b'{"history": ["i1"], "k": NaN}', "k:"),
    (b'{"history": ["i1"], "k": 0}', "k:"),
    (b'{"history": ["i1"], "k": "5"}', "k:"),
    (b'{"history": ["i1"], "k": 5.5}', "k:"),
    (b'{"history": ["i1"], "k": true}', "k:"),
    (b'{"history": ["i1"], "include_seen": "yes"}', "include_seen:"),
    (b'{"history": ["i1"], "include_seen": 1}', "include_seen:"),
    (b'{"history": ["i1"], "fallback": "random"}', "fallback:"),
    (b'{"history": ["i1"], "exclude": [1]}', "exclude.0:"),
    (b'{"history": ["i1"], "exclude": {"i1": 1}}', "exclude:"),
    (b'{"history": ["i1"], "category": ["garden"]}', "category:"),
    (b'{"history": ["i1"], "at": [2011]}', "at:"),
    (b'{"history": ["i1"], "only": [5]}', "only.0:"),
    (b'{"history": ["i1"], "attribute": 5}', "attribute:"),
    (b'{"history": ["i1"], "attribute": [null]}', "attribute.0:"),
    (b'{"history": ["i1"], "attribute": ["x"]}', "NAME:VALUE"),
    (b'{"history": ["i1"], "min_price": NaN}', "min_price:"),
    (b'{"history": ["i1"], "max_price": "5"}', "max_price:"),
    (b'{"history": ["i1"], "per_category": 1.5}', "per_category:"),
    (b'{"history": ["i1"], "diversity": "much"}', "diversity:"),
    (b'{"history": ["i1"], "why": 1}', "why:"),
    (b'{"history": ["i1"], "basket": []}', "basket: is unknown"),
]


def refused(answer: Any, status: int) -> Any:
    """Check that an answer is problem details of this status, and return them."""
    assert (answer.status, answer.mimetype) == (status, "application/problem+json"), answer.text
    problem = answer.json
    assert {"type", "title", "status", "detail"} <= set(problem)
    assert problem["status"] == status
    assert "Traceback" not in answer.text
    return problem


@pytest.fixture(params=["ask", "ask_server"])
def asked(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("path", "status", "said"), BAD_GETS, ids=lambda value: str(value)[:50])
def test_get(asked: Callable[..., Any], path: str, status: int, said: str) -> None:
    assert said in refused(asked(path), status)["detail"]


@pytest.mark.parametrize(("body", "said"), BAD_BODIES, ids=lambda value: str(value)[:50])
def test_post(asked: Callable[..., Any], body: bytes, said: str) -> None:
    problem = refused(asked("/recommend", "POST", body), 400)
    assert said in problem["detail"]
    assert problem["errors"]


def test_chunks_make_a_body(server: str) -> None:
    body = b'11\r\n{"history":["i1"]\r\n6\r\n,"k":3\r\n1\r\n}\r\n0\r\n\r\n'
    status, response = raw(server, CHUNKED + body)
    assert (status, response.count(b'"rank"')) == (200, 3)


def test_post_of_an_unknown_item(asked: Callable[..., Any]) -> None:
    problem = refused(asked("/recommend", "POST", b'{"history": ["i1", "none"]}'), 404)
    assert problem["detail"] == "unknown item 'none'"
    assert problem["type"] == "urn:recsys:problem:unknown-item"


def test_an_option_in_query_and_body(asked: Callable[..., Any]) -> None:
    answer = asked("/recommend?k=3", "POST", b'{"history": ["i1"], "k": 3}')
    assert "k: is given in query and body" in refused(answer, 400)["detail"]
    answer = asked("/recommend?user=u001", "POST", b'{"history": ["i1"]}')
    assert "user: is unknown" in refused(answer, 400)["detail"]


@pytest.mark.parametrize(
    ("path", "method"), [("/recommend", "DELETE"), ("/similar", "POST"), ("/", "PUT")]
)
def test_other_methods(asked: Callable[..., Any], path: str, method: str) -> None:
    answer = asked(path, method, b"")
    refused(answer, 405)
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB, 20 * MIB])
@pytest.mark.parametrize("path", ["/recommend", "/nothing"])
def test_a_large_body(asked: Callable[..., Any], path: str, size: int) -> None:
    assert str(MIB) in refused(asked(path, "POST", b"x" * size), 413)["detail"]


def test_the_largest_body_is_read(asked: Callable[..., Any]) -> None:
    body = json.dumps({"history": ["i1"], "k": 2}).encode().ljust(MIB)
    assert asked("/recommend", "POST", body).status == 200


def test_a_body_of_many_wrong_entries_is_refused_at_the_first(ask: Callable[..., Any]) -> None:
    body = b'{"history": [' + b"1," * 500_000 + b"1]}"
    assert len(refused(ask("/recommend", "POST", body), 400)["errors"]) == 1


def test_a_detail_stays_short(ask: Callable[..., Any]) -> None:
    for path in (f"/recommend?user=u001&{'x' * 100_000}=1", f"/similar?item={'x' * 100_000}"):
        assert len(ask(path).text) < 1000


def test_an_unexpected_error_is_told_to_the_log_alone(
    models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app({"models": models})

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("the secret")

    response = app.test_client().get("/broken")
    assert (response.status_code, response.mimetype) == (500, "application/problem+json")
    assert "secret" not in response.text
    assert response.get_json()["instance"] in caplog.text
    assert "the secret" in caplog.text  # with the traceback


# --- junk ---

TEXT = st.text(max_size=20)
RULES = ["min_price", "max_price", "attribute", "only", "per_category", "diversity", "why"]
NAMES = st.sampled_from(
    ["user", "item", "k", "category", "exclude", "include_seen", "fallback", "at", "q", *RULES]
)
PATHS = st.sampled_from(
    ["/recommend", "/similar", "/explain", "/items", "/users", "/history", "/readyz", "/"]
)
QUERIES = st.lists(st.tuples(NAMES | TEXT, TEXT | st.sampled_from(["u001", "i1", "5"])), max_size=4)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | TEXT
    | st.sampled_from(["i1", "u001"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXT, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode())
FIELDS = st.sampled_from(["history", "k", "user", "exclude", "at", "category", *RULES])
NEAR_MISSES = st.dictionaries(FIELDS, JSON, max_size=4).map(
    lambda value: json.dumps(value).encode()
)


def fine(status: int, mimetype: str) -> bool:
    """Whether this is an answer, or a refusal in the one form."""
    return status < 400 or (status < 500 and mimetype == "application/problem+json")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=PATHS, query=QUERIES)
def test_junk_in_the_query(ask: Callable[..., Any], path: str, query: list[Any]) -> None:
    text = "&".join(
        f"{quote(name, errors='replace')}={quote(value, errors='replace')}" for name, value in query
    )
    answer = ask(f"{path}?{text}")
    assert fine(answer.status, answer.mimetype), answer.text


@settings(deadline=None)
@given(body=BODIES | NEAR_MISSES)
def test_junk_in_the_body(ask: Callable[..., Any], body: bytes) -> None:
    answer = ask("/recommend", "POST", body)
    assert fine(answer.status, answer.mimetype), answer.text


def raw(url: str, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are and return the status and the whole response; 0 for a closed door."""
    response = b""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=20) as wire:
        with suppress(OSError):  # the server may hang up early
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while piece := wire.recv(65536):
                response += piece
    return int(response.split(b" ", 2)[1]) if response.startswith(b"HTTP/1.1 ") else 0, response


GET, POST = b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST /recommend HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ON_THE_WIRE = {
    "long line": (b"GET /recommend?user=" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "query of a MiB": (b"GET /users?q=" + b"x" * MIB + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "long header": (GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    "many headers": (GET + b"X: y\r\n" * 200 + b"\r\n", 431),
    "no HTTP": (b"HELLO\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "HTTP of the future": (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    "unknown coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "negative length": (POST + b"Content-Length: -5\r\n\r\n", 400),
    "short body": (POST + b"Content-Length: 9\r\n\r\n{}", 400),
    "bad chunk": (CHUNKED + b"zz\r\n{}\r\n", 400),
    "half a chunk": (CHUNKED + b"10\r\n{", 400),
    "large chunks": (CHUNKED + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 17 + b"0\r\n\r\n", 413),
    "chunks of many MiB": (CHUNKED + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 200, 413),
}


@pytest.mark.parametrize("case", ON_THE_WIRE)
def test_bytes_that_are_hardly_http(server: str, case: str) -> None:
    request, status = ON_THE_WIRE[case]
    found, response = raw(server, request)
    assert found == status, response[:500]
    assert b"application/problem+json" in response
    assert json.loads(response.partition(b"\r\n\r\n")[2])["status"] == found


@settings(deadline=None, max_examples=60)
@given(line=st.binary(max_size=40))
def test_junk_on_the_wire(server: str, line: bytes) -> None:
    status, response = raw(server, b"GET /items?q=" + line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status < 500, response


def test_the_server_is_still_well(server: str, app: Flask) -> None:
    status, response = raw(server, b"GET /recommend?user=u001 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status == 200
    expected = app.test_client().get("/recommend?user=u001").get_data()
    assert response.partition(b"\r\n\r\n")[2] == expected
