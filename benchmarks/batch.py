"""Measure `recsys campaign`, files in and out, against a bare product and top-k of the same shape.

    python benchmarks/batch.py [--items N,…] [--memory N,…] [--ray N] [--only speed|memory|ray|gpu]

Models are Mult-VAE 600-200 with weights as drawn at random; the audience is Parquet with an email,
lists have 100 items, parts are Parquet, nested. Commands run in processes of their own.

- *speed*: the whole command, from start to exit, for each size of the catalogue; in turns with
  *bare*, `torch.topk(torch.addmm(bias, hidden, weights), 100)` in batches of 256, float32, with as
  many threads. The third figure leaves out what the same command takes for 200 users.
- *memory*: the peak of what the command and all its processes hold (PSS: a shared page counts
  once), by the number of users, 20,000 items.
- *ray*: both engines in turns, 20,000 items, less what each takes for 200 users.
- *gpu*: scoring to indices with model and histories loaded, on a GPU if there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apart import FailedError, measured_apart
from drawn import publish_drawn

from recsys.artifacts import load_current
from recsys.cli import run
from recsys.files import write_json
from recsys.models.scoring import Scorer

_K, _WIDTH, _BATCH, _ON_DEVICE = 100, 600, 256, 4096
_USERS = {5_000: 100_000, 20_000: 60_000, 200_000: 8_000}
_FEW = 200
_LENGTHS = (5, 40)  # of histories

Found = dict[str, Any]


@click.command()
@click.option("--items", default="5000,20000,200000", show_default=True, help="Catalogue sizes.")
@click.option("--memory", default="100000,1000000", show_default=True, help="Audiences.")
@click.option("--ray", "ray_users", default=400_000, show_default=True, help="Audience.")
@click.option("--workers", default=len(os.sched_getaffinity(0)), show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--only", type=click.Choice(["speed", "memory", "ray", "gpu"]), multiple=True)
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Result.")
@click.option("--bare", type=int, hidden=True, help="Measure the yardstick in this process.")
def batch(
    *,
    items: str,
    memory: str,
    ray_users: int,
    workers: int,
    runs: int,
    only: Sequence[str],
    out: Path | None,
    bare: int | None,
) -> None:
    """Measure how many users a second a campaign gets through, and in how much memory."""
    if bare is not None:
        click.echo(json.dumps(_bare(bare, workers)))
        return
    parts = only or ("speed", "memory", "ray", "gpu")
    found: Found = {"workers": workers}
    if "speed" in parts:
        found["speed"] = {n: _speed(n, workers, runs) for n in map(int, items.split(","))}
    if "memory" in parts:
        found["memory"] = {n: _memory(n, workers) for n in map(int, memory.split(","))}
    if "ray" in parts:
        found["ray"] = _ray(ray_users, workers, runs)
    if "gpu" in parts:
        found["gpu"] = _gpu()
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    click.echo(f"{os.cpu_count()} cores, {workers} workers, load of the machine {load}")
    if out is not None:
        write_json(out, found)


def _speed(n_items: int, workers: int, runs: int) -> Found:
    n_users = _USERS.get(n_items, 20_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder, n_items, n_users)
        bare, whole, few = [], [], []
        for _ in range(runs):
            bare.append(measured_apart(__file__, "--bare", str(n_items), "--workers", str(workers)))
            few.append(_campaign(folder, "few", workers)[0])
            whole.append(_campaign(folder, "all", workers)[0])
    rates = [n_users / seconds for seconds in whole]
    scoring = [(n_users - _FEW) / (all_ - own) for all_, own in zip(whole, few, strict=True)]
    ratios = [rate / own for rate, own in zip(rates, bare, strict=True)]
    later = [rate / own for rate, own in zip(scoring, bare, strict=True)]
    click.echo(
        f"{n_items:>7,} items, {n_users:,} users: bare {statistics.median(bare):,.0f} users/s; "
        f"whole command {statistics.median(rates):,.0f}, × bare {_shown(ratios)}; "
        f"after start-up of {statistics.median(few):.1f} s {statistics.median(scoring):,.0f}, "
        f"× bare {_shown(later)}"
    )
    return {"users": n_users, "bare": bare, "seconds": whole, "few_seconds": few}


def _memory(n_users: int, workers: int) -> Found:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder, 20_000, n_users)
        seconds, peak = _campaign(folder, "all", workers, watched=True)
    click.echo(f"{n_users:>9,} users: peak {peak / 2**30:.2f} GiB, {seconds:,.0f} s")
    return {"peak_bytes": peak, "seconds": seconds}


def _ray(n_users: int, workers: int, runs: int) -> Found:
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder, 20_000, n_users)
        for _ in range(runs):
            for engine in ("local", "ray"):
                for audience in ("few", "all"):
                    took, _ = _campaign(folder, audience, workers, "--engine", engine)
                    seconds.setdefault(f"{engine} {audience}", []).append(took)
    own, others = (
        np.subtract(seconds[f"{engine} all"], seconds[f"{engine} few"]).tolist()
        for engine in ("local", "ray")
    )
    ratios = [one / other for one, other in zip(own, others, strict=True)]
    click.echo(
        f"{n_users:,} users: local {statistics.median(own):.1f} s after a start-up of "
        f"{statistics.median(seconds['local few']):.1f} s, Ray {statistics.median(others):.1f} s "
        f"after {statistics.median(seconds['ray few']):.1f} s; Ray × local {_shown(ratios)}"
    )
    return {"users": n_users, **seconds}


def _gpu() -> Found | None:
    import torch

    if not torch.cuda.is_available():
        click.echo("no GPU here: its figure is missing")
        return None
    with tempfile.TemporaryDirectory() as name:
        publish_drawn(Path(name), 20_000, 200_000, _LENGTHS)
        rate = _rate_on("cuda", Path(name))
    click.echo(f"{torch.cuda.get_device_name()}: {rate:,.0f} users/s to indices")
    return {"device": torch.cuda.get_device_name(), "users_per_second": rate}


def _rate_on(device: str, models: Path) -> float:
    """Return the users a second whose lists are made, model and histories in memory."""
    artifact = load_current(models)
    scorer = Scorer(artifact.model)
    scorer.prepare(device)
    histories = artifact.weighting.histories(artifact.interactions)
    parts = [part for _, part in histories.batches(_ON_DEVICE)]
    for some in (parts[:1], parts):  # the first makes the device ready
        start = perf_counter()
        for part in some:
            scorer.top(part, _K, barred=np.ones(part.matrix.nnz, np.bool_))
    return len(histories) / (perf_counter() - start)


def _make(folder: Path, n_items: int, n_users: int) -> None:
    """Publish a model and write audiences: all of its users, and a few."""
    publish_drawn(folder / "models", n_items, n_users, _LENGTHS)
    users = [f"user-{user}" for user in range(n_users)]
    table = pa.table({"user_id": users, "email": [f"{user}@example.org" for user in users]})
    pq.write_table(table, folder / "all.parquet")
    pq.write_table(table.slice(0, _FEW), folder / "few.parquet")


def _campaign(
    folder: Path, audience: str, workers: int, *flags: str, watched: bool = False
) -> tuple[float, int]:
    """Run the command; return its seconds and, if watched, the most bytes that were held."""
    size = ("--users-per-part", str(_FEW // workers)) if audience == "few" else ()
    command = [
        sys.executable, "-m", "recsys", "campaign", "--users", str(folder / f"{audience}.parquet"),
        "--models", str(folder / "models"), "--out", str(folder / "out"), "--k", str(_K),
        "--at", "2012-01-01", "--workers", str(workers), *size, *flags,
    ]  # fmt: skip
    start, peak = perf_counter(), _Peak()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        if watched:
            peak.watch(process.pid)
        _, said = process.communicate()
        seconds = perf_counter() - start
    peak.end()
    if process.returncode:
        raise FailedError(said.decode().strip().splitlines()[-1])
    manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
    if manifest["counts"]["sent"] != pq.read_metadata(folder / f"{audience}.parquet").num_rows:
        raise FailedError(f"not all were sent: {manifest['counts']}")
    shutil.rmtree(folder / "out")
    return seconds, peak.bytes


class _Peak:
    """Looks, five times a second, at what a process and all below it hold."""

    def __init__(self) -> None:
        self.bytes = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._look, args=(pid,))
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, pid: int) -> None:
        while not self._over.wait(0.2):
            self.bytes = max(self.bytes, sum(map(_held, _family(pid))))


def _family(pid: int) -> list[int]:
    """Return a process and all that it started, and those that they did."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [pid, *(one for child in text.split() for one in _family(int(child)))]


def _held(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _bare(n_items: int, threads: int, seconds: float = 6) -> float:
    """Return how many users a second a product and top-k get through."""
    import torch

    torch.set_num_threads(threads)
    rng = torch.Generator().manual_seed(1)
    weights = torch.randn(n_items, _WIDTH, generator=rng)
    bias, hidden = torch.zeros(n_items), torch.randn(_BATCH, _WIDTH, generator=rng)
    torch.topk(torch.addmm(bias, hidden, weights.T), _K)
    start, users = perf_counter(), 0
    while perf_counter() < start + seconds:
        torch.topk(torch.addmm(bias, hidden, weights.T), _K)
        users += _BATCH
    return users / (perf_counter() - start)


def _shown(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


if __name__ == "__main__":
    sys.exit(run(batch))
