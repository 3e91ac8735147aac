import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit

from recsys.interactions.tables import Histories
from recsys.models import fold_in
from recsys.models.base import RunOptions
from recsys.models.factorization.als import ALS, ALSConfig
from recsys.models.factorization.gradient import BPR, LMF, BPRConfig
from recsys.models.factorization.item_knn import ItemKNN, ItemKNNConfig
from recsys.models.registry import make_model

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def two_tastes(n_users: int, n_items: int = 30, seed: int = 0) -> np.ndarray:
    """Even users hold items of the first half, odd users of the second, weights .2 to 1."""
    generator = np.random.default_rng(seed)
    same = (np.arange(n_users)[:, None] % 2 == 0) == (np.arange(n_items) < n_items // 2)
    held = generator.random((n_users, n_items)) < np.where(same, 0.4, 0.02)
    return np.where(held, generator.uniform(0.2, 1, held.shape), 0).astype(np.float32)


def histories(dense: np.ndarray) -> Histories:
    return Histories(sp.csr_array(dense))


def test_als_folds_in_the_exact_minimum_of_its_loss() -> None:
    X, config = two_tastes(200), ALSConfig(factors=5, regularization=2, alpha=8, iterations=5)
    model = ALS(config).fit(histories(X))
    Y = model.tensors()["items"].astype(np.float64)
    rows = two_tastes(6, seed=1)
    for row, scores in zip(rows, model.score(histories(rows)), strict=True):
        C = np.diag(np.where(row > 0, 8 * row.astype(np.float64), 1))
        w = np.linalg.solve(Y.T @ C @ Y + 2 * np.eye(5), Y.T @ C @ (row > 0))
        np.testing.assert_allclose(scores, Y @ w, rtol=1e-4, atol=1e-6)


def test_als_gives_known_users_what_the_library_gives_them() -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    X, config = two_tastes(200), ALSConfig(factors=5, regularization=2, alpha=8, iterations=5)
    model = ALS(config).fit(histories(X))
    with threadpool_limits(1, user_api="blas"):
        library = AlternatingLeastSquares(factors=5, regularization=2, alpha=8, random_state=0)
        library.item_factors = model.tensors()["items"]
        users = library.recalculate_user(np.arange(200), sp.csr_matrix(X))
    scores = model.score(histories(X))
    np.testing.assert_allclose(scores, users @ library.item_factors.T, rtol=1e-3, atol=1e-4)


def problem(seed: int) -> Arrays:
    generator = np.random.default_rng(seed)
    items = generator.normal(size=(30, 4)).astype(np.float32)
    biases = generator.normal(size=30).astype(np.float32)
    return two_tastes(6, seed=seed), items, biases, generator.integers(30, size=20)


def bpr_loss(w: np.ndarray, row: np.ndarray, problem: Arrays, l2: float) -> float:
    _, items, biases, drawn = problem
    scores = items @ w + biases
    held, others = np.flatnonzero(row), [j for j in drawn if row[j] == 0]
    terms = [-np.log(expit(scores[i] - scores[j])) for i in held for j in others]
    return float(np.mean(terms) + l2 / 2 * w @ w)


def lmf_loss(w: np.ndarray, row: np.ndarray, problem: Arrays, l2: float, negatives: int) -> float:
    _, items, biases, drawn = problem
    scores = items @ w + biases
    held = np.flatnonzero(row)
    given = -(row[held] * np.log(expit(scores[held]))).sum()
    return float(given - negatives * np.log(expit(-scores[drawn])).mean() + l2 / 2 * w @ w)


@pytest.mark.parametrize("seed", range(3))
def test_bpr_folds_in_under_its_own_loss(seed: int) -> None:
    one = rows, items, biases, drawn = problem(seed)
    loss = fold_in.pairwise_loss(sp.csr_array(rows), items, biases, drawn.astype(np.int32), 0.05)
    users = fold_in.descend(*loss, factors=4, steps=600)
    for row, user in zip(rows, users, strict=True):
        best = minimize(bpr_loss, np.zeros(4), args=(row, one, 0.05), tol=1e-8)
        np.testing.assert_allclose(user, best.x, atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_lmf_folds_in_under_its_own_loss(seed: int) -> None:
    one = rows, items, biases, drawn = problem(seed)
    negatives = np.minimum(3 * (rows > 0).sum(axis=1), 10)
    loss = fold_in.logistic_loss(
        sp.csr_array(rows), items, biases, drawn.astype(np.int32), negatives=negatives, l2=0.3
    )
    users = fold_in.descend(*loss, factors=4, steps=600)
    for row, user, m in zip(rows, users, negatives, strict=True):
        best = minimize(lmf_loss, np.zeros(4), args=(row, one, 0.3, m), tol=1e-8)
        np.testing.assert_allclose(user, best.x, atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_every_step_s_bound_on_the_curvature_holds(seed: int) -> None:
    """With a step of 1 / L plain gradient descent can never go up."""
    one = rows, items, biases, drawn = problem(seed)
    gradient, curvature = fold_in.pairwise_loss(
        sp.csr_array(rows), items, biases, drawn.astype(np.int32), 0.05
    )
    users = np.random.default_rng(seed).normal(scale=3, size=(6, 4)).astype(np.float32)
    for _ in range(5):
        moved = users - gradient(users) / curvature[:, None].astype(np.float32)
        for row, before, after in zip(rows, users, moved, strict=True):
            assert bpr_loss(after, row, one, 0.05) <= bpr_loss(before, row, one, 0.05) + 1e-5
        users = moved


@pytest.mark.parametrize("name", ["als", "bpr", "lmf"])
def test_a_new_user_is_shown_the_taste_of_their_history(name: str) -> None:
    model = make_model(name, {"factors": 8}).fit(histories(two_tastes(400)))
    given = np.zeros((2, 30), np.float32)
    given[0, :4] = given[1, 15:19] = 1
    scores = model.score(histories(given))
    assert scores[0, 4:15].mean() > scores[0, 19:].mean() + 0.1
    assert scores[1, 19:].mean() > scores[1, 4:15].mean() + 0.1


def test_another_seed_gives_another_bpr() -> None:
    X, config = histories(two_tastes(100)), BPRConfig(factors=4, iterations=5)
    one, other = (BPR(config).fit(X, options=RunOptions(seed=seed)) for seed in (1, 2))
    assert not np.allclose(one.tensors()["items"], other.tensors()["items"])


@pytest.mark.parametrize("name", ["bpr", "lmf"])
def test_an_empty_history_is_ranked_by_the_items_biases(name: str) -> None:
    model = make_model(name, {"factors": 8}).fit(histories(two_tastes(100)))
    scores = model.score(histories(np.zeros((1, 30), np.float32)))
    np.testing.assert_allclose(scores[0], model.tensors()["biases"], atol=1e-6)


def test_lmf_weighs_what_a_history_holds() -> None:
    model = LMF().fit(histories(two_tastes(200)))
    light, heavy = np.zeros((2, 1, 30), np.float32)
    light[0, [0, 20]], heavy[0, [0, 20]] = [0.1, 1], [1, 0.1]
    assert (
        model.score(histories(heavy))[0, :15].mean() > model.score(histories(light))[0, :15].mean()
    )


def test_item_knn_scores_by_the_cosine_of_columns() -> None:
    X = two_tastes(60)
    norms = np.linalg.norm(X.astype(np.float64), axis=0)
    cosine = X.T @ X / np.outer(norms, norms)
    model = ItemKNN(ItemKNNConfig(similarity="cosine", neighbours=30)).fit(histories(X))
    rows = two_tastes(4, seed=1)
    np.testing.assert_allclose(model.score(histories(rows)), rows @ cosine, rtol=1e-4, atol=1e-5)


def test_item_knn_keeps_the_nearest_neighbours_of_each_item() -> None:
    X = two_tastes(60)
    norms = np.linalg.norm(X.astype(np.float64), axis=0)
    cosine = X.T @ X / np.outer(norms, norms)
    model = ItemKNN(ItemKNNConfig(similarity="cosine", neighbours=4)).fit(histories(X))
    scores = model.score(histories(np.eye(30, dtype=np.float32)))
    for item in range(30):
        kept = np.sort(np.argsort(-cosine[item])[:4])
        assert np.flatnonzero(scores[item]).tolist() == kept.tolist()


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_item_knn_is_finite_where_one_user_has_nearly_everything(similarity: str) -> None:
    X = np.array([[1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 1]], np.float32)
    model = make_model("item-knn", {"similarity": similarity}).fit(histories(X))
    assert np.isfinite(model.score(histories(X))).all()
