"""Splits: nothing held out reaches a model, the counts of the definitions, seeds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recsys.errors import DataError, UsageError
from recsys.interactions import splits
from recsys.interactions.pairs import Pairs
from recsys.interactions.parts import Probe, Split, Training
from recsys.interactions.splits import (
    MIN_ITEMS,
    given_split,
    strong_splits,
    training_split,
    weak_split,
)
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.temporal import temporal_splits

DAY_ONE = date(2020, 1, 1)
START = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
FEW = settings(max_examples=60, deadline=None)


def events(seed: int, *, n_users: int = 30, n_items: int = 15, mean: float = 9.0) -> Interactions:
    """Random events over 100 days: users of all lengths, pairs that repeat."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(n_users), rng.poisson(mean, n_users))
    popularity = rng.dirichlet(np.full(n_items, 0.7))
    return Interactions.from_events(
        users,
        rng.choice(n_items, len(users), p=popularity),
        shape=(n_users, n_items),
        # half of them exactly at midnight, where the edges are
        times=START
        + rng.integers(0, 100, len(users)) * MICROSECONDS_PER_DAY
        + rng.integers(0, 2, len(users)) * rng.integers(0, MICROSECONDS_PER_DAY, len(users)),
    )


seeds = st.integers(0, 10_000)


def pairs(interactions: Interactions, users: np.ndarray, items: np.ndarray) -> set[tuple[int, int]]:
    """(user, item) in the data set's codes."""
    rows = interactions.users
    return set(zip(users[rows].tolist(), items[interactions.items].tolist(), strict=True))


def all_of(interactions: Interactions) -> set[tuple[int, int]]:
    return pairs(interactions, np.arange(interactions.n_users), np.arange(interactions.n_items))


def distinct(interactions: Interactions) -> np.ndarray:
    return Pairs.of(interactions).per_user


def same(one: Interactions, other: Interactions) -> bool:
    return bool(
        np.array_equal(one.indptr, other.indptr)
        and np.array_equal(one.items, other.items)
        and (one.times is None or np.array_equal(one.times, other.times))
    )


def check_probe(probe: Probe, items: np.ndarray) -> None:
    """Whoever is scored has something to be found, and no pair is on both sides."""
    assert len(probe.users) == probe.given.n_users == probe.target.n_users
    assert (np.diff(probe.target.indptr) > 0).all()
    assert len(set(probe.users.tolist())) == len(probe.users)
    assert probe.given.n_items == probe.target.n_items == len(items)
    if not probe.repeats:
        assert not pairs(probe.given, probe.users, items) & pairs(probe.target, probe.users, items)


def check_parts(training: Training) -> None:
    """Train is part of full, and what validation is to find is in full but not in train."""
    assert training.train.n_items == training.full.n_items
    assert training.train.n_events <= training.full.n_events
    assert training.validation.target.n_items == training.full.n_items


@FEW
@given(seeds, st.integers(2, 6))
def test_strong_folds_hold_users_out_whole(seed: int, folds: int) -> None:
    data = events(seed)
    eligible = np.flatnonzero(distinct(data) >= MIN_ITEMS)
    assume(len(eligible) >= max(4, folds))
    tested: list[int] = []
    for split in strong_splits(data, folds=folds, seed=seed):
        check_strong(data, split, eligible)
        tested += split.test.users.tolist()
    lost = [
        split.left_out["users with nothing to find"]
        for split in strong_splits(data, folds=folds, seed=seed)
    ]
    assert len(tested) == len(set(tested)) == len(eligible) - sum(lost)
    assert set(tested) <= set(eligible.tolist())


def check_strong(data: Interactions, split: Split, eligible: np.ndarray) -> None:
    training, test = split.training, split.test
    check_probe(test, split.items)
    check_probe(training.validation, split.items)
    check_parts(training)
    columns = data.columns(split.items)
    test_pairs = pairs(columns.rows(test.users), test.users, split.items)
    given_and_found = pairs(test.given, test.users, split.items) | pairs(
        test.target, test.users, split.items
    )
    assert given_and_found == test_pairs
    # rows of training, as multisets of items, are those of eligible users that are not tested
    others = np.setdiff1d(eligible, test.users)
    validation = training.validation.users
    assert training.train.n_users + len(validation) <= training.full.n_users
    rest = len(eligible) - len(test.users) - split.left_out["users with nothing to find"]
    assert training.full.n_users == rest
    in_full = {row.tobytes() for row in rows_of(training.full)}
    assert in_full <= {row.tobytes() for row in rows_of(columns.rows(others))}
    in_train = {row.tobytes() for row in rows_of(training.train)}
    assert in_train <= {
        row.tobytes() for row in rows_of(columns.rows(np.setdiff1d(others, validation)))
    }
    assert set(split.items[training.full.items].tolist()) == set(split.items.tolist())
    assert set(training.validation.given.items) <= set(training.train.items)
    assert set(training.validation.target.items) <= set(training.train.items)


