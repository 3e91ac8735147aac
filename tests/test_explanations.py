"""What a history adds to a score: exact leave-one-out, alike in `explain` and in lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.artifacts import publish
from recsys.errors import NotFoundError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import (
    MICROSECONDS_PER_DAY,
    FloatArray,
    Histories,
    Interactions,
)
from recsys.interactions.weighting import Weighting
from recsys.models.linear import EASE
from recsys.recommender import HistoryEntry, Recommender, Rules, explaining

N_USERS, N_ITEMS = 80, 24
AGED = Weighting(half_life_days=60, per_day_bought=0.3)


class Saturating(EASE):
    """A model whose scores are no sum over the history."""

    def _score(self, histories: Histories) -> FloatArray:
        return np.tanh(3 * super()._score(histories))


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    rng = np.random.default_rng(5)
    n = 700
    interactions = Interactions.from_events(
        rng.integers(0, N_USERS - 1, n),
        rng.choice(N_ITEMS, n, p=np.arange(1, N_ITEMS + 1) / np.arange(1, N_ITEMS + 1).sum()),
        shape=(N_USERS, N_ITEMS),
        times=rng.integers(0, 300, n) * MICROSECONDS_PER_DAY,
    )
    titles = [f"Thing {item}" for item in range(N_ITEMS)]
    dataset = Dataset(
        "shop",
        "shop",
        "00",
        interactions,
        IdMap(f"u{user:02}" for user in range(N_USERS)),
        IdMap(f"i{item:02}" for item in range(N_ITEMS)),
        Catalogue(titles, [()] * N_ITEMS, np.full(N_ITEMS, np.nan)),
        AGED,
    )
    folder = tmp_path_factory.mktemp("models")
    publish(folder, EASE().fit(AGED.histories(interactions)), dataset)
    return Recommender.open(folder)


@pytest.fixture(scope="module")
def nonlinear(recommender: Recommender) -> Recommender:
    artifact = recommender.artifact
    model = Saturating().fit(AGED.histories(artifact.interactions))
    return Recommender(replace(artifact, model=model))


def by_hand(recommender: Recommender, user: str, at: int | None) -> tuple[Any, dict[str, Any]]:
    """The scores of a user's history, and what they lose without each item."""
    events = recommender.events_of([user])
    row = AGED.histories(events, recommender.reference_time if at is None else at).matrix.toarray()
    whole = recommender.artifact.model.score(Histories(sp.csr_array(row)))[0]
    added = {}
    for item in np.flatnonzero(row[0]):
        without = row.copy()
        without[0, item] = 0
        left = recommender.artifact.model.score(Histories(sp.csr_array(without)))[0]
        added[recommender.items[int(item)]] = whole - left
    return whole, added


@pytest.mark.parametrize("at", [None, 150 * MICROSECONDS_PER_DAY])
@pytest.mark.parametrize("kind", ["recommender", "nonlinear"])
def test_an_explanation_is_what_the_score_loses_without_each_item(
    request: pytest.FixtureRequest, kind: str, at: int | None
) -> None:
    recommender: Recommender = request.getfixturevalue(kind)
    for user in ("u03", "u10", "u31"):
        whole, added = by_hand(recommender, user, at)
        for code in (0, 11, N_ITEMS - 1):
            found = recommender.explain(user, recommender.items[code], at=at)
            assert (found.user, found.item) == (user, recommender.items[code])
            assert found.score == pytest.approx(whole[code], abs=1e-6)
            said = {each.item: each.contribution for each in found.because}
            expected = {item: value[code] for item, value in added.items()}
            assert said == pytest.approx(expected, abs=1e-6)
            values = [each.contribution for each in found.because]
            assert values == sorted(values, reverse=True)
            assert all(each.title == f"Thing {int(each.item[1:])}" for each in found.because)


def test_a_linear_model_s_contributions_add_up_to_its_score(recommender: Recommender) -> None:
    for user in recommender.users.ids[:20]:
        found = recommender.explain(user, "i07")
        total = sum(each.contribution for each in found.because)
        assert total == pytest.approx(found.score, abs=1e-5)


