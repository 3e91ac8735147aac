"""Events and items from files into a store, and out of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from recsys.errors import DataError, StoreError, UsageError
from recsys.files import folder_written_aside, is_taken
from recsys.ids import IdMap
from recsys.interactions.badrows import BadRows, bad_rows_file
from recsys.interactions.columns import Parsed, choose, read
from recsys.interactions.itemsfile import read_catalogue
from recsys.interactions.readers import USUAL_COLUMNS, ItemsTable, find
from recsys.interactions.spec import DatasetSpec
from recsys.progress import progress
from recsys.store.events import Event, Kind, now, pieces
from recsys.store.items import ItemChanges, ItemState
from recsys.store.store import Store

Format = Literal["parquet", "csv"]

_AT_ONCE = 5000
_YES = ("true", "1", "True")


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes
    ----------
    accepted, duplicates
        Events that are new, and that were there already.
    refused
        Events of people who are forgotten.
    items
        Items of which something is said now.
    bad_rows, bad_rows_file
        Rows that could not be read, and where they are listed.
    """

    accepted: int
    duplicates: int
    refused: int
    items: int
    bad_rows: int
    bad_rows_file: str | None


def import_files(store: Store, source: Path, spec: DatasetSpec) -> Imported:
    """Read a data set's events and items into a store.

    An events file may have the columns `id` and `type`, as an export has. Without ids an event gets
    one from what it says, so that importing a file again changes nothing. Without times events get
    the time of the import.

    Parameters
    ----------
    store
        Where to.
    source, spec
        A folder or file, and how it is read; nothing is cleaned.

    Raises
    ------
    DataError
        A row cannot be used, and bad rows are not to be skipped.
    """
    found = find(source, spec)
    bad_rows = BadRows(spec.on_bad_rows == "skip", bad_rows_file(source.name.split(".")[0]))
    table = found.events
    keys = choose(
        table,
        spec.columns,
        found.columns,
        required=("user", "item"),
        optional=("time", "value"),
    )
    further = [name for name in ("id", "type") if name in table.names()]
    parsed = read(table, keys, bad_rows, texts=further)
    events, refused = _welcome(store, list(_events(parsed, table.place)))
    accepted = 0
    with progress("importing", len(events)) as bar:
        for some in pieces(events, _AT_ONCE):
            accepted += store.add_events(some).accepted
            bar.advance(len(some))
    items = _import_items(store, found.items, spec, bad_rows) if found.items else 0
    return Imported(
        accepted,
        len(events) - accepted,
        refused,
        items,
        bad_rows.count,
        str(bad_rows.path) if bad_rows.count else None,
    )


def export_files(store: Store, out: Path, kind: Format) -> tuple[int, int]:
    """Write all events and items into a new folder; return how many of each.

    Removes, and what they took back, are among the events: `type` tells them.

    Raises
    ------
    UsageError
        The folder holds something.
    StoreError
        It cannot be written.
    """
    if is_taken(out):
        raise UsageError(f"{out} is there already; name a folder that does not exist yet")
    try:
        with folder_written_aside(out) as folder:
            n_events = _write_events(store, folder / f"events.{kind}", kind)
            states = store.items()
            if states:
                _write(_items_table(states), folder / f"items.{kind}", kind)
            return n_events, len(states)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error


def _welcome(store: Store, events: Sequence[Event]) -> tuple[list[Event], int]:
    """Return the events of people who are not forgotten, and how many others there are."""
    users = sorted({event.user for event in events})
    forgotten = store.forgotten_among(users)
    kept = [event for event in events if event.user not in forgotten]
    return kept, len(events) - len(kept)