def rows_of(interactions: Interactions) -> list[np.ndarray]:
    """Each user's items and times in one array: with times, a row is one user's alone."""
    assert interactions.times is not None
    both = np.stack([interactions.items, interactions.times], axis=1)
    return np.split(both, interactions.indptr[1:-1])


@FEW
@given(seeds, st.integers(1, 40))
def test_strong_given_is_four_fifths_rounded_down(seed: int, test_users: int) -> None:
    data = events(seed, n_users=60)
    eligible = int((distinct(data) >= MIN_ITEMS).sum())
    assume(2 * test_users < eligible)
    (split,) = strong_splits(data, test_users=test_users, seed=seed)
    test, validation = split.test, split.training.validation
    assert len(test.users) + split.left_out["users with nothing to find"] == test_users
    assert split.training.full.n_users == eligible - test_users
    assert split.training.train.n_users == eligible - 2 * test_users
    assert len(validation.users) <= test_users
    for probe in (test, validation):
        given, target = distinct(probe.given), distinct(probe.target)
        n = given + target
        assert (given == np.maximum(1, np.floor(0.8 * n + 1e-9))).all()
        assert (target >= 1).all()


def test_strong_leaves_items_that_only_test_users_have_out_and_counts_them() -> None:
    # twelve users share items 0-5; each also has an item of its own
    users = np.repeat(np.arange(12), 7)
    items = np.concatenate([[0, 1, 2, 3, 4, 5, 6 + user] for user in range(12)])
    data = Interactions.from_events(users, items, shape=(12, 18))
    (split,) = strong_splits(data, test_users=3, seed=1)
    own = set((6 + split.test.users).tolist())
    assert own & set(split.items.tolist()) == set()
    assert len(split.items) == 15
    assert split.left_out["unknown items"] == split.left_out["pairs with unknown items"] == 3
    assert (distinct(split.test.given) + distinct(split.test.target) == 6).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_users": 15}, "--test-users 15: .* take from 1 to 14"),
        ({"test_users": 0}, "--test-users 0"),
        ({"folds": 1}, "--folds 1"),
        ({"folds": 31}, "--folds 31"),
    ],
)
def test_strong_says_what_the_data_allows(options: dict[str, int], message: str) -> None:
    data = events(3, mean=40.0, n_items=40)
    with pytest.raises(UsageError, match=message):
        next(strong_splits(data, seed=1, **options))


