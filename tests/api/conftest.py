from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from flask import Flask

from api import create_app
from recsys.artifacts import publish
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model
from recsys.recommender import Recommender

N_USERS, N_ITEMS = 120, 60
FIRST_DAY = 15_000  # 2011-01-26, in days since 1970
HOSTILE = (
    "Tin <img src=x onerror=\"window.hacked='yes'\"><script>window.hacked='yes'</script> & 'co'"
)


def shop(seed: int) -> Dataset:
    """Sixty items in three rooms; a user mostly buys in one of them. The last has no history."""
    rng = np.random.default_rng(seed)
    events = [
        (user, int(rng.integers(20)) * 3 + int(user % 3 if rng.random() < 0.8 else rng.integers(3)))
        for user in range(N_USERS - 1)
        for _ in range(int(rng.integers(3, 14)))
    ]
    users, items = np.array(events).T
    interactions = Interactions.from_events(
        users,
        items,
        shape=(N_USERS, N_ITEMS),
        times=(rng.integers(0, 300, len(events)) + FIRST_DAY) * MICROSECONDS_PER_DAY,
        values=np.ones(len(events), np.float32),
    )
    rooms = ("kitchen", "garden", "Büro & Café")
    titles = [f"{('Mug', 'Spade', 'Stapler')[item % 3]} number {item}" for item in range(N_ITEMS)]
    titles[0], titles[3] = HOSTILE, "Café crème jug"
    prices = np.round(rng.uniform(1, 9, N_ITEMS), 2)
    prices[3] = np.nan
    attributes = {
        "colour": [("dark, red", "dark, red", None)[item % 3] for item in range(N_ITEMS)],
        "size": [str(item % 5) for item in range(N_ITEMS)],
    }
    return Dataset(
        name="shop",
        source="generated",
        fingerprint="0" * 64,
        interactions=interactions,
        users=IdMap(f"u{user:03}" for user in range(N_USERS)),
        items=IdMap(["0042", *(f"i{item}" for item in range(1, N_ITEMS))]),
        catalogue=Catalogue(
            titles, [(rooms[item % 3],) for item in range(N_ITEMS)], prices, attributes
        ),
        weighting=Weighting(half_life_days=60),
    )


def _publish_shop(models: Path, name: str = "ease", seed: int = 7) -> str:
    dataset = shop(seed)
    histories = dataset.weighting.histories(dataset.interactions)
    return publish(models, make_model(name).fit(histories), dataset)


@pytest.fixture(scope="session")
def publish_shop() -> Callable[..., str]:
    """Return what fits a model on the generated shop, makes it current and returns its version."""
    return _publish_shop


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "models"
    _publish_shop(folder)
    return folder


@pytest.fixture(scope="session")
def recommender(models: Path) -> Recommender:
    return Recommender.open(models)


@pytest.fixture(scope="session")
def app(models: Path) -> Flask:
    return create_app({"models": models})


@dataclass(frozen=True)
class Answer:
    status: int
    mimetype: str
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


Ask = Callable[..., Answer]


@pytest.fixture(scope="session")
def ask(app: Flask) -> Ask:
    """Return what asks the app in this process: `ask(path, method="GET", body=None)`."""

    def ask_client(path: str, method: str = "GET", body: bytes | None = None) -> Answer:
        with app.test_client().open(path, method=method, data=body) as response:
            headers = dict(response.headers)
            return Answer(response.status_code, response.mimetype, headers, response.text)

    return ask_client


@pytest.fixture(scope="session")
def ask_server(server: str) -> Ask:
    """Return what asks the running server, in the same way."""

    def ask_over_http(path: str, method: str = "GET", body: bytes | None = None) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
        connection.putrequest(method, path, skip_accept_encoding=True)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        kind = response.headers.get_content_type()
        return Answer(response.status, kind, dict(response.headers), text)

    return ask_over_http


@pytest.fixture(scope="session")
def server(models: Path, serving: Any) -> Iterator[str]:
    """Yield the URL of `recsys serve` on a free port."""
    with serving(models) as running:
        yield running.url


@dataclass(frozen=True)
class Running:
    url: str
    process: subprocess.Popen[str]

    def workers(self) -> list[int]:
        """Return the ids of the worker processes."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if not listed.exists():
            pytest.skip("this system does not list a process's children")
        return [int(child) for child in listed.read_text().split()]

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Stop the server as a person or a supervisor would, and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=15)


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """Return a context manager that runs `recsys serve` for a folder of models.

    What the server logs goes to `log`, if one is named.
    """

    @contextmanager
    def run(models: Path, *flags: str, log: Path | None = None) -> Iterator[Running]:
        command = [
            *(sys.executable, "-m", "recsys", "serve", "--port", "0", "--workers", "1"),
            *("--models", str(models), *flags),
        ]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with (
            nullcontext() if log is None else log.open("w") as errors,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            ) as process,
        ):
            try:
                assert process.stdout is not None
                greeting = process.stdout.readline()
                found = re.search(r"http://[\w.:]+", greeting)
                assert found is not None, greeting
                yield Running(found[0], process)
            finally:
                process.terminate()
                process.wait(timeout=15)

    return run
