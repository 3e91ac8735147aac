from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.campaigns.hashing import HashArray, hashes
from recsys.campaigns.lists import Candidates, Lists
from recsys.campaigns.market import NO_LIMIT, Market
from recsys.campaigns.quota import assign
from recsys.interactions.tables import FloatArray, IntArray

Held = dict[int, list[int]]


@dataclass(eq=False)
class Shop:
    """Users 0 … n − 1 with all their scores, −inf where the rules leave an item out."""

    scores: FloatArray
    quota: np.ndarray
    k: int
    groups: list[int]  # category of each item
    most: int | None  # of a category in a list
    aside: frozenset[int] = frozenset()
    ties: HashArray = field(init=False)

    def __post_init__(self) -> None:
        self.ties = hashes(map(str, range(len(self.scores))), "tie", "spring")

    def ranked(self, user: int) -> IntArray:
        own = np.flatnonzero(self.scores[user] > -np.inf)
        return own[np.argsort(-self.scores[user, own], kind="stable")].astype(np.int32)

    def z(self, user: int) -> dict[int, float]:
        own = self.ranked(user)
        scores = self.scores[user, own].astype(np.float64)
        spread = scores.std() if len(own) else 0.0
        values = (scores - scores.mean()) / spread if spread else np.zeros(len(own))
        return dict(zip(own.tolist(), values.tolist(), strict=True))

    def fitting(self, items: list[int]) -> list[int]:
        """Return the places of those that may stand together, taken one after the other."""
        taken: Counter[int] = Counter()
        places = []
        for place, item in enumerate(items):
            if self.most is None or taken[self.groups[item]] < self.most:
                taken[self.groups[item]] += 1
                places.append(place)
        return places[: self.k]


