"""What the measured libraries share: the job, the data, the metric, the clock, the memory.

Each runs in an environment of its own, so that this imports nothing but numpy, scipy, torch and
those modules of recsys that need no more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

# last: where recsys is not installed, and for what the benchmarks share
sys.path += [str(Path(__file__).parents[place]) for place in (2, 1)]

from apart import held_bytes, peak_bytes

from recsys.metrics import hits, ndcg
from recsys.topk import top_k

_DEPTH = 100
_BATCH = 500  # users scored at once

Dense = npt.NDArray[np.float32]
Matrix: TypeAlias = "sp.csr_array[Any, tuple[int, int]]"


@dataclass(frozen=True)
class Job:
    """What to train, on what, and how; the same for every library.

    Attributes
    ----------
    model
        Its name in the library.
    data
        The .npz that the driver wrote.
    epochs, batch_size, learning_rate, seed
        Of training with Adam.
    hidden, latent
        Widths: n_items – hidden – latent – hidden – n_items.
    dropout
        Share of a history's entries hidden from the input, where the library can.
    beta, anneal_epochs
        Weight of the KL term, and the epochs over which it rises from 0, where the library can.
    threads
        Of torch and of everything else.
    device
        Where it is trained, for ours and the textbook's.
    sampled, precision, noise
        For ours alone; noise as MultVAEConfig has it.
    """

    model: str
    data: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    hidden: int
    latent: int
    dropout: float
    beta: float
    anneal_epochs: int
    threads: int
    device: str = "cpu"
    sampled: int | None = None
    precision: str = "auto"
    noise: float = 1.0


@dataclass(frozen=True, eq=False)
class Data:
    """Training users, and validation users cut into what is given and what is to be found.

    Each is CSR (users, n_items) of ones, every item in `train`; `given` and `target` are row for
    row the same users.
    """

    train: Matrix
    given: Matrix
    target: Matrix

    def ndcg(self, scores_of: Callable[[Dense], Dense]) -> float:
        """Return the mean NDCG@100 of the validation users, items that they were given left out.

        Parameters
        ----------
        scores_of
            Turns dense histories of ones, float32 (b, n_items), into scores of that shape.
        """
        per_user = []
        for start in range(0, self.given.shape[0], _BATCH):
            histories = self.given[start : start + _BATCH].toarray()
            target = self.target[start : start + _BATCH]
            scores = np.where(histories > 0, np.float32(-np.inf), scores_of(histories))
            relevant = np.diff(target.indptr)
            per_user.append(ndcg(hits(top_k(scores, _DEPTH), target), relevant, _DEPTH))
        return float(np.nanmean(np.concatenate(per_user)))


def read_data(path: str | Path) -> Data:
    """Read the .npz that the driver wrote: indptr and indices of each matrix."""
    with np.load(path, allow_pickle=False) as arrays:
        n_items = int(arrays["n_items"])

        def matrix(name: str) -> Matrix:
            indptr, indices = arrays[f"{name}.indptr"], arrays[f"{name}.indices"]
            ones = np.ones(len(indices), np.float32)
            return sp.csr_array((ones, indices, indptr), shape=(len(indptr) - 1, n_items))

        return Data(matrix("train"), matrix("given"), matrix("target"))


@dataclass
class Record:
    """What was measured of a training.

    Attributes
    ----------
    epoch_seconds
        Of training alone, an entry an epoch.
    metrics
        NDCG@100 of the validation users after each epoch.
    memory_before
        Resident bytes with everything imported and the data in memory, before the library's own
        preparation.
    """

    epoch_seconds: list[float] = field(default_factory=list)
    metrics: list[float] = field(default_factory=list)
    memory_before: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as the driver reads it, with the peak of memory until now."""
        return {
            "epoch_seconds": self.epoch_seconds,
            "ndcg@100": self.metrics,
            "memory_before_bytes": self.memory_before,
            "peak_memory_bytes": peak_bytes(),
            "torch": torch.__version__,
        }


def main(train: Callable[[Job, Data, Record], None]) -> None:
    """Read the job that the first argument names, train, write the second: what was measured."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    torch.set_num_threads(job.threads)
    data = read_data(job.data)
    record = Record(memory_before=held_bytes())
    train(job, data, record)
    Path(sys.argv[2]).write_text(json.dumps(record.as_json()), encoding="utf-8")
