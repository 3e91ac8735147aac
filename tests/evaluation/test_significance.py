"""Intervals and p-values: against exact enumeration and known answers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from recsys.evaluation import significance
from recsys.evaluation.significance import bootstrap_intervals, holm, paired_p_values


def test_bootstrap_agrees_with_the_normal_interval_of_many_users() -> None:
    values = np.random.default_rng(1).standard_normal((4000, 2)) * [1, 3] + [5, -2]
    intervals = bootstrap_intervals(values, np.random.default_rng(2))
    half = 1.96 * values.std(axis=0) / np.sqrt(4000)
    expected = values.mean(axis=0)[:, None] + half[:, None] * [-1, 1]
    np.testing.assert_allclose(intervals, expected, atol=0.15 * half.max())


def test_bootstrap_leaves_users_without_a_value_out() -> None:
    values = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, np.nan], [1.0, np.nan]])
    intervals = bootstrap_intervals(values, np.random.default_rng(2))
    np.testing.assert_array_equal(intervals, [[1, 1], [np.nan, np.nan]])


def test_bootstrap_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random((50, 3))
    whole = bootstrap_intervals(values, np.random.default_rng(2))
    assert np.array_equal(whole, bootstrap_intervals(values, np.random.default_rng(2)))
    monkeypatch.setattr(significance, "_CELLS", 128)
    pieces = bootstrap_intervals(values, np.random.default_rng(2))
    np.testing.assert_allclose(whole, pieces, atol=0.02)


def exact(difference: np.ndarray) -> float:
    """The share of all 2^n signings that reach the sum."""
    reached = [
        abs(np.dot(signs, difference)) >= abs(difference.sum()) - 1e-12
        for signs in product([-1, 1], repeat=len(difference))
    ]
    return float(np.mean(reached))


@pytest.mark.parametrize("cells", [4_000_000, 100])
def test_p_values_of_all_pairs_against_every_signing(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(significance, "_CELLS", cells)
    values = np.random.default_rng(3).random((9, 3)) + np.array([0, 0.2, 0.6])
    values[:, 1] = np.round(values[:, 1], 1)  # ties between signings
    p_values = paired_p_values(values, np.random.default_rng(4))
    assert (np.diag(p_values) == 1).all()
    np.testing.assert_array_equal(p_values, p_values.T)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        expected = exact(values[:, a] - values[:, b])
        assert p_values[a, b] == pytest.approx(expected, abs=0.015)


def test_p_values_of_equal_models_are_uniform() -> None:
    rng = np.random.default_rng(5)
    p_values = [paired_p_values(rng.random((40, 2)), rng, flips=200)[0, 1] for _ in range(300)]
    below = np.array([(np.array(p_values) <= level).mean() for level in (0.1, 0.5, 0.9)])
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.08)


def test_models_with_the_same_numbers_do_not_differ() -> None:
    values = np.repeat(np.random.default_rng(6).random((30, 1)), 2, axis=1)
    assert paired_p_values(values, np.random.default_rng(7), flips=100)[0, 1] == 1


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])
    assert holm(np.array([])).shape == (0,)
