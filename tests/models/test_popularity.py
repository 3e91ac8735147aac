import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import DataError, SettingsError
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Histories
from recsys.models.popularity import BuyAgain, BuyAgainConfig, Popularity, PopularityConfig
from recsys.models.registry import make_model

X = np.array([[1, 0.5, 0, 0], [0, 1, 0, 0.25], [0, 1, 0, 0]], np.float32)
AGES = np.array([0, 30, 60, 0, 30])  # days, entry by entry from the top left


def histories(dense: np.ndarray, ages: np.ndarray | None = None) -> Histories:
    matrix = sp.csr_array(dense.astype(np.float32))
    times = None if ages is None else 10**15 - ages * MICROSECONDS_PER_DAY
    return Histories(matrix, times)


def test_popularity_adds_up_the_users_weights() -> None:
    scores = Popularity().fit(histories(X)).score(histories(np.zeros((2, 4))))
    np.testing.assert_allclose(scores, [[1, 2.5, 0, 0.25]] * 2)


def test_popularity_ages_from_the_newest_entry_on() -> None:
    model = Popularity(PopularityConfig(half_life_days=30)).fit(histories(X, AGES))
    scores = model.score(histories(np.zeros((1, 4))))  # scoring needs no times
    np.testing.assert_allclose(scores, [[1, 0.5 / 2 + 1 / 4 + 1 / 2, 0, 0.25]])


def test_ageing_without_times_is_refused() -> None:
    with pytest.raises(DataError, match=r"popularity with half_life_days needs the time"):
        Popularity(PopularityConfig(half_life_days=30)).fit(histories(X))
    model = BuyAgain(BuyAgainConfig(half_life_days=30)).fit(histories(X))
    with pytest.raises(DataError, match=r"buy-again with half_life_days needs the time"):
        model.score(histories(X))


@pytest.mark.parametrize("value", [0, -1, float("inf"), "soon"])
def test_a_half_life_that_cannot_be_meant_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match="half_life_days"):
        make_model("popularity", {"half_life_days": value})


def test_buy_again_puts_the_history_first_and_the_rest_by_popularity() -> None:
    model = BuyAgain().fit(histories(X))
    scores = model.score(histories(np.array([[0.2, 0, 1, 0], [0, 0, 0, 0]])))
    assert np.argsort(-scores[0]).tolist() == [2, 0, 1, 3]
    assert (scores[0, [0, 2]] > 0).all()
    assert (scores[0, [1, 3]] < 0).all()
    assert np.argsort(-scores[1]).tolist() == [1, 0, 3, 2]


def test_buy_again_weighs_recency_within_the_history() -> None:
    dense, ages = np.array([[1, 0.8, 0.5, 0]]), np.array([60, 0, 30])
    model = BuyAgain(BuyAgainConfig(half_life_days=30)).fit(histories(X))
    scores = model.score(histories(dense, 400 + ages))  # only ages within the row matter
    np.testing.assert_allclose(scores[0, :3], [0.25, 0.8, 0.25])


def test_buy_again_ranks_a_history_of_long_ago_as_one_of_today() -> None:
    dense, ages = np.array([[1, 0.8, 0.5, 0], [1, 0.8, 0.5, 0]]), np.array([2, 0, 1])
    model = BuyAgain(BuyAgainConfig(half_life_days=1)).fit(histories(X))
    scores = model.score(histories(dense, np.concatenate([ages, 9000 + ages])))
    np.testing.assert_allclose(scores[1], scores[0])


def test_buy_again_keeps_ancient_entries_above_what_was_never_bought() -> None:
    model = BuyAgain(BuyAgainConfig(half_life_days=0.1)).fit(histories(X))
    scores = model.score(histories(np.array([[1, 0, 1, 0]]), np.array([0, 9000])))
    assert scores[0, 2] > 0 > scores[0, 1]
