"""Synthetic users as a data set in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.files import folder_written_aside
from recsys.insight.accounts import Log
from recsys.insight.cleaned import check_folder, items_table
from recsys.insight.generation import Synthetic
from recsys.settings import write_settings


def write_synthetic(out: Path, log: Log, synthetic: Synthetic, says: str) -> None:
    """Write events.parquet, items.parquet and dataset.toml into a new folder.

    `load_dataset(out)` reads it. There are no times and no values: none are made up, and none of a
    customer's are kept. The folder is whole or absent.

    Parameters
    ----------
    out
        The folder.
    log
        What was learnt from; its items are the data set's.
    synthetic
        The histories.
    says
        Where they come from, for the head of dataset.toml.

    Raises
    ------
    UsageError
        The folder holds something.
    """
    check_folder(out)
    matrix = synthetic.histories
    width = len(str(matrix.shape[0]))
    names = [f"synthetic-{number:0{width}}" for number in range(1, matrix.shape[0] + 1)]
    users = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    columns = {
        "user_id": pa.array(names, pa.string()).take(pa.array(users)),
        "item_id": pa.array(log.items.ids, pa.string()).take(pa.array(matrix.indices)),
    }
    with folder_written_aside(out) as aside:
        pq.write_table(pa.table(columns), aside / "events.parquet", compression="zstd")
        pq.write_table(items_table(log), aside / "items.parquet", compression="zstd")
        write_settings(aside / "dataset.toml", {}, " ".join(says.split()))
