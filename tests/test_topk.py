"""Exact top-k: ties, what may not be listed, and agreement with sorting everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.topk import top_k


def by_sorting(row: np.ndarray, k: int) -> list[int]:
    """The definition: highest first, ties by index, −inf and NaN never."""
    eligible = [i for i, score in enumerate(row) if score > -np.inf]  # NaN > x is false
    return sorted(eligible, key=lambda i: (-row[i], i))[:k]


def check(scores: np.ndarray, k: int) -> None:
    before = scores.copy()
    top = top_k(scores, k)
    np.testing.assert_array_equal(scores, before)
    assert top.items.shape == top.scores.shape == (len(scores), min(k, scores.shape[1]))
    assert (top.items.dtype, top.scores.dtype, top.counts.dtype) == ("int32", "float32", "int32")
    for index, row in enumerate(scores):
        items, values = top.row(index)
        assert items.tolist() == by_sorting(row, k)
        np.testing.assert_array_equal(values, row[items])
        assert (top.scores[index, top.counts[index] :] == -np.inf).all()


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 70),
    st.integers(1, 40),
    st.integers(1, 50),
    st.integers(1, 30),
)
def test_small_rows_with_ties_and_masks(
    seed: int, b: int, n_items: int, k: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels, (b, n_items)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[rng.random(scores.shape) < 0.02] = np.nan
    scores[rng.random(scores.shape) < 0.02] = np.inf
    check(scores, k)


@pytest.mark.parametrize("n_items", [1024, 2047, 2048, 2049, 5000, 10_001])
@pytest.mark.parametrize("kind", ["distinct", "few levels", "one level", "mostly masked", "nan"])
def test_long_rows(n_items: int, kind: str) -> None:
    rng = np.random.default_rng(n_items)
    scores = rng.standard_normal((5, n_items), dtype=np.float32)
    if kind == "few levels":
        scores = np.round(scores)
    elif kind == "one level":
        scores[:] = 0
        scores[2, 700] = 1
    elif kind == "mostly masked":
        scores[rng.random(scores.shape) < 0.99] = -np.inf
        scores[3] = -np.inf
    elif kind == "nan":
        scores[rng.random(scores.shape) < 0.2] = np.nan
        scores[1, -1] = np.nan
    for k in (1, 100, 600):
        check(scores, k)


def test_more_rows_than_are_treated_at_once() -> None:
    check(np.random.default_rng(1).integers(0, 9, (200, 30)).astype(np.float32), 7)


def test_scores_that_are_a_view() -> None:
    scores = np.random.default_rng(1).standard_normal((6, 6000)).astype(np.float32)
    check(scores[::2, 100:], 20)
    check(np.asfortranarray(scores), 20)


def test_nothing_to_rank() -> None:
    assert top_k(np.zeros((0, 5), np.float32), 3).items.shape == (0, 3)
    assert top_k(np.zeros((4, 0), np.float32), 3).items.shape == (4, 0)
    assert top_k(np.full((2, 3), -np.inf, np.float32), 2).counts.tolist() == [0, 0]
