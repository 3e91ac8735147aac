from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import DataError, UsageError
from recsys.insight.fit import Judge, _held_out, fit_of
from recsys.interactions.tables import Histories, Interactions
from recsys.models.base import RunOptions
from recsys.models.registry import make_model


def events(*rows: list[int], n_items: int) -> Interactions:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Interactions.from_events(users, np.concatenate(rows), shape=(len(rows), n_items))


@pytest.mark.parametrize("judge", [Judge(), Judge("pure-svd", {"factors": 8})])
def test_what_is_of_another_taste_fits_worse(log: Interactions, judge: Judge) -> None:
    fit = fit_of(log, [judge])
    own = fit.pairs.users % 4 == fit.pairs.items % 4
    for share in (fit.among_items, fit.among_users):
        assert ((share >= 0) & (share <= 1)).all()
        assert share[own].mean() > 0.75
        assert share[~own].mean() < 0.5


def test_an_account_does_not_speak_for_itself(log: Interactions) -> None:
    """Two items that one account alone has: to a model that saw it, they go together."""
    rows = [*np.split(log.items, log.indptr[1:-1]), np.array([80, 81])]
    fit = fit_of(events(*map(list, rows), n_items=82))
    assert fit.among_items[-2:] == pytest.approx(0.5)
    assert fit.among_users[-2:] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["ease", "edlae", "dan-edlae"])
def test_models_that_ignore_an_item_for_itself_do(log: Interactions, name: str) -> None:
    whole = sp.csr_array(np.eye(4, 80, dtype=np.float32) + np.eye(4, 80, 4, dtype=np.float32))
    model: Any = make_model(name).fit(Histories(matrix_of(log)))
    without = sp.csr_array(np.eye(4, 80, 4, dtype=np.float32))
    diagonal = np.arange(4), np.arange(4)
    assert model.ignores_itself
    given, left = model.score(Histories(whole))[diagonal], model.score(Histories(without))[diagonal]
    assert given == pytest.approx(left, abs=1e-7)


def test_other_models_are_not_given_what_they_score(log: Interactions) -> None:
    model = make_model("pure-svd", {"factors": 5}).fit(Histories(matrix_of(log)))
    histories = Histories(matrix_of(log)[:7])
    times_held = np.zeros(histories.matrix.nnz, int)
    for scores, held in _held_out(model, histories, np.random.default_rng(0)):
        given = histories.matrix.copy()
        given.data[held] = 0
        given.eliminate_zeros()
        np.testing.assert_allclose(scores, model.score(Histories(given)), atol=1e-6)
        times_held += held
    assert (times_held == 1).all()


def matrix_of(log: Interactions) -> Any:
    ones = np.ones(log.n_events, np.float32)
    return sp.csr_array((ones, log.items, log.indptr), shape=(log.n_users, log.n_items))


def test_a_single_item_is_not_judged_and_an_empty_account_has_none(log: Interactions) -> None:
    rows = [*np.split(log.items, log.indptr[1:-1]), np.array([5]), np.zeros(0, np.int32)]
    fit = fit_of(events(*map(list, rows), n_items=80))
    assert (fit.among_items[-1], fit.among_users[-1]) == (0.5, 0.5)
    assert len(fit.pairs) == log.n_events + 1


def test_an_account_of_everything_is_compared_with_no_item(log: Interactions) -> None:
    rows = [*np.split(log.items, log.indptr[1:-1]), np.arange(80)]
    fit = fit_of(events(*map(list, rows), n_items=80))
    assert (fit.among_items[-80:] == 0.5).all()


def test_a_seed_repeats_and_another_deals_anew(log: Interactions) -> None:
    one, same, other = (fit_of(log, options=RunOptions(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.mean, same.mean)
    assert not np.array_equal(one.mean, other.mean)


def test_few_accounts_are_enough_but_not_one() -> None:
    assert len(fit_of(events([0, 1], [1, 2], [0, 2], n_items=3)).mean) == 6
    with pytest.raises(DataError, match="there is only 1; two"):
        fit_of(events([0, 1], [], n_items=3))


def test_an_unknown_judge_is_refused(log: Interactions) -> None:
    with pytest.raises(UsageError, match="unknown model 'oracle'"):
        fit_of(log, [Judge("oracle", {})])


def test_several_judges_are_averaged(log: Interactions) -> None:
    judges = [Judge(), Judge("ease", {})]
    one, other, both = (fit_of(log, who) for who in (judges[:1], judges[1:], judges))
    assert both.mean == pytest.approx((one.mean + other.mean) / 2)
