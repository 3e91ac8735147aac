"""RecBole's MultiVAE or MultiDAE: its data path, its trainer."""

from __future__ import annotations

import math
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from measuring import Data, Dense, Job, Record, main
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.utils import get_dataloader
from recbole.utils import get_model, get_trainer, init_seed

_NAME = "shared"


def train(job: Job, data: Data, record: Record) -> None:
    """Train by RecBole's trainer, epoch by epoch."""
    _write_atomic(data)
    config = Config(model=job.model, dataset=_NAME, config_dict=_settings(job, data))
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    (training,) = dataset.build()
    batches = get_dataloader(config, "train")(config, training, None, shuffle=True)
    model = get_model(config["model"])(config, training).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    # column of each shared item: RecBole numbers them as they come, with a padding item first
    columns = dataset.token2id(dataset.iid_field, [str(i) for i in range(data.train.shape[1])])
    for epoch in range(job.epochs):
        start = perf_counter()
        trainer._train_epoch(batches, epoch)
        record.epoch_seconds.append(perf_counter() - start)
        record.metrics.append(data.ndcg(lambda rows: _scores(model, rows, columns)))


def _write_atomic(data: Data) -> None:
    pairs = data.train.tocoo()
    folder = Path(_NAME)
    folder.mkdir()
    with (folder / f"{_NAME}.inter").open("w", encoding="utf-8") as lines:
        lines.write("user_id:token\titem_id:token\n")
        lines.writelines(f"{u}\t{i}\n" for u, i in zip(pairs.row, pairs.col, strict=True))


def _settings(job: Job, data: Data) -> dict[str, Any]:
    n_batches = math.ceil(data.train.shape[0] / job.batch_size)
    vae = job.model == "MultiVAE"
    return {
        "data_path": ".",
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"split": {"RS": [1]}, "group_by": "none", "order": "RO", "mode": "full"},
        "use_gpu": False,
        "seed": job.seed,
        "epochs": job.epochs,
        "train_batch_size": job.batch_size,
        "learning_rate": job.learning_rate,
        "mlp_hidden_size": [job.hidden],
        "latent_dimension": 2 * job.latent if vae else job.latent,  # VAE: means and variances
        "dropout_prob": job.dropout,
        "anneal_cap": job.beta,
        "total_anneal_steps": job.anneal_epochs * n_batches,
        "train_neg_sample_args": None,
    }


@torch.no_grad()
def _scores(model: Any, rows: Dense, columns: Any) -> Dense:
    model.eval()
    histories = np.zeros((len(rows), model.n_items), np.float32)
    histories[:, columns] = rows
    found = model(torch.from_numpy(histories))
    logits = found[0] if isinstance(found, tuple) else found  # VAE: and the code's distribution
    scores: Dense = logits.numpy()[:, columns]
    return scores


if __name__ == "__main__":
    main(train)
