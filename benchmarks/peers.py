"""Time RecBole's MultiVAE and MultiDAE and Cornac's VAECF against ours: same data, same sizes.

    python benchmarks/peers.py [--epochs 100] [--rounds 2] [--threads 2] [--json OUT]

The data is the training part of the bundled shop's strong split, or made up. Each library runs in
processes of its own, RecBole and Cornac in environments that are made when needed, with the
versions that `peers/recbole.txt` and `peers/cornac.txt` pin. Before each run of a peer comes one
of ours, and ratios are taken between the two. Time is that of training alone; NDCG@100 of the
validation users is measured after each epoch, by the same metrics for all.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import scipy.sparse as sp
from apart import FailedError, output_of
from rich import box
from rich.console import Console
from rich.table import Table

from recsys.cli import run
from recsys.errors import RecsysError
from recsys.files import sha256_of, write_json
from recsys.interactions.dataset import load_dataset
from recsys.interactions.splits import strong_splits
from recsys.interactions.tables import Matrix
from recsys.interactions.weighting import Weighting

_HERE = Path(__file__).resolve().parent
_SCRIPTS = _HERE / "peers"
_SHOP = _HERE.parent / "data" / "online-retail"
_METRIC = "ndcg@100"
_VALIDATION_USERS = 800  # of made-up data

SETTINGS = {
    "seed": 98765,
    "batch_size": 500,
    "learning_rate": 1e-3,
    "hidden": 600,
    "latent": 200,
    "dropout": 0.5,
    "beta": 0.2,
    "anneal_epochs": 20,
}
"""How every model is trained; `peers/measuring.py` says what they mean."""

Parts = Mapping[str, Matrix]
"""`train`, `given` and `target`: histories of ones, the last two of the validation users."""

Measured = dict[str, Any]
"""What was measured of one training."""

SIDES = ("ours", "peer")


class PeerError(RecsysError):
    """An environment could not be made, or a run failed."""


@dataclass(frozen=True)
class Program:
    """A model of a library, which has a script `peers/LIBRARY_run.py`; `noise` is for ours."""

    library: str
    model: str
    noise: float = 1.0

    def __str__(self) -> str:
        return f"{self.library} {self.model}"


Pair = tuple[Program, Program]

PAIRS: tuple[Pair, ...] = (
    # RecBole draws its latents with a hundredth of the posterior's deviation
    (Program("ours", "mult-vae", noise=0.01), Program("recbole", "MultiVAE")),
    (Program("ours", "mult-dae"), Program("recbole", "MultiDAE")),
    (Program("ours", "mult-vae"), Program("cornac", "VAECF")),
)


@click.command()
@click.option("--epochs", type=click.IntRange(min=2), default=100, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--synthetic",
    type=click.IntRange(min=1),
    nargs=3,
    metavar="USERS ITEMS PAIRS",
    help="Made-up data of about this shape, with skew, instead of the shop.",
)
@click.option(
    "--environments",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/peers"),
    show_default=True,
    help="Folder of the peers' environments, made when needed.",
)
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Result.")
def peers(
    *,
    epochs: int,
    rounds: int,
    threads: int,
    synthetic: tuple[int, int, int] | None,
    environments: Path,
    out: Path | None,
) -> None:
    """Time RecBole and Cornac against ours: same data, batch and sizes."""
    parts = shop() if synthetic is None else made_up(*synthetic)
    users, items = parts["train"].shape
    shape = {"users": users, "items": items, "pairs": int(parts["train"].nnz)}
    click.echo("data: " + ", ".join(f"{count:,} {name}" for name, count in shape.items()))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_parts(data, parts)
        job = SETTINGS | {"data": str(data), "epochs": epochs, "threads": threads}
        runs = [_round(pair, job, environments) for _ in range(rounds) for pair in PAIRS]
    pairs = [compared(pair, runs[place :: len(PAIRS)]) for place, pair in enumerate(PAIRS)]
    _print(pairs)
    if out is not None:
        how = SETTINGS | {"epochs": epochs, "rounds": rounds, "threads": threads}
        machine = {"date": str(date.today()), "system": platform.platform()}
        write_json(out, {**machine, "data": shape, "settings": how, "pairs": pairs})


def shop() -> Parts:
    """Return the bundled shop's strong split, cut to the items that training users have."""
    interactions = load_dataset(_SHOP).interactions
    training = next(strong_splits(interactions, seed=98765)).training
    known = np.unique(training.train.items)
    probe = training.validation
    return {
        name: Weighting().histories(each.columns(known)).matrix
        for name, each in (
            ("train", training.train),
            ("given", probe.given),
            ("target", probe.target),
        )
    }


