"""Mult-VAE as the public implementations train it: every batch a dense array made on the host."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import torch
from measuring import Data, Dense, Job, Record, main
from torch import Tensor, nn
from torch.nn import functional


class MultVAE(nn.Module):
    """Liang et al. (2018): n_items – hidden – latent – hidden – n_items."""

    def __init__(self, n_items: int, job: Job) -> None:
        super().__init__()
        self.dropout = job.dropout
        self.encoder = nn.Sequential(
            nn.Linear(n_items, job.hidden), nn.Tanh(), nn.Linear(job.hidden, 2 * job.latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(job.latent, job.hidden), nn.Tanh(), nn.Linear(job.hidden, n_items)
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_normal_(parameter)
            else:
                nn.init.normal_(parameter, std=0.001)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, mean and log-variance of dense histories, (b, n_items)."""
        hidden = functional.dropout(functional.normalize(x), self.dropout, self.training)
        mean, log_variance = self.encoder(hidden).chunk(2, dim=1)
        latent = mean
        if self.training:
            latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(latent), mean, log_variance


def train(job: Job, data: Data, record: Record) -> None:
    """Take one step a batch, and time the epochs without their validation."""
    torch.manual_seed(job.seed)
    rng = np.random.default_rng(job.seed)
    network = MultVAE(data.train.shape[1], job).to(job.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=job.learning_rate)
    n_users, step = data.train.shape[0], 0
    steps = -(-n_users // job.batch_size)
    for _ in range(job.epochs):
        start = perf_counter()
        network.train()
        order = rng.permutation(n_users)
        for first in range(0, n_users, job.batch_size):
            rows = data.train[order[first : first + job.batch_size]]
            x = torch.FloatTensor(rows.toarray()).to(job.device)
            logits, mean, log_variance = network(x)
            likelihood = (functional.log_softmax(logits, 1) * x).sum(1).mean()
            divergence = (-0.5 * (1 + log_variance - mean**2 - log_variance.exp())).sum(1).mean()
            beta = min(job.beta, job.beta * step / (job.anneal_epochs * steps))
            loss = -likelihood + beta * divergence
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        loss.item()  # what a device still has to do belongs to the epoch
        record.epoch_seconds.append(perf_counter() - start)
        network.eval()
        record.metrics.append(data.ndcg(lambda rows: _scores(network, rows, job.device)))


@torch.no_grad()
def _scores(network: MultVAE, rows: Dense, device: str) -> Dense:
    scores: Dense = network(torch.from_numpy(rows).to(device))[0].cpu().numpy()
    return scores


if __name__ == "__main__":
    main(train)
