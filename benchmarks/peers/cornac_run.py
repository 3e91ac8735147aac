"""Cornac's VAECF: its data set, its training function."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
from cornac.data import Dataset
from cornac.models import VAECF
from measuring import Data, Dense, Job, Record, main


class _Watched(Dataset):
    """A data set that tells when its users have been gone through, and how long that took."""

    watch: Callable[[float], None]

    def user_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        start = perf_counter()
        yield from super().user_iter(*args, **options)
        self.watch(perf_counter() - start)  # after the step of the last batch


def train(job: Job, data: Data, record: Record) -> None:
    """Train by Cornac's `fit`, which goes through the users once an epoch."""
    pairs = data.train.tocoo()
    n_users, n_items = data.train.shape
    training = _Watched(
        n_users,
        n_items,
        OrderedDict((user, user) for user in range(n_users)),
        OrderedDict((item, item) for item in range(n_items)),
        (pairs.row, pairs.col, np.ones(pairs.nnz, np.float32)),
        seed=job.seed,
    )
    model = VAECF(
        k=job.latent,
        autoencoder_structure=[job.hidden],
        act_fn="tanh",
        likelihood="mult",
        n_epochs=job.epochs,
        batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        beta=job.beta,
        seed=job.seed,
        use_gpu=False,
    )

    def watch(seconds: float) -> None:
        record.epoch_seconds.append(seconds)
        record.metrics.append(data.ndcg(lambda rows: _scores(model.vae, rows)))

    training.watch = watch
    model.fit(training)


@torch.no_grad()
def _scores(network: Any, rows: Dense) -> Dense:
    means, _ = network.encode(torch.from_numpy(rows))
    scores: Dense = network.decode(means).numpy()
    return scores


if __name__ == "__main__":
    main(train)
