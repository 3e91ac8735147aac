"""The products that a model knows little of, for `recsys inspect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys.cli.data_options import spec_of_data
from recsys.interactions.dataset import Dataset
from recsys.interactions.spec import is_url


@dataclass(frozen=True)
class NewProduct:
    """A product with few events.

    Attributes
    ----------
    item, title
        Its id, and what to call it.
    events
        How many a model has, or would have, learnt from.
    first
        Time of its first event in the data, microseconds since 1970 UTC; None where unknown.
    """

    item: str
    title: str
    events: int
    first: int | None


def new_products(
    dataset: Dataset, flags: Mapping[str, Any], below: int, models: Path | None
) -> list[NewProduct]:
    """Return the products with fewer events than `below`: without any, then the newest first.

    Parameters
    ----------
    dataset, flags
        The data set, and the flags it was read with. Products that only its items file, or its
        store, lists count as well.
    below
        How many events make a product an old one.
    models
        Where the current model is whose events count, instead of the data set's; None for those.
    """
    events = dataset.interactions
    counts = np.bincount(events.items, minlength=events.n_items).tolist()
    titles = dict(zip(dataset.items.ids, dataset.catalogue.titles, strict=True))
    known = dict(zip(dataset.items.ids, counts, strict=True))
    first = dict(zip(dataset.items.ids, _first(dataset), strict=True))
    titles = {**dict(_listed_alone(dataset, flags)), **titles}
    learnt = known if models is None else _learnt(models)
    found = [
        NewProduct(item, title, learnt.get(item, 0), first.get(item))
        for item, title in titles.items()
        if learnt.get(item, 0) < below
    ]
    return sorted(found, key=lambda each: (each.first is not None, -(each.first or 0), each.item))


def _first(dataset: Dataset) -> list[int | None]:
    """Return the time of each item's first event."""
    events = dataset.interactions
    if events.times is None:
        return [None] * events.n_items
    first = np.full(events.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, events.items, events.times)
    moments: list[int | None] = first.tolist()
    return moments


def _learnt(models: Path) -> dict[str, int]:
    """Return how many events of each of its items the current model was trained on."""
    from recsys.artifacts import load_current

    model = load_current(models)
    counts = np.bincount(model.interactions.items, minlength=len(model.items))
    return dict(zip(model.items.ids, counts.tolist(), strict=True))


def _listed_alone(dataset: Dataset, flags: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield id and title of what is listed and has no event; nothing where rows were skipped."""
    spec, source = spec_of_data(flags), flags["data"]
    if not is_url(source):
        from recsys.interactions.itemsfile import read_listed
        from recsys.interactions.readers import find

        report = dataset.report
        if report is None or report.bad_rows or dataset.test is not None:
            return
        listed = find(Path(source), spec).items
        if listed is not None:
            yield from read_listed(listed, spec.columns, besides=dataset.items)
        return
    from recsys.store.store import Store
    from recsys.store.training import names_store

    if names_store(source, spec):
        store = Store.at(source, create=False)
        try:
            for state in store.items():
                if state.item not in dataset.items:
                    yield state.item, state.title or state.item
        finally:
            store.close()
