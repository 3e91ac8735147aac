import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import DataError, SettingsError, TrainingError
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Histories
from recsys.models import item_item
from recsys.models.base import RunOptions
from recsys.models.item_item import Grams
from recsys.models.linear import (
    EASE,
    EDLAE,
    DanEDLAE,
    DanEDLAEConfig,
    EASEConfig,
    EDLAEConfig,
    PureSVD,
    PureSVDConfig,
)
from recsys.models.registry import make_model


def dense(n_users: int, n_items: int, seed: int = 0, share: float = 0.1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    held = generator.random((n_users, n_items)) < share * generator.uniform(0, 2, n_items)
    return np.where(held, generator.uniform(0.3, 1, held.shape), 0).astype(np.float32)


def histories(matrix: np.ndarray) -> Histories:
    return Histories(sp.csr_array(matrix))


def textbook(G: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """B as the papers write it, in float64."""
    P = np.linalg.inv(G + np.diag(penalty))
    return np.eye(len(G)) - P / np.diag(P)


def test_ease_solves_the_regression_of_each_item_on_all_others() -> None:
    X = dense(300, 25)
    B = EASE(EASEConfig(l2=3)).fit(histories(X)).tensors()["weights"]
    for item in range(25):
        others = np.delete(np.arange(25), item)
        A = X[:, others].astype(np.float64)
        ridge = np.linalg.solve(A.T @ A + 3 * np.eye(24), A.T @ X[:, item])
        np.testing.assert_allclose(B[others, item], ridge, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(np.diagonal(B), 0)


def test_ease_is_the_textbook_s_across_blocks_of_the_gram_matrix() -> None:
    X = dense(900, 1100, share=0.03)
    G = X.T.astype(np.float64) @ X
    model = EASE(EASEConfig(l2=20)).fit(histories(X))
    expected = textbook(G, np.full(1100, 20.0))
    np.testing.assert_allclose(model.tensors()["weights"], expected, atol=1e-5)
    rows = dense(5, 1100, seed=1)
    np.testing.assert_allclose(model.score(histories(rows)), rows @ expected, atol=1e-4)


def test_edlae_penalises_each_item_by_its_diagonal() -> None:
    X = dense(300, 30)
    G = X.T.astype(np.float64) @ X
    model = EDLAE(EDLAEConfig(l2=4, dropout=0.6)).fit(histories(X))
    expected = textbook(G, 4 + 0.6 / 0.4 * np.diag(G))
    np.testing.assert_allclose(model.tensors()["weights"], expected, atol=1e-5)


def test_dan_normalises_users_and_items() -> None:
    X = dense(300, 30)
    lengths, counts = (X > 0).sum(axis=1), np.maximum((X > 0).sum(axis=0), 1)
    G = X.T.astype(np.float64) @ np.diag(np.maximum(lengths, 1) ** -0.4) @ X
    B = textbook(G, 2 + 0.25 / 0.75 * np.diag(G))
    expected = np.diag(counts**0.3) @ B @ np.diag(counts**-0.3)
    model = DanEDLAE(DanEDLAEConfig(l2=2, dropout=0.25, alpha=0.3, beta=0.4)).fit(histories(X))
    np.testing.assert_allclose(model.tensors()["weights"], expected, atol=1e-5)


def test_without_dropout_and_normalisation_all_three_are_ease() -> None:
    X = histories(dense(300, 30))
    ease = EASE(EASEConfig(l2=5)).fit(X).tensors()["weights"]
    edlae = EDLAE(EDLAEConfig(l2=5, dropout=0)).fit(X).tensors()["weights"]
    dan = DanEDLAE(DanEDLAEConfig(l2=5, dropout=0, alpha=0, beta=0)).fit(X).tensors()["weights"]
    np.testing.assert_allclose(edlae, ease, atol=1e-6)
    np.testing.assert_allclose(dan, ease, atol=1e-6)


def test_a_fit_holds_one_item_item_array_and_no_second() -> None:
    X, size = histories(dense(500, 3000, share=0.01)), 4 * 3000**2
    tracemalloc.start()
    try:
        EASE().fit(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size <= peak < 1.9 * size  # the rest is a few blocks of rows


def test_a_catalogue_too_large_for_memory_is_refused_before_it_is_tried() -> None:
    matrix = sp.csr_array(([np.float32(1)], ([0], [3])), shape=(1, 3_000_000))
    with pytest.raises(TrainingError, match=r"36,030\.7 GB.*min_item_users"):
        EASE().fit(Histories(matrix))


def test_float32_that_is_not_exact_enough_is_refused() -> None:
    """All users share one profile: the smaller the penalty, the worse the condition."""
    generator = np.random.default_rng(0)
    X = np.ones((4000, 60), np.float32) - 1e-3 * generator.random((4000, 60), dtype=np.float32)
    with pytest.raises(TrainingError, match=r"not exact enough.*raise l2"):
        EASE(EASEConfig(l2=0.15)).fit(histories(X))
    with pytest.raises(TrainingError, match=r"not positive definite.*raise l2"):
        EASE(EASEConfig(l2=1e-7)).fit(histories(X))
    EASE(EASEConfig(l2=100)).fit(histories(X))


def aged(X: np.ndarray, half_life: float, seed: int = 5) -> tuple[Histories, np.ndarray]:
    """Histories of X with times, and Y: X with each entry aged from the newest time."""
    matrix = sp.csr_array(X)
    days = np.random.default_rng(seed).integers(0, 200, matrix.nnz)
    Y = matrix.astype(np.float64)
    Y.data *= 0.5 ** ((days.max() - days) / half_life)
    return Histories(matrix, days * MICROSECONDS_PER_DAY), Y.toarray()


def test_a_recent_target_is_the_regression_of_what_was_taken_lately_on_all_the_rest() -> None:
    train, Y = aged(dense(300, 25), 30)
    X = train.matrix.toarray().astype(np.float64)
    B = EASE(EASEConfig(l2=3, target_half_life_days=30)).fit(train).tensors()["weights"]
    for item in range(25):
        others = np.delete(np.arange(25), item)
        A = X[:, others]
        ridge = np.linalg.solve(A.T @ A + 3 * np.eye(24), A.T @ Y[:, item])
        np.testing.assert_allclose(B[others, item], ridge, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(np.diagonal(B), 0)


def test_a_recent_target_across_blocks_with_all_that_dan_does() -> None:
    train, Y = aged(dense(900, 1100, share=0.03), 60)
    X = train.matrix.toarray().astype(np.float64)
    lengths, counts = (X > 0).sum(axis=1), np.maximum((X > 0).sum(axis=0), 1)
    rows = np.maximum(lengths, 1)[:, None] ** -0.4
    G = X.T @ (rows * X)
    P = np.linalg.inv(G + np.diag(20 + 0.25 / 0.75 * np.diag(G)))
    C = P @ X.T @ (rows * Y)
    expected = np.diag(counts**0.3) @ (C - P * (np.diag(C) / np.diag(P))) @ np.diag(counts**-0.3)
    settings = {"l2": 20, "dropout": 0.25, "alpha": 0.3, "beta": 0.4, "target_half_life_days": 60}
    model = make_model("dan-edlae", settings).fit(train)
    np.testing.assert_allclose(model.tensors()["weights"], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["ease", "edlae", "dan-edlae"])
def test_a_target_that_hardly_ages_is_no_target(name: str) -> None:
    train, _ = aged(dense(300, 600, share=0.05), 1)
    plain = make_model(name, {"l2": 5.0}).fit(train).tensors()["weights"]
    settings = {"l2": 5.0, "target_half_life_days": 1e9}
    aged_little = make_model(name, settings).fit(train).tensors()["weights"]
    np.testing.assert_allclose(aged_little, plain, atol=1e-5)


@pytest.mark.parametrize("name", ["ease", "edlae", "dan-edlae"])
def test_a_recent_target_needs_times_and_an_age(name: str) -> None:
    model = make_model(name, {"target_half_life_days": 30})
    with pytest.raises(DataError, match=f"{name} with target_half_life_days needs the time"):
        model.fit(histories(dense(30, 10)))
    with pytest.raises(SettingsError, match="target_half_life_days = 0"):
        make_model(name, {"target_half_life_days": 0})


def test_a_recent_target_takes_a_second_array_and_no_third() -> None:
    train, _ = aged(dense(500, 3000, share=0.01), 30)
    size = 4 * 3000**2
    tracemalloc.start()
    try:
        EASE(EASEConfig(target_half_life_days=30)).fit(train)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 2 * size <= peak < 2.9 * size


@pytest.mark.parametrize("value", [0, -3, float("nan"), float("inf")])
def test_a_penalty_that_leaves_g_singular_is_refused(value: float) -> None:
    with pytest.raises(SettingsError, match="l2"):
        make_model("ease", {"l2": value})


def test_pure_svd_projects_on_the_leading_right_singular_vectors() -> None:
    X = dense(80, 50)
    V = np.linalg.svd(X.astype(np.float64), full_matrices=False)[2][:6].T
    rows = dense(7, 50, seed=1)
    scores = PureSVD(PureSVDConfig(factors=6)).fit(histories(X)).score(histories(rows))
    np.testing.assert_allclose(scores, rows @ V @ V.T, atol=1e-4)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_pure_svd_with_more_factors_than_there_are_gives_training_rows_back(
    shape: tuple[int, int],
) -> None:
    X = dense(*shape, share=0.4)
    model = PureSVD(PureSVDConfig(factors=500)).fit(histories(X))
    assert model.tensors()["encoder"].shape == (shape[1], 12)
    np.testing.assert_allclose(model.score(histories(X)), X, atol=1e-4)


def test_pure_svd_drops_directions_that_hold_nothing() -> None:
    X = np.repeat(dense(3, 40, share=0.5), 20, axis=0)  # rank 3
    model = PureSVD(PureSVDConfig(factors=10)).fit(histories(X))
    assert model.tensors()["encoder"].shape == (40, 3)


def test_a_kept_gram_matrix_is_used_for_the_same_rows_alone() -> None:
    first, second = histories(dense(200, 30, 1)), histories(dense(200, 30, 2))
    grams = Grams()
    for rows in (first, first, second, first):
        for l2 in (2.0, 30.0):
            alone = EASE(EASEConfig(l2)).fit(rows).tensors()["weights"]
            shared = EASE(EASEConfig(l2)).fit(rows, options=RunOptions(grams=grams))
            np.testing.assert_array_equal(shared.tensors()["weights"], alone)


def test_a_gram_matrix_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    gram = item_item._gram
    monkeypatch.setattr(item_item, "_gram", lambda matrix: made.append(1) or gram(matrix))
    options = RunOptions(grams=Grams())
    rows = histories(dense(200, 30, 1))
    for name in ("ease", "edlae", "ease"):
        make_model(name).fit(rows, options=options)
    assert len(made) == 1
