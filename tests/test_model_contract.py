"""What every model promises, whatever it is: a line in the registry joins the suite."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import DataError, NotFittedError
from recsys.files import map_tensors, write_tensors
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Histories
from recsys.models.base import Model, RunOptions
from recsys.models.registry import MODELS, make_model, model_class

N_USERS, N_ITEMS = 120, 40
OPTIONS = RunOptions(seed=7, device="cpu")

_QUICK = {"epochs": 12, "batch_size": 30, "learning_rate": 0.01}
SMALL: dict[str, dict[str, Any]] = {
    "pure-svd": {"factors": 8},
    "als": {"factors": 8, "iterations": 3},
    "bpr": {"factors": 8, "iterations": 30, "learning_rate": 0.05},
    "lmf": {"factors": 8, "iterations": 5},
    "autoencoder": {**_QUICK, "hidden": [16]},
    "mult-dae": {**_QUICK, "hidden": [16]},
    "mult-vae": {**_QUICK, "hidden": [16, 8]},
    "sparse-autoencoder": {**_QUICK, "units": 32, "active": 8},
    "conv-autoencoder": {**_QUICK, "length": 8, "width": 16},
    "recvae": {**_QUICK, "width": 16, "latent": 8},
    "elsa": {**_QUICK, "factors": 8},
    "residual-autoencoder": {**_QUICK, "width": 16, "factors": 8},
}
"""Settings that keep a slow model's fit short here; a model without an entry has its defaults."""

EXACT = ("popularity", "buy-again", "pure-svd", "item-knn", "ease", "edlae", "dan-edlae", "blend")
"""Models whose fit has one answer, whatever order the training rows stand in."""

every_model = pytest.mark.parametrize("name", MODELS)


def shop(seed: int, n_users: int = N_USERS, n_items: int = N_ITEMS) -> Histories:
    """Users of four tastes over items of skewed popularity, with weights and times."""
    generator = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, n_items + 1) ** 0.7
    taste = np.where(np.arange(n_users)[:, None] % 4 == np.arange(n_items) % 4, 5.0, 0.5)
    held = generator.random((n_users, n_items)) < np.minimum(0.9, 0.6 * popularity * taste)
    held[np.arange(n_users), generator.integers(n_items, size=n_users)] = True
    weights = np.where(held, generator.uniform(0.2, 1, held.shape), 0).astype(np.float32)
    weights /= weights.max(axis=1, keepdims=True)
    matrix = sp.csr_array(weights)
    days = generator.integers(0, 300, matrix.nnz)
    return Histories(matrix, 1_300_000_000_000_000 + days * MICROSECONDS_PER_DAY)


def empty(n_rows: int, n_items: int) -> Histories:
    return Histories(sp.csr_array((n_rows, n_items), dtype=np.float32), np.zeros(0, np.int64))


def fresh(name: str) -> Model[Any]:
    return make_model(name, SMALL.get(name))


@cache
def fitted(name: str) -> Model[Any]:
    return fresh(name).fit(shop(0), options=OPTIONS)


def close(left: np.ndarray, right: np.ndarray, relative: float = 1e-5) -> None:
    """Compare scores relative to the largest of their row, the scale on which they compete."""
    scale = np.abs(right).max(axis=1, keepdims=True)
    np.testing.assert_allclose(left / scale, right / scale, rtol=relative, atol=relative)


@every_model
def test_scores_are_finite_float32_rows_of_the_catalogue(name: str) -> None:
    scores = fitted(name).score(shop(1, 9))
    assert scores.dtype == np.float32
    assert scores.shape == (9, N_ITEMS)
    assert scores.flags.c_contiguous
    assert np.isfinite(scores).all()


@every_model
def test_scores_belong_to_the_caller(name: str) -> None:
    model, histories = fitted(name), shop(1, 5)
    first = model.score(histories)
    kept = first.copy()
    first[:] = -np.inf  # as masks do
    np.testing.assert_array_equal(model.score(histories), kept)


@every_model
def test_no_rows_give_no_scores(name: str) -> None:
    assert fitted(name).score(empty(0, N_ITEMS)).shape == (0, N_ITEMS)


@every_model
def test_an_empty_history_scores_finite(name: str) -> None:
    histories = shop(1, 5)
    matrix = sp.csr_array(sp.vstack([histories.matrix, empty(2, N_ITEMS).matrix]))
    scores = fitted(name).score(Histories(matrix, histories.times))
    assert np.isfinite(scores).all()
    close(scores[:5], fitted(name).score(histories))
    assert np.isfinite(fitted(name).score(empty(1, N_ITEMS))).all()


@every_model
def test_a_batch_scores_as_its_rows_do_alone(name: str) -> None:
    histories = shop(1, 70)
    together = fitted(name).score(histories)
    alone = [fitted(name).score(histories.rows(slice(row, row + 1))) for row in range(70)]
    close(together, np.concatenate(alone))


@every_model
def test_the_order_of_scored_rows_does_not_matter(name: str) -> None:
    histories, order = shop(1, 50), np.random.default_rng(3).permutation(50)
    close(fitted(name).score(histories.rows(order)), fitted(name).score(histories)[order])


@pytest.mark.parametrize("name", EXACT)
def test_the_order_of_training_rows_does_not_matter_to_exact_models(name: str) -> None:
    train = shop(0)
    order = np.random.default_rng(3).permutation(len(train))
    again = fresh(name).fit(train.rows(order), options=OPTIONS)
    close(again.score(shop(1, 20)), fitted(name).score(shop(1, 20)), 1e-4)


@every_model
def test_the_same_seed_gives_the_same_scores(name: str) -> None:
    again = fresh(name).fit(shop(0), options=OPTIONS)
    close(again.score(shop(1, 20)), fitted(name).score(shop(1, 20)))


