"""A data set: one folder (or database) of events, read, cleaned, and numbered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.errors import SettingsError
from recsys.ids import IdMap
from recsys.interactions.badrows import BadRows, bad_rows_file
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.cleaning import clean
from recsys.interactions.columns import choose
from recsys.interactions.events import Codes
from recsys.interactions.gathering import gather
from recsys.interactions.itemsfile import read_catalogue
from recsys.interactions.pieces import counted, pieces
from recsys.interactions.published import is_published, read_published
from recsys.interactions.readers import Found, ItemsTable, find, find_items
from recsys.interactions.report import ReadReport
from recsys.interactions.spec import DatasetSpec, flag_of, is_url
from recsys.interactions.tables import IntArray, Interactions
from recsys.interactions.weighting import Weighting

__all__ = ["Dataset", "DatasetSpec", "load_dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Cleaned interactions and everything needed to speak of them to the outside.

    Attributes
    ----------
    name
        Short name: the folder's, unless `dataset.toml` says otherwise.
    source
        Where it was read from, as the user gave it, a password left out.
    fingerprint
        SHA-256 over the cleaned events, ids and times, in hexadecimal; the order of the rows that
        were read does not matter.
    interactions
        The events; for a published split, its train part.
    users, items
        Outside ids of rows and columns, in the order of their text (a published split: of their
        number).
    catalogue
        Titles and the like, in the order of `items`.
    weighting
        What `dataset.toml` or flags say weights mean.
    test
        The test part of a published split (protocol `given`), row for row the same users; else
        None.
    report
        What was read, dropped and why; None for a data set that was not read.
    """

    name: str
    source: str
    fingerprint: str
    interactions: Interactions
    users: IdMap
    items: IdMap
    catalogue: Catalogue
    weighting: Weighting
    test: Interactions | None = None
    report: ReadReport | None = None


def load_dataset(source: str | Path, spec: DatasetSpec | None = None) -> Dataset:
    """Read, check and clean a data set.

    Parameters
    ----------
    source
        A folder, a file of events, or a SQLAlchemy URL; see `data/README.md`.
    spec
        What differs from the usual; None reads it from the folder's `dataset.toml`, if any.

    Raises
    ------
    DataError
        A file, column or row cannot be used; the message names it and says what to do. With
        `on_bad_rows = "skip"` such rows are listed in NAME.bad-rows.csv in the current folder.
    SettingsError
        The spec is wrong, or asks for a column that is not there.
    """
    spec = DatasetSpec.read(source) if spec is None else spec
    if is_url(source):
        from recsys.interactions.sql import find_tables

        with find_tables(str(source), spec) as (found, name, shown):
            return _load(found, spec, spec.name or name, shown)
    path = Path(source)
    if is_published(path, spec):
        return _load_published(path, spec)
    name = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return _load(find(path, spec), spec, spec.name or name, str(source))


def _load(found: Found, spec: DatasetSpec, name: str, source: str) -> Dataset:
    table = found.events
    bad_rows = BadRows(spec.on_bad_rows == "skip", bad_rows_file(name))
    keys = choose(
        table,
        spec.columns,
        found.columns,
        required=("user", "item"),
        optional=("time", "value"),
    )
    _check_weights(spec.weights, keys, table.place)
    log = gather(table, keys, bad_rows)
    events, steps = clean(log.let_go(), spec.clean, table.place)
    users, user_codes = _numbered(log.users, events.users)
    items, item_codes = _numbered(log.items, events.items)
    interactions = Interactions(  # the events come in its order
        np.searchsorted(user_codes, np.arange(len(users) + 1, dtype=user_codes.dtype)),
        item_codes,
        len(items),
        events.times,
        None if events.values is None else events.values.astype(np.float32, copy=False),
    )
    del events, user_codes
    catalogue, listed, described = _catalogue(found.items, spec, items, bad_rows)
    report = ReadReport(
        files=(table.place, *([found.items.table.place] if found.items else [])),
        columns=keys,
        rows=log.rows,
        bad_rows=bad_rows.count,
        bad_rows_file=str(bad_rows.path) if bad_rows.count else None,
        steps=steps,
        listed_items=listed,
        described_items=described,
    )
    return Dataset(
        name,
        source,
        _fingerprint(users, items, interactions),
        interactions,
        users,
        items,
        catalogue,
        spec.weights,
        report=report,
    )


def _load_published(folder: Path, spec: DatasetSpec) -> Dataset:
    train, test = read_published(folder, spec)
    name = spec.name or folder.resolve().name
    bad_rows = BadRows(spec.on_bad_rows == "skip", bad_rows_file(name))
    users = IdMap(map(str, range(train.n_users)))
    items = IdMap(map(str, range(train.n_items)))
    _check_weights(spec.weights, {"value": "data"} if train.values is not None else {}, str(folder))
    listed_items = find_items(folder, spec)
    catalogue, listed, described = _catalogue(listed_items, spec, items, bad_rows)
    files = [str(folder / part) for part in ("train.npz", "test.npz")]
    report = ReadReport(
        files=(*files, *([listed_items.table.place] if listed_items else [])),
        rows=train.n_events + test.n_events,
        bad_rows=bad_rows.count,
        bad_rows_file=str(bad_rows.path) if bad_rows.count else None,
        listed_items=listed,
        described_items=described,
    )
    return Dataset(
        name,
        str(folder),
        _fingerprint(users, items, train, test),
        train,
        users,
        items,
        catalogue,
        spec.weights,
        test,
        report,
    )


def _numbered(texts: Any, codes: Codes) -> tuple[IdMap, IntArray]:
    """Return the ids that some event still has, and the events' codes among them."""
    used = counted(codes, len(texts)) > 0
    if not used.all():
        texts, place_of = texts.filter(pa.array(used)), np.cumsum(used, dtype=np.int32) - 1
        for piece in pieces(len(codes)):
            codes[piece] = place_of[codes[piece]]
    return IdMap(texts.to_pylist()), codes.astype(np.int32, copy=False)


def _catalogue(
    listed: ItemsTable | None, spec: DatasetSpec, items: IdMap, bad_rows: BadRows
) -> tuple[Catalogue, int | None, int]:
    if listed is None:
        return Catalogue.untitled(items.ids), None, 0
    return read_catalogue(listed, spec.columns, items, bad_rows)


def _check_weights(weights: Weighting, keys: Mapping[str, str], place: str) -> None:
    """Refuse weights from times or values that are not there, before anything long is done."""
    for wanted, needs, flag in (
        (weights.half_life_days, "time", "--half-life-days"),
        (weights.train_half_life_days, "time", "--train-half-life-days"),
        (weights.per_day_bought, "time", "--per-day-bought"),
        (weights.value, "value", "--value-weight"),
        (weights.baskets, "time", "--baskets"),
    ):
        if wanted and needs not in keys:
            raise SettingsError(
                f"{place}: {flag} needs a {needs} column; name it with {flag_of('columns', needs)}"
            )


def _fingerprint(users: IdMap, items: IdMap, *parts: Interactions) -> str:
    """Return the SHA-256 of the ids and of each part's events, which stand in one fixed order."""
    digest = hashlib.sha256()
    arrays = [array for ids in (users, items) for array in ids.tensors("ids").values()]
    for part in parts:
        absent = np.zeros(0)
        times = absent if part.times is None else part.times
        arrays += [part.indptr, part.items, times, absent if part.values is None else part.values]
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
