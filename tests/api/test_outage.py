"""The database stops, or hangs, while gunicorn serves: reads go on, and it recovers by itself."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from databases import Postgres
from recsys.store.store import open_store

EVENT = b'{"id": "%d", "user": "u001", "item": "i1"}'


class Client:
    def __init__(self, url: str, key: str) -> None:
        self._netloc, self._key = urlsplit(url).netloc, key
        self._number = 0

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, Any, float, Any]:
        """Return status, answer, seconds and headers."""
        connection = http.client.HTTPConnection(self._netloc, timeout=30)
        start = time.monotonic()
        headers = {"Authorization": f"Bearer {self._key}"}
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer, time.monotonic() - start, response.headers

    def basis(self) -> Any:
        return self.ask("/recommend?user=u001")[1]["basis"]

    def write(self) -> tuple[int, Any, float, Any]:
        self._number += 1
        return self.ask("/events", EVENT % self._number)

    def becomes(self, basis: str, ready: int) -> bool:
        """Return whether reads soon rest on this, on all workers, and /readyz says so."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = {(self.basis(), self.ask("/readyz")[0]) for _ in range(6)}
            if found == {(basis, ready)}:
                return True
            time.sleep(0.2)
        return False


@contextmanager
def served(models: Path, serving: Any, url: str, folder: Path) -> Iterator[tuple[Client, Path]]:
    store = open_store(url)
    key, _ = store.add_key("write")
    store.close()
    log = folder / "log"
    with serving(models, "--workers", "2", "--store", url, log=log) as running:
        yield Client(running.url, key), log


def refused_for_now(answer: tuple[int, Any, float, Any]) -> bool:
    status, problem, _, headers = answer
    return (status, problem["type"], headers["Retry-After"]) == (
        503, "urn:recsys:problem:store-down", "5",
    )  # fmt: skip


def test_postgresql_stops_and_comes_back(
    models: Path, serving: Any, postgres: Postgres, tmp_path: Path
) -> None:
    with served(models, serving, postgres.new_database(), tmp_path) as (client, log):
        assert client.becomes("history", 200)
        assert client.write()[0] == 200
        postgres.stop()
        try:
            assert client.becomes("trained-history", 503)
            with ThreadPoolExecutor(8) as pool:
                asked = ["/recommend?user=u001", "/similar?item=i1", "/items", "/healthz"] * 8
                assert {status for status, *_ in pool.map(client.ask, asked)} == {200}
            for _ in range(4):
                assert refused_for_now(client.write())
            assert "password" not in json.dumps(client.write()[1])
        finally:
            postgres.start()
        assert client.becomes("history", 200)
        assert client.write()[1] == {"accepted": 1, "duplicates": 0}
        assert client.ask("/history?user=u001")[0] == 200
    assert "Traceback" not in log.read_text()


def test_postgresql_hangs(models: Path, serving: Any, postgres: Postgres, tmp_path: Path) -> None:
    with served(models, serving, postgres.new_database(), tmp_path) as (client, _):
        assert client.becomes("history", 200)
        with postgres.hanging(), ThreadPoolExecutor(8) as pool:
            first = list(pool.map(client.ask, ["/recommend?user=u001"] * 8))
            assert {answer["basis"] for _, answer, _, _ in first} == {"trained-history"}
            # that it hangs is found out once; from then on nobody waits
            start, waited = time.monotonic(), []
            while time.monotonic() < start + 3:
                waited += [each[2] for each in pool.map(client.ask, ["/items?q=mug"] * 8)]
            assert max(each[2] for each in first) < 12
            assert sorted(waited)[len(waited) // 2] < 1
            assert refused_for_now(client.write())
        assert client.becomes("history", 200)
        assert client.write()[0] == 200