@FEW
@given(seeds)
def test_weak_holds_out_a_fifth_of_each_users_items(seed: int) -> None:
    data = events(seed)
    eligible = np.flatnonzero(distinct(data) >= MIN_ITEMS)
    assume(len(eligible) > 0)
    split = weak_split(data, seed)
    users, test, training = split.test.users, split.test, split.training
    assert users.tolist() == eligible.tolist()
    check_probe(test, split.items)
    check_probe(training.validation, split.items)
    assert (distinct(test.target) == distinct(data)[eligible] // 5).all()
    full = pairs(training.full, users, split.items)
    held = pairs(test.target, users, split.items)
    assert not full & held
    assert full == pairs(test.given, users, split.items)
    assert full | held == {pair for pair in all_of(data) if pair[0] in set(eligible.tolist())}
    # all events of a pair go together
    assert training.full.n_events + test.target.n_events == data.rows(eligible).n_events
    check_items_cut_off(training, users, split.items)


def check_items_cut_off(training: Training, users: np.ndarray, items: np.ndarray) -> None:
    """Of validation: a tenth of each row's items, one at least, never all."""
    check_parts(training)
    check_probe(training.validation, items)
    n = distinct(training.full)
    train = pairs(training.train, users, items)
    chosen_on = training.validation.users
    found = pairs(training.validation.target, chosen_on, items)
    assert not train & found
    assert train | found == pairs(training.full, users, items)
    assert pairs(training.validation.given, chosen_on, items) <= train
    assert (distinct(training.validation.target) == np.maximum(1, n[n >= 2] // 10)).all()
    assert (distinct(training.train) >= 1).all()


@FEW
@given(seeds)
def test_given_keeps_the_published_parts_apart(seed: int) -> None:
    train, test = events(seed), events(seed + 1, mean=3.0)
    split = given_split(train, test, seed)
    target = pairs(split.test.target, split.test.users, split.items)
    learnt = pairs(split.training.full, np.flatnonzero(distinct(train)), split.items)
    assert learnt == all_of(train)
    assert target == all_of(test) - learnt
    assert split.left_out == {"pairs already in train": len(all_of(test) & learnt)}
    assert pairs(split.test.given, split.test.users, split.items) <= learnt
    check_probe(split.test, split.items)
    check_items_cut_off(split.training, np.flatnonzero(distinct(train)), split.items)


def test_given_refuses_parts_of_different_shapes_and_nothing_to_find() -> None:
    with pytest.raises(DataError, match="one shape"):
        given_split(events(1), events(2, n_items=16), seed=1)
    with pytest.raises(DataError, match="test part holds no pair"):
        given_split(events(1), events(1), seed=1)


@FEW
@given(seeds, st.integers(1, 99), st.integers(1, 60), st.sampled_from(["first", "all"]))
def test_temporal_shows_a_model_nothing_from_the_cut_on(
    seed: int, day: int, horizon: int, targets: str
) -> None:
    data = events(seed)
    cut = DAY_ONE + timedelta(days=day)
    at, until = (START + days * MICROSECONDS_PER_DAY for days in (day, day + horizon))
    try:
        (split,) = temporal_splits(data, [cut], timedelta(days=horizon), targets=targets)
    except UsageError:
        assume(False)
    training, test = split.training, split.test
    assert split.cut == test.at == training.full_at == at
    for seen in (training.full, test.given):
        assert seen.newest is None or seen.newest < at
    assert training.full.n_events == int((data.times < at).sum())
    assert test.target.times.min() >= at
    assert test.target.times.max() < until
    check_probe(test, split.items)
    expected = forecast_by_hand(data, at, until, targets)
    assert pairs(test.target, test.users, split.items) == expected
    before = at - horizon * MICROSECONDS_PER_DAY
    assert training.train_at == training.validation.at == before
    assert training.train.newest is None or training.train.newest < before
    found = training.validation
    assert not len(found.users) or found.given.newest < before <= found.target.times.min()
    assert pairs(found.target, found.users, split.items) == forecast_by_hand(
        data, before, at, targets
    )


def forecast_by_hand(data: Interactions, at: int, until: int, targets: str) -> set[tuple[int, int]]:
    log = list(zip(data.users.tolist(), data.items.tolist(), data.times.tolist(), strict=True))
    past = {(user, item) for user, item, time in log if time < at}
    users, items = {user for user, _ in past}, {item for _, item in past}
    future = {(user, item) for user, item, time in log if at <= time < until}
    if targets == "first":
        future -= past
    return {(user, item) for user, item in future if user in users and item in items}


def test_temporal_counts_what_it_leaves_out() -> None:
    day = MICROSECONDS_PER_DAY
    log = [  # user, item, day
        (0, 0, 0), (0, 1, 10), (1, 1, 0), (1, 2, 10), (2, 0, 10), (3, 0, 1), (3, 0, 11),
        (0, 2, 12), (1, 0, 20), (4, 0, 0),
    ]  # fmt: skip
    users, items, days = (np.array(column) for column in zip(*log, strict=True))
    data = Interactions.from_events(users, items, shape=(5, 3), times=START + days * day)
    cut = DAY_ONE + timedelta(days=10)
    (split,) = temporal_splits(data, [cut], timedelta(days=10))
    # user 1 took item 0 at the very end of the horizon: outside
    assert pairs(split.test.target, split.test.users, split.items) == {(0, 1)}
    assert split.left_out == {
        "new users": 1,  # 2
        "unknown items": 1,  # item 2, taken by 0 and 1
        "pairs with unknown items": 2,
        "users with nothing to find": 2,  # 1 found the unknown item, 3 what it had
    }
    (split,) = temporal_splits(data, [cut], timedelta(days=10), targets="all")
    assert pairs(split.test.target, split.test.users, split.items) == {(0, 1), (3, 0)}
    assert split.test.repeats


def test_temporal_says_what_is_wrong_with_a_cut() -> None:
    data = events(1)
    with pytest.raises(UsageError, match=r"--cut 2019-01-01: .* the data goes from 2020-01-01 to"):
        list(temporal_splits(data, [date(2019, 1, 1)], timedelta(days=90)))
    timeless = Interactions(data.indptr, data.items, data.n_items)
    with pytest.raises(UsageError, match="no times"):
        list(temporal_splits(timeless, [date(2020, 2, 1)], timedelta(days=90)))
    with pytest.raises(UsageError, match="--horizon"):
        list(temporal_splits(data, [date(2020, 2, 1)], timedelta(0)))


def test_temporal_cuts_come_in_order_and_once() -> None:
    cuts = [date(2020, 3, 1), date(2020, 2, 1), date(2020, 3, 1)]
    splits = list(temporal_splits(events(1), cuts, timedelta(days=20)))
    assert [split.label for split in splits] == ["2020-02-01", "2020-03-01"]


@FEW
@given(seeds)
def test_training_split_learns_from_everything_in_the_end(seed: int) -> None:
    data = events(seed)
    training = training_split(data, seed)
    assert training.full.n_events == data.n_events
    assert training.full.n_items == data.n_items
    eligible = distinct(data) >= MIN_ITEMS
    users = training.validation.users
    assert eligible[users].all()
    wanted = max(1, int(eligible.sum()) // 10) if eligible.any() else 0
    assert len(users) <= wanted
    active = int((distinct(data) > 0).sum())
    assert training.train.n_users == active - min(wanted, active - 1)
    check_probe(training.validation, np.arange(data.n_items))
    own = {row.tobytes() for row in rows_of(data.rows(users))} if len(users) else set()
    assert not own & {row.tobytes() for row in rows_of(training.train)}


def test_training_split_of_few_short_histories_has_no_validation() -> None:
    data = Interactions.from_events(np.array([0, 1]), np.array([0, 1]), shape=(2, 2))
    training = training_split(data, seed=1)
    assert len(training.validation.users) == 0
    assert training.train.n_events == training.full.n_events == 2


@pytest.mark.parametrize("protocol", ["strong", "folds", "weak", "given", "training"])
def test_the_same_seed_gives_the_same_split(protocol: str) -> None:
    def cut(seed: int) -> list[tuple[Training, Probe | None]]:
        data = events(5, n_users=60)
        if protocol == "training":
            return [(training_split(data, seed), None)]
        splits = {
            "strong": lambda: strong_splits(data, test_users=9, seed=seed),
            "folds": lambda: strong_splits(data, folds=3, seed=seed),
            "weak": lambda: [weak_split(data, seed)],
            "given": lambda: [given_split(data, events(6, n_users=60), seed)],
        }[protocol]()
        return [(split.training, split.test) for split in splits]

    def alike(seed: int) -> bool:
        return all(
            same(one.train, other.train)
            and same(one.full, other.full)
            and same(one.validation.given, other.validation.given)
            and same(one.validation.target, other.validation.target)
            and (test is None or same(test.target, again.target))
            for (one, test), (other, again) in zip(cut(1), cut(seed), strict=True)
        )

    assert alike(1)
    assert not alike(2)


def test_drawn_pairs_are_uniform_within_a_user() -> None:
    data = Interactions.from_events(np.repeat([0, 1], 5), np.tile(np.arange(5), 2), shape=(2, 5))
    found = Pairs.of(data)
    rng = np.random.default_rng(1)
    drawn = sum(found.drawn(np.array([2, 5]), rng).astype(int) for _ in range(2000))
    assert (drawn[5:] == 2000).all()
    assert np.abs(drawn[:5] / 2000 - 0.4).max() < 0.05


def test_no_more_users_choose_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Interactions.from_events(
        np.repeat(np.arange(40), 20), np.tile(np.arange(20), 40), shape=(40, 20)
    )
    everyone = weak_split(data, 1).training
    monkeypatch.setattr(splits, "MOST_VALIDATION_USERS", 9)
    some = weak_split(data, 1).training
    assert (len(everyone.validation.users), len(some.validation.users)) == (40, 9)
    assert len(set(some.validation.users.tolist())) == 9
    assert some.validation.target.n_users == some.validation.given.n_users == 9
    np.testing.assert_array_equal(some.train.items, everyone.train.items)  # cut off all the same
