from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest

from recsys.errors import UsageError
from recsys.insight.attacks import Attack, Noise, with_noise, with_profiles
from recsys.interactions.pairs import Pairs
from recsys.interactions.tables import Interactions


def rows(log: Interactions) -> list[tuple[int, ...]]:
    return [tuple(sorted(set(row.tolist()))) for row in np.split(log.items, log.indptr[1:-1])]


@pytest.mark.parametrize("attack", get_args(Attack))
def test_as_many_profiles_as_asked_and_the_others_as_they_were(
    log: Interactions, attack: Attack
) -> None:
    attacked = with_profiles(log, attack, 0.1, np.random.default_rng(0))
    assert attacked.bad.sum() == 30
    every, before = rows(attacked.interactions), Counter(rows(log))
    kept = Counter(row for row, bad in zip(every, attacked.bad, strict=True) if not bad)
    assert not kept - before
    assert kept.total() == (240 if attack == "merged" else 300)
    profiles = [row for row, bad in zip(every, attacked.bad, strict=True) if bad]
    lengths = [len(row) for row in rows(log)]
    if attack == "scraper":
        assert min(map(len, profiles)) >= 40
    elif attack == "merged":
        gone = before - kept
        assert all(any(set(row) <= set(profile) for profile in profiles) for row in gone)
    else:
        assert max(map(len, profiles)) <= max(lengths)
        assert len(set.intersection(*map(set, profiles))) >= 1  # what they push


def test_profiles_take_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    lots = 1 / np.arange(1, 1001)
    held = [rng.choice(1000, 40, replace=False, p=lots / lots.sum()) for _ in range(200)]
    users = np.repeat(np.arange(200), 40)
    log = Interactions.from_events(users, np.concatenate(held), shape=(200, 1000))
    counts = np.bincount(log.items, minlength=1000)

    def popularity(attack: Attack) -> float:
        attacked = with_profiles(log, attack, 0.25, np.random.default_rng(3))
        new = attacked.interactions.rows(np.flatnonzero(attacked.bad))
        return float(counts[new.items].mean())

    assert popularity("random") == pytest.approx(8, rel=0.15)
    assert popularity("bandwagon") > 15
    assert popularity("average") > 0.8 * counts[log.items].mean()


def test_a_seed_repeats(log: Interactions) -> None:
    one, same = (with_profiles(log, "segment", 0.1, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.interactions.items, same.interactions.items)


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_shares_out_of_range_are_refused(log: Interactions, share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        with_profiles(log, "random", share, np.random.default_rng(0))
    with pytest.raises(UsageError, match="share"):
        with_noise(log, "random", share, np.random.default_rng(0))


def test_unknown_names_are_refused(log: Interactions) -> None:
    with pytest.raises(UsageError, match="there are random, average"):
        with_profiles(log, "bribe", 0.1, np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there are random, popular"):
        with_noise(log, "loud", 0.1, np.random.default_rng(0))  # type: ignore[arg-type]


def test_accounts_of_one_item_cannot_be_merged() -> None:
    single = Interactions(np.arange(9), np.arange(8, dtype=np.int32), 8)
    with pytest.raises(UsageError, match="no account has two items"):
        with_profiles(single, "merged", 0.25, np.random.default_rng(0))


@pytest.mark.parametrize("kind", get_args(Noise))
def test_noise_is_new_pairs_at_times_of_the_same_account(log: Interactions, kind: Noise) -> None:
    noisy = with_noise(log, kind, 0.1, np.random.default_rng(0))
    put, n_pairs = noisy.interactions, len(Pairs.of(log))
    assert noisy.noise.sum() == round(0.1 * n_pairs)
    assert len(Pairs.of(put)) == n_pairs + noisy.noise.sum()
    left = put.where(~noisy.noise)
    for name in ("indptr", "items", "times", "values"):
        assert np.array_equal(getattr(left, name), getattr(log, name))
    assert put.times is not None
    assert log.times is not None
    for user in range(log.n_users):
        own = slice(put.indptr[user], put.indptr[user + 1])
        assert (np.diff(put.times[own]) >= 0).all()
        assert set(put.times[own]) <= set(log.times[log.indptr[user] : log.indptr[user + 1]])


def test_noise_needs_no_times(log: Interactions) -> None:
    bare = Interactions(log.indptr, log.items, log.n_items)
    noisy = with_noise(bare, "random", 0.2, np.random.default_rng(0))
    assert (noisy.interactions.times, noisy.interactions.values) == (None, None)
    assert np.array_equal(noisy.interactions.where(~noisy.noise).items, log.items)
