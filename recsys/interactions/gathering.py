"""A table of events is read block by block: only numbers stay in memory, and each id once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys.errors import DataError
from recsys.interactions.badrows import BadRows, sift
from recsys.interactions.columns import kinds_of, parse
from recsys.interactions.events import Events
from recsys.interactions.growing import GrowingArray, GrowingIds
from recsys.interactions.parsing import IdColumn, Numbers, id_column, judged_ids
from recsys.interactions.rawtable import BadCell, RawTable, Table, whole


class Log:
    """The events of a table, its bad rows left out.

    Attributes
    ----------
    rows
        How many rows there are, the bad ones included.
    users, items
        Arrow strings, distinct, in the order of their text: what the events' codes stand for.
    """

    def __init__(self, rows: int, users: Any, items: Any, events: Events) -> None:
        self.rows, self.users, self.items = rows, users, items
        self._events = [events]

    def let_go(self) -> Events:
        """Return the events, which are held here no longer."""
        return self._events.pop()


def gather(table: Table, names: Mapping[str, str], bad_rows: BadRows) -> Log:
    """Read the events of a table.

    Parameters
    ----------
    table
        Where to read.
    names
        Columns by key: user and item, perhaps time and value.
    bad_rows
        What to do with bad rows.

    Raises
    ------
    DataError
        There are no good rows, or bad ones that are not to be skipped, or a column's type cannot
        be meant.
    """
    kinds = kinds_of(names)
    try:
        gathered = _Gathering(names, table.blocks(kinds))
    except _NotAlikeError:
        gathered = _Gathering(names, [whole(table, kinds)], alone=True)
    bad_rows.take(table.place, gathered.bad)
    if not gathered.good:
        if gathered.bad:
            raise DataError("has no good row", file=table.place, hint=f"see {bad_rows.path}")
        raise DataError("holds no rows", file=table.place, hint="there is nothing to learn from")
    return gathered.log()


class _NotAlikeError(Exception):
    """What a cell means depends on other blocks than its own."""


class _Gathering:
    """Blocks of a table, put together.

    Parameters
    ----------
    names
        Columns by key.
    blocks
        The blocks.
    alone
        Whether there is but one, so that what it means depends on no other.

    Raises
    ------
    _NotAlikeError
        The blocks have to be read as one.
    """

    def __init__(
        self, names: Mapping[str, str], blocks: Iterable[RawTable], alone: bool = False
    ) -> None:
        self.good, self.bad = 0, list[BadCell]()
        self._names, self._alone, self._rows = names, alone, 0
        self._forms: frozenset[str] = frozenset()
        self._ids = {"user": GrowingIds(), "item": GrowingIds()}
        self._times, self._values = GrowingArray(np.int32, 1_000_000), GrowingArray(np.float32)
        with ThreadPoolExecutor(1) as pool:  # while the next block is read
            adding: Future[None] | None = None
            for block in blocks:
                if adding:
                    adding.result()
                adding = pool.submit(self._add, block)
            if adding:
                adding.result()
        if not alone and any(ids.look_alike() for ids in self._ids.values()):
            raise _NotAlikeError

    def log(self) -> Log:
        """Return what was gathered."""
        users, user_codes = self._ids["user"].finished()
        items, item_codes = self._ids["item"].finished()
        times = self._times.finished() if "time" in self._names else None
        values = self._values.finished() if "value" in self._names else None
        pa.default_memory_pool().release_unused()
        events = Events(user_codes, item_codes, times, values, self._times.unit)
        return Log(self._rows, users, items, events)

    def _add(self, block: RawTable) -> None:
        parsed, keep = self._sifted(block)
        for key, column in parsed.items():
            if isinstance(column, Numbers):
                numbers = self._times if key == "time" else self._values
                numbers.append(column.numbers if keep is None else column.numbers[keep])
            else:
                ids = column.column
                if keep is not None:
                    self._ids[key].note(ids.filter(pa.array(~keep)))
                    ids = ids.filter(pa.array(keep))
                self._ids[key].append(ids)

    def _sifted(
        self, block: RawTable
    ) -> tuple[dict[str, IdColumn | Numbers], npt.NDArray[np.bool_] | None]:
        """Return a block's columns, and which rows to keep, None for all; note its bad rows."""
        parser = judged_ids if self._alone else id_column
        try:
            block, parsed, flaws = parse(block, self._names, parser)
        except DataError as error:
            if self._alone:
                raise
            raise _NotAlikeError from error
        for column in parsed.values():
            if isinstance(column, Numbers):
                self._forms |= column.forms
        like = any(flaw.like is not None for found in flaws.values() for flaw in found)
        if not self._alone and (like or len(self._forms) > 1):
            raise _NotAlikeError
        cells, keep = sift(block, flaws)
        self.bad += cells
        self._rows += len(block) + len({cell.row for cell in block.bad})
        self.good += len(block) if keep is None else int(np.count_nonzero(keep))
        return parsed, keep
