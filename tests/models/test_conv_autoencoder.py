import numpy as np
import pytest
import scipy.sparse as sp

import shops
from recsys.errors import DataError
from recsys.interactions.tables import Histories
from recsys.models.autoencoders.conv import ConvAutoencoder, ConvAutoencoderConfig
from recsys.models.base import RunOptions

CPU = RunOptions(seed=3, device="cpu")
SMALL = ConvAutoencoderConfig(epochs=8, batch_size=30, learning_rate=0.02, length=4, width=16)


def timed(dense: np.ndarray, seed: int = 0) -> Histories:
    matrix = sp.csr_array(dense.astype(np.float32))
    return Histories(matrix, np.random.default_rng(seed).permutation(matrix.nnz).astype(np.int64))


def tastes(n_users: int, seed: int) -> Histories:
    return timed(shops.tastes(n_users, seed).matrix.toarray(), seed)


@pytest.fixture(scope="module")
def model() -> ConvAutoencoder:
    return ConvAutoencoder(SMALL).fit(tastes(90, 0), options=CPU)


def one(items: list[int], times: list[int]) -> Histories:
    """Return one history whose items, ascending, have these times."""
    row = np.zeros((1, 30), np.float32)
    row[0, items] = 1
    return Histories(sp.csr_array(row), np.array(times, dtype=np.int64))


def test_scores_are_those_of_a_convolution_written_out(model: ConvAutoencoder) -> None:
    learnt, W = model.tensors(), model.tensors()["convolutions.0.weight"]
    bias = learnt["convolutions.0.bias"]
    items, times = [3, 7, 20], [50, 10, 30]  # so in time 7, 20, 3, after one empty place
    rows = [np.zeros(16), *(learnt["embedding"][item] for item in (7, 20, 3)), np.zeros(16)]
    code = np.zeros(16)
    for place in range(1, 4):
        window = sum(W[:, :, shift] @ rows[place + shift - 1] for shift in range(3))
        code += rows[place] + np.maximum(window + bias, 0)
    scores = np.tanh(code / np.sqrt(3)) @ learnt["decoder.weight"].T + learnt["decoder.bias"]
    np.testing.assert_allclose(model.score(one(items, times))[0], scores, rtol=1e-4, atol=1e-5)


def test_the_order_of_a_history_matters(model: ConvAutoencoder) -> None:
    forth = model.score(one([3, 7, 20], [1, 2, 3]))
    back = model.score(one([3, 7, 20], [3, 2, 1]))
    assert np.abs(forth - back).max() > 1e-3
    later = model.score(one([3, 7, 20], [10, 200, 3000]))
    np.testing.assert_array_equal(later, forth)  # the order alone


def test_equal_times_stand_by_column(model: ConvAutoencoder) -> None:
    equal = model.score(one([3, 7, 20], [5, 5, 5]))
    np.testing.assert_array_equal(equal, model.score(one([3, 7, 20], [1, 2, 3])))


def test_only_the_most_recent_entries_are_read(model: ConvAutoencoder) -> None:
    recent = model.score(one([3, 7, 12, 20], [4, 3, 2, 1]))
    longer = model.score(one([3, 7, 12, 20, 25, 26], [4, 3, 2, 1, 0, -5]))
    np.testing.assert_array_equal(longer, recent)


def test_an_empty_history_gets_the_scores_of_the_bias(model: ConvAutoencoder) -> None:
    scores = model.score(one([], []))
    np.testing.assert_allclose(scores[0], model.tensors()["decoder.bias"], atol=1e-6)


def test_times_are_needed(model: ConvAutoencoder) -> None:
    untimed = Histories(tastes(5, 0).matrix)
    with pytest.raises(DataError, match="needs the time"):
        model.score(untimed)
    with pytest.raises(DataError, match="needs the time"):
        ConvAutoencoder(SMALL).fit(untimed)


def test_training_reads_the_order_too() -> None:
    shop = tastes(90, 0)
    turned = Histories(shop.matrix, -shop.times)
    probe = one([3, 7, 20], [1, 2, 3])
    scores = [
        ConvAutoencoder(SMALL).fit(histories, options=CPU).score(probe)
        for histories in (shop, turned)
    ]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
