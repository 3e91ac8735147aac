import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.interactions.tables import Histories
from recsys.training.batches import Batch, DeviceHistories, Step
from recsys.training.distributed import World

CPU = torch.device("cpu")


@st.composite
def histories(draw: st.DrawFn) -> Histories:
    n_users, n_items = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    held = generator.random((n_users, n_items)) < draw(st.sampled_from([0.0, 0.3, 0.9]))
    weights = np.where(held, generator.uniform(0.1, 1, held.shape), 0).astype(np.float32)
    return Histories(sp.csr_array(weights))


def dense(batch: Batch, weights: torch.Tensor) -> np.ndarray:
    """Rebuild (b, n_items) from a batch's entries."""
    X = np.zeros((len(batch), batch.n_items), np.float32)
    X[batch.rows.numpy(), batch.columns.numpy()] = weights.numpy()
    return X


@given(histories(), st.data())
def test_a_batch_holds_the_rows_asked_for(shop: Histories, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(shop) - 1), max_size=15))
    batch = DeviceHistories(shop, CPU).take(torch.tensor(rows, dtype=torch.int64))
    X = shop.matrix.toarray()[rows]
    np.testing.assert_array_equal(dense(batch, batch.weights), X)
    np.testing.assert_allclose(batch.totals, X.sum(axis=1), rtol=1e-6)


@given(histories())
def test_normalised_rows_have_length_one_and_empty_ones_stay_empty(shop: Histories) -> None:
    batch = DeviceHistories(shop, CPU).all()
    X = shop.matrix.toarray()
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    expected = np.divide(X, lengths, out=np.zeros_like(X), where=lengths > 0)
    np.testing.assert_allclose(dense(batch, batch.normalised), expected, rtol=1e-6)


def test_an_epoch_has_each_history_once_in_even_batches_in_random_order(shop: Histories) -> None:
    held = DeviceHistories(shop, CPU)
    generator = torch.Generator().manual_seed(3)
    first = list(held.shuffled(40, generator))
    second = list(held.shuffled(40, generator))
    assert [len(step.batch) for step in first] == [30, 30, 30]  # of 90: never 40, 40, 10
    assert held.n_batches(40) == 3
    assert {(step.share, step.size) for step in first} == {(1, 30)}
    epochs = [[step.batch for step in epoch] for epoch in (first, second)]
    orders = [np.concatenate([dense(b, b.weights) for b in epoch]) for epoch in epochs]
    X = shop.matrix.toarray()
    for order in orders:
        assert sorted(map(bytes, order)) == sorted(map(bytes, X))
        assert not np.array_equal(order, X)
    assert not np.array_equal(*orders)


def test_batches_may_be_larger_than_the_shop(shop: Histories) -> None:
    held = DeviceHistories(shop, CPU)
    (only,) = held.shuffled(1000, torch.Generator().manual_seed(3))
    assert len(only.batch) == len(shop)


@given(histories(), st.integers(1, 9), st.integers(2, 4))
def test_processes_share_the_batches_of_one(shop: Histories, size: int, n_processes: int) -> None:
    def steps(world: World | None) -> list[Step]:
        generator = torch.Generator().manual_seed(3)
        return list(DeviceHistories(shop, CPU, world=world).shuffled(size, generator))

    alone = steps(None)
    shared = [steps(World(rank, n_processes)) for rank in range(n_processes)]
    for whole, *parts in zip(alone, *shared, strict=True):
        assert sum(part.share for part in parts) == pytest.approx(1)
        assert {part.size for part in parts} == {len(whole.batch)}
        there = [part.batch for part in parts if part.share]
        rows = np.concatenate([dense(batch, batch.weights) for batch in there])
        expected = dense(whole.batch, whole.batch.weights)
        assert sorted(map(bytes, rows)) == sorted(map(bytes, expected))


@given(histories(), st.data())
def test_times_travel_and_the_newest_entry_of_a_row_comes_first(
    shop: Histories, data: st.DataObject
) -> None:
    days = data.draw(st.integers(1, 4))  # few of them, so that many are equal
    times = np.random.default_rng(1).integers(0, days, shop.matrix.nnz)
    timed = Histories(shop.matrix, times)
    rows = data.draw(st.lists(st.integers(0, len(shop) - 1), max_size=15))
    batch = DeviceHistories(timed, CPU).take(torch.tensor(rows, dtype=torch.int64))
    picked = timed.rows(np.array(rows, dtype=np.int64))
    np.testing.assert_array_equal(batch.times, picked.times)
    for row in range(len(rows)):
        of_row = slice(*batch.offsets[row : row + 2].tolist())
        stamps, columns = batch.times[of_row].tolist(), batch.columns[of_row].tolist()
        entries = list(zip(stamps, columns, strict=True))
        newest_first = sorted(entries, reverse=True)
        assert [newest_first.index(entry) for entry in entries] == batch.recency[of_row].tolist()


def test_without_times_the_later_columns_count_as_newer(shop: Histories) -> None:
    batch = DeviceHistories(shop, CPU).all()
    assert batch.times is None
    n_entries = int(batch.offsets[1])
    assert batch.recency[:n_entries].tolist() == list(range(n_entries))[::-1]