class ShopPool:
    def __init__(self, shop: Shop, shards: list[list[int]], depth: int) -> None:
        self._shop, self._shards, self._depth = shop, shards, depth
        self.n_shards = len(shards)
        self.held: Held = {}
        self.kept: list[int] = []
        self.longest = 0

    def _lists(self, users: list[int], depth: int) -> Lists:
        ranked = [self._shop.ranked(user) for user in users]
        listed = [items[:depth] for items in ranked]
        z = [
            self._shop.scores[user, items].astype(np.float64)
            for user, items in zip(users, ranked, strict=True)
        ]
        counts = np.array([len(items) for items in listed], np.int64)
        return Lists(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.concatenate([np.zeros(0, np.int32), *listed]),
            np.concatenate(
                [
                    np.zeros(0, np.float32),
                    *(self._shop.scores[u, i] for u, i in zip(users, listed, strict=True)),
                ]
            ),
            np.minimum(counts, 3).astype(np.int32),
            np.array([own.mean() if len(own) else 0.0 for own in z]),
            np.array([own.std() if len(own) else 0.0 for own in z]),
            np.array([len(items) <= depth for items in ranked], np.bool_),
        )

    def candidates(self, shard: int) -> Candidates:
        users = self._shards[shard]
        rows = (2 * np.arange(len(users)) + 1).astype(np.int32)  # others do not take part
        aside = np.isin(users, list(self._shop.aside))
        return Candidates(rows, self._shop.ties[users], aside, self._lists(users, self._depth))

    def deepen(self, shard: int, rows: IntArray, depth: int) -> Lists:
        self.longest = max(self.longest, depth)
        return self._lists([self._shards[shard][row // 2] for row in rows.tolist()], depth)

    def places(self, shard: int, row: int, items: IntArray, scores: FloatArray) -> list[int] | None:  # noqa: ARG002
        assert all(before >= after for before, after in pairwise(scores.tolist()))
        return None if self._shop.most is None else self._shop.fitting(items.tolist())

    def keep(self, shard: int, rows: IntArray, chosen: Lists) -> None:
        self.kept.append(shard)
        for place, row in enumerate(rows.tolist()):
            user = self._shards[shard][row // 2]
            self.held[user] = chosen.items[chosen.row(place)].tolist()
            ranked = self._shop.ranked(user).tolist()
            mine = [item for item in self.held[user] if ranked.index(item) < 3]
            assert chosen.own[place] == len(mine)
            assert (
                chosen.scores[chosen.row(place)] == self._shop.scores[user, self.held[user]]
            ).all()


def dealt(shop: Shop, shards: list[list[int]], depth: int, least: int = 1) -> Held:
    pool = ShopPool(shop, shards, depth)
    assign(pool, shop.quota, shop.k, least=least)
    assert pool.kept == list(range(len(shards)))
    return pool.held


def one_by_one(shop: Shop) -> Held:
    """Deferred acceptance as the textbook has it: one offer at a time."""
    z = [shop.z(user) for user in range(len(shop.scores))]
    refused: list[set[int]] = [set() for _ in shop.scores]
    waiting = list(range(len(shop.scores)))
    holders: dict[int, list[int]] = {}

    def wish(user: int) -> list[int]:
        left = [item for item in shop.ranked(user).tolist() if item not in refused[user]]
        return [left[place] for place in shop.fitting(left)]

    while waiting:
        user = waiting.pop()
        for item in wish(user):
            own = holders.setdefault(item, [])
            if user in own:
                continue
            own.append(user)
            if len(own) > shop.quota[item]:
                worst = min(own, key=lambda one: (z[one][item], -int(shop.ties[one])))
                own.remove(worst)
                refused[worst].add(item)
                waiting.append(worst)
    return {user: wish(user) for user in range(len(shop.scores))}


def check_stable(shop: Shop, held: Held) -> None:
    """Fail where a quota is exceeded, or a user and an item would rather have each other."""
    z = [shop.z(user) for user in range(len(shop.scores))]
    holders: dict[int, list[int]] = {}
    held = {user: items for user, items in held.items() if user not in shop.aside}
    for user, items in held.items():
        assert len(set(items)) == len(items) <= shop.k
        assert set(items) <= z[user].keys()
        assert shop.fitting(items) == list(range(len(items)))
        for item in items:
            holders.setdefault(item, []).append(user)
    for item, users in holders.items():
        assert len(users) <= shop.quota[item]
    for user, items in held.items():
        ranked = shop.ranked(user).tolist()
        for item in set(ranked) - set(items):
            better = [one for one in items if ranked.index(one) < ranked.index(item)]
            would = len(shop.fitting([*better, item])) == len(better) + 1
            key = (z[user][item], -int(shop.ties[user]))
            others = [(z[one][item], -int(shop.ties[one])) for one in holders.get(item, [])]
            welcome = len(others) < shop.quota[item] or any(key > other for other in others)
            assert not (would and welcome), (user, item)


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    n, m = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    values = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 7.0])
    scores = np.array(draw(st.lists(values, min_size=n * m, max_size=n * m)), np.float32)
    quota = draw(st.lists(st.sampled_from([0, 1, 2, 3, 5, NO_LIMIT]), min_size=m, max_size=m))
    return Shop(
        scores.reshape(n, m),
        np.array(quota, np.int64),
        draw(st.integers(1, 4)),
        draw(st.lists(st.integers(0, 2), min_size=m, max_size=m)),
        draw(st.sampled_from([None, None, 1, 2])),
    )


@settings(max_examples=40, deadline=None)
@given(shops(), st.data())
def test_nobody_would_rather_swap(shop: Shop, data: st.DataObject) -> None:
    n = len(shop.scores)
    depth = data.draw(st.integers(1, 4))
    held = dealt(shop, [list(range(n))], depth)
    check_stable(shop, held)
    assert held == one_by_one(shop)
    order = data.draw(st.permutations(range(n)))
    cut = data.draw(st.integers(0, n))
    assert dealt(shop, [order[:cut], [], order[cut:]], depth + 1) == held


@settings(max_examples=40, deadline=None)
@given(shops(), st.data())
def test_who_stands_aside_takes_nothing_and_is_told_what_would_be_theirs(
    shop: Shop, data: st.DataObject
) -> None:
    n = len(shop.scores)
    shop.aside = frozenset(data.draw(st.sets(st.integers(0, n - 1))))
    held = dealt(shop, [list(range(n))], data.draw(st.integers(1, 4)))
    check_stable(shop, held)
    others = replace(shop, scores=shop.scores.copy(), aside=frozenset())
    others.scores[[*shop.aside]] = -np.inf
    alone = dealt(others, [list(range(n))], 2)
    assert all(held[user] == alone[user] for user in set(range(n)) - shop.aside)
    z = [shop.z(user) for user in range(n)]
    for user in shop.aside:
        welcome = []
        for item in shop.ranked(user).tolist():
            keys = [(z[one][item], -int(shop.ties[one])) for one in alone if item in alone[one]]
            mine = (z[user][item], -int(shop.ties[user]))
            if len(keys) < shop.quota[item] or (keys and shop.quota[item] and mine > min(keys)):
                welcome.append(item)
        assert held[user] == [welcome[place] for place in shop.fitting(welcome)]


@settings(max_examples=40, deadline=None)
@given(shops(), st.data())
def test_places_of_those_who_hold_too_few_go_to_others(shop: Shop, data: st.DataObject) -> None:
    n, least = len(shop.scores), data.draw(st.integers(2, 3))
    shop.aside = frozenset(data.draw(st.sets(st.integers(0, n - 1), max_size=2)))
    before = dealt(shop, [list(range(n))], 2)
    short = {user for user in range(n) if len(before[user]) < least} - shop.aside
    shards = [[*range(n // 2)], [*range(n // 2, n)]]
    held = dealt(shop, shards, data.draw(st.integers(1, 4)), least)
    assert all(held[user] == before[user] for user in short | shop.aside)
    others = replace(shop, scores=shop.scores.copy(), aside=short | shop.aside)
    others.scores[[*others.aside]] = -np.inf
    assert dealt(others, shards, 2) | {user: held[user] for user in others.aside} == held
    assert all(len(held[user]) >= least for user in held if user not in others.aside)


def test_offers_may_wait_or_be_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    shop = Shop(
        rng.normal(size=(120, 20)).astype(np.float32), rng.integers(0, 40, 20), 4, [0] * 20, None
    )
    shards = [part.tolist() for part in np.array_split(np.arange(120), 5)]
    held = dealt(shop, shards, 6)
    check_stable(shop, held)
    monkeypatch.setattr("recsys.campaigns.market._PENDING", 0)
    monkeypatch.setattr("recsys.campaigns.quota._ENTRIES", 50)
    assert dealt(shop, shards[::-1], 6) == held


def test_who_runs_out_is_scored_deeper() -> None:
    scores = np.tile(np.arange(200, 0, -1, dtype=np.float32), (3, 1))
    shop = Shop(scores, np.where(np.arange(200) < 190, 0, 1), 2, [0] * 200, None)
    pool = ShopPool(shop, [[0, 1], [2]], 3)
    assign(pool, shop.quota, 2)
    assert pool.longest > 190
    best, second, third = sorted(range(3), key=lambda user: shop.ties[user])
    assert pool.held == {best: [190, 191], second: [192, 193], third: [194, 195]}


def test_candidates_lie_in_the_folder_and_are_removed(tmp_path: Path) -> None:
    shop = Shop(np.ones((2, 2), np.float32), np.array([1, 1]), 1, [0, 0], None)

    class Looking(ShopPool):
        def keep(self, shard: int, rows: IntArray, chosen: Lists) -> None:  # noqa: ARG002
            assert [*tmp_path.rglob("items.npy")]

    assign(Looking(shop, [[0, 1]], 2), shop.quota, 1, folder=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_market_holds_no_more_than_its_quotas() -> None:
    market = Market(np.array([2, NO_LIMIT]))
    users = np.arange(1000)
    z, ties = np.zeros(1000), hashes(map(str, users), "tie")
    for item in (0, 1):
        market.offer(np.full(1000, item, np.int32), z, ties, users)
    let_go = market.settle()
    assert len(let_go) == 998
    assert set(users) - set(let_go) == set(np.argsort(ties)[:2])
    wanted = market.wants(np.zeros(1000, np.int32), z, ties, users)
    assert set(np.flatnonzero(wanted)) == set(users) - set(let_go)
    assert not len(market.settle())
