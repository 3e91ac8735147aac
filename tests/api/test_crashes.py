"""A worker, or the whole server, is killed while events are written: none is lost or doubled."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from recsys.store.store import open_store


class Server:
    """`recsys serve` on one port, however often it is killed."""

    def __init__(self, models: Path, url: str, folder: Path) -> None:
        # what is killed cannot tidy up
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)}
        self._arguments = ["--models", str(models), "--store", url, "--workers", "2"]
        self.port = "0"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "recsys", "serve", "--port", self.port, *self._arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=self._environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        found = re.search(r":(\d+)/", self.process.stdout.readline())
        assert found is not None
        self.port = found[1]

    def kill_worker(self, rng: random.Random) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        if children.split():
            os.kill(int(rng.choice(children.split())), signal.SIGKILL)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(models: Path, url: str, folder: Path) -> Iterator[Server]:
    server = Server(models, url, folder)
    try:
        yield server
    finally:
        server.kill()


class Writer(threading.Thread):
    """Sends batches one after the other, each again until it is acknowledged."""

    def __init__(self, server: Server, key: str, name: str) -> None:
        super().__init__()
        self._server, self._key, self._name = server, key, name
        self.done = threading.Event()
        self.acknowledged: list[str] = []
        self.lost_answers = 0

    def run(self) -> None:
        number = 0
        while not self.done.is_set():
            ids = [f"{self._name}-{number}-{i}" for i in range(3)]
            if self._send(ids):
                self.acknowledged += ids
                number += 1
            else:
                self.lost_answers += 1
                time.sleep(0.02)

    def _send(self, ids: list[str]) -> bool:
        events = [{"id": name, "user": self._name, "item": name} for name in ids]
        connection = http.client.HTTPConnection("127.0.0.1", int(self._server.port), timeout=10)
        try:
            headers = {"Authorization": f"Bearer {self._key}"}
            connection.request("POST", "/events", json.dumps({"events": events}), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        assert response.status in (200, 503), answer
        return response.status == 200 and answer["accepted"] + answer["duplicates"] == len(ids)


def wait_for_more(writers: list[Writer]) -> None:
    """Wait until each writer's events are acknowledged once more: a busy machine takes its time."""
    before = [len(writer.acknowledged) for writer in writers]
    end = time.monotonic() + 60
    while any(len(w.acknowledged) == n for w, n in zip(writers, before, strict=True)):
        assert time.monotonic() < end
        time.sleep(0.02)


def kill_while_writing(models: Path, url: str, folder: Path, kills: int) -> None:
    rng = random.Random(kills)
    with closing(open_store(url)) as store:
        key, _ = store.add_key("write")
    with running(models, url, folder) as server:
        writers = [Writer(server, key, f"writer{n}") for n in range(3)]
        for writer in writers:
            writer.start()
        for kill in range(kills):
            wait_for_more(writers)
            time.sleep(rng.uniform(0, 0.3))
            if kill % 3:
                server.kill_worker(rng)
            else:
                server.kill()
                server.start()
        wait_for_more(writers)
        for writer in writers:
            writer.done.set()
        for writer in writers:
            writer.join(timeout=60)
    with closing(open_store(url)) as store:
        stored = [event.id for event in store.every_event()]
    acknowledged = [name for writer in writers for name in writer.acknowledged]
    assert len(acknowledged) > 3 * len(writers)
    assert sum(writer.lost_answers for writer in writers) > 0  # else nothing was killed in time
    assert len(stored) == len(set(stored))
    assert not set(acknowledged) - set(stored)
    # a batch is there whole or not at all
    assert len(stored) % 3 == 0


def test_a_few_kills(models: Path, url: str, tmp_path: Path) -> None:
    kill_while_writing(models, url, tmp_path, 4)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_kills(models: Path, url: str, tmp_path: Path) -> None:
    kill_while_writing(models, url, tmp_path, 100)
