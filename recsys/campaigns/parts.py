"""The files of a campaign: results and send parts in each format and layout, and the rejected."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from recsys.campaigns.sources import USER
from recsys.campaigns.spec import CampaignSpec, Format

if TYPE_CHECKING:
    from recsys.campaigns.final import Final
    from recsys.campaigns.lists import Lists
    from recsys.campaigns.manifest import Counts
    from recsys.campaigns.opened import ItemTable, OpenRun

RESULT_COLUMNS = (USER, "status", "reason", "model", "version", "arm")
"""Columns of every results part; `arm` is empty where a campaign has no arms."""

_FLAT = ("item", "title", "score")

_REJECTED = 1_000_000
"""Rows that are left out, held at once, about."""


def send_columns(spec: CampaignSpec) -> list[str]:
    """Return the columns that a send part adds to the audience's own."""
    if spec.layout == "nested":
        return ["items"]
    return [f"{name}_{place}" for place in range(1, spec.k + 1) for name in _FLAT]


def results_table(final: Final, run: OpenRun) -> pa.Table:
    """Return one row a user: what became of them, and none of the audience's columns."""
    arms = [(arm.pinned.model, arm.pinned.version, arm.pinned.name) for arm in run.arms]
    of_arms = [pa.array(column, pa.string()) for column in zip(*arms, strict=True)]
    places = pa.array(final.arms)
    columns = (
        pa.array(final.users, pa.string()),
        pa.array(final.statuses, pa.string()),
        pa.array(final.reasons, pa.string()),
        *(column.take(places) for column in of_arms),
    )
    return pa.table(columns, names=list(RESULT_COLUMNS))


def send_table(final: Final, run: OpenRun) -> pa.Table:
    """Return the rows of users who are sent: id, the audience's own columns, the list."""
    spec = run.pinned.spec
    sent = np.array([status == "sent" for status in final.statuses], np.bool_)
    kept = final.rows.filter(pa.array(sent))
    lists = final.lists.rows(np.flatnonzero(sent))
    added = (
        _flat(lists, run.items, spec.k) if spec.layout == "flat" else [_nested(lists, run.items)]
    )
    for name, column in zip(send_columns(spec), added, strict=True):
        kept = kept.append_column(name, column)
    return kept


def _nested(lists: Lists, items: ItemTable) -> pa.Array:
    """Return a list of {rank, item, title, score} a user."""
    ranks = np.arange(1, len(lists.items) + 1) - np.repeat(lists.offsets[:-1], lists.counts)
    numbers = pa.array(lists.items)
    fields = {
        "rank": pa.array(ranks.astype(np.int32)),
        "item": items.id_texts.take(numbers),
        "title": items.title_texts.take(numbers),
        "score": pa.array(lists.scores.astype(np.float64)),
    }
    return pa.ListArray.from_arrays(
        pa.array(lists.offsets.astype(np.int32)),
        pa.StructArray.from_arrays([*fields.values()], [*fields]),
    )


def _flat(lists: Lists, items: ItemTable, k: int) -> Iterator[pa.Array]:
    """Yield item, title and score of each place; null past a list's end."""
    for place in range(k):
        there = lists.counts > place
        at = np.flatnonzero(there)
        numbers = np.zeros(len(lists), np.int32)
        scores = np.zeros(len(lists), np.float64)
        numbers[at] = lists.items[lists.offsets[at] + place]
        scores[at] = lists.scores[lists.offsets[at] + place]
        taken = pa.array(numbers, mask=~there)
        yield items.id_texts.take(taken)
        yield items.title_texts.take(taken)
        yield pa.array(scores, mask=~there)


def write_part(table: pa.Table, path: Path, kind: Format) -> None:
    """Write a part; the same table gives the same bytes."""
    _WRITERS[kind](table, path)


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path)


def _write_csv(table: pa.Table, path: Path) -> None:
    """Text is quoted and an empty field is null; lists are JSON text."""
    for position, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            text = [
                None if value is None else _json(value)
                for value in table.column(position).to_pylist()
            ]
            table = table.set_column(position, field.name, pa.array(text, pa.string()))
    pa_csv.write_csv(table, path)


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for batch in table.to_batches(max_chunksize=1024):
            stream.writelines(_json(row) + "\n" for row in batch.to_pylist())


_WRITERS: dict[Format, Callable[[pa.Table, Path], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}


def _json(value: Any) -> str:
    """Return JSON; what it has no word for becomes text, a number that is not finite null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def rejected_rows(files: Sequence[Path], counts: Counts) -> Iterator[pa.Table]:
    """Yield the rows of the audience that are left out, in their order, so many at a time.

    Parameters
    ----------
    files
        Those of each shard, as `publishing` wrote them.
    counts
        The campaign's.
    """
    times = 1 + counts.rejected // _REJECTED
    bounds = np.linspace(0, counts.input, times + 1).astype(np.int64).tolist()
    for low, high in pairwise(bounds):
        tables = []
        for file in files:  # closed at once: there may be more than a process may hold open
            with pa.OSFile(str(file)) as stream:
                rows = pa.ipc.open_file(stream).read_all()
            within = pc.and_(pc.greater_equal(rows["row"], low), pc.less(rows["row"], high))
            tables.append(rows.filter(within))
        yield pa.concat_tables(tables).sort_by("row")


def write_rejected(path: Path, rejected: Iterable[pa.Table], *, several: bool) -> None:
    """Write `rejected.csv`: the rows of the audience that name no new user, in their order.

    Parameters
    ----------
    path
        Where to.
    rejected
        As `intake.REJECTED`, one table after the other.
    several
        Whether the rows are of several files, so that each says of which.
    """
    columns = {"row": "number", USER: USER, "reason": "reason"}
    if several:
        columns = {"file": "file", **columns}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for table in rejected:
            for batch in table.select([*columns.values()]).to_batches(max_chunksize=10_000):
                writer.writerows(zip(*(column.to_pylist() for column in batch), strict=True))
