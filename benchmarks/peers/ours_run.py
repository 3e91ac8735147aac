"""Our Mult-VAE or Mult-DAE, trained as anyone would."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
from measuring import Data, Dense, Job, Matrix, Record, main

from recsys.interactions.tables import HeldOut, Histories
from recsys.models.base import RunOptions
from recsys.models.registry import make_model

_CLOSE = 1e-3
_USUAL_BATCH = 250  # what a learning rate is for, before larger batches raise it


def train(job: Job, data: Data, record: Record) -> None:
    """Train twice alike: once for the clock, with one user to validate on, once for the metric.

    What validation takes is thus hardly in the time, and what a fit needs before its first epoch
    is in that epoch's.
    """
    settings: dict[str, Any] = {
        "epochs": job.epochs,
        "patience": None,
        "batch_size": job.batch_size,
        "learning_rate": job.learning_rate / math.sqrt(max(1, job.batch_size / _USUAL_BATCH)),
        "hidden": (job.hidden, job.latent),
        "dropout": job.dropout,
        "sampled": job.sampled,
        "precision": job.precision,
    }
    if job.model == "mult-vae":
        settings |= {"beta": job.beta, "anneal_epochs": job.anneal_epochs, "noise": job.noise}
    histories = _histories(data.train)
    model = make_model(job.model, settings)
    start = perf_counter()

    def clock(epoch: int, metric: float) -> None:  # noqa: ARG001
        nonlocal start
        now = perf_counter()
        record.epoch_seconds.append(now - start)
        start = now

    everyone = HeldOut(_histories(data.given), _histories(data.target))
    first = np.flatnonzero(np.diff(data.target.indptr))[:1]
    one = HeldOut(everyone.given.rows(first), everyone.target.rows(first))
    model.fit(histories, validation=one, options=RunOptions(job.seed, job.device, watch=clock))
    options = RunOptions(
        job.seed, job.device, watch=lambda _, metric: record.metrics.append(metric)
    )
    model.fit(histories, validation=everyone, options=options)
    same = data.ndcg(lambda rows: model.score(_histories(rows)))
    if abs(same - record.metrics[-1]) > _CLOSE:
        raise ValueError(f"NDCG@100 is {record.metrics[-1]:.4f} in training, {same:.4f} after it")


def _histories(rows: Matrix | Dense) -> Histories:
    return Histories(sp.csr_array(rows))


if __name__ == "__main__":
    main(train)
