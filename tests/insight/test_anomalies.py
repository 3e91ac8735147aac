from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import combine_pvalues

from recsys.ids import IdMap
from recsys.insight.accounts import odd_events, strangest_accounts
from recsys.insight.anomalies import Anomalies, find_anomalies
from recsys.insight.attacks import Attack, with_profiles
from recsys.insight.fit import Fit, fit_of
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.pairs import Pairs
from recsys.interactions.tables import Interactions


def auc(bad: np.ndarray, score: np.ndarray) -> float:
    return float((score[bad][:, None] > score[~bad]).mean())


def named(log: Interactions) -> SimpleNamespace:
    items = IdMap(f"i{item}" for item in range(log.n_items))
    titles = Catalogue.untitled([f"Item {item}" for item in range(log.n_items)])
    users = IdMap(f"u{user}" for user in range(log.n_users))
    return SimpleNamespace(interactions=log, users=users, items=items, catalogue=titles)


def of_lengths(lengths: list[int], fit: float = 0.8) -> Anomalies:
    """Accounts of these lengths whose items all fit alike."""
    users = np.repeat(np.arange(len(lengths)), lengths)
    items = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    pairs = Pairs(users.astype(np.int32), items, np.arange(len(users)), len(lengths))
    return find_anomalies(Fit(pairs, np.full(len(users), fit), np.full(len(users), fit)))


@pytest.mark.parametrize(("attack", "least"), [("random", 0.97), ("bandwagon", 0.9)])
def test_bad_taste_is_found(log: Interactions, attack: Attack, least: float) -> None:
    attacked = with_profiles(log, attack, 0.05, np.random.default_rng(1))
    found = find_anomalies(fit_of(attacked.interactions))
    assert auc(attacked.bad, -found.log_p_taste) > least
    assert abs(auc(attacked.bad, -found.log_p_size) - 0.5) < 0.25


def test_a_scraper_is_found_by_its_size(log: Interactions) -> None:
    attacked = with_profiles(log, "scraper", 0.05, np.random.default_rng(1))
    found = find_anomalies(fit_of(attacked.interactions))
    assert auc(attacked.bad, -found.log_p) > auc(attacked.bad, found.lengths.astype(float)) - 0.01
    top = next(strangest_accounts(named(attacked.interactions), found))
    assert "size: " in top.reason
    assert "% of accounts have" in top.reason
    assert top.p_size < 0.01


def test_ordinary_accounts_have_ordinary_p(fit: Fit) -> None:
    found = find_anomalies(fit)
    for log_p in (found.log_p, found.log_p_size, found.log_p_taste):
        assert (log_p <= 1e-9).all()
        assert 0.05 < np.mean(np.exp(log_p) < 0.1) < 0.2


def test_long_is_unusual_and_short_is_not() -> None:
    found = of_lengths([*range(20, 60), 1, 900])
    assert math.exp(found.log_p_size[-1]) < 1e-6
    assert math.exp(found.log_p_size[-2]) > 0.9
    assert found.ranking[0] == 41


def test_taste_is_compared_among_accounts_of_the_same_length() -> None:
    """Long accounts fit worse as a rule; a short one that fits as badly is strange."""
    rng = np.random.default_rng(0)
    lengths = np.array([*[10] * 500, *[100] * 500, 10])
    of_account = np.where(lengths == 10, 0.9, 0.6) + rng.normal(0, 0.02, 1001)
    of_account[-1] = 0.62
    share = np.repeat(of_account, lengths)
    users = np.repeat(np.arange(1001), lengths).astype(np.int32)
    items = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    found = find_anomalies(Fit(Pairs(users, items, np.arange(len(users)), 1001), share, share))
    assert found.ranking[0] == 1000
    assert found.log_p_taste[-1] < math.log(1e-9)
    assert found.log_p_taste[:-1].min() > math.log(1e-8)
    assert found.usual_fit[-1] == pytest.approx(0.9, abs=0.01)


@given(st.floats(1e-12, 1), st.floats(1e-12, 1))
def test_the_two_are_joined_by_fishers_method(size: float, taste: float) -> None:
    from recsys.insight.anomalies import _fisher

    ours = _fisher(np.array([math.log(size) + math.log(taste)]))
    assert np.exp(ours[0]) == pytest.approx(combine_pvalues([size, taste]).pvalue, rel=1e-6)


def test_accounts_all_alike_are_none_of_them_strange() -> None:
    found = of_lengths([5] * 30)
    assert np.exp(found.log_p_size) == pytest.approx(np.full(30, 0.5))
    assert np.exp(found.log_p_taste) == pytest.approx(np.full(30, 0.5))


def test_empty_accounts_are_not_ranked(log: Interactions) -> None:
    with_empty = replace(log, indptr=np.append(log.indptr, log.indptr[-1]))
    found = find_anomalies(fit_of(with_empty))
    assert log.n_users not in found.ranking
    assert len(found.ranking) == log.n_users


def test_accounts_and_events_have_names_and_reasons(log: Interactions, fit: Fit) -> None:
    found = find_anomalies(fit)
    accounts = list(strangest_accounts(named(log), found))
    assert [one.rank for one in accounts] == list(range(1, 301))
    assert all(a.p <= b.p for a, b in pairwise(accounts))
    for one in accounts:
        code = int(one.user[1:])
        assert one.items == found.lengths[code]
        if "taste" in one.reason:
            worst = log.items[log.indptr[code] : log.indptr[code + 1]]
            assert f"Item {fit.pairs.items[found.worst(code, 1)[0]]}" in one.reason
            assert fit.pairs.items[found.worst(code, 1)[0]] in worst
    (odd,) = odd_events(named(log), found, 1)
    code, item = int(odd.user[1:]), int(odd.item[1:])
    assert code % 4 != item % 4  # of another taste
    assert odd.fit < 0.2 < odd.mean_fit
    own = slice(log.indptr[code], log.indptr[code + 1])
    assert log.times is not None
    assert odd.last == log.times[own][log.items[own] == item].max()
