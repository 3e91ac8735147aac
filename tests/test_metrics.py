"""Metrics: cases worked out by hand, and random lists against an independent implementation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import metrics
from recsys.topk import TopK, top_k


@dataclass(frozen=True)
class Lists:
    items: np.ndarray
    counts: np.ndarray


def lists_of(*rows: list[int]) -> Lists:
    width = max(len(row) for row in rows)
    padded = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
    return Lists(padded.reshape(len(rows), width), np.array([len(row) for row in rows], np.int32))


def csr(rows: list[list[int]], n_items: int) -> sp.csr_array:
    matrix = sp.lil_array((len(rows), n_items), dtype=np.float32)
    for index, row in enumerate(rows):
        matrix[index, row] = 1
    return matrix.tocsr()


# three users: two of three found, at ranks 1 and 3; nothing found of one; nothing to be found
LISTS = lists_of([4, 0, 2, 5], [1, 2, 3, 4], [1, 2, 3, 4])
TARGET = csr([[1, 2, 4], [0], []], 6)
HIT = metrics.hits(LISTS, TARGET)
RELEVANT = np.diff(TARGET.indptr)
D2, D3, D4 = (1 / np.log2(rank + 1) for rank in (2, 3, 4))


def test_hits_mark_the_places_of_what_was_to_be_found() -> None:
    assert HIT.tolist() == [[True, False, True, False], [False] * 4, [False] * 4]


def test_places_past_the_end_of_a_list_are_never_hits() -> None:
    short = lists_of([3], [1, 2])  # the first list is padded with item 0
    assert metrics.hits(short, csr([[0, 3], [0]], 4)).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("metric", "k", "first"),
    [
        (metrics.recall, 1, 1.0),
        (metrics.recall, 2, 1 / 2),
        (metrics.recall, 3, 2 / 3),
        (metrics.recall, 4, 2 / 3),
        (metrics.recall_all, 1, 1 / 3),
        (metrics.recall_all, 2, 1 / 3),
        (metrics.recall_all, 4, 2 / 3),
        (metrics.ndcg, 1, 1.0),
        (metrics.ndcg, 2, 1 / (1 + D2)),
        (metrics.ndcg, 4, (1 + D3) / (1 + D2 + D3)),
        (metrics.average_precision, 1, 1.0),
        (metrics.average_precision, 2, 1 / 2),
        (metrics.average_precision, 4, (1 + 2 / 3) / 3),
        (metrics.reciprocal_rank, 4, 1.0),
        (metrics.hit_rate, 1, 1.0),
        # longer than the list: what is missing counts as not found
        (metrics.recall, 50, 2 / 3),
        (metrics.ndcg, 50, (1 + D3) / (1 + D2 + D3)),
        (metrics.average_precision, 50, (1 + 2 / 3) / 3),
    ],
)
def test_by_hand(metric: Callable[..., np.ndarray], k: int, first: float) -> None:
    values = metric(HIT, RELEVANT, k)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, [first, 0, np.nan])


def test_reciprocal_rank_of_a_later_hit() -> None:
    hit = np.array([[False, False, True, True]])
    assert metrics.reciprocal_rank(hit, np.array([2]), 4).tolist() == [1 / 3]
    assert metrics.reciprocal_rank(hit, np.array([2]), 2).tolist() == [0]
    assert metrics.hit_rate(hit, np.array([2]), 2).tolist() == [0]
    assert metrics.hit_rate(hit, np.array([2]), 3).tolist() == [1]


def test_lists_without_a_place() -> None:
    nothing = TopK(np.zeros((2, 0), np.int32), np.zeros((2, 0), np.float32), np.zeros(2, np.int32))
    hit = metrics.hits(nothing, csr([[0], []], 3))
    for metric in (
        metrics.recall,
        metrics.ndcg,
        metrics.average_precision,
        metrics.reciprocal_rank,
        metrics.hit_rate,
    ):
        np.testing.assert_array_equal(metric(hit, np.array([1, 0]), 10), [0, np.nan])


# four training users; item 0 has all of them, 1 two, 2 one, 3 none
TRAIN = csr([[0, 1], [0, 1, 2], [0], [0]], 4)


def test_novelty_is_in_bits() -> None:
    bits = metrics.information(TRAIN)
    assert bits.tolist() == [0, 1, 2, 2]  # item 3 counts as if one user had it
    lists = lists_of([1, 2, 0], [3], [])
    np.testing.assert_allclose(metrics.novelty(lists, bits, 2), [1.5, 2, np.nan])
    np.testing.assert_allclose(metrics.novelty(lists, bits, 10), [1, 2, np.nan])


def test_diversity_is_one_minus_the_mean_cosine_of_columns() -> None:
    vectors = metrics.item_vectors(TRAIN)
    cosine = {(0, 1): 2 / np.sqrt(4 * 2), (0, 2): 1 / np.sqrt(4), (1, 2): 1 / np.sqrt(2)}
    lists = lists_of([1, 0, 2], [3, 0], [2])
    values = metrics.diversity(lists, vectors, [1, 2, 3])
    np.testing.assert_allclose(values[1], [np.nan] * 3)
    np.testing.assert_allclose(values[2], [1 - cosine[0, 1], 1, np.nan], rtol=1e-6)
    np.testing.assert_allclose(values[3], [1 - sum(cosine.values()) / 3, 1, np.nan], rtol=1e-6)


def test_diversity_against_all_pairs() -> None:
    rng = np.random.default_rng(4)
    train = sp.csr_array((rng.random((40, 25)) < 0.2).astype(np.float32))
    lists = top_k(rng.standard_normal((9, 25), dtype=np.float32), 12)
    dense = train.toarray().astype(np.float64)
    norms = np.linalg.norm(dense, axis=0)
    cosine = (dense.T @ dense) / np.maximum(np.outer(norms, norms), 1e-12)
    for k, values in metrics.diversity(lists, metrics.item_vectors(train), [5, 12]).items():
        for row, value in zip(lists.items[:, :k], values, strict=True):
            pairs = [cosine[i, j] for i in row for j in row if i != j]
            assert value == pytest.approx(1 - np.mean(pairs), abs=1e-6)


def test_covered_items() -> None:
    assert metrics.covered(lists_of([3, 1, 2], [3], []), 2).tolist() == [1, 3]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_bounds_and_monotony(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    target = sp.csr_array((rng.random((6, 20)) < 0.3).astype(np.float32))
    hit = metrics.hits(top_k(rng.standard_normal((6, 20), dtype=np.float32), 20), target)
    relevant = np.diff(target.indptr)
    some = relevant > 0
    for metric in (metrics.recall, metrics.recall_all, metrics.ndcg, metrics.average_precision):
        values = metric(hit, relevant, k)
        assert np.isnan(values[~some]).all()
        assert ((values[some] >= 0) & (values[some] <= 1 + 1e-12)).all()
    for metric in (metrics.recall_all, metrics.reciprocal_rank, metrics.hit_rate):
        assert (metric(hit, relevant, k + 1)[some] >= metric(hit, relevant, k)[some]).all()
    perfect = np.arange(20) < relevant[:, None]
    for metric in (metrics.recall, metrics.ndcg, metrics.average_precision):
        np.testing.assert_allclose(metric(perfect, relevant, k)[some], 1)


def test_against_ranx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ranx divides by all that is relevant, ours divide by min(k, relevant)."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes a minute, this a second
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports and compilation
        from ranx import Qrels, Run, evaluate

        rng = np.random.default_rng(11)
        n_users, n_items, k = 60, 80, 10
        scores = rng.permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1).astype(np.float32)
        wanted = rng.random((n_users, n_items)) < rng.uniform(0.02, 0.4, (n_users, 1))
        wanted[:, 0] |= ~wanted.any(axis=1)
        names = [f"{user:03}" for user in range(n_users)]
        qrels = Qrels(
            {
                name: {str(item): 1 for item in np.flatnonzero(row)}
                for name, row in zip(names, wanted, strict=True)
            }
        )
        run = Run(
            {
                name: {str(item): float(score) for item, score in enumerate(row)}
                for name, row in zip(names, scores, strict=True)
            }
        )
        asked = [f"{name}@{k}" for name in ("recall", "ndcg", "map", "mrr", "hit_rate")]
        theirs = evaluate(qrels, run, asked, return_mean=False)
    hit = metrics.hits(top_k(scores, k), sp.csr_array(wanted.astype(np.float32)))
    relevant = wanted.sum(axis=1)
    cut = np.minimum(relevant, k)
    assert (relevant > k).any()
    ours = {
        "recall": metrics.recall_all(hit, relevant, k),
        "ndcg": metrics.ndcg(hit, relevant, k),
        "map": metrics.average_precision(hit, relevant, k) * cut / relevant,
        "mrr": metrics.reciprocal_rank(hit, relevant, k),
        "hit_rate": metrics.hit_rate(hit, relevant, k),
    }
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[f"{name}@{k}"], atol=1e-12, err_msg=name)
    np.testing.assert_allclose(
        metrics.recall(hit, relevant, k), ours["recall"] * relevant / cut, atol=1e-12
    )
