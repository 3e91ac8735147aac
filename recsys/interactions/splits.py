"""Protocols: who is held out, what of them a model is given, and what it should find.

`recsys.interactions.temporal` has the protocol that cuts by time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError, UsageError
from recsys.interactions.pairs import Pairs
from recsys.interactions.parts import Probe, Split, Training
from recsys.interactions.tables import IntArray, Interactions

MIN_ITEMS = 5
"""Distinct items that a user must have to be held out (strong, weak)."""

MOST_VALIDATION_USERS = 5000
"""Users, drawn at random, on whom to choose where items of all users are cut off (weak, given).

Choosing would take longer than learning if all were asked each time.
"""


def strong_splits(
    interactions: Interactions,
    *,
    test_users: int = 800,
    folds: int | None = None,
    validation_users: int | None = None,
    seed: int,
) -> Iterator[Split]:
    """Hold out whole users: one split, or one a fold.

    Only users with at least 5 distinct items take part. The columns are the items of all users
    that are not tested; while something is chosen, items that no `train` user has are left out of
    validation on both sides. Of a held-out user's n items, max(1, floor(.8 n)) at random are
    given and the others are to be found; a user left with a single item is not tested.

        train users        │ all items                        │  learnt from
        validation users   │ ▒▒▒▒▒ given ▒▒▒▒▒ │ ░░ to find ░░ │  to choose on, then learnt from
        test users         │ ▒▒▒▒▒ given ▒▒▒▒▒ │ ░░ to find ░░ │  never learnt from

    Parameters
    ----------
    interactions
        The data set's.
    test_users
        Users to test and, as many again, to choose on; without meaning where `folds` is given.
    folds
        Cut all users into this many test sets, so that each is tested once; a tenth of a fold's
        other users, at random, are its validation users.
    validation_users
        Choose on this many users instead.
    seed
        The same seed gives the same splits.

    Raises
    ------
    UsageError
        Too few users for that many test users or folds.
    """
    eligible = np.flatnonzero(Pairs.of(interactions).per_user >= MIN_ITEMS).astype(np.int32)
    shuffled = np.random.default_rng(seed).permutation(eligible)
    if folds is None:
        _check_test_users(test_users, len(eligible))
        parts, labels = [shuffled[:test_users]], [f"{test_users:,} users"]
    else:
        _check_folds(folds, len(eligible))
        parts = np.array_split(shuffled, folds)
        labels = [f"fold {fold} of {folds}" for fold in range(1, folds + 1)]
    for number, (test, label) in enumerate(zip(parts, labels, strict=True)):
        others = np.setdiff1d(eligible, test)
        n_validation = test_users if folds is None else max(1, len(others) // 10)
        if validation_users is not None:
            n_validation = validation_users
            _check_validation_users(n_validation, len(others))
        rng = np.random.default_rng([seed, number])
        yield _strong_split(
            interactions, np.sort(test), others, n_validation=n_validation, label=label, rng=rng
        )


def _check_test_users(test_users: int, n_users: int) -> None:
    if not 0 < 2 * test_users < n_users:
        raise UsageError(
            f"--test-users {test_users}: of {n_users:,} users with {MIN_ITEMS} items or more, as "
            "many again choose settings and one at least must be left to train on; "
            f"take from 1 to {max(n_users - 1, 0) // 2}"
        )


def _check_validation_users(validation_users: int, n_users: int) -> None:
    if not 0 < validation_users < n_users:
        raise UsageError(
            f"--validation-users {validation_users}: {n_users:,} users are not tested, and one at "
            f"least must be left to train on; take from 1 to {n_users - 1}"
        )


def _check_folds(folds: int, n_users: int) -> None:
    # a fold tests at most half of four users, which leaves one to choose on and one to train on
    if n_users < 4 or not 2 <= folds <= n_users:
        raise UsageError(
            f"--folds {folds}: the data has {n_users:,} users with {MIN_ITEMS} items or more; "
            "it takes at least 2 folds, and at least 4 such users, one a fold"
        )


def _strong_split(
    interactions: Interactions,
    test: IntArray,
    others: IntArray,
    *,
    n_validation: int,
    label: str,
    rng: np.random.Generator,
) -> Split:
    columns = np.unique(interactions.rows(others).items)
    known = interactions.columns(columns)
    training = _users_cut_off(known, others, rng.choice(others, n_validation, replace=False), rng)
    probe = _users_to_score(known, test, training.full, rng)
    left_out = {
        **unknown_items(interactions.rows(test), columns),
        "users with nothing to find": len(test) - len(probe.users),
    }
    return Split(label, None, columns, training, probe, left_out)


def unknown_items(tested: Interactions, columns: IntArray) -> dict[str, int]:
    """Count what is left out of a test because its items are not among `columns`."""
    pairs = Pairs.of(tested)
    unknown = pairs.items[~np.isin(pairs.items, columns)]
    return {"unknown items": len(np.unique(unknown)), "pairs with unknown items": len(unknown)}


def _users_cut_off(
    interactions: Interactions,
    users: IntArray,
    validation: npt.NDArray[np.integer],
    rng: np.random.Generator,
) -> Training:
    """Return the training of `users`, of whom `validation` are cut off whole."""
    train = interactions.rows(np.setdiff1d(users, validation))
    full = interactions.rows(users)
    probe = _users_to_score(interactions, np.sort(validation), train, rng)
    return Training(train, train.newest, probe, full, full.newest)


def _users_to_score(
    interactions: Interactions,
    users: npt.NDArray[np.integer],
    learnt: Interactions,
    rng: np.random.Generator,
) -> Probe:
    """Cut the users' items, those that `learnt` knows, into given and to find."""
    rows = interactions.rows(users)
    rows = rows.where(np.isin(rows.items, learnt.items))
    pairs = Pairs.of(rows)
    n = pairs.per_user
    given = pairs.drawn(np.maximum(1, n * 4 // 5), rng)[pairs.of_event]
    scored = np.flatnonzero(n >= 2)
    return Probe(
        users[scored].astype(np.int32),
        rows.where(given).rows(scored),
        rows.where(~given).rows(scored),
        learnt.newest,
    )


def training_split(interactions: Interactions, seed: int) -> Training:
    """Return what `train` learns from: everything, with a few users cut off to choose on.

    A tenth of the users with at least 5 distinct items, at least one and at most 800, choose;
    their items are cut as in `strong_splits`. All items are columns. Where no user can be spared
    the validation is empty.
    """
    per_user = Pairs.of(interactions).per_user
    users = np.flatnonzero(per_user).astype(np.int32)
    eligible = np.flatnonzero(per_user >= MIN_ITEMS)
    wanted = min(max(1, len(eligible) // 10), 800)
    possible = min(len(eligible), max(len(users) - 1, 0))  # someone stays to learn from
    rng = np.random.default_rng(seed)
    validation = rng.choice(eligible, min(wanted, possible), replace=False)
    return _users_cut_off(interactions, users, validation, rng)


def weak_split(interactions: Interactions, seed: int) -> Split:
    """Hold out items of every user: floor(.2 n) of n at random, of users with at least 5.

        each user's items  │ train ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ │ validation ░░ │ test ▓▓▓▓▓ │

    Only users with at least 5 distinct items take part. Validation is a tenth of a user's train
    items, rounded down but at least one. The columns are the items of all these users: an item
    held out by everyone who has it stays, and counts as missed.

    Raises
    ------
    UsageError
        No user has 5 items.
    """
    users = np.flatnonzero(Pairs.of(interactions).per_user >= MIN_ITEMS).astype(np.int32)
    if not len(users):
        raise UsageError(f"--protocol weak: no user has {MIN_ITEMS} items or more")
    columns = np.unique(interactions.rows(users).items)
    rows = interactions.columns(columns).rows(users)
    pairs = Pairs.of(rows)
    rng = np.random.default_rng(seed)
    held = pairs.drawn(pairs.per_user // 5, rng)[pairs.of_event]
    train = rows.where(~held)
    test = Probe(users, train, rows.where(held), train.newest)
    return Split("a fifth of the items", None, columns, _items_cut_off(train, users, rng), test, {})


def given_split(train: Interactions, test: Interactions, seed: int) -> Split:
    """Take a split as published: each user is scored from the train row.

    Validation is cut from the train rows as in `weak_split`, of users with at least two items, so
    that one stays in train. All items are columns. Pairs of test that train holds as well would
    reach a model, so they are left out of what is to be found, and counted.

    Raises
    ------
    DataError
        The two have different shapes, or nothing is to be found.
    """
    shape = (train.n_users, train.n_items)
    if shape != (test.n_users, test.n_items):
        raise DataError(
            f"train is of {shape} users and items, test of {(test.n_users, test.n_items)}; "
            "both parts of a published split have one shape"
        )
    taken, to_find = Pairs.of(train), Pairs.of(test)
    twice = np.isin(to_find.keys(train.n_items), taken.keys(train.n_items))
    target = test.where(~twice[to_find.of_event])
    tested = np.flatnonzero(np.diff(target.indptr)).astype(np.int32)
    if not len(tested):
        raise DataError("the test part holds no pair that train does not hold as well")
    users = np.flatnonzero(np.diff(train.indptr)).astype(np.int32)
    return Split(
        "as published",
        None,
        np.arange(train.n_items, dtype=np.int32),
        _items_cut_off(train.rows(users), users, np.random.default_rng(seed)),
        Probe(tested, train.rows(tested), target.rows(tested), train.newest),
        {"pairs already in train": int(np.count_nonzero(twice))},
    )


def _items_cut_off(full: Interactions, users: IntArray, rng: np.random.Generator) -> Training:
    """Return the training of rows `full` of `users`, a tenth of each row's items cut off."""
    pairs = Pairs.of(full)
    n = pairs.per_user
    held = pairs.drawn(np.where(n >= 2, np.maximum(1, n // 10), 0), rng)[pairs.of_event]
    train = full.where(~held)
    scored = np.flatnonzero(n >= 2)
    if len(scored) > MOST_VALIDATION_USERS:
        scored = np.sort(rng.choice(scored, MOST_VALIDATION_USERS, replace=False))
    probe = Probe(users[scored], train.rows(scored), full.where(held).rows(scored), train.newest)
    return Training(train, train.newest, probe, full, full.newest)
