"""Having a server look at its model again, rolling back, stopping: nobody's request is dropped."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from api import create_app
from recsys.store.store import open_store

Publish = Callable[..., str]


def reload(url: str, key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    with urlopen(Request(f"{url}/admin/reload", method="POST", headers=headers)) as answer:
        return json.load(answer)


@pytest.fixture
def key(tmp_path: Path) -> str:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    made, _ = store.add_key("write")
    store.close()
    return made


def test_it_needs_a_key_for_writing(models: Path, tmp_path: Path, key: str) -> None:
    client = create_app({"models": models, "store": f"sqlite:///{tmp_path / 'store.db'}"})
    post = client.test_client().post
    assert post("/admin/reload").status_code == 401
    headers = {"Authorization": f"Bearer {key}"}
    version = (models / "current").readlink().name
    assert post("/admin/reload", headers=headers).get_json() == {
        "model": "ease",
        "version": version,
    }


def test_a_model_that_was_mended_is_opened(tmp_path: Path, publish_shop: Publish, key: str) -> None:
    first = publish_shop(tmp_path, "popularity")
    client = create_app({"models": tmp_path}).test_client()
    headers = {"Authorization": f"Bearer {key}"}
    second = publish_shop(tmp_path, "ease")
    file = tmp_path / second / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"half")
    assert client.get("/readyz").get_json()["version"] == first
    refused = client.post("/admin/reload", headers=headers)
    assert (refused.status_code, refused.get_json()["type"]) == (503, "urn:recsys:problem:no-model")
    assert "model.safetensors" in refused.get_json()["detail"]
    assert client.get("/readyz").get_json()["version"] == first
    file.write_bytes(whole)
    assert client.get("/readyz").get_json()["version"] == first  # nobody said so
    assert client.post("/admin/reload", headers=headers).get_json()["version"] == second
    assert client.get("/readyz").get_json()["version"] == second


def ask(url: str, path: str = "/recommend?user=u001") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


class Clients:
    """Threads that ask without a pause, on connections that they keep."""

    def __init__(self, url: str, number: int) -> None:
        self._netloc, self._done = urlsplit(url).netloc, threading.Event()
        self.failures: list[str] = []
        self.versions: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._netloc, timeout=30)
        number = 0
        while not self._done.is_set():
            number += 1
            try:
                connection.request("GET", f"/recommend?user=u{number % 119:03}&k=5")
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if response.status != 200 or len(answer["items"]) != 5:
                self.failures.append(f"{response.status} {answer}")
            else:
                self.versions.append(answer["version"])
        connection.close()


def resident(pid: int) -> int:
    """Return a process's own memory in bytes, files that it maps left out."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) * 1024


def replace_while_asked(
    tmp_path: Path, publish: Publish, serving: Any, key: str, *, rounds: int, pause: float
) -> None:
    published = [publish(tmp_path, "ease", 0)]
    with serving(tmp_path, "--workers", "2") as running, Clients(running.url, 64) as clients:
        early: list[int] = []
        for number in range(rounds):
            time.sleep(pause)
            if number % 3 == 2:
                command = [sys.executable, "-m", "recsys", "models", "roll-back"]
                subprocess.run(
                    [*command, "--models", str(tmp_path)], check=True, capture_output=True
                )
                version = (tmp_path / "current").readlink().name
            else:
                version = publish(tmp_path, ("ease", "popularity")[number % 2], number)
                published.append(version)
            assert reload(running.url, key)["version"] == version
            if number == min(2, rounds - 1):
                early = [resident(pid) for pid in running.workers()]
        time.sleep(pause)
        assert {ask(running.url)[1]["version"] for _ in range(8)} == {version}
        late = [resident(pid) for pid in running.workers()]
    assert clients.failures == []
    assert set(clients.versions) <= set(published)
    assert len(set(clients.versions)) > 1
    assert max(late) < max(early) + 48 * 2**20


def test_models_are_replaced_and_rolled_back_while_64_ask(
    tmp_path: Path, publish_shop: Publish, serving: Any, key: str
) -> None:
    replace_while_asked(tmp_path, publish_shop, serving, key, rounds=3, pause=1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_models_are_replaced_for_two_minutes(
    tmp_path: Path, publish_shop: Publish, serving: Any, key: str
) -> None:
    replace_while_asked(tmp_path, publish_shop, serving, key, rounds=12, pause=10)


def test_a_request_under_way_ends_before_the_server_does(
    models: Path, tmp_path: Path, serving: Any
) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with serving(models, "--store", store) as running:
        assert ask(running.url, "/readyz")[0] == 200
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
        body = b'{"history": ["i1"], "k": 3}'
        connection.putrequest("POST", "/recommend")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.5)  # a worker waits for the rest
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.send(body[5:])
        response = connection.getresponse()
        assert (response.status, len(json.loads(response.read())["items"])) == (200, 3)
        connection.close()
        assert running.process.wait(timeout=15) == 0
