"""Adam moves every row as torch's does, and of a sparse gradient only those it names."""

from __future__ import annotations

import pytest
import torch

from recsys.training import optimizer
from recsys.training.optimizer import Adam


def matrix() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))


def sparse(rows: list[int], seed: int) -> torch.Tensor:
    values = torch.randn(len(rows), 3, generator=torch.Generator().manual_seed(seed))
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, (20, 3), check_invariants=True)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_sparse_gradient_of_all_rows_is_a_dense_one(
    decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "_CHUNK", 12)  # four rows at a time
    dense, rows = matrix(), matrix()
    torch_adam = torch.optim.Adam([dense], 0.1, weight_decay=decay)
    ours = Adam([rows], 0.1, decay)
    for seed in range(5):
        gradient = sparse([*range(20), 7, 7], seed)  # a row may be named more than once
        dense.grad, rows.grad = gradient.to_dense(), gradient
        torch_adam.step()
        ours.step()
        assert rows.grad is None
    torch.testing.assert_close(rows, dense)


def test_rows_without_a_gradient_stay_where_they_are() -> None:
    parameter = matrix()
    before = parameter.detach().clone()
    ours = Adam([parameter], 0.1, 0.1)
    for seed, rows in enumerate(([3, 5], [5])):
        parameter.grad = sparse(rows, seed)
        ours.step()
    moved = (parameter != before).any(1).nonzero().squeeze(1)
    assert moved.tolist() == [3, 5]
    moments = ours.state[parameter]["exp_avg"].any(1).nonzero().squeeze(1)
    assert moments.tolist() == [3, 5]


def test_torchs_sparse_adam_takes_the_same_steps() -> None:
    ours, theirs = matrix(), matrix()
    steppers = Adam([ours], 0.1, 0.0), torch.optim.SparseAdam([theirs], 0.1)
    for seed, rows in enumerate(([3, 5], [5, 0], [19, 3, 3])):
        ours.grad, theirs.grad = sparse(rows, seed), sparse(rows, seed)
        for stepper in steppers:
            stepper.step()
    torch.testing.assert_close(ours, theirs)


def test_dense_and_sparse_gradients_take_turns() -> None:
    first, second = matrix(), matrix()
    ours = Adam([first, second], 0.1, 0.0)
    torch_adam = torch.optim.Adam([clone := matrix()], 0.1)
    for seed in range(3):
        gradient = sparse(list(range(20)), seed)
        first.grad, second.grad, clone.grad = gradient, gradient.to_dense(), gradient.to_dense()
        ours.step()
        torch_adam.step()
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(second, clone)
