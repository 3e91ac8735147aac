from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recsys.interactions.tables import Histories
from recsys.training import losses
from recsys.training.batches import Batch, DeviceHistories
from recsys.training.losses import (
    cosine_loss,
    gaussian_kl,
    hidden_cosine_loss,
    multinomial_loss,
    sampled_multinomial_loss,
)
from recsys.training.schedules import ramp


def test_multinomial_loss_and_its_gradient_equal_the_dense_formula() -> None:
    generator = np.random.default_rng(0)
    X = np.where(generator.random((7, 11)) < 0.4, generator.uniform(0.1, 1, (7, 11)), 0)
    X[3] = 0  # an empty history explains itself
    batch = DeviceHistories(
        Histories(sp.csr_array(X.astype(np.float32))), torch.device("cpu")
    ).all()
    logits = torch.tensor(generator.normal(size=(7, 11)) * 5, dtype=torch.float32)
    sparse_logits, dense_logits = (logits.clone().requires_grad_() for _ in range(2))

    loss = multinomial_loss(sparse_logits, batch)
    target = torch.tensor(X, dtype=torch.float32)
    expected = -(target * dense_logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected)

    loss.backward()
    expected.backward()
    torch.testing.assert_close(sparse_logits.grad, dense_logits.grad)


def test_multinomial_loss_survives_large_logits(shop: Histories) -> None:
    batch = DeviceHistories(shop, torch.device("cpu")).all()
    logits = torch.full((len(shop), 30), 1e4)
    per_history = shop.matrix.sum(axis=1) * np.log(30)
    assert multinomial_loss(logits, batch).item() == pytest.approx(per_history.mean(), rel=1e-3)


def test_gaussian_kl_equals_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn(2, 6, 4, generator=generator)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros(6, 4), torch.ones(6, 4))
    expected = torch.distributions.kl_divergence(normal, standard).sum(1).mean()
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


@pytest.mark.parametrize(
    ("epoch", "length", "value"),
    [(0, 20, 0), (5, 20, 0.05), (20, 20, 0.2), (90, 20, 0.2), (0, 0, 0.2)],
)
def test_ramp(epoch: float, length: float, value: float) -> None:
    assert ramp(epoch, length, 0.2) == pytest.approx(value)


def histories(generator: np.random.Generator) -> tuple[np.ndarray, Batch]:
    """Return seven histories, none empty, dense and as a batch."""
    X = np.where(generator.random((7, 11)) < 0.4, generator.uniform(0.1, 1, (7, 11)), 0)
    X[:, 2] = 0.5
    rows = Histories(sp.csr_array(X.astype(np.float32)))
    return X, DeviceHistories(rows, torch.device("cpu")).all()


def test_cosine_loss_and_its_gradient_equal_the_dense_formula() -> None:
    generator = np.random.default_rng(0)
    X, batch = histories(generator)
    scores = torch.tensor(generator.normal(size=(7, 11)), dtype=torch.float32)
    sparse_scores, dense_scores = (scores.clone().requires_grad_() for _ in range(2))

    loss = cosine_loss(sparse_scores, batch)
    target = torch.tensor(X, dtype=torch.float32)
    predicted = dense_scores / dense_scores.norm(dim=1, keepdim=True)
    expected = (predicted - target / target.norm(dim=1, keepdim=True)).square().sum(1).mean()
    torch.testing.assert_close(loss, expected)

    loss.backward()
    expected.backward()
    torch.testing.assert_close(sparse_scores.grad, dense_scores.grad)


def test_the_cosine_loss_of_no_history_and_of_no_score_is_finite() -> None:
    nothing = sp.csr_array(np.array([[0, 0], [1, 0]], np.float32))
    batch = DeviceHistories(Histories(nothing), torch.device("cpu")).all()
    scores = torch.zeros(2, 2, requires_grad=True)
    loss = cosine_loss(scores, batch)
    loss.backward()
    assert loss.item() == 2
    assert torch.isfinite(scores.grad).all()


def test_the_hidden_cosine_loss_and_its_gradient_equal_the_dense_formula() -> None:
    generator = np.random.default_rng(0)
    X, batch = histories(generator)
    shown = np.where(generator.random((7, 11)) < 0.5, X, 0) > 0
    shown[:, 2] = False  # everyone has something to find
    hidden = torch.tensor(~shown[X.nonzero()])
    scores = torch.tensor(generator.normal(size=(7, 11)), dtype=torch.float32)
    sparse_scores, dense_scores = (scores.clone().requires_grad_() for _ in range(2))

    loss = hidden_cosine_loss(sparse_scores, batch, hidden, 0.5)
    left = torch.tensor(~shown, dtype=torch.float32)
    target = torch.tensor(X, dtype=torch.float32)
    found, wanted = dense_scores * left, target * left
    distance = found / found.norm(dim=1, keepdim=True) - wanted / wanted.norm(dim=1, keepdim=True)
    counts = target.sum(1).sqrt()
    expected = (counts * distance.square().sum(1)).sum() / counts.sum()
    torch.testing.assert_close(loss, expected)

    loss.backward()
    expected.backward()
    torch.testing.assert_close(sparse_scores.grad, dense_scores.grad)


