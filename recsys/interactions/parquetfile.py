"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError
from recsys.interactions.rawtable import Kind, RawTable

_ROWS = 1 << 19
"""Rows of a block."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at once."""


class ParquetFile:
    """A Parquet file; its rows count from 1."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, str(path)

    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._schema.names)

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[RawTable]:
        """Yield these columns with the types they have, text ids as dictionaries."""
        texts = (pa.types.is_string, pa.types.is_large_string)
        dictionaries = [
            name
            for name, kind in kinds.items()
            if kind == "id" and any(is_text(self._schema.field(name).type) for is_text in texts)
        ]
        first = 1
        try:
            with pq.ParquetFile(
                self.path,
                read_dictionary=dictionaries,
                pre_buffer=False,  # it would hold the whole file
                buffer_size=_BUFFER,
            ) as file:
                for batch in file.iter_batches(_ROWS, columns=list(kinds)):
                    columns = {name: pa.chunked_array([batch.column(name)]) for name in kinds}
                    yield RawTable(self.place, columns, first)
                    first += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error

    @cached_property
    def _schema(self) -> Any:
        if self.path.stat().st_size == 0:
            raise DataError("is empty", file=self.place)
        try:
            return pq.read_schema(self.path)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error

    def _damaged(self) -> DataError:
        with self.path.open("rb") as stream:
            begins_well = stream.read(4) == b"PAR1"
        if begins_well:
            problem, hint = "this Parquet file is cut short or damaged", "copy or write it again"
        else:
            problem, hint = "is no Parquet file", "give it the ending of what it is (.csv, .jsonl)"
        return DataError(problem, file=self.place, hint=hint)
