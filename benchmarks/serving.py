"""Measure `recsys serve` against an empty and a plain view, with a load generator beside them.

    python benchmarks/serving.py [--quick] [--items N,…] [--no-shop] [--json F] [--markdown F]

wrk (Debian: apt-get install wrk) asks for the lists of random users over 1, 8 and 64 connections.
The three servers stand side by side, one of them busy at a time, turn by turn; shown are medians
of the runs, and ratios to the yardsticks of the same run.

- *empty*: a Flask view that returns `ok`, and *plain*: one that adds up the first layer's rows and
  multiplies the decoder with a vector, in float32 (`yardsticks.py`); each under gunicorn's sync
  worker, two processes, no access log, in the environment that `recsys serve` gives itself.
- *ours*: `recsys serve` with two workers and no access log, Mult-VAE 600-200, its weights as drawn
  at random; each request reads the user's events from a store in SQLite, and nothing is cached.
- *shop*: the same for what `recsys train` makes of data/online-retail by default; there is no plain
  view of that model.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import click
import numpy as np
from apart import FailedError, output_of
from drawn import publish_drawn

from recsys.artifacts import load_current
from recsys.cli import run
from recsys.cli.serve import ENVIRONMENT
from recsys.files import write_json
from recsys.store.events import Event, pieces
from recsys.store.live import default_url
from recsys.store.store import open_store

_HERE = Path(__file__).parent
_CONNECTIONS = (1, 8, 64)
_USERS, _STORED = 20_000, 10  # users, and how many events of each the store has

Figures = dict[str, float]


@click.command()
@click.option("--items", default="5000,20000,200000", show_default=True, help="Catalogue sizes.")
@click.option("--shop/--no-shop", default=True, help="Whether to measure the default model too.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seconds", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--quick", is_flag=True, help="20,000 items, one run of 3 seconds.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Result.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Its table.")
def serving(
    *,
    items: str,
    shop: bool,
    runs: int,
    seconds: int,
    quick: bool,
    out: Path | None,
    markdown: Path | None,
) -> None:
    """Measure what the server answers a second, and how soon."""
    if shutil.which("wrk") is None:
        raise FailedError("wrk is not there: apt-get install wrk, or build it from its source")
    if quick:
        items, shop, runs, seconds = "20000", False, 1, 3
    kinds = [f"{int(n)}" for n in items.split(",") if n] + (["shop"] if shop else [])
    found: dict[str, dict[str, list[Figures]]] = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            models = Path(folder) / "models"
            _make(models, kind)
            found[kind] = _measured(models, kind, runs, seconds)
        click.echo(_table({kind: found[kind]}))
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    click.echo(f"{os.cpu_count()} cores, {runs} runs of {seconds} s, load of the machine {load}")
    if out is not None:
        write_json(out, {"runs": runs, "seconds": seconds, "found": found})
    if markdown is not None:
        markdown.write_text(_table(found), encoding="utf-8")


def _make(models: Path, kind: str) -> None:
    """Publish a model, and give its store some events of each user."""
    if kind == "shop":
        data = _HERE.parent / "data" / "online-retail"
        output_of(
            [sys.executable, "-m", "recsys", "train", "--data", str(data), "--out", str(models)]
        )
    else:
        publish_drawn(models, int(kind), _USERS)
    artifact, rng = load_current(models), np.random.default_rng(2)
    store = open_store(default_url(models))
    users = artifact.users.ids[:_USERS]
    items = rng.integers(len(artifact.items), size=(len(users), _STORED)).tolist()
    events = (
        Event(f"{user}-{place}", user, artifact.items[item])
        for user, own in zip(users, items, strict=True)
        for place, item in enumerate(own)
    )
    for some in pieces(events, 10_000):
        store.add_events(some)
    store.close()
    (models / "users.txt").write_text("\n".join(users), encoding="utf-8")


def _measured(models: Path, kind: str, runs: int, seconds: int) -> dict[str, list[Figures]]:
    """Return of each server and number of connections, "ours 64", the figures of each run."""
    python = sys.executable
    gunicorn = [python, "-m", "gunicorn", "-k", "sync", "-w", "2", "--log-level", "warning", "-b"]
    commands = {"empty": [*gunicorn, "127.0.0.1:{port}", "yardsticks:empty"]}
    if kind != "shop":
        commands["plain"] = [*gunicorn, "127.0.0.1:{port}", f"yardsticks:plain({str(models)!r})"]
    commands["ours"] = [python, "-m", "recsys", "serve", "--workers", "2", "--port", "{port}"]
    commands["ours"] += ["--models", str(models)]
    found: dict[str, list[Figures]] = {}
    users = models / "users.txt"
    with ExitStack() as stack:
        urls = {name: stack.enter_context(_running(each, users)) for name, each in commands.items()}
        for url in urls.values():
            _load(url, users, 8, 1)
        for _ in range(runs):
            for connections in _CONNECTIONS:
                for name, url in urls.items():
                    figures = _load(url, users, connections, seconds)
                    found.setdefault(f"{name} {connections}", []).append(figures)
    return found


@contextmanager
def _running(command: Sequence[str], users: Path) -> Iterator[str]:
    """Run a server on a free port; yield its URL once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    filled = [part.replace("{port}", str(port)) for part in command]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(_HERE)}
    first = users.read_text(encoding="utf-8").split("\n", 1)[0]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(filled, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    with urlopen(f"{url}/recommend?user={first}") as answer:
                        answer.read()
                    break
                except OSError:
                    if server.poll() is not None:
                        raise FailedError(f"{' '.join(filled)} ended") from None
                    time.sleep(0.1)
            yield url
        finally:
            server.terminate()
            server.wait()


def _load(url: str, users: Path, connections: int, seconds: int) -> Figures:
    """Ask for lists over so many connections, and return what wrk counted."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "20s"]
    command += ["-s", str(_HERE / "wrk.lua"), url]
    environment = {**os.environ, "USERS": str(users)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stderr)
    if figures["failed"]:
        raise FailedError(f"{figures['failed']:.0f} requests of {url} failed")
    return figures


def _table(found: dict[str, dict[str, list[Figures]]]) -> str:
    """Return the medians as a Markdown table."""
    lines = [
        "| items | connections | server | requests/s | p50 ms | p99 ms | × empty | × plain "
        "| p50 × plain |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, cases in found.items():
        for case, runs in cases.items():
            server, connections = case.split()
            cells = [kind if kind == "shop" else f"{int(kind):,}", connections, server]
            rate, p50, p99 = (
                statistics.median(each[name] for each in runs)
                for name in ("requests_per_second", "p50_ms", "p99_ms")
            )
            cells += [f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}"]
            for other, name in (
                ("empty", "requests_per_second"),
                ("plain", "requests_per_second"),
                ("plain", "p50_ms"),
            ):
                cells.append(_ratio(runs, cases.get(f"{other} {connections}"), name))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _ratio(runs: list[Figures], others: list[Figures] | None, name: str) -> str:
    """Return the median of one over the other, within each run."""
    if others is None or others is runs:
        return ""
    ratios = [own[name] / other[name] for own, other in zip(runs, others, strict=True)]
    return f"{statistics.median(ratios):.2f}"


if __name__ == "__main__":
    sys.exit(run(serving))
