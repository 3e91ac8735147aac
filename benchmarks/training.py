"""Time the textbook's training loop of Mult-VAE against ours, on the CPU or a GPU.

    python benchmarks/training.py [--data shop|ml-20m|FOLDER] [--epochs N] [--rounds N]

The data is the training part of the bundled shop's strong split, made-up histories of ML-20M's
shape and skew, or a published split (FOLDER/train.npz and test.npz). The textbook's loop, as the
public implementations have it, makes every batch a dense array on the host; it takes batches of
500 and Adam at .001. Each round trains it first and then ours, each in a process of its own.
Ratios are of the textbook's time to ours within a round. Time is that of training alone; NDCG@100
of the validation users is measured after each epoch, by the same metric for all.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
import torch
from peers import (
    SETTINGS,
    Measured,
    Parts,
    Program,
    made_up,
    seconds_to,
    shop,
    trained,
    write_parts,
)
from rich import box
from rich.console import Console
from rich.table import Table

from recsys.cli import run
from recsys.evaluation.protocols import Protocol
from recsys.files import write_json
from recsys.interactions.dataset import load_dataset
from recsys.interactions.weighting import Weighting

_ML_20M = (116_677, 20_108, 8_070_000)
_METRIC = "ndcg@100"
_NEAR = 0.002

OURS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "shop": {
        "ours": {"batch_size": 250, "learning_rate": 2e-3},
        "ours, like the textbook": {},
    },
    "ml-20m": {
        "ours, batch 500": {},
        "ours, batch 500, float32": {"precision": "float32"},
        "ours, batch 2000": {"batch_size": 2000, "learning_rate": 2e-3},
    },
    "published": {
        "ours, whole softmax": {},
        "ours, 3,000 sampled": {"sampled": 3000},
    },
}
"""What differs from the textbook's settings, by data and by how ours is called."""


@click.command()
@click.option("--data", default="shop", show_default=True, metavar="shop|ml-20m|FOLDER")
@click.option("--epochs", type=click.IntRange(min=2), default=60, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="[CUDA where there is one]")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Result.")
def training(
    *, data: str, epochs: int, rounds: int, threads: int, device: str | None, out: Path | None
) -> None:
    """Time the textbook's training loop of Mult-VAE against ours."""
    there = torch.cuda.is_available()
    device = device or ("cuda" if there else "cpu")
    parts = _parts(data)
    users, items = parts["train"].shape
    shape = {"users": users, "items": items, "pairs": int(parts["train"].nnz)}
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {threads} threads"
    click.echo("data: " + ", ".join(f"{count:,} {name}" for name, count in shape.items()))
    click.echo(f"on:   {where}" + ("" if there else "; no GPU here: its figure is missing"))
    ours = OURS.get(data, OURS["published"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        write_parts(file, parts)
        job = {"data": str(file), "epochs": epochs, "threads": threads, "device": device}
        runs = [_round(SETTINGS | job, ours) for _ in range(rounds)]
    rows = [compared(name, runs) for name in runs[0]]
    _print(rows)
    if out is not None:
        about = {"date": str(date.today()), "system": platform.platform(), "device": where}
        write_json(out, {**about, "data": shape, "settings": SETTINGS | job, "rows": rows})


def _parts(data: str) -> Parts:
    if data == "shop":
        return shop()
    if data == "ml-20m":
        return made_up(*_ML_20M)
    (training,) = Protocol("given").trainings(load_dataset(data), SETTINGS["seed"])
    held_out = training.validation
    parts = ("train", training.train), ("given", held_out.given), ("target", held_out.target)
    return {name: Weighting().histories(each).matrix for name, each in parts}


def _round(job: Mapping[str, Any], ours: Mapping[str, Mapping[str, Any]]) -> dict[str, Measured]:
    """Train the textbook's model and then each of ours; return what was measured, by name."""
    python = Path(sys.executable)
    measured = {"textbook": trained(Program("textbook", "mult-vae"), job, python)}
    for name, changes in ours.items():
        measured[name] = trained(Program("ours", "mult-vae"), {**job, **changes}, python)
    for name, one in measured.items():
        told = f"{one['seconds_per_epoch']:.3f} s an epoch, {_METRIC} {one['best']:.4f}"
        click.echo(f"{name}: {told}", err=True)
    return measured


def compared(name: str, rounds: Sequence[Mapping[str, Measured]]) -> dict[str, Any]:
    """Return one model's figures, medians over the rounds, and ratios of the textbook's to them.

    `seconds_to_best` is the training time to the textbook's best NDCG@100 of that round, less
    .002; None where a round does not get there.
    """
    speeds, times, speed_ratios, time_ratios = [], [], [], []
    for measured in rounds:
        own, textbook = measured[name], measured["textbook"]
        goal = textbook["best"] - _NEAR
        speeds.append(own["seconds_per_epoch"])
        speed_ratios.append(textbook["seconds_per_epoch"] / speeds[-1])
        time = seconds_to(goal, own)
        if time is not None:
            times.append(time)
            time_ratios.append((seconds_to(goal, textbook) or time) / time)
    everywhere = len(times) == len(rounds)
    return {
        "model": name,
        "seconds_per_epoch": statistics.median(speeds),
        "epoch_ratio": statistics.median(speed_ratios),
        "best": statistics.median(measured[name]["best"] for measured in rounds),
        "seconds_to_best": statistics.median(times) if everywhere else None,
        "time_ratio": statistics.median(time_ratios) if everywhere else None,
        "peak_memory_bytes": max(measured[name]["peak_memory_bytes"] for measured in rounds),
        "rounds": [measured[name] for measured in rounds],
    }


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for heading in ("s/epoch", "×", f"best {_METRIC}", "s to textbook's", "×", "peak MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        time, ratio = row["seconds_to_best"], row["time_ratio"]
        table.add_row(
            row["model"],
            f"{row['seconds_per_epoch']:.3f}",
            f"{row['epoch_ratio']:.2f}",
            f"{row['best']:.4f}",
            "not reached" if time is None else f"{time:.1f}",
            "" if ratio is None else f"{ratio:.2f}",
            f"{row['peak_memory_bytes'] / 1e6:,.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


if __name__ == "__main__":
    run(training)
