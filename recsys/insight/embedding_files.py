"""Embeddings as files: Parquet with ids and titles, npy with the bare numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.files import folder_written_aside
from recsys.insight.accounts import Log
from recsys.insight.embedding import Embeddings
from recsys.insight.embedding_report import embedding_sections
from recsys.report import Page, write_page

REPORT = "map.html"


def write_embeddings(out: Path, log: Log, found: Embeddings) -> None:
    """Write a new folder, whole or absent.

    - `users.parquet`: user_id, items, segment (where there are segments), embedding, and variance
      (where the model has them); `users.npy` and `users-variance.npy` hold the same, row by row.
    - `items.parquet`: item_id, title, users, embedding, and x and y (where there is a map; null
      off it); `items.npy`.
    - `neighbours.parquet`: item_id, rank, neighbour_id, neighbour_title, cosine.
    - `segments.parquet`: segment, users, rank, item_id, title, share, lift; where there are some.
    - `map.html`: what can be seen.
    """
    with folder_written_aside(out) as aside:
        _write_users(aside, log, found)
        _write_items(aside, log, found)
        pq.write_table(_neighbours(log, found), aside / "neighbours.parquet", compression="zstd")
        if found.segments is not None:
            pq.write_table(_segments(log, found), aside / "segments.parquet", compression="zstd")
        write_page(aside / REPORT, _page(log, found))


def _write_users(folder: Path, log: Log, found: Embeddings) -> None:
    columns = {
        "user_id": pa.array(log.users.ids, pa.string()),
        "items": pa.array(found.lengths),
        "embedding": _vectors(found.users.mean),
    }
    np.save(folder / "users.npy", found.users.mean)
    if found.users.variance is not None:
        columns["variance"] = _vectors(found.users.variance)
        np.save(folder / "users-variance.npy", found.users.variance)
    if found.segments is not None:
        nothing = found.lengths == 0
        columns["segment"] = pa.array(found.segments.of_user + 1, mask=nothing)
    pq.write_table(pa.table(columns), folder / "users.parquet", compression="zstd")


def _write_items(folder: Path, log: Log, found: Embeddings) -> None:
    columns = {
        "item_id": pa.array(log.items.ids, pa.string()),
        "title": pa.array(log.catalogue.titles, pa.string()),
        "users": pa.array(found.popularity),
        "embedding": _vectors(found.items),
    }
    if found.places is not None:
        places = np.full((len(found.items), 2), np.nan)
        places[found.mapped] = found.places
        columns["x"], columns["y"] = (pa.array(axis, from_pandas=True) for axis in places.T)
    np.save(folder / "items.npy", found.items)
    pq.write_table(pa.table(columns), folder / "items.parquet", compression="zstd")


def _vectors(rows: npt.NDArray[np.float32]) -> Any:
    flat = pa.array(np.ascontiguousarray(rows).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def _neighbours(log: Log, found: Embeddings) -> Any:
    near = found.neighbours
    width = near.items.shape[1]
    there = np.arange(width) < near.counts[:, None]
    items, rank = np.nonzero(there)
    ids = pa.array(log.items.ids, pa.string())
    neighbours = pa.array(near.items[there])
    return pa.table(
        {
            "item_id": ids.take(pa.array(items)),
            "rank": pa.array(rank.astype(np.int32) + 1),
            "neighbour_id": ids.take(neighbours),
            "neighbour_title": pa.array(log.catalogue.titles, pa.string()).take(neighbours),
            "cosine": pa.array(near.scores[there]),
        }
    )


def _segments(log: Log, found: Embeddings) -> Any:
    segments = found.segments
    rows = [
        {
            "segment": number,
            "users": int(size),
            "rank": rank,
            "item_id": log.items[one.item],
            "title": log.catalogue.titles[one.item],
            "share": one.share,
            "lift": one.lift,
        }
        for number, (size, typical) in enumerate(
            () if segments is None else zip(segments.sizes, segments.typical, strict=True), start=1
        )
        for rank, one in enumerate(typical, start=1)
    ]
    columns = ("segment", "users", "rank", "item_id", "title", "share", "lift")
    kinds = (pa.int32(), pa.int64(), pa.int32(), pa.string(), pa.string(), *[pa.float64()] * 2)
    return pa.Table.from_pylist(rows, pa.schema(list(zip(columns, kinds, strict=True))))


def _page(log: Log, found: Embeddings) -> Page:
    facts = (
        ("Model", found.model),
        ("Users", f"{np.count_nonzero(found.lengths):,}"),
        ("Items", f"{np.count_nonzero(found.popularity):,}"),
        ("Numbers a user", f"{found.users.mean.shape[1]:,}"),
    )
    lead = "Who is like whom, and what goes with what."
    return Page("Users and items as vectors", lead, facts, embedding_sections(log, found))