def test_the_hidden_cosine_loss_without_anything_hidden_or_any_history_is_finite() -> None:
    for X in ([[1, 1], [0, 1]], [[0, 0], [0, 0]]):
        histories = Histories(sp.csr_array(np.array(X, np.float32)))
        batch = DeviceHistories(histories, torch.device("cpu")).all()
        scores = torch.ones(2, 2, requires_grad=True)
        hidden = torch.zeros(histories.matrix.nnz, dtype=torch.bool)
        loss = hidden_cosine_loss(scores, batch, hidden, 0.5)
        loss.backward()
        assert loss.item() == 2
        assert torch.equal(scores.grad, torch.zeros(2, 2))


def test_a_sampled_loss_that_takes_all_items_is_the_whole_one(shop: Histories) -> None:
    batch = DeviceHistories(shop.rows(slice(0, 3)), torch.device("cpu")).all()
    generator = torch.Generator().manual_seed(2)
    output, hidden = torch.nn.Linear(5, 30), torch.randn(3, 5, generator=generator) * 3
    whole = multinomial_loss(output(hidden), batch)
    whole.backward()
    gradient = output.weight.grad
    output.zero_grad()
    sampled = sampled_multinomial_loss(hidden, output, batch, 30, generator)
    sampled.backward()
    torch.testing.assert_close(sampled, whole)
    assert output.weight.grad.is_sparse
    torch.testing.assert_close(output.weight.grad.to_dense(), gradient)


@pytest.mark.parametrize("popularity", [False, True])
def test_a_sampled_normaliser_is_right_on_average(shop: Histories, popularity: bool) -> None:
    device = torch.device("cpu")
    batch = DeviceHistories(shop, device, popularity=popularity).take(torch.tensor([0]))
    generator = torch.Generator().manual_seed(2)
    output, hidden = torch.nn.Linear(5, 30), torch.randn(1, 5, generator=generator) * 2
    with torch.no_grad():
        whole = multinomial_loss(output(hidden), batch)
        drawn = torch.stack(
            [sampled_multinomial_loss(hidden, output, batch, 4, generator) for _ in range(3000)]
        )
    # the mean of exp(loss / total) is that of the normaliser, which is exact in expectation
    total = batch.totals.sum()
    ratio = ((drawn - whole) / total).exp()
    assert ratio.std() > 0.05
    assert ratio.mean().item() == pytest.approx(1, abs=5 * ratio.std().item() / 3000**0.5)


def test_popular_items_are_drawn_more_often(shop: Histories) -> None:
    device = torch.device("cpu")
    held = DeviceHistories(shop, device, popularity=True)
    assert held.popularity is not None
    assert held.popularity.tolist() == np.bincount(shop.matrix.indices, minlength=30).tolist()
    only = int(np.setdiff1d(np.arange(30), shop.matrix[[0]].indices)[0])
    popularity = torch.zeros(30)
    popularity[only] = 1  # nothing else can be drawn
    batch = replace(held.take(torch.tensor([0])), popularity=popularity)
    output, hidden = torch.nn.Linear(5, 30), torch.randn(1, 5)
    sampled_multinomial_loss(hidden, output, batch, 4, torch.Generator()).backward()
    rows = output.weight.grad.coalesce().indices().squeeze(0).tolist()
    assert rows == sorted({*batch.columns.tolist(), only})


def test_a_loss_of_bfloat16_logits_is_near_that_of_float32(shop: Histories) -> None:
    batch = DeviceHistories(shop, torch.device("cpu")).all()
    logits = torch.randn(len(batch), 30, generator=torch.Generator().manual_seed(0)) * 3
    gradients, found = [], []
    for dtype in (torch.float32, torch.bfloat16):
        leaf = logits.bfloat16().float().requires_grad_()  # the same numbers in both
        loss = multinomial_loss(leaf.to(dtype).mul(1), batch)
        loss.backward()
        gradients.append(leaf.grad)
        found.append(loss.detach())
    exact = multinomial_loss(logits.bfloat16().float(), batch)
    torch.testing.assert_close(found[1], exact)
    torch.testing.assert_close(gradients[1], gradients[1].bfloat16().float())
    assert (gradients[1] - gradients[0]).abs().max() < 0.01


def test_the_loss_is_the_same_in_parts(shop: Histories, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = DeviceHistories(shop, torch.device("cpu")).all()
    logits = torch.randn(len(batch), 30, requires_grad=True)
    whole = multinomial_loss(logits * 1, batch)
    whole.backward()
    gradient, logits.grad = logits.grad, None
    monkeypatch.setattr(losses, "_CHUNK", {"cpu": 7 * 30})
    parts = multinomial_loss(logits * 1, batch)
    (3 * parts).backward()
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(logits.grad, 3 * gradient)
