"""Measure memory and time of reading a log and training on it, against its users, items and rows.

    python benchmarks/scale.py [--large] [--report OUT.html] [--json OUT]

Each size is measured in a process of its own: a Parquet file of made-up, skewed interactions is
read as `recsys train` does, and Mult-VAE 600-200 with a sampled softmax takes a hundred steps of
500 histories. `--large` measures 1 M users × 200,000 items × 100 M interactions alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from apart import forget_peak, held_bytes, measured_apart, peak_bytes
from rich import box
from rich.console import Console
from rich.table import Table

from recsys.cli import run
from recsys.files import write_json
from recsys.interactions.dataset import load_dataset
from recsys.interactions.weighting import Weighting
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig
from recsys.models.base import RunOptions
from recsys.report.axes import Axis
from recsys.report.lines import LinePlot, Series
from recsys.report.page import Figure, Page, Section
from recsys.report.rendering import write_page
from recsys.training.network import Network

_STEPS, _BATCH, _WIDTHS = 100, 500, (600, 200)
_BLOCK = 5_000_000  # interactions made up at once
_GB = 1e9


@dataclass(frozen=True)
class Size:
    """Users, items and interactions of a log."""

    users: int
    items: int
    interactions: int

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        width, latent = _WIDTHS
        rest = width * 2 * latent + 2 * latent + latent * width + 2 * width
        return 2 * self.items * width + self.items + rest


BASE = Size(100_000, 20_000, 5_000_000)
LARGE = Size(1_000_000, 200_000, 100_000_000)
VARIED: dict[str, Sequence[Size]] = {
    "users": [Size(n, BASE.items, BASE.interactions) for n in (50_000, 100_000, 200_000, 400_000)],
    "items": [Size(BASE.users, n, BASE.interactions) for n in (5_000, 20_000, 80_000, 200_000)],
    "interactions": [
        Size(BASE.users, BASE.items, n) for n in (2_500_000, 5_000_000, 10_000_000, 20_000_000)
    ],
}


@click.command()
@click.option("--large", is_flag=True, help="1 M users × 200,000 items × 100 M interactions.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Plots, as HTML.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Result.")
@click.option("--one", hidden=True, help="Measure this file in this process.")
def scale(
    *, large: bool, threads: int, report: Path | None, out: Path | None, one: str | None
) -> None:
    """Measure memory and time against users, items and interactions."""
    if one is not None:
        torch.set_num_threads(threads)
        click.echo(json.dumps(measured(Path(one))))
        return
    varied = {"the large one": [LARGE]} if large else VARIED
    sizes = list(dict.fromkeys(size for series in varied.values() for size in series))
    results = {size: _in_a_process(size, threads) for size in sizes}
    _print(results)
    if report is not None and not large:
        write_page(report, page(results))
    if out is not None:
        write_json(out, {"rows": [asdict(size) | found for size, found in results.items()]})


def _in_a_process(size: Size, threads: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder) / "events.parquet", size)
        found: dict[str, float] = measured_apart(
            __file__, "--threads", str(threads), "--one", folder
        )
    click.echo(f"{size}: {found['peak_bytes'] / _GB:.2f} GB", err=True)
    return found


def write_log(path: Path, size: Size) -> None:
    """Write interactions with ids as text, block by block; every user and item is there."""
    rng = np.random.default_rng(0)
    schema = pa.schema([("user_id", pa.string()), ("item_id", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, size.interactions, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, size.interactions))
            users = (size.users * rng.random(len(rows)) ** 1.5).astype(np.int64)
            items = (size.items * rng.random(len(rows)) ** 3).astype(np.int64)
            users = np.where(rows < size.users, rows, users)
            items = np.where(rows < size.items, rows, items)
            ids = [pa.array(codes).cast(pa.string()) for codes in (users, items)]
            writer.write_table(pa.Table.from_arrays(ids, schema=schema), row_group_size=1_000_000)


class _DoneError(Exception):
    """The hundred steps are done."""


class _Hundred(MultVAE):
    """Mult-VAE that ends after a hundred steps."""

    def _build(self, n_items: int) -> Network:
        network = super()._build(n_items)
        loss, taken = network.loss, 0

        def counted(*args: Any) -> torch.Tensor:
            nonlocal taken
            if taken == _STEPS:
                raise _DoneError
            taken += 1
            return loss(*args)

        network.loss = counted  # type: ignore[method-assign]
        return network


def measured(folder: Path) -> dict[str, float]:
    """Read and train in this process; return seconds and bytes."""
    forget_peak()
    before = held_bytes()
    start = perf_counter()
    dataset = load_dataset(folder)
    histories = Weighting().histories(dataset.interactions)
    read = perf_counter()
    peak_reading = peak_bytes()
    config = MultVAEConfig(
        hidden=_WIDTHS, batch_size=_BATCH, sampled=3000, epochs=1000, patience=None
    )
    try:
        _Hundred(config).fit(histories, options=RunOptions(device="cpu"))
    except _DoneError:
        trained = perf_counter()
    return {
        "read_seconds": read - start,
        "steps_seconds": trained - read,
        "before_bytes": before,
        "peak_reading_bytes": peak_reading,
        "peak_bytes": peak_bytes(),
    }


def _counts(size: Size) -> tuple[tuple[str, str], ...]:
    """Return each count's name and how a person writes it."""
    return tuple((name, f"{count:,}") for name, count in asdict(size).items())


def _print(results: dict[Size, dict[str, float]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    headings = ("users", "items", "interactions", "read s", "100 steps s", "peak reading", "peak")
    for heading in (*headings, "a dense matrix"):
        table.add_column(heading, justify="right")
    for size, found in results.items():
        sizes = (count for _, count in _counts(size))
        times = (f"{found[name]:.1f}" for name in ("read_seconds", "steps_seconds"))
        dense = 4.0 * size.users * size.items
        sums = (found["peak_reading_bytes"], found["peak_bytes"], dense)
        table.add_row(*sizes, *times, *(f"{each / _GB:,.2f} GB" for each in sums))
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def page(results: dict[Size, dict[str, float]]) -> Page:
    """Return the plots as a page."""
    base = results[BASE]
    facts = (*_counts(BASE), ("peak at these", f"{base['peak_bytes'] / _GB:.2f} GB"))
    says = (
        "Memory follows interactions and the network's weights; a dense users × items array, "
        "which it is set against, would follow their product."
    )
    memory_plots = tuple(_plot(name, sizes, results) for name, sizes in VARIED.items())
    section = Section("Memory and time", says, tuple(Figure((plot,)) for plot in memory_plots))
    return Page("Reading and training as the log grows", "What more data costs.", facts, (section,))


def _plot(name: str, sizes: Sequence[Size], results: dict[Size, dict[str, float]]) -> LinePlot:
    def series(label: str, place: int, value: Any) -> Series:
        points = tuple((float(getattr(size, name)), float(value(size))) for size in sizes)
        return Series(label, points, place)

    return LinePlot(
        f"Peak memory and time against {name}",
        "Lines for peak memory, a dense array, reading time and training time.",
        Axis(name, log=True),
        Axis("GB, and seconds", log=True),
        (
            series("peak, GB", 0, lambda size: results[size]["peak_bytes"] / _GB),
            series("dense array, GB", 1, lambda size: 4 * size.users * size.items / _GB),
            series("reading, s", 2, lambda size: results[size]["read_seconds"]),
            series("100 steps, s", 3, lambda size: results[size]["steps_seconds"]),
        ),
    )


if __name__ == "__main__":
    run(scale)
