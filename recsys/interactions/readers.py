"""Which files of a folder are the data, and in which layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recsys.errors import DataError, SettingsError
from recsys.interactions.parquetfile import ParquetFile
from recsys.interactions.rawtable import Table
from recsys.interactions.spec import DatasetSpec
from recsys.interactions.textfiles import DelimitedFile, JsonLines

USUAL_COLUMNS = {
    "user": "user_id",
    "item": "item_id",
    "time": "timestamp",
    "value": "value",
    "title": "title",
    "category": "category",
    "price": "price",
}
_MOVIELENS_COLUMNS = {
    **USUAL_COLUMNS,
    "user": "userId",
    "item": "movieId",
    "value": "rating",
    "category": "genres",
}
# fmt: off
_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)
# fmt: on
_EVENTS = ("userId", "movieId", "rating", "timestamp")
_MOVIES = ("movieId", "title", "genres")


@dataclass(frozen=True)
class Layout:
    """How a file of a known name is written, where its name's ending does not say it.

    Attributes
    ----------
    delimiter, encoding, header
        As `DelimitedFile` takes them.
    columns
        Usual names of the columns.
    flags
        Columns that hold 1 for each category that an item is in.
    items
        Names of the items file beside an events file.
    """

    delimiter: str | None = None
    encoding: str | None = None
    header: tuple[str, ...] | None = None
    columns: Mapping[str, str] = field(default_factory=lambda: USUAL_COLUMNS)
    flags: tuple[str, ...] = ()
    items: tuple[str, ...] = ("items.csv", "items.tsv", "items.parquet", "items.jsonl")


_U_ITEM = ("movieId", "title", "released", "video_released", "url", *_GENRES)
LAYOUTS: dict[str, Layout] = {
    "ratings.dat": Layout(
        "::", "latin-1", _EVENTS, _MOVIELENS_COLUMNS, items=("movies.dat", "items.csv")
    ),
    "u.data": Layout("\t", None, _EVENTS, _MOVIELENS_COLUMNS, items=("u.item", "items.csv")),
    "ratings.csv": Layout(columns=_MOVIELENS_COLUMNS, items=("movies.csv", "items.csv")),
    "movies.dat": Layout("::", "latin-1", _MOVIES, _MOVIELENS_COLUMNS),
    "u.item": Layout("|", "latin-1", _U_ITEM, _MOVIELENS_COLUMNS, flags=_GENRES),
    "movies.csv": Layout(columns=_MOVIELENS_COLUMNS),
}
"""MovieLens' own layouts, by file name."""

_ENDINGS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_USUAL_EVENTS = tuple(
    f"events{ending}"
    for ending in (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".jsonl", ".jsonl.gz")
)


@dataclass(frozen=True)
class ItemsTable:
    """The items of a data set.

    Attributes
    ----------
    table
        One row an item.
    columns
        Usual names of its columns.
    flags
        Columns that hold 1 for each category that the item is in, instead of a category column.
    """

    table: Table
    columns: Mapping[str, str]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The tables of a data set and what their columns are usually called.

    Attributes
    ----------
    events
        The table of events.
    items
        That of the items; without one nothing is known of an item but its id.
    columns
        Usual names of the events' columns, by `dataset.toml` key.
    """

    events: Table
    columns: Mapping[str, str]
    items: ItemsTable | None


def find(source: Path, spec: DatasetSpec) -> Found:
    """Return the events and items of a folder, or of a file with perhaps items beside it.

    Raises
    ------
    DataError
        Nothing there looks like events, or several files do.
    """
    if source.is_file():
        folder, events = source.parent, source
    elif source.is_dir():
        folder, events = source, _events_file(source, spec)
    else:
        raise DataError("there is no such folder or file", file=source, hint="check --data")
    layout = LAYOUTS.get(events.name, Layout())
    return Found(open_table(events, spec), layout.columns, find_items(folder, spec, layout))


def find_items(folder: Path, spec: DatasetSpec, layout: Layout | None = None) -> ItemsTable | None:
    """Return the items that are named, or that lie beside events of this layout."""
    if spec.items:
        path: Path | None = beside(folder, spec.items, "--items")
    else:
        names = (layout or Layout()).items
        path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        return None
    layout = LAYOUTS.get(path.name, Layout())
    return ItemsTable(open_table(path, spec), layout.columns, layout.flags)


def open_table(path: Path, spec: DatasetSpec) -> Table:
    """Return the reader of a file, by its name.

    Raises
    ------
    SettingsError
        Its name says nothing of how it is written.
    """
    layout = LAYOUTS.get(path.name, Layout())
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in (".parquet", ".pq"):
        return ParquetFile(path)
    if ending in (".jsonl", ".ndjson"):
        return JsonLines(path, spec.encoding)
    delimiter = spec.delimiter or layout.delimiter or _ENDINGS.get(ending)
    if delimiter is None:
        raise SettingsError(
            f"{path}: {ending or 'a name without an ending'} does not say how it is written; "
            "name what separates its cells with --delimiter"
        )
    return DelimitedFile(path, delimiter, spec.encoding or layout.encoding, layout.header)


def beside(folder: Path, name: str, flag: str) -> Path:
    """Return a file that flags or `dataset.toml` name: in the data folder, or a path."""
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    raise DataError("there is no such file", file=folder / name, hint=f"check {flag}")


def _events_file(folder: Path, spec: DatasetSpec) -> Path:
    if spec.events:
        return beside(folder, spec.events, "--events")
    for names in (_USUAL_EVENTS, ("ratings.dat", "u.data", "ratings.csv")):
        found = [folder / name for name in names if (folder / name).is_file()]
        if len(found) > 1:
            raise DataError(
                f"holds {' and '.join(path.name for path in found)}",
                file=folder,
                hint="say which one to read with --events",
            )
        if found:
            return found[0]
    raise DataError(
        "holds no events: no events.parquet, .csv, .tsv or .jsonl (.gz), no MovieLens file "
        "(ratings.dat, u.data, ratings.csv), no train.npz and test.npz",
        file=folder,
        hint="name the file with --events",
    )