@every_model
def test_a_refit_forgets_the_first_fit(name: str) -> None:
    model = fresh(name).fit(shop(5, 60, 23), options=OPTIONS)
    model.score(shop(6, 3, 23))
    model.fit(shop(0), options=OPTIONS)
    close(model.score(shop(1, 20)), fitted(name).score(shop(1, 20)))


@every_model
def test_a_restored_model_scores_the_same_from_read_only_memory(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    write_tensors(tmp_path / "model.safetensors", model.tensors())
    tensors = map_tensors(tmp_path / "model.safetensors")
    restored = model_class(name).restore(model.config, N_ITEMS, tensors)
    assert restored.n_items == N_ITEMS
    close(restored.score(shop(1, 20)), model.score(shop(1, 20)))
    close(restored.score(empty(1, N_ITEMS)) + 1, model.score(empty(1, N_ITEMS)) + 1)
    assert restored.tensors().keys() == model.tensors().keys()


@every_model
def test_tensors_are_plain_arrays(name: str) -> None:
    tensors = fitted(name).tensors()
    assert tensors
    for array in tensors.values():
        assert isinstance(array, np.ndarray)
        assert array.dtype.kind in "fiub"


@every_model
def test_an_unfitted_model_refuses(name: str) -> None:
    with pytest.raises(NotFittedError, match=name):
        fresh(name).score(shop(1, 2))
    with pytest.raises(NotFittedError, match=name):
        fresh(name).tensors()
    with pytest.raises(NotFittedError, match=name):
        _ = fresh(name).n_items


@every_model
def test_a_failed_refit_leaves_no_half_fitted_model(name: str) -> None:
    model = fresh(name)
    with pytest.raises(DataError, match="no interactions"):
        model.fit(empty(4, N_ITEMS), options=OPTIONS)
    with pytest.raises(NotFittedError):
        model.score(shop(1, 2))


@every_model
def test_another_catalogue_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="41 items for a model of 40"):
        fitted(name).score(shop(1, 2, N_ITEMS + 1))


@every_model
def test_fitting_and_scoring_leave_the_histories_alone(name: str) -> None:
    train, histories = shop(0), shop(1, 30)
    for one in (train, histories):
        for array in (one.matrix.data, one.matrix.indices, one.matrix.indptr, one.times):
            array.flags.writeable = False
    before = [_copied(one) for one in (train, histories)]
    fresh(name).fit(train, options=OPTIONS).score(histories)
    for one, kept in zip((train, histories), before, strict=True):
        for now, then in zip(_copied(one), kept, strict=True):
            np.testing.assert_array_equal(now, then)


def _copied(one: Histories) -> list[np.ndarray]:
    arrays = (one.matrix.data, one.matrix.indices, one.matrix.indptr, one.times)
    return [array.copy() for array in arrays]


@every_model
def test_scoring_leaves_the_model_alone(name: str) -> None:
    model = fresh(name).fit(shop(0), options=OPTIONS)
    before = {key: array.copy() for key, array in model.tensors().items()}
    model.score(shop(1, 30))
    after = model.tensors()
    assert after.keys() == before.keys()
    for key, array in before.items():
        np.testing.assert_array_equal(after[key], array)


@every_model
def test_times_may_be_missing_where_none_are_needed(name: str) -> None:
    if model_class(name).needs_times:
        pytest.skip(f"{name} needs times")
    train, histories = shop(0), shop(1, 5)
    model = fresh(name).fit(Histories(train.matrix), options=OPTIONS)
    assert np.isfinite(model.score(Histories(histories.matrix))).all()


@every_model
def test_an_item_without_a_buyer_and_a_user_without_an_item_train_and_score(name: str) -> None:
    dense = shop(0).matrix.toarray()
    dense[:, 11], dense[5] = 0, 0
    model = fresh(name).fit(_untimed(dense), options=OPTIONS)
    given = np.zeros((2, N_ITEMS), np.float32)
    given[0, 11] = given[1, 3] = 1
    assert np.isfinite(model.score(_untimed(given))).all()


@every_model
def test_a_tiny_shop_trains_and_scores(name: str) -> None:
    model = fresh(name).fit(_untimed(np.eye(3, 4, dtype=np.float32)), options=OPTIONS)
    assert np.isfinite(model.score(_untimed(np.eye(4, dtype=np.float32)))).all()
    one = fresh(name).fit(_untimed(np.ones((1, 1), np.float32)), options=OPTIONS)
    assert np.isfinite(one.score(_untimed(np.ones((1, 1), np.float32)))).all()


def _untimed(dense: np.ndarray) -> Histories:
    matrix = sp.csr_array(dense)
    return Histories(matrix, np.full(matrix.nnz, 1_300_000_000_000_000))


@every_model
def test_it_beats_chance_on_the_tastes_it_was_shown(name: str) -> None:
    """Given half of each new user's items, the other half scores above the rest on average."""
    histories = shop(2, 200)
    dense = histories.matrix.toarray()
    given = dense * (np.arange(N_ITEMS) // 4 % 2 == 0)
    target = (dense > 0) & (given == 0)
    other = ~target & (given == 0)
    scores = fitted(name).score(_untimed(given.astype(np.float32)))
    above = [
        (scores[row, target[row]][:, None] > scores[row, other[row]]).mean()
        for row in range(200)
        if target[row].any() and given[row].any()
    ]
    assert np.mean(above) > 0.55


@every_model
def test_the_config_is_a_frozen_dataclass_and_known_by_its_name(name: str) -> None:
    kind = model_class(name)
    assert kind.name == name
    assert dataclasses.is_dataclass(kind.config_type)
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind.config_type().anything = 1
    assert isinstance(kind.chooses(kind.config_type()), bool)
