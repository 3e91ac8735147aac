"""The audience, spilled to disk by shard, and read back shard by shard: each user once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.campaigns.audience import Audience
from recsys.campaigns.hashing import hashes
from recsys.campaigns.sources import USER, Block
from recsys.errors import RecsysError
from recsys.files import written_aside
from recsys.progress import progress

_SPILL = 500_000
"""Rows held until they are written."""

_OURS = ("\0row", "\0file", "\0number")  # beside the audience's own columns, whatever their names

REJECTED = pa.schema(
    [("row", pa.int64()), ("file", pa.string()), ("number", pa.int64()), (USER, pa.string()),
     ("reason", pa.string())]
)  # fmt: skip
"""Rows that are left out: their place in the whole audience, file, number there, why."""


@dataclass(frozen=True, eq=False)
class Shard:
    """Users who are decided on and written together.

    Attributes
    ----------
    rows
        One row a user, in the audience's order: the id as text, then the audience's own columns.
    rejected
        Rows that name no user or one who is there already; as `REJECTED`.
    """

    rows: pa.Table
    rejected: pa.Table

    @property
    def users(self) -> list[str]:
        """The users' ids, row for row."""
        users: list[str] = self.rows[USER].to_pylist()
        return users


def spill(audience: Audience, n_shards: int, folder: Path) -> None:
    """Write the audience into a new folder so that shards can be read from it.

    What stays in memory is some rows, however many there are.

    Raises
    ------
    DataError
        The audience changed since it was opened.
    """
    folder.mkdir(parents=True)
    waiting: list[pa.Table] = []
    held = row = number = 0
    with progress("reading", audience.n_rows) as bar:
        for block in audience.blocks():
            waiting.append(_placed(block, row))
            row, held = row + len(block.rows), held + len(block.rows)
            bar.advance(len(block.rows))
            if held >= _SPILL:
                _write(pa.concat_tables(waiting), n_shards, folder / f"{number:05d}.arrow")
                waiting, held, number = [], 0, number + 1
    if waiting:
        _write(pa.concat_tables(waiting), n_shards, folder / f"{number:05d}.arrow")


class Intake:
    """Reads shards from a folder that `spill` wrote; the files stay open.

    Parameters
    ----------
    folder
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shard(self, number: int) -> Shard:
        """Return a shard: a user's first row counts.

        Raises
        ------
        RecsysError
            It cannot be read.
        """
        try:
            tables = [pa.Table.from_batches([file.get_batch(number)]) for file in self._files]
        except (OSError, pa.ArrowException) as error:
            raise RecsysError(
                f"{self._folder}: shard {number} of the audience cannot be read ({error}); "
                "begin anew with --restart"
            ) from error
        rows = pa.concat_tables(tables).combine_chunks()
        first, reasons = _first_rows(rows[USER].to_pylist())
        left_out = rows.take(pa.array(list(reasons), pa.int64())).select([*_OURS, USER])
        rejected = left_out.append_column("reason", pa.array(reasons.values(), pa.string()))
        rejected = rejected.rename_columns(REJECTED.names)
        kept = rows.take(pa.array(first, pa.int64()))
        return Shard(kept.drop_columns(list(_OURS)), rejected.cast(REJECTED))

    @cached_property
    def _files(self) -> list[pa.RecordBatchFileReader]:
        found = sorted(self._folder.glob("*.arrow"))
        return [pa.ipc.open_file(pa.memory_map(str(path))) for path in found]


def _placed(block: Block, first: int) -> pa.Table:
    """Return the block with its rows' place in the whole audience, file, and number there."""
    rows = block.rows
    places = pa.array(np.arange(first, first + len(rows)))
    files = pa.array([block.file] * len(rows), pa.string())
    for name, values in zip(reversed(_OURS), (block.numbers, files, places), strict=True):
        rows = rows.add_column(0, pa.field(name, values.type), values)
    return rows


def _write(rows: pa.Table, n_shards: int, path: Path) -> None:
    """Write one record batch a shard."""
    users = rows[USER].to_pylist()
    shard = (hashes((user or "" for user in users), "shard") % np.uint64(n_shards)).astype(np.int64)
    order = np.argsort(shard, kind="stable")
    bounds = np.searchsorted(shard[order], np.arange(n_shards + 1))
    rows = rows.take(pa.array(order)).combine_chunks()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with (
        written_aside(path) as aside,
        pa.ipc.new_file(str(aside), rows.schema, options=options) as file,
    ):
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            batches = rows.slice(start, end - start).to_batches()
            file.write_batch(batches[0] if batches else _no_rows(rows.schema))


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _first_rows(users: Sequence[str | None]) -> tuple[list[int], dict[int, str]]:
    """Return the places of users not seen before, and why the others are left out."""
    seen: set[str] = set()
    kept: list[int] = []
    reasons: dict[int, str] = {}
    for place, user in enumerate(users):
        if user is None:
            reasons[place] = "no user id"
        elif user in seen:
            reasons[place] = "user is in an earlier row"
        else:
            seen.add(user)
            kept.append(place)
    return kept, reasons
