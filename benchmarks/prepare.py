"""Turn files that the data reader does not know into events.parquet beside them.

    python benchmarks/prepare.py FOLDER

FOLDER holds the Netflix Prize's ratings (combined_data_*.txt, or training_set/mv_*.txt) or the
Million Song Dataset's taste profile (train_triplets.txt). They are read piece by piece, so that
memory does not grow with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from recsys.cli import run
from recsys.errors import DataError
from recsys.files import written_aside
from recsys.progress import progress

_BLOCK = 1 << 20  # bytes read at once; pyarrow reads 32 blocks ahead
_ROWS = 1 << 20  # rows of a row group

_MOVIE = re.compile(rb"^(\d+):\r?\n", re.MULTILINE)
_RATING = re.compile(rb"\d+,\d+,\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_PLAYS = re.compile(rb"[^\t]+\t[^\t]+\t\d+")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def prepare(folder: Path) -> None:
    """Write events.parquet into FOLDER from the files that its data set is published as."""
    tables, path = _tables(folder), folder / "events.parquet"
    first, n_events = next(tables, None), 0
    if first is None:
        raise DataError("its files hold no events", file=folder)
    with (
        progress("events", None) as bar,
        written_aside(path) as aside,
        pq.ParquetWriter(aside, first.schema, compression="zstd") as writer,
    ):
        for table in _row_groups(first, tables):
            writer.write_table(table)
            n_events += len(table)
            bar.advance(len(table))
    click.echo(f"{path}: {n_events:,} events")


def _tables(folder: Path) -> Iterator[Any]:
    """Yield the events of whichever data set lies in the folder, in pieces."""
    movies = sorted(folder.glob("combined_data_*.txt")) or sorted(
        folder.glob("training_set/mv_*.txt")
    )
    songs = folder / "train_triplets.txt"
    if movies and songs.is_file():
        raise DataError(
            f"holds both {songs.name} and {movies[0].relative_to(folder)}",
            file=folder,
            hint="give each data set a folder of its own",
        )
    if movies:
        return _netflix(movies)
    if songs.is_file():
        return _songs(songs)
    raise DataError(
        "holds none of combined_data_*.txt, training_set/mv_*.txt and train_triplets.txt",
        file=folder,
        hint="unpack the data set there",
    )


def _row_groups(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    """Yield the tables joined to pieces of a good size to be read again."""
    pending, rows = [first], len(first)
    for table in others:
        if rows >= _ROWS:
            yield pa.concat_tables(pending)
            pending, rows = [], 0
        pending.append(table)
        rows += len(table)
    yield pa.concat_tables(pending)


def _netflix(paths: Sequence[Path]) -> Iterator[Any]:
    """Yield a table a movie: a line `movie:`, then lines `customer,rating,date`."""
    kinds = {"user_id": pa.int32(), "value": pa.int8(), "timestamp": pa.date32()}
    for path in paths:
        for row, movie, lines in _movies(path):
            if not lines:
                continue
            try:
                table = pacsv.read_csv(pa.BufferReader(lines), **_options(kinds, ","))
            except pa.ArrowInvalid as error:
                raise _bad_line(
                    path, lines.splitlines(), row + 1, _RATING, "customer,rating,date"
                ) from error
            movie_ids = pa.repeat(pa.scalar(int(movie), pa.int32()), len(table))
            yield table.add_column(1, "item_id", movie_ids)


def _movies(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the row of each movie's heading, its id, and the lines below it."""
    text, row = b"", 1
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            text += block
            headings = list(_MOVIE.finditer(text))
            if not headings or headings[0].start() > 0:
                line = text.splitlines()[0]
                raise _no_line(path, row, line, "movie:")
            for heading, following in pairwise(headings):
                lines = text[heading.end() : following.start()]
                yield row, heading[1], lines
                row += 1 + lines.count(b"\n")
            text = text[headings[-1].start() :]
    last = _MOVIE.match(text)
    if last is None:
        raise DataError("is empty", file=path, hint="copy or unpack it again")
    yield row, last[1], text[last.end() :]


def _songs(path: Path) -> Iterator[Any]:
    """Yield tables of lines `user<tab>song<tab>plays`."""
    kinds = {"user_id": pa.string(), "item_id": pa.string(), "value": pa.int32()}
    if path.stat().st_size == 0:
        raise DataError("is empty", file=path, hint="copy or unpack it again")
    try:
        with pacsv.open_csv(path, **_options(kinds, "\t")) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        with path.open("rb") as lines:
            raise _bad_line(path, lines, 1, _PLAYS, "user<tab>song<tab>plays") from error


def _options(kinds: dict[str, Any], delimiter: str) -> dict[str, Any]:
    """Return how pyarrow reads lines of these columns: exactly, or not at all."""
    return {
        "read_options": pacsv.ReadOptions(
            column_names=list(kinds), block_size=_BLOCK, use_threads=False
        ),
        "parse_options": pacsv.ParseOptions(delimiter=delimiter, quote_char=False),
        "convert_options": pacsv.ConvertOptions(column_types=kinds, null_values=[]),
    }


def _bad_line(
    path: Path, lines: Iterable[bytes], first: int, good: re.Pattern[bytes], form: str
) -> DataError:
    """Return the error that names the first line that is not of the form."""
    for row, line in enumerate(lines, first):
        if not good.fullmatch(line.rstrip(b"\r\n")):
            return _no_line(path, row, line, form)
    return DataError(f"not of the form {form}", file=path, row=first)


def _no_line(path: Path, row: int, line: bytes, form: str) -> DataError:
    return DataError(
        f"not of the form {form}",
        file=path,
        row=row,
        value=line.rstrip(b"\r\n").decode(errors="replace"),
        hint="copy or unpack the file again",
    )


if __name__ == "__main__":
    run(prepare)
