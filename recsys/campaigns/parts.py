"""The files of a campaign: results and send parts in each format and layout, and the rejected."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from recsys.campaigns.audience import USER
from recsys.campaigns.decisions import Decision
from recsys.campaigns.spec import CampaignSpec, Format

RESULT_COLUMNS = (USER, "status", "reason", "model", "version", "arm")
"""Columns of every results part; `arm` is empty until a campaign has arms."""


def send_columns(spec: CampaignSpec) -> list[str]:
    """Return the columns that a send part adds to the audience's own."""
    if spec.layout == "nested":
        return ["items"]
    return [f"{name}_{place}" for place in range(1, spec.k + 1) for name in _FLAT]


_FLAT = ("item", "title", "score")


def results_table(decisions: Sequence[Decision], model: str, version: str) -> pa.Table:
    """Return one row a user: what became of them, and none of the audience's columns."""
    n = len(decisions)
    columns = (
        [decision.user for decision in decisions],
        [decision.status for decision in decisions],
        [decision.reason for decision in decisions],
        [model] * n,
        [version] * n,
        [None] * n,
    )
    text = [pa.array(column, pa.string()) for column in columns]
    return pa.table(text, names=list(RESULT_COLUMNS))


def send_table(rows: pa.Table, decisions: Sequence[Decision], spec: CampaignSpec) -> pa.Table:
    """Return the rows of users who are sent: id, the audience's own columns, the list."""
    sent = [decision for decision in decisions if decision.status == "sent"]
    kept = rows.filter(pa.array([decision.status == "sent" for decision in decisions]))
    lists = _flat(sent, spec.k) if spec.layout == "flat" else [_nested(sent)]
    for name, column in zip(send_columns(spec), lists, strict=True):
        kept = kept.append_column(name, column)
    return kept


def _nested(sent: Sequence[Decision]) -> pa.Array:
    """Return a list of {rank, item, title, score} a user."""
    offsets = np.cumsum([0, *(len(decision.items) for decision in sent)], dtype=np.int32)
    lines = [line for decision in sent for line in decision.items]
    fields = {
        "rank": pa.array([line.rank for line in lines], pa.int32()),
        "item": pa.array([line.item for line in lines], pa.string()),
        "title": pa.array([line.title for line in lines], pa.string()),
        "score": pa.array([line.score for line in lines], pa.float64()),
    }
    return pa.ListArray.from_arrays(
        offsets, pa.StructArray.from_arrays([*fields.values()], [*fields])
    )


def _flat(sent: Sequence[Decision], k: int) -> Iterator[pa.Array]:
    """Yield item, title and score of each place; null past a list's end."""
    for place in range(k):
        lines = [d.items[place] if place < len(d.items) else None for d in sent]
        yield pa.array([line and line.item for line in lines], pa.string())
        yield pa.array([line and line.title for line in lines], pa.string())
        yield pa.array([line and line.score for line in lines], pa.float64())


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


class RejectedRows:
    """`rejected.csv`: the rows of the audience that name no new user, in their order."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(["row", USER, "reason"])

    def add(self, row: int, user: str | None, reason: str) -> None:
        """Write one row of the audience; see `shards.Reject`."""
        self._writer.writerow([row, user, reason])