def test_a_list_s_reasons_are_the_first_three_of_the_explanation(nonlinear: Recommender) -> None:
    users = [*nonlinear.users.ids, "stranger"]
    at = 200 * MICROSECONDS_PER_DAY
    plain = nonlinear.recommend_many(users, k=4, at=at)
    for user, with_why, without in zip(
        users, nonlinear.recommend_many(users, k=4, at=at, why=True), plain, strict=True
    ):
        bare = tuple(replace(one, because=None) for one in with_why.items)
        assert replace(with_why, items=bare) == without
        for one in with_why.items:
            if with_why.basis == "popular":
                assert one.because == ()
                continue
            expected = nonlinear.explain(user, one.item, at=at)
            assert one.score == pytest.approx(expected.score, abs=1e-6)
            assert one.because is not None
            assert [each.contribution for each in one.because] == pytest.approx(
                [each.contribution for each in expected.because[:3]], abs=1e-6
            )


def test_a_basket_s_reasons_are_its_items(recommender: Recommender) -> None:
    basket = [HistoryEntry("i03"), HistoryEntry("i05")]
    found = recommender.recommend_basket(basket, k=3, why=True)
    for one in found.items:
        assert {each.item for each in one.because or ()} == {"i03", "i05"}
    (one,) = recommender.recommend_basket(basket[:1], k=1, why=True).items
    assert [each.contribution for each in one.because or ()] == pytest.approx([one.score])
    assert recommender.recommend_basket([], k=1, why=True).items[0].because == ()
    none = recommender.recommend("u03", rules=Rules("nowhere"), why=True)
    assert none.items == ()


def test_a_long_history_is_explained_by_its_weightiest_items(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = max(recommender.users.ids, key=lambda user: len(recommender.history(user)))
    whole = {each.item: each.contribution for each in recommender.explain(user, "i07").because}
    monkeypatch.setattr(explaining, "MOST_LEFT_OUT", 4)
    monkeypatch.setattr(explaining, "_BATCH", 2)
    cut = {each.item: each.contribution for each in recommender.explain(user, "i07").because}
    events = recommender.events_of([user])
    row = AGED.histories(events, recommender.reference_time).matrix.toarray()[0]
    assert set(cut) == {recommender.items[int(item)] for item in np.argsort(-row)[:4]}
    assert cut == pytest.approx({item: whole[item] for item in cut}, abs=1e-6)


def test_a_list_s_reasons_try_few_items_of_a_long_history(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = max(recommender.users.ids, key=lambda user: len(recommender.history(user)))
    assert len(recommender.history(user)) > 8
    (exact,) = recommender.recommend(user, k=1, why=True).items
    scored: list[int] = []
    score = recommender.artifact.model.score
    monkeypatch.setattr(
        recommender.artifact.model, "score", lambda h: scored.append(h.matrix.nnz) or score(h)
    )
    monkeypatch.setattr(explaining, "_TRIED", 3)
    (found,) = recommender.recommend(user, k=1, why=True).items
    assert found.because == exact.because  # of a linear model, those of which it is the most alone
    length = len(recommender.history(user))
    assert scored == [length, length, length + 3 * (length - 1)]


def test_whoever_took_nothing_has_the_popularity_and_strangers_are_refused(
    recommender: Recommender,
) -> None:
    nobody = f"u{N_USERS - 1}"
    score = {one.item: one.score for one in recommender.recommend(nobody, k=N_ITEMS).items}
    found = recommender.explain(nobody, "i05")
    assert (found.score, found.because) == (score["i05"], ())
    with pytest.raises(NotFoundError, match="unknown user 'stranger'"):
        recommender.explain("stranger", "i05")
    with pytest.raises(NotFoundError, match="unknown item 'none'"):
        recommender.explain("u03", "none")


def test_answers_say_because_only_where_asked(recommender: Recommender) -> None:
    shown = recommender.answer(recommender.recommend("u03", k=2, why=True))
    assert list(shown["items"][0]) == ["rank", "item", "title", "score", "because"]
    assert list(shown["items"][0]["because"][0]) == ["item", "title", "contribution"]
    assert "because" not in recommender.answer(recommender.recommend("u03", k=2))["items"][0]
    explained = recommender.explain("u03", "i05").shown()
    assert list(explained) == ["user", "item", "score", "because"]
