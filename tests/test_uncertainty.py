from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

import shops
from insight_logs import four_tastes
from recsys.artifacts import publish
from recsys.errors import SettingsError, UsageError
from recsys.evaluation.entries import Entry
from recsys.evaluation.publishing import Recipe, train_and_publish
from recsys.ids import IdMap
from recsys.insight.uncertainty import binned, measure_uncertainty
from recsys.insight.uncertainty_report import uncertainty_sections
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.spec import DatasetSpec
from recsys.interactions.splits import strong_splits
from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.interactions.weighting import Weighting
from recsys.models.autoencoders.mult_vae import MultVAE, MultVAEConfig
from recsys.models.autoencoders.recvae import RecVAE, RecVAEConfig
from recsys.models.base import Model, RunOptions
from recsys.models.linear import EASE
from recsys.models.variational import Variational
from recsys.recommender import HistoryEntry, Recommender, Rules
from recsys.recommender.calibration import (
    FEATURES,
    Calibration,
    calibrate,
    features,
    listed_features,
    shares_of,
)
from recsys.recommender.uncertainty import stabilities
from recsys.report import Page, render

N_USERS, N_ITEMS = 600, 80
SMALL = MultVAEConfig(hidden=(32, 8), epochs=3, patience=None)


class Oracle:
    """Scores by the very probability that an item is taken, on a scale of its own."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.probabilities = rng.beta(0.4, 2, (N_USERS, N_ITEMS)).astype(np.float32)
        given = rng.random((N_USERS, N_ITEMS)) < 0.1
        given[:, 0] = True
        taken = (rng.random((N_USERS, N_ITEMS)) < self.probabilities) & ~given
        self.given, self.taken = given, taken

    def held_out(self, rows: npt.NDArray[np.integer]) -> HeldOut:
        def some(marks: npt.NDArray[np.bool_]) -> Histories:
            return Histories(sp.csr_array(marks[rows].astype(np.float32)))

        return HeldOut(some(self.given), some(self.taken))

    def scorer(self, rows: npt.NDArray[np.integer]) -> OracleScorer:
        return OracleScorer(5 + 3 * self.probabilities[rows])


class OracleScorer:
    def __init__(self, scores: FloatArray) -> None:
        self._scores, self._at = scores, 0

    def score(self, histories: Histories) -> FloatArray:
        found = self._scores[self._at : self._at + len(histories)]
        self._at += len(histories)
        return found


def test_probabilities_of_a_model_that_knows_them_are_recovered() -> None:
    oracle = Oracle(np.random.default_rng(1))
    shares = np.full(N_ITEMS, 0.2, np.float32)
    learnt, tested = np.arange(300), np.arange(300, N_USERS)
    found = calibrate(oracle.scorer(learnt), oracle.held_out(learnt), shares)
    assert found is not None
    assert found.users > 280
    parts = list(listed_features(oracle.scorer(tested), oracle.held_out(tested), shares, 20))
    said = np.concatenate([found.probabilities(figures) for figures, _ in parts])
    taken = np.concatenate([took for _, took in parts])
    assert 0.3 < taken.mean() < 0.7
    assert np.mean([abs(one.said - one.taken) for one in binned(said, taken)]) < 0.05
    assert np.mean((said - taken) ** 2) < 0.9 * taken.mean() * (1 - taken.mean())


def test_bins_go_from_the_least_likely_to_the_likeliest_and_are_as_large() -> None:
    said = np.array([0.9, 0.1, 0.8, 0.2, 0.7, 0.3])
    bins = binned(said, said > 0.5, n_bins=3)
    assert [(round(one.said, 2), one.taken, one.n) for one in bins] == [
        (0.15, 0.0, 2),
        (0.5, 0.5, 2),
        (0.85, 1.0, 2),
    ]


def test_a_calibration_comes_back_from_the_manifest() -> None:
    made = Calibration((0.0,) * FEATURES, (1.0,) * FEATURES, (0.1,) * FEATURES, -1.0, 10, 30)
    assert Calibration.of(made.described(), "v") == made
    assert Calibration.of({}, "v") is None
    of_old = {**made.described(), "mean": [0.0]}
    assert Calibration.of(of_old, "v") is None
    with pytest.raises(SettingsError, match="v: calibration"):
        Calibration.of({**made.described(), "intercept": "much"}, "v")


def test_nothing_is_said_where_too_little_was_taken() -> None:
    oracle = Oracle(np.random.default_rng(1))
    few = np.arange(2)
    oracle.taken[:] = False
    oracle.taken[0, 5] = True
    assert calibrate(oracle.scorer(few), oracle.held_out(few), np.ones(N_ITEMS, np.float32)) is None


def test_features_stay_finite_where_all_scores_are_equal() -> None:
    scores = np.zeros(N_ITEMS, np.float32)
    scores[3] = -np.inf
    found = features(scores, np.array([0, 1]), 5, np.zeros(N_ITEMS, np.float32))
    assert found.shape == (2, FEATURES)
    assert np.isfinite(found).all()


def test_the_scale_of_the_scores_says_nothing() -> None:
    scores = np.random.default_rng(1).random(N_ITEMS).astype(np.float32)
    shares, items = np.full(N_ITEMS, 0.2, np.float32), np.arange(9)
    np.testing.assert_allclose(
        features(3 * scores + 2, items, 5, shares), features(scores, items, 5, shares), rtol=1e-4
    )


def tasted() -> Dataset:
    log = four_tastes(200, 1)
    return Dataset(
        "tastes",
        "tastes",
        "00",
        log,
        IdMap(f"u{n}" for n in range(200)),
        IdMap(f"i{n}" for n in range(80)),
        Catalogue([f"T{n}" for n in range(80)], [("odd",) if n % 2 else () for n in range(80)],
                  np.full(80, np.nan)),
        Weighting(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """EASE, published as `recsys train` does it."""
    folder = tmp_path_factory.mktemp("linear")
    entry = Entry("ease", "ease", {}, Weighting())
    recipe = Recipe("tastes", DatasetSpec(), entry, "strong", 1)
    train_and_publish(folder, tasted(), recipe, RunOptions(seed=1))
    return Recommender.open(folder)


@pytest.fixture(scope="module")
def variational(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    folder, shop = tmp_path_factory.mktemp("vae"), tasted()
    model = MultVAE(replace(SMALL, epochs=30)).fit(Weighting().histories(shop.interactions))
    publish(folder, model, shop)
    return Recommender.open(folder)


def test_training_publishes_probabilities_and_lists_have_them(linear: Recommender) -> None:
    found = linear.recommend("u3", k=5, uncertainty=True)
    assert all(0 < (one.probability or 0) < 1 for one in found.items)
    assert [one.stability for one in found.items] == [None] * 5
    shown = linear.answer(found)
    assert shown["items"][0]["stability"] is None
    assert "stability: only variational models" in shown["note"]
    assert "probability" not in linear.answer(linear.recommend("u3"))["items"][0]


def test_a_probability_does_not_depend_on_what_else_may_stand_there(linear: Recommender) -> None:
    whole = linear.recommend("u3", k=40, uncertainty=True).items
    some = linear.recommend("u3", k=3, rules=Rules(category="odd"), uncertainty=True).items
    known = {one.item: one.probability for one in whole}
    for one in some:
        assert one.probability == pytest.approx(known[one.item], rel=1e-6)


def test_baskets_and_users_get_the_same_figures(linear: Recommender) -> None:
    user = linear.users.code("u3")
    assert user is not None
    events = linear.interactions.rows(np.array([user]))
    entries = [HistoryEntry(linear.items[item]) for item in events.items]
    mine = linear.recommend("u3", k=5, uncertainty=True)
    basket = linear.recommend_basket(entries, k=5, uncertainty=True)
    assert [one.item for one in basket.items] == [one.item for one in mine.items]
    np.testing.assert_allclose(
        [one.probability or 0 for one in basket.items],
        [one.probability or 0 for one in mine.items],
        rtol=1e-5,
    )
    many = linear.recommend_many(["u3", "nobody", "u4"], k=5, uncertainty=True)
    assert many[0].items == mine.items
    assert [one.probability for one in many[1].items] == [None] * 5
    assert many[2].items[0].probability is not None


def test_what_was_taken_has_no_probability(linear: Recommender) -> None:
    found = linear.recommend("u3", k=70, rules=Rules(include_seen=True), uncertainty=True).items
    own = {one.item for one in linear.history("u3")}
    assert own
    assert {one.item for one in found if one.probability is None} == own


def test_what_is_less_likely_is_left_out(linear: Recommender) -> None:
    whole = linear.recommend("u3", k=60, uncertainty=True).items
    least = sorted(one.probability or 0 for one in whole)[-4]
    for others in ({}, {"per_category": 50}):
        rules = Rules(min_probability=least - 1e-9, **others)
        found = linear.recommend("u3", k=60, rules=rules).items
        wanted = [one.item for one in whole if (one.probability or 0) >= least]
        assert [one.item for one in found] == wanted
        assert len(found) == 4
    taken = {one.item for one in linear.history("u3")}
    rules = Rules(min_probability=1, include_seen=True)
    assert {one.item for one in linear.recommend("u3", k=60, rules=rules).items} == taken
    assert len(linear.recommend("nobody", k=7, rules=Rules(min_probability=1)).items) == 7


def test_a_least_probability_needs_a_model_with_probabilities(variational: Recommender) -> None:
    with pytest.raises(UsageError, match="published without probabilities"):
        variational.recommend("u3", rules=Rules(min_probability=0.1))
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(UsageError, match="from 0 to 1"):
            Rules(min_probability=wrong)


def test_stability_is_a_share_of_draws_and_the_top_is_stabler(variational: Recommender) -> None:
    found = variational.recommend("u3", k=10, uncertainty=True)
    stable = [one.stability or 0.0 for one in found.items]
    assert all(0 < share <= 1 for share in stable)
    assert np.mean(stable[:3]) > np.mean(stable[-3:])
    assert {one.probability for one in found.items} == {None}
    assert "probability: the model was published without" in (found.note or "")
    assert variational.recommend("u3", k=10, uncertainty=True) == found
    few = variational.recommend("u3", k=2, rules=Rules(only=frozenset(["i1", "i2"])),
                                uncertainty=True)  # fmt: skip
    assert [one.stability for one in few.items] == [1.0, 1.0]  # nothing else may stand there


class Certain(MultVAE):
    def posterior(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        mean, variance = super().posterior(histories)
        return mean, variance * 0


def test_a_certain_taste_is_stable() -> None:
    histories = Weighting().histories(four_tastes(60, 1))
    model = Certain(SMALL).fit(histories)
    one = histories.rows(slice(0, 1))
    order = np.argsort(-one.mask(model.score(one))[0])
    found = stabilities(model, one, order[[0, 4, 5, 20]], 5)
    assert found.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "model",
    [MultVAE(SMALL), RecVAE(RecVAEConfig(epochs=4, patience=None, width=16, latent=8))],
    ids=["mult-vae", "recvae"],
)
def test_scores_are_the_decoded_mean(model: Model[object]) -> None:
    histories = shops.tastes(40, 0, weighted=False)
    model.fit(histories)
    assert isinstance(model, Variational)
    mean, variance = model.posterior(histories)
    assert mean.shape == variance.shape == (40, 8)
    assert (variance > 0).all()
    np.testing.assert_allclose(model.decode(mean), model.score(histories), rtol=1e-5, atol=1e-5)
    assert not isinstance(EASE(), Variational)


def test_measured_and_reported() -> None:
    split = next(strong_splits(four_tastes(400, 2), test_users=90, seed=1))
    measured = [
        measure_uncertainty(name, split, Weighting(), RunOptions(seed=1), k=10)
        for name in ("ease", "popularity")
    ]
    ease = measured[0]
    assert ease.ece < 0.08
    assert ease.brier < ease.brier_base
    assert ease.p_base < 0.01
    assert sum(one.n for one in ease.bins) == ease.items
    (section,) = uncertainty_sections(measured)
    html = render(Page("t", "l", (), (section,)))
    for said in ("exact", "share taken", "popularity", "Rank alone"):
        assert said in html


def test_shares_count_users_with_a_history() -> None:
    rows = sp.csr_array(np.float32([[1, 0], [1, 1], [0, 0]]))
    assert shares_of(Histories(rows)).tolist() == [1.0, 0.5]


def test_an_old_model_has_no_calibration(tmp_path: Path) -> None:
    shop = tasted()
    publish(tmp_path, EASE().fit(Weighting().histories(shop.interactions)), shop)
    found = Recommender.open(tmp_path).recommend("u1", uncertainty=True)
    assert "train it anew" in (found.note or "")
    assert found.items[0].probability is None