def made_up(n_users: int, n_items: int, n_pairs: int) -> Parts:
    """Draw users in 20 tastes; few of them take much, and few items are taken by many.

    Pairs drawn twice count once, and items that no training user has are left out, so that there
    are somewhat fewer of both.
    """
    rng = np.random.default_rng(0)
    activity = rng.lognormal(-0.5, 1, n_users + _VALIDATION_USERS)  # 1 on average
    counts = 5 + rng.poisson(activity * max(n_pairs / n_users - 5, 0))
    user = np.repeat(np.arange(len(counts)), counts)
    item = (n_items * rng.random(len(user)) ** 3).astype(np.int64)  # density rank^(-2/3)
    taste = np.minimum(item - item % 20 + rng.integers(20, size=len(counts))[user], n_items - 1)
    item = np.where(rng.random(len(user)) < 0.5, taste, item)
    ones = np.ones(len(user), np.float32)
    pairs = sp.csr_array((ones, (user, item)), shape=(len(counts), n_items))
    pairs.data[:] = 1
    pairs = pairs[:, np.flatnonzero(pairs[:n_users].sum(axis=0))]
    given, target = pairs[n_users:], pairs[n_users:]
    hidden = rng.random(given.nnz) < 0.2
    given.data[hidden], target.data[~hidden] = 0, 0
    given.eliminate_zeros()
    target.eliminate_zeros()
    return {"train": pairs[:n_users], "given": given, "target": target}


def write_parts(path: Path, parts: Parts) -> None:
    """Write the histories as .npz for any version of numpy."""
    arrays: dict[str, Any] = {"n_items": np.array(parts["train"].shape[1])}
    for name, matrix in parts.items():
        arrays |= {f"{name}.indptr": matrix.indptr, f"{name}.indices": matrix.indices}
    np.savez(path, **arrays)


