"""The blend: standardised members, shares chosen on validation users."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.errors import SettingsError, UsageError
from recsys.interactions.tables import HeldOut, Histories
from recsys.metrics import hits, ndcg
from recsys.models.base import RunOptions
from recsys.models.blend import Blend, BlendConfig
from recsys.models.registry import make_model
from recsys.topk import top_k

N_ITEMS = 150  # more than a list of 100 holds, or NDCG@100 would hardly tell lists apart


def histories(n_users: int, seed: int) -> Histories:
    """Users who take neighbouring items, a few popular ones among them."""
    generator = np.random.default_rng(seed)
    centre = generator.integers(N_ITEMS, size=n_users)[:, None]
    distance = np.abs(np.arange(N_ITEMS) - centre)
    popularity = 0.15 / np.arange(1, N_ITEMS + 1) ** 0.5
    chance = np.clip(0.5 * np.exp(-distance / 4) + popularity, 0, 1)
    held = generator.random((n_users, N_ITEMS)) < chance
    held[np.arange(n_users), centre[:, 0]] = True
    return Histories(sp.csr_array(held.astype(np.float32)))


def held_out(n_users: int, seed: int) -> HeldOut:
    matrix = histories(n_users, seed).matrix.toarray()
    given = np.random.default_rng(seed).random(matrix.shape) < 0.6
    return HeldOut(
        Histories(sp.csr_array(matrix * given)), Histories(sp.csr_array(matrix * ~given))
    )


TRAIN, VALIDATION = histories(200, 0), held_out(80, 1)
ROWS = histories(9, 2)


def standardised(scores: np.ndarray) -> np.ndarray:
    scores = scores.astype(np.float64)
    return (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True)


def blend(members: str = "ease,popularity", **settings: Any) -> Blend:
    model = make_model("blend", {"members": members.split(","), **settings})
    assert isinstance(model, Blend)
    return model


def quality(scores: np.ndarray) -> float:
    lists = top_k(VALIDATION.mask_seen(scores.astype(np.float32)), 100)
    target = VALIDATION.target.matrix
    return float(np.nanmean(ndcg(hits(lists, target), np.diff(target.indptr), 100)))


def test_scores_are_the_members_standardised_and_weighed() -> None:
    model = blend(settings={"ease": {"l2": 3}}, shares=(3, 1)).fit(TRAIN)
    ease = make_model("ease", {"l2": 3}).fit(TRAIN).score(ROWS)
    popularity = make_model("popularity").fit(TRAIN).score(ROWS)
    expected = 0.75 * standardised(ease) + 0.25 * standardised(popularity)
    np.testing.assert_allclose(model.score(ROWS), expected, rtol=1e-4, atol=1e-5)


def test_the_best_share_of_two_members_is_chosen_from_twentieths() -> None:
    model = blend(settings={"ease": {"l2": 3}}).fit(TRAIN, validation=VALIDATION)
    ease = standardised(make_model("ease", {"l2": 3}).fit(TRAIN).score(VALIDATION.given))
    popular = standardised(make_model("popularity").fit(TRAIN).score(VALIDATION.given))
    found = [quality(share * ease + (1 - share) * popular) for share in np.arange(21) / 20]
    shares = model.chosen.shares
    assert shares is not None
    assert 0 < shares[0] < 1  # each adds something
    assert sum(shares) == pytest.approx(1)
    assert found[round(20 * shares[0])] == pytest.approx(max(found), abs=1e-4)
    assert max(found) > max(found[0], found[-1])
    np.testing.assert_allclose(quality(model.score(VALIDATION.given)), max(found), atol=1e-4)


def test_a_member_that_only_harms_gets_nothing() -> None:
    model = blend("buy-again,ease,pure-svd").fit(TRAIN, validation=VALIDATION)
    shares = model.chosen.shares
    assert shares is not None
    assert len(shares) == 3
    assert shares[0] == min(shares)
    assert quality(model.score(VALIDATION.given)) >= quality(
        make_model("ease").fit(TRAIN).score(VALIDATION.given)
    )


def test_how_many_users_are_scored_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = blend().fit(TRAIN, validation=VALIDATION).chosen
    monkeypatch.setattr("recsys.models.blend._SCORES_AT_ONCE", 7 * 2 * N_ITEMS)
    assert blend().fit(TRAIN, validation=VALIDATION).chosen == whole


def test_of_equally_good_shares_the_most_even_are_chosen() -> None:
    pair = Histories(sp.csr_array(np.eye(4, 5, dtype=np.float32)))
    found = Histories(sp.csr_array(np.eye(4, 5, 1, dtype=np.float32)))
    train = Histories(sp.csr_array(pair.matrix + found.matrix))
    model = blend("ease,edlae", settings={"edlae": {"dropout": 0}})
    assert model.fit(train, validation=HeldOut(pair, found)).chosen.shares == (0.5, 0.5)


@pytest.mark.parametrize("n_members", range(1, 13))
def test_for_any_number_of_members_every_one_may_be_left_alone(n_members: int) -> None:
    from recsys.models.blend import _grid

    grid = _grid(n_members)
    assert grid.shape[1] == n_members
    assert len(grid) <= 100
    assert len(np.unique(grid, axis=0)) == len(grid)
    assert (grid >= 0).all()
    np.testing.assert_allclose(grid.sum(axis=1), 1)
    assert (grid.max(axis=1) == 1).sum() == n_members


def test_without_validation_all_members_count_alike(caplog: pytest.LogCaptureFixture) -> None:
    assert blend().fit(TRAIN).chosen.shares == (0.5, 0.5)
    nothing = Histories(sp.csr_array((len(VALIDATION), N_ITEMS), dtype=np.float32))
    with caplog.at_level(logging.WARNING):
        model = blend().fit(TRAIN, validation=HeldOut(VALIDATION.given, nothing))
    assert model.chosen.shares == (0.5, 0.5)
    assert "equal shares" in caplog.text


def test_a_refit_repeats_what_the_members_chose(tmp_path: Any) -> None:
    quick = {"hidden": [8], "epochs": 6, "learning_rate": 0.02, "batch_size": 50}
    model = blend("mult-dae,ease", settings={"mult-dae": quick, "ease": {"l2": 9}})
    assert model.chooses(model.config)
    assert model.chosen == model.config
    options = RunOptions(seed=3, device="cpu", checkpoints=tmp_path)
    model.fit(TRAIN, validation=VALIDATION, options=options)
    assert {path.name for path in tmp_path.iterdir()} == {"mult-dae"}
    alone = make_model("mult-dae", quick)
    alone.fit(TRAIN, validation=VALIDATION, options=RunOptions(seed=3, device="cpu"))
    chosen = model.chosen
    assert chosen.settings["mult-dae"] == asdict(alone.chosen)
    assert chosen.settings["ease"]["l2"] == 9
    assert not Blend.chooses(replace(chosen, members=("ease", "pure-svd"), settings={}))
    assert Blend.chooses(replace(chosen, shares=None))
    refitted = Blend(chosen).fit(TRAIN, options=RunOptions(seed=3, device="cpu"))
    np.testing.assert_allclose(refitted.score(ROWS), model.score(ROWS), rtol=1e-3, atol=1e-4)
    assert refitted.chosen.shares == chosen.shares


def test_open_settings_of_a_member_are_chosen_under_given_shares_too() -> None:
    assert Blend.chooses(BlendConfig(("mult-dae", "ease"), shares=(1, 1)))
    assert not Blend.chooses(BlendConfig(("item-knn", "ease"), shares=(1, 1)))


def test_arrays_are_named_by_member() -> None:
    names = set(blend("ease,item-knn").fit(TRAIN).tensors())
    assert names == {
        "shares", "ease.weights", "item-knn.data", "item-knn.indices", "item-knn.indptr",
    }  # fmt: skip


def test_a_member_that_cannot_tell_items_apart_adds_nothing() -> None:
    empty = Histories(sp.csr_array((2, N_ITEMS), dtype=np.float32))
    popularity = make_model("popularity").fit(TRAIN).score(empty)
    model = blend("ease,popularity", shares=(3, 1)).fit(TRAIN)
    expected = 0.25 * standardised(popularity)
    np.testing.assert_allclose(model.score(empty), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": []}, "members"),
        ({"members": ["ease", "ease"]}, "ease twice"),
        ({"settings": {"als": {}}}, "a table als, which is not among members"),
        ({"settings": {"pooled-edlae": {"size": 3}}}, "pooled-edlae: unknown setting 'size'"),
        ({"shares": [1]}, r"give 2 numbers, one for each of dan-edlae, pooled-edlae"),
        ({"shares": [0, 0]}, "not all 0"),
        ({"shares": [-1, 2]}, "shares"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_model("blend", settings)


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown model 'gpt'"):
        blend("gpt,ease")
