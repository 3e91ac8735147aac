"""Reading and writing what campaigns take and make."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]


def audience(folder: Path, *users: str, header: str = "user_id") -> Path:
    path = folder / "audience.csv"
    path.write_text("\n".join([header, *users]) + "\n", encoding="utf-8")
    return path


def read_part(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        rows: list[Row] = pq.read_table(path).to_pylist()
        return rows
    with path.open(encoding="utf-8", newline="") as stream:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in stream]
        return list(csv.DictReader(stream))


def rows_of(out: Path, place: str) -> list[Row]:
    return [row for path in sorted((out / place).iterdir()) for row in read_part(path)]


def results_of(out: Path) -> dict[str, Row]:
    rows = rows_of(out, "results")
    found = {row["user_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def lists_of(out: Path) -> dict[str, list[str]]:
    rows = rows_of(out, "send")
    found = {row["user_id"]: [line["item"] for line in row["items"]] for row in rows}
    assert len(found) == len(rows)
    return found


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
