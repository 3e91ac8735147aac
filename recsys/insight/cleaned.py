"""A data set without its noise, in a folder of its own, and beside it what was taken out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from recsys.errors import UsageError
from recsys.files import folder_written_aside, is_taken
from recsys.insight.accounts import Log, misfit
from recsys.insight.denoising import Noise
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import BoolArray
from recsys.settings import write_settings

REMOVED = "removed.csv"


@dataclass(frozen=True)
class Cleaned:
    """What a cleaned data set has left.

    Attributes
    ----------
    pairs, events
        Different pairs of user and item, and events, before.
    removed_pairs, removed_events
        How many of them were taken out.
    again
        Pairs that were kept because they were taken on several days.
    items_gone
        Items that no event is left of.
    """

    pairs: int
    events: int
    removed_pairs: int
    removed_events: int
    again: int
    items_gone: int


def check_folder(out: Path) -> None:
    """Refuse, before anything long is done, a folder that holds something.

    Raises
    ------
    UsageError
        It is a file, or not empty.
    """
    if is_taken(out):
        raise UsageError(f"--out {out}: there is something already; name a new folder")


def write_cleaned(out: Path, dataset: Dataset, noise: Noise) -> Cleaned:
    """Write events.parquet, items.parquet, dataset.toml and removed.csv into a new folder.

    `load_dataset(out)` reads it; the data set that it comes from stays as it is. The folder is
    whole or absent.

    Raises
    ------
    UsageError
        The folder holds something.
    """
    check_folder(out)
    gone = noise.of_event
    with folder_written_aside(out) as aside:
        pq.write_table(_events(dataset, ~gone), aside / "events.parquet", compression="zstd")
        pq.write_table(items_table(dataset), aside / "items.parquet", compression="zstd")
        pa_csv.write_csv(_removed(dataset, noise), aside / REMOVED)
        weights = {key: value for key, value in asdict(dataset.weighting).items() if value}
        heading = f"{dataset.source} without what was taken for noise; see {REMOVED}"
        write_settings(
            aside / "dataset.toml",
            {"weights": weights} if weights else {},
            " ".join(heading.split()),
        )
    left = np.unique(dataset.interactions.items[~gone])
    return Cleaned(
        pairs=len(noise.noise),
        events=len(gone),
        removed_pairs=int(np.count_nonzero(noise.noise)),
        removed_events=int(np.count_nonzero(gone)),
        again=int(np.count_nonzero(noise.again)),
        items_gone=len(np.unique(dataset.interactions.items)) - len(left),
    )


def _events(dataset: Dataset, which: BoolArray) -> pa.Table:
    events = dataset.interactions.where(which)
    columns = {
        "user_id": pa.array(dataset.users.ids, pa.string()).take(pa.array(events.users)),
        "item_id": pa.array(dataset.items.ids, pa.string()).take(pa.array(events.items)),
    }
    if events.times is not None:
        columns["timestamp"] = pa.array(events.times).cast(pa.timestamp("us", "UTC"))
    if events.values is not None:
        columns["value"] = pa.array(events.values)
    return pa.table(columns)


def items_table(log: Log) -> pa.Table:
    """Return what is known of the items, as an items file has it."""
    catalogue = log.catalogue
    columns = {
        "item_id": pa.array(log.items.ids, pa.string()),
        "title": pa.array(catalogue.titles, pa.string()),
    }
    if any(catalogue.categories):
        joined = ["|".join(names) or None for names in catalogue.categories]
        columns["category"] = pa.array(joined, pa.string())
    if not np.isnan(catalogue.prices).all():
        columns["price"] = pa.array(catalogue.prices, from_pandas=True)
    for name, texts in catalogue.attributes.items():
        free = name
        while free in columns:
            free += "_"
        columns[free] = pa.array(texts, pa.string())
    return pa.table(columns)


def _removed(dataset: Dataset, noise: Noise) -> pa.Table:
    """Return the events that were taken out, with the titles and the reasons."""
    gone = noise.of_event
    table = _events(dataset, gone)
    pair, fit = noise.fit.pairs.of_event[gone], noise.fit
    titles = pa.array(dataset.catalogue.titles, pa.string())
    table = table.append_column("title", titles.take(pa.array(dataset.interactions.items[gone])))
    items, users = fit.among_items[pair], fit.among_users[pair]
    table = table.append_column("fit", pa.array(noise.score[pair].round(4)))
    reasons = [misfit(*shares) for shares in zip(items.tolist(), users.tolist(), strict=True)]
    return table.append_column("reason", pa.array(reasons, pa.string()))