def environment(folder: Path, pins: Path) -> Path:
    """Return the interpreter of the environment in `folder`, made now unless it is there whole.

    Parameters
    ----------
    folder
        Of a virtual environment, or not there yet; one made with other pins is made anew.
    pins
        Requirements file with an exact version of every package.

    Raises
    ------
    PeerError
        The folder holds something else, or the packages cannot be installed.
    """
    python, stamp = folder.absolute() / "bin" / "python", folder / "pins.sha256"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == sha256_of(pins):
        return python
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise PeerError(f"{folder}: not an environment; choose another --environments")
    start = perf_counter()
    click.echo(f"making {folder} …", err=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _do([sys.executable, "-m", "venv", str(folder)])
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        _do([*pip, "install", "--quiet", "--no-deps", "-r", str(pins)])
    except PeerError as error:
        raise PeerError(f"{folder}: could not be made: {error}") from error
    stamp.write_text(sha256_of(pins), encoding="ascii")
    click.echo(f"made {folder} in {perf_counter() - start:.0f} s", err=True)
    return python


def _round(pair: Pair, job: Mapping[str, Any], environments: Path) -> dict[str, Any]:
    """Train ours, then the peer; return what each measured, or the error that ended it."""
    library, measured = pair[1].library, {}
    try:
        python = environment(environments / library, _SCRIPTS / f"{library}.txt")
        pythons = (Path(sys.executable), python)
        for side, program, python in zip(SIDES, pair, pythons, strict=True):
            measured[side] = one = trained(program, job, python)
            told = f"{one['seconds_per_epoch']:.3f} s an epoch, {_METRIC} {one['best']:.4f}"
            click.echo(f"{program}: {told}", err=True)
    except PeerError as error:
        click.echo(f"{pair[1]}: {error}", err=True)
        return {"error": str(error)}
    return measured


def trained(program: Program, job: Mapping[str, Any], python: Path) -> Measured:
    """Train one model by an interpreter of its own; raise PeerError where that fails.

    `job` has the fields of `peers/measuring.py`'s Job, all but the model.
    """
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    with tempfile.TemporaryDirectory() as folder:  # RecBole leaves logs where it runs
        task, result = Path(folder) / "job.json", Path(folder) / "result.json"
        write_json(task, {**job, "model": program.model, "noise": program.noise})
        script = _SCRIPTS / f"{program.library}_run.py"
        _do(
            [str(each) for each in (python, script, task, result)],
            cwd=folder,
            env=os.environ | dict.fromkeys(limits, str(job["threads"])),
        )
        measured: Measured = json.loads(result.read_text(encoding="utf-8"))
    seconds = measured["epoch_seconds"]
    measured["seconds_per_epoch"] = statistics.median(seconds[1:])
    measured["best"] = max(measured[_METRIC])
    return measured


def _do(command: list[str], **options: Any) -> None:
    """Run a command; where it fails, raise PeerError with the last line that it wrote."""
    try:
        output_of(command, **options)
    except FailedError as error:
        raise PeerError(str(error)) from error


def compared(pair: Pair, rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return both sides' figures over the rounds, and the ratios of peer to ours.

    The NDCG@100 to reach is one that every run of either side reaches: the least of their bests.
    Figures are medians over the rounds, ratios medians of each round's ratio, memory the most.
    """
    result: dict[str, Any] = {
        side: {"model": str(one)} for side, one in zip(SIDES, pair, strict=True)
    }
    result["rounds"] = rounds
    errors = [both["error"] for both in rounds if "error" in both]
    if errors:
        return result | {"error": errors[0]}
    result["target"] = target = min(both[side]["best"] for both in rounds for side in SIDES)
    for both in rounds:
        for side in SIDES:
            both[side]["seconds_to_target"] = seconds_to(target, both[side])
    for side in SIDES:
        result[side] |= _summary([both[side] for both in rounds])
    result["ratios"] = {
        name: statistics.median(both["peer"][name] / both["ours"][name] for both in rounds)
        for name in ("seconds_per_epoch", "seconds_to_target", "peak_memory_bytes")
    }
    return result


def seconds_to(goal: float, measured: Measured) -> float | None:
    """Return the training time up to the first epoch that reaches the goal, if one does."""
    for place, value in enumerate(measured[_METRIC]):
        if value >= goal:
            return float(sum(measured["epoch_seconds"][: place + 1]))
    return None


def _summary(runs: Sequence[Measured]) -> dict[str, float]:
    names = ("seconds_per_epoch", "seconds_to_target", "best")
    grown = [each["peak_memory_bytes"] - each["memory_before_bytes"] for each in runs]
    return {
        **{name: statistics.median(each[name] for each in runs) for name in names},
        "peak_memory_bytes": max(each["peak_memory_bytes"] for each in runs),
        "memory_grown_bytes": max(grown),
    }


def _print(pairs: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for heading in ("s/epoch", "×", f"best {_METRIC}", "reached", "in s", "×", "peak MB", "grown"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in pairs:
        if "error" in pair:
            table.add_row(pair["peer"]["model"], "failed")
        else:
            for side, ratios in (("ours", {}), ("peer", pair["ratios"])):
                table.add_row(*_cells(pair[side], pair["target"], ratios))
        table.add_section()
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    console.print(table)
    for pair in pairs:
        if "error" in pair:
            console.print(f"{pair['peer']['model']}: {pair['error']}")


def _cells(side: Mapping[str, Any], target: float, ratios: Mapping[str, float]) -> list[str]:
    speed, time = (ratios.get(name) for name in ("seconds_per_epoch", "seconds_to_target"))
    return [
        side["model"],
        f"{side['seconds_per_epoch']:.3f}",
        "" if speed is None else f"{speed:.1f}",
        f"{side['best']:.4f}",
        f"{target:.4f}",
        f"{side['seconds_to_target']:.1f}",
        "" if time is None else f"{time:.1f}",
        f"{side['peak_memory_bytes'] / 1e6:,.0f}",
        f"{side['memory_grown_bytes'] / 1e6:,.0f}",
    ]


if __name__ == "__main__":
    run(peers)
