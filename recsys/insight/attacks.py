"""Known bad profiles and noise put into a log, to measure what finds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.errors import UsageError
from recsys.interactions.pairs import Pairs
from recsys.interactions.tables import BoolArray, IntArray, Interactions, LongArray

Attack = Literal["random", "average", "bandwagon", "segment", "merged", "scraper"]
Noise = Literal["random", "popular"]

_SELECTED = 100  # items a bandwagon or a segment consists of
_ALIKE = 10  # accounts of nearly the wanted length, of which one is drawn to be merged

Profile = Callable[[int], npt.NDArray[np.integer]]


@dataclass(frozen=True, eq=False)
class Attacked:
    """A log with bad profiles in it.

    Attributes
    ----------
    interactions
        Every account's distinct items, without times and values; the bad profiles come last.
    bad
        bool (n_users,): which accounts are bad.
    """

    interactions: Interactions
    bad: BoolArray


def with_profiles(
    interactions: Interactions, attack: Attack, share: float, rng: np.random.Generator
) -> Attacked:
    """Return the log with bad profiles added.

    - `random`: items drawn evenly.
    - `average`: items drawn as often as all accounts together take them.
    - `bandwagon`: half of the 100 most popular, half drawn evenly.
    - `segment`: half of the 100 most like one popular item, half drawn evenly.
    - `merged`: two accounts of about half the length each become one, and are gone as themselves.
    - `scraper`: from half the catalogue to all of it, drawn evenly.

    Lengths but a scraper's are drawn from those of the log. The first four push one item, the same
    for all: a rarely taken one, which each of their profiles has.

    Parameters
    ----------
    interactions
        The log, of at least two accounts.
    attack
        Which profiles.
    share
        How many there are, as a share of the log's accounts.
    rng
        Draws everything.

    Raises
    ------
    UsageError
        No such attack, or a share that is not above 0 and at most 1 (merged: at most ¼).
    """
    if attack not in get_args(Attack):
        raise UsageError(f"unknown attack {attack!r}; there are {', '.join(get_args(Attack))}")
    _check(share, 0.25 if attack == "merged" else 1.0)
    pairs = Pairs.of(interactions)
    rows = [row for row in np.split(pairs.items, np.cumsum(pairs.per_user)[:-1]) if len(row)]
    wanted = max(1, round(share * len(rows)))
    if attack == "merged":
        rows, bad = _merged(rows, wanted, rng)
    else:
        profile = _profile(pairs, interactions.n_items, attack, rng)
        lengths = rng.choice([len(row) for row in rows], wanted)
        bad = [np.unique(profile(int(length))) for length in lengths]
    lengths = np.array([len(row) for row in (*rows, *bad)])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    items = np.concatenate([*rows, *bad]).astype(np.int32)
    log = Interactions(indptr, items, interactions.n_items)
    return Attacked(log, np.arange(len(lengths)) >= len(rows))


def _check(share: float, most: float) -> None:
    if not 0 < share <= most:
        raise UsageError(
            f"a share of {share:g} is to be put in; it must be above 0, at most {most}"
        )


def _profile(pairs: Pairs, n_items: int, attack: Attack, rng: np.random.Generator) -> Profile:
    """Return what makes a profile of a wanted length; one campaign's profiles share their aims."""
    counts = np.bincount(pairs.items, minlength=n_items)
    by_count = np.argsort(-counts, kind="stable")
    if attack == "scraper":
        return lambda _: rng.choice(n_items, round(rng.uniform(0.5, 1) * n_items), replace=False)
    pushed = rng.choice(by_count[n_items // 2 :])

    def drawn(length: int, share: npt.NDArray[np.float64] | None = None) -> IntArray:
        known = n_items if share is None else np.count_nonzero(share)
        return rng.choice(n_items, min(length, known), replace=False, p=share).astype(np.int32)

    if attack == "random":
        return lambda length: np.append(drawn(length - 1), pushed)
    if attack == "average":
        return lambda length: np.append(drawn(length - 1, counts / counts.sum()), pushed)
    selected = by_count[:_SELECTED]
    if attack == "segment":
        selected = _alike(pairs, counts, rng.choice(by_count[: max(1, n_items // 5)]))

    def half_selected(length: int) -> npt.NDArray[np.integer]:
        chosen = rng.choice(selected, min(length // 2, len(selected)), replace=False)
        return np.concatenate([chosen, drawn(max(length - len(chosen) - 1, 0)), [pushed]])

    return half_selected


def _alike(pairs: Pairs, counts: LongArray, item: int) -> LongArray:
    """Return the items whose accounts are most those of `item`, by cosine."""
    matrix = sp.csr_array(
        (np.ones(len(pairs)), (pairs.users, pairs.items)), shape=(pairs.n_users, len(counts))
    )
    together = matrix.T @ (matrix[:, [item]].toarray().ravel())
    return np.argsort(-together / np.sqrt(np.maximum(counts, 1)), kind="stable")[:_SELECTED]


def _merged(
    rows: list[IntArray], wanted: int, rng: np.random.Generator
) -> tuple[list[IntArray], list[IntArray]]:
    """Return the accounts that are left, and those made of two."""
    lengths = np.array([len(row) for row in rows])
    if not (lengths > 1).any():
        raise UsageError("no account has two items, so none could be two accounts merged")
    free = np.ones(len(rows), np.bool_)
    merged = []
    for length in rng.choice(lengths[lengths > 1], wanted):
        halves = []
        for _ in range(2):
            distance = np.abs(np.log(lengths * 2 / length))
            distance[~free] = np.inf
            nearest = np.argsort(distance, kind="stable")[: min(_ALIKE, np.count_nonzero(free))]
            halves.append(rng.choice(nearest))
            free[halves[-1]] = False
        merged.append(np.union1d(rows[halves[0]], rows[halves[1]]))
    return [rows[user] for user in np.flatnonzero(free)], merged


@dataclass(frozen=True, eq=False)
class Noisy:
    """A log with events that nobody meant.

    Attributes
    ----------
    interactions
        All events.
    noise
        bool (n_events,): which were put in.
    """

    interactions: Interactions
    noise: BoolArray


def with_noise(
    interactions: Interactions, noise: Noise, share: float, rng: np.random.Generator
) -> Noisy:
    """Return the log with pairs added that it does not have, one event each.

    A pair's account is that of an event drawn evenly, so long histories get more; its time and
    value are that event's: a mis-click happens while one clicks. Its item is any (`random`), or
    drawn as often as items are taken (`popular`).

    Parameters
    ----------
    interactions
        The log.
    noise
        How items are drawn.
    share
        How many pairs, as a share of the log's distinct pairs; at most a quarter of what is free.
    rng
        Draws everything.

    Raises
    ------
    UsageError
        No such noise, or a share out of range.
    """
    if noise not in get_args(Noise):
        raise UsageError(f"unknown noise {noise!r}; there are {', '.join(get_args(Noise))}")
    pairs, n_items = Pairs.of(interactions), interactions.n_items
    taken = pairs.keys(n_items)
    cells = np.count_nonzero(pairs.per_user) * np.count_nonzero(np.bincount(pairs.items))
    _check(share, min(1.0, (cells - len(pairs)) / 4 / len(pairs)))
    counts = np.bincount(pairs.items, minlength=n_items)
    wanted, users = round(share * len(pairs)), interactions.users
    keys, near = np.zeros(0, np.int64), np.zeros(0, np.int64)
    while len(keys) < wanted:
        events = rng.integers(interactions.n_events, size=wanted)
        items = rng.choice(n_items, wanted, p=counts / counts.sum() if noise == "popular" else None)
        keys = np.concatenate([keys, users[events].astype(np.int64) * n_items + items])
        near = np.concatenate([near, events])
        first = np.sort(np.unique(keys, return_index=True)[1])
        new = first[~np.isin(keys[first], taken)][:wanted]
        keys, near = keys[new], near[new]
    return _together(interactions, keys, near)


def _together(interactions: Interactions, keys: LongArray, near: LongArray) -> Noisy:
    """Return the log's events and the new ones, grouped by user."""
    n_items, n_events = interactions.n_items, interactions.n_events
    source = np.concatenate([np.arange(n_events), near])
    items = np.concatenate([interactions.items, (keys % n_items).astype(np.int32)])
    times, values = interactions.times, interactions.values
    users = interactions.users[source]
    order = np.lexsort((users,) if times is None else (times[source], users))
    source = source[order]
    indptr = np.zeros(interactions.n_users + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=interactions.n_users), out=indptr[1:])
    log = Interactions(
        indptr,
        items[order],
        n_items,
        None if times is None else times[source],
        None if values is None else values[source],
    )
    return Noisy(log, order >= n_events)
