from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from recsys.insight.trials import (
    Trial,
    area_under_roc,
    found_by_neighbours,
    missed_by,
    of_others,
    try_anomalies,
    try_noise,
)
from recsys.insight.trials_report import trial_blocks
from recsys.interactions.splits import strong_splits
from recsys.interactions.tables import Histories, Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.registry import make_model
from recsys.report import Note, Page, Section, render


def test_the_area_is_scikit_learns_ties_included() -> None:
    rng = np.random.default_rng(1)
    bad, score = rng.random(500) < 0.1, rng.integers(0, 20, 500).astype(float)
    assert area_under_roc(bad, score) == pytest.approx(roc_auc_score(bad, score))
    for same in (bad & False, bad | True):
        assert area_under_roc(same, score) == 0.5


def test_bad_profiles_are_found_and_better_than_by_pca(log: Interactions) -> None:
    random, bandwagon, scraper = try_anomalies(log, RunOptions(seed=3))
    for trial in (random, bandwagon):
        assert trial.areas["taste"] > max(0.9, trial.areas["PCA"], trial.areas["length"])
    assert scraper.areas["size and taste"] >= scraper.areas["length"] - 0.01


def test_noise_is_found_and_better_than_by_pca_and_popularity(log: Interactions) -> None:
    for trial in try_noise(log, RunOptions(seed=3), ("random", "popular")):
        assert trial.areas["fit"] > max(0.85, trial.areas["PCA"], trial.areas["popularity"])


def test_what_pca_misses_is_the_squared_residual() -> None:
    rng = np.random.default_rng(1)
    rows = (rng.random((60, 12)) < 0.3).astype(np.float32)
    histories = Histories(sp.csr_array(rows))
    pca = make_model("pure-svd", {"factors": 4}).fit(histories)
    vectors = pca.embed_items()
    rebuilt = rows @ vectors @ vectors.T
    np.testing.assert_allclose(
        missed_by(pca, histories), ((rows - rebuilt) ** 2).sum(axis=1), rtol=1e-4
    )
    own = (vectors**2).sum(axis=1)
    others = (rebuilt - own)[rows > 0]
    np.testing.assert_allclose(of_others(pca, histories), others, atol=1e-5)


def test_vectors_of_the_tastes_find_more_than_one_number_does(log: Interactions) -> None:
    split = next(strong_splits(log, test_users=60, seed=1))
    known, users = Weighting().histories(split.training.full), split.test.held_out(Weighting())
    found = {}
    for width in (1, 4):
        pca = make_model("pure-svd", {"factors": width}).fit(known)
        found[width] = found_by_neighbours(lambda some, m=pca: m.embed(some).mean, known, users, 30)
    assert found[4] > found[1] + 0.05
    everybody = found_by_neighbours(lambda some: np.ones((len(some), 1)), known, users, 10_000)
    assert found[4] > everybody > 0  # all alike: popularity


def test_the_table_says_who_is_better_and_nothing_where_none_is() -> None:
    trials = [Trial("good", {"taste": 0.9, "PCA": 0.5}), Trial("bad", {"taste": 0.4, "PCA": 0.5})]
    table, note = trial_blocks(trials, "taste", "3 %")
    assert isinstance(note, Note)
    assert "By taste good are found better than by PCA" in note.text
    html = render(Page("t", "l", (), (Section("s", "s", (table, note)),)))
    assert "0.900" in html
    _, alone = trial_blocks(trials[1:], "taste", "3 %")
    assert isinstance(alone, Note)
    assert "nothing is found better" in alone.text
    assert trial_blocks([], "taste", "3 %") == ()