def _events(parsed: Parsed, place: str) -> Iterator[Event]:
    """Yield the good rows as events."""
    users, items = (_texts(parsed, key) for key in ("user", "item"))
    times, values = parsed.numbers.get("time"), parsed.numbers.get("value")
    further = {
        name: parsed.raw.columns[name].to_pylist() if name in parsed.raw.columns else None
        for name in ("id", "type")
    }
    imported, seen = now(), Counter[str]()
    for row in range(len(users)):
        if parsed.keep is not None and not parsed.keep[row]:
            continue
        kind = further["type"][row] if further["type"] else "add"
        if kind not in ("add", "remove"):
            hint = "write add or remove"
            raise DataError("no type", file=place, column="type", value=kind, hint=hint)
        when = imported if times is None else int(times.numbers[row])
        value = None if values is None else float(values.numbers[row])
        identifier = further["id"][row] if further["id"] else None
        if not identifier:
            said = (users[row], items[row], None if times is None else when, value, kind)
            seen[repr(said)] += 1
            text = f"{said!r}{seen[repr(said)]}".encode("utf-8", "surrogatepass")
            identifier = f"import-{hashlib.blake2b(text, digest_size=16).hexdigest()}"
        yield Event(identifier, users[row], items[row], when, value, cast(Kind, kind))


def _texts(parsed: Parsed, key: str) -> list[str]:
    texts = parsed.ids[key].texts.to_pylist()
    last = len(texts) - 1
    return [texts[min(code, last)] for code in parsed.ids[key].codes]


def _import_items(store: Store, listed: ItemsTable, spec: DatasetSpec, bad_rows: BadRows) -> int:
    there = listed.table.names()
    names = (spec.columns.item, listed.columns["item"], USUAL_COLUMNS["item"])
    column = next((name for name in names if name in there), USUAL_COLUMNS["item"])
    ids = read(listed.table, {"item": column}, bad_rows).ids["item"].texts.to_pylist()
    items = IdMap(identifier for identifier in ids if identifier)
    catalogue, _, _ = read_catalogue(listed, spec.columns, items, bad_rows)
    changes: dict[str, ItemChanges] = {}
    for code, item in enumerate(items.ids):
        said = {name: texts[code] for name, texts in catalogue.attributes.items()}
        price = float(catalogue.prices[code])
        change: ItemChanges = {
            "title": None if catalogue.titles[code] == item else catalogue.titles[code],
            "category": catalogue.categories[code] or None,
            "price": None if price != price else price,  # noqa: PLR0124  # NaN: unknown
        }
        if (stocked := said.pop("in_stock", None)) is not None:
            change["in_stock"] = stocked in _YES
        if (blocked := said.pop("blocked", None)) is not None:
            change["blocked"] = blocked in _YES
        changes[item] = {**change, "attributes": said}
    with progress("importing items", len(changes)) as bar:
        for some in pieces(changes.items()):
            store.set_items(dict(some))
            bar.advance(len(some))
    return len(changes)


_EVENTS = pa.schema(
    [
        ("id", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("value", pa.float64()),
        ("type", pa.string()),
    ]
)


def _write_events(store: Store, path: Path, kind: Format) -> int:
    written = 0
    open_writer = pq.ParquetWriter if kind == "parquet" else pv.CSVWriter
    with open_writer(path, _EVENTS) as writer, progress("exporting", None) as bar:
        for some in pieces(store.every_event(), 50_000):
            columns = [
                [event.id for event in some],
                [event.user for event in some],
                [event.item for event in some],
                [event.time for event in some],
                [1.0 if event.value is None else event.value for event in some],
                [event.type for event in some],
            ]
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, _EVENTS, strict=True)
            ]
            writer.write_table(pa.table(arrays, schema=_EVENTS))
            written += len(some)
            bar.advance(len(some))
    return written


def _items_table(states: Sequence[ItemState]) -> Any:
    attributes = sorted({name for state in states for name in state.attributes})
    columns = {
        "item_id": pa.array([state.item for state in states], pa.string()),
        "title": pa.array([state.title for state in states], pa.string()),
        "category": pa.array(
            ["|".join(state.category or ()) or None for state in states], pa.string()
        ),
        "price": pa.array([state.price for state in states], pa.float64()),
        "in_stock": pa.array([str(state.in_stock).lower() for state in states], pa.string()),
        "blocked": pa.array([str(state.blocked).lower() for state in states], pa.string()),
    }
    for name in attributes:
        if name not in columns:
            columns[name] = pa.array([s.attributes.get(name) for s in states], pa.string())
    return pa.table(columns)


def _write(table: Any, path: Path, kind: Format) -> None:
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        pv.write_csv(table, path)
