"""Measure reading a log into a matrix against pyarrow's bare read of the same file.

    python benchmarks/ingest.py [--rows N] [--users N] [--items N] [--rounds N] [--no-value]

A CSV and a Parquet file of made-up, skewed interactions (user, item, timestamp, value; ids are read
as text) lie in a temporary folder, which is deleted. Each round reads each file bare and then as
`recsys` does, each in a process of its own; ratios of time are within a round, and the middle one
of the rounds is shown. Memory is the peak above what the process held before it read, as Linux
tells it; a block is a million rows as pyarrow holds them.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from apart import forget_peak, held_bytes, measured_apart, peak_bytes
from rich import box
from rich.console import Console
from rich.table import Table

from recsys.cli import run
from recsys.files import write_json
from recsys.ids import IdMap
from recsys.interactions.dataset import Dataset, load_dataset

_TIMES, _ARRAYS = 3, 2  # what a read may take: × the bare read's time, × the bytes of its result
_BLOCK = 1 << 20  # interactions made up at once, a row group
_MB = 1e6

Found = dict[str, float]


@click.command()
@click.option("--rows", type=click.IntRange(min=1), default=20_000_000, show_default=True)
@click.option("--users", type=click.IntRange(min=1), default=140_000, show_default=True)
@click.option("--items", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--value/--no-value", default=True, help="Whether there is a column of values.")
@click.option("--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Result.")
@click.option("--one", nargs=2, hidden=True, help="Measure reading this file so, in this process.")
def ingest(
    *,
    rows: int,
    users: int,
    items: int,
    rounds: int,
    value: bool,
    out: Path | None,
    one: tuple[str, str] | None,
) -> None:
    """Measure reading a log into a matrix against pyarrow's bare read."""
    if one is not None:
        click.echo(json.dumps(_READERS[one[0]](Path(one[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = write_logs(Path(folder), rows, (users, items), value)
        found = {path.suffix[1:]: [_round(path) for _ in range(rounds)] for path in paths}
    block = _BLOCK / rows * found["csv"][0]["bare"]["result_bytes"]
    held = [_held(pairs, block) for pairs in found.values()]
    _print(found, f"{rows:,} rows, {users:,} users, {items:,} items, {rounds} rounds")
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    click.echo(
        f"Under {_TIMES} × the bare time, and {_ARRAYS} × the result and a block of "
        f"{block / _MB:.0f} MB: {'yes' if all(held) else 'NO'}; load of the machine {load}"
    )
    if out is not None:
        write_json(out, {"rows": rows, "users": users, "items": items, "rounds": found})


def write_logs(
    folder: Path, rows: int, shape: tuple[int, int], value: bool = True
) -> tuple[Path, Path]:
    """Write the same interactions as CSV and as Parquet, block by block."""
    csv, parquet = folder / "events.csv", folder / "events.parquet"
    rng = np.random.default_rng(0)
    names = ["user_id", "item_id", "timestamp", "value"][: 4 if value else 3]
    kinds = [pa.string(), pa.string(), pa.int64(), pa.float64()]
    schema = pa.schema(list(zip(names, kinds, strict=False)))
    weights = (rng.lognormal(0, 1.2, shape[0]), np.arange(1, shape[1] + 1) ** -0.9)
    upto = [np.cumsum(weight) / weight.sum() for weight in weights]
    with pq.ParquetWriter(parquet, schema) as grouped, pacsv.CSVWriter(csv, schema) as lines:
        for start in range(0, rows, _BLOCK):
            n = min(_BLOCK, rows - start)
            ids = [np.searchsorted(each, rng.random(n)) for each in upto]
            columns = [pa.array(codes).cast(pa.string()) for codes in ids]
            columns += [pa.array(rng.integers(1_300_000_000, 1_400_000_000, n))]
            columns += [pa.array(rng.integers(1, 11, n) / 2)] if value else []
            table = pa.Table.from_arrays(columns, schema=schema)
            grouped.write_table(table, row_group_size=_BLOCK)
            lines.write_table(table)
    return csv, parquet


def _round(path: Path) -> dict[str, Found]:
    return {how: _in_a_process(how, path) for how in _READERS}


def _in_a_process(how: str, path: Path) -> Found:
    found: Found = measured_apart(__file__, "--one", how, str(path))
    return found


def _measured(path: Path, read: Callable[[Path], Any], size: Callable[[Any], int]) -> Found:
    forget_peak()
    before, start = held_bytes(), perf_counter()
    result = read(path)
    seconds = perf_counter() - start
    grown = peak_bytes() - before
    return {"seconds": seconds, "grown_bytes": grown, "result_bytes": size(result)}


def _bare(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    texts = pacsv.ConvertOptions(column_types={"user_id": pa.string(), "item_id": pa.string()})
    return pacsv.read_csv(path, convert_options=texts)


def _result_bytes(dataset: Dataset) -> int:
    """Return the bytes of the matrix and of both id maps."""
    events = dataset.interactions
    arrays = (events.indptr, events.items, events.times, events.values)
    matrix = sum(array.nbytes for array in arrays if array is not None)
    return matrix + _bytes_of(dataset.users) + _bytes_of(dataset.items)


def _bytes_of(ids: IdMap) -> int:
    """Return the bytes of an id map: its list, its texts, and as much again for the way back."""
    return 2 * sys.getsizeof(ids.ids) + sum(map(sys.getsizeof, ids.ids))


_READERS: dict[str, Callable[[Path], Found]] = {
    "bare": lambda path: _measured(path, _bare, lambda table: int(table.nbytes)),
    "ours": lambda path: _measured(path, load_dataset, _result_bytes),
}


def _held(pairs: Sequence[dict[str, Found]], block: float) -> bool:
    allowed = _ARRAYS * pairs[0]["ours"]["result_bytes"] + block
    return _ratio(pairs) < _TIMES and _grown(pairs) < allowed


def _ratio(pairs: Sequence[dict[str, Found]]) -> float:
    return statistics.median(pair["ours"]["seconds"] / pair["bare"]["seconds"] for pair in pairs)


def _grown(pairs: Sequence[dict[str, Found]]) -> float:
    return max(pair["ours"]["grown_bytes"] for pair in pairs)


def _print(found: dict[str, list[dict[str, Found]]], caption: str) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption)
    headings = ("bare s", "ours s", "× bare", "bare MB", "ours MB", "result MB", "× result")
    table.add_column("file")
    for heading in headings:
        table.add_column(heading, justify="right")
    for ending, pairs in found.items():
        seconds = {
            how: statistics.median(pair[how]["seconds"] for pair in pairs) for how in pairs[0]
        }
        result, grown = pairs[0]["ours"]["result_bytes"], _grown(pairs)
        table.add_row(
            ending,
            f"{seconds['bare']:.2f}",
            f"{seconds['ours']:.2f}",
            f"{_ratio(pairs):.2f}",
            f"{max(pair['bare']['grown_bytes'] for pair in pairs) / _MB:,.0f}",
            f"{grown / _MB:,.0f}",
            f"{result / _MB:,.0f}",
            f"{grown / result:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    run(ingest)
