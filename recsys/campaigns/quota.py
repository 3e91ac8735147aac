"""Items of which there are too few for everyone, dealt out so that nobody would rather swap."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recsys.campaigns.lists import Candidates, Lists
from recsys.campaigns.market import Market
from recsys.campaigns.spilled import Spilled
from recsys.campaigns.viewing import View, entries_of, only
from recsys.interactions.tables import BoolArray, FloatArray, IntArray, LongArray

_DEEPER = 4
"""A list that is too short is asked for anew, so many times as long."""

_ENTRIES = 2**23
"""Entries of deeper lists that are in memory at a time, about."""

_ROW = np.int64(2**32 - 1)


class Pool(Protocol):
    """Who competes for items, shard by shard.

    Attributes
    ----------
    n_shards
        How many shards there are.
    """

    n_shards: int

    def candidates(self, shard: int) -> Candidates:
        """Return who of a shard competes for items, or stands aside, and for what."""

    def deepen(self, shard: int, rows: IntArray, depth: int) -> Lists:
        """Return the lists of these rows up to a length of `depth`."""

    def places(self, shard: int, row: int, items: IntArray, scores: FloatArray) -> list[int] | None:
        """Return which of these, best first, a user may hold together; None for the first k."""

    def keep(self, shard: int, rows: IntArray, chosen: Lists) -> None:
        """Take what these rows hold in the end; called once for each shard."""


def assign(
    pool: Pool,
    quota: npt.NDArray[np.int64],
    k: int,
    *,
    least: int = 1,
    folder: Path | None = None,
) -> None:
    """Give each user up to k items, and each item to no more users than its quota.

    Deferred acceptance (Gale & Shapley 1962; Roth 1984 for many to many): users offer themselves
    to the items of their list, best first, until k hold them; an item holds those of its offers
    with the highest

        z_ui = (s_ui − mean_u) / spread_u

    over the scores s_u of all items that the rules leave the user, equal ones by hash; whoever is
    let go goes on down the list, and is scored deeper where it ends early. In the end no user and
    item would both rather have each other. Of all such results this one is the best for every
    user, so it does not depend on the order of the offers.

    Users who stand aside make no offers. In the end each of them is given what they would hold if
    they alone came to the others: the best of their list that the items would take them for.

    Whoever holds fewer items than `least` will get none: then all is dealt out anew among the
    others, so that no place is lost. With fewer users none of them is worse off
    (Gale & Sotomayor 1985), so once is enough.

    Where limits bind the items of a user by more than one property (several categories an item, or
    categories and variants), a user does not give up what is held for an item further up that fits
    only without it; with such limits a result as above need not exist.

    Candidates lie on disk. Memory holds one shard, and 24 bytes for each place that is taken of a
    limited item.

    Parameters
    ----------
    pool
        Who competes.
    quota
        int64 (n_items,): how many users may hold each item; `market.NO_LIMIT` for any number.
    k
        How many items a user may hold.
    least
        With fewer a user is told what they would hold, and gets nothing.
    folder
        Where candidates lie meanwhile; a temporary folder where None.
    """
    with tempfile.TemporaryDirectory(prefix="candidates-", dir=folder) as inner:
        first = last = _Dealing(pool, quota, k, Path(inner) / "first")
        first.run()
        short = [first.short(shard, least) for shard in range(pool.n_shards)]
        if any(some.any() for some in short):
            last = _Dealing(pool, quota, k, Path(inner) / "again")
            last.run(short)
        for shard in range(pool.n_shards):
            aside, rows = first.aside(shard) | short[shard], first.rows(shard)
            both = Lists.joined([first.held(shard), last.held(shard)])
            pool.keep(shard, rows, both.rows(np.arange(len(rows)) + len(rows) * ~aside))


class _Dealing:
    """Offers and answers, until nobody has an offer left to make."""

    def __init__(self, pool: Pool, quota: npt.NDArray[np.int64], k: int, folder: Path) -> None:
        self._pool, self._market, self._k = pool, Market(quota), k
        self._n_items = len(quota)
        folder.mkdir()
        self._spilled = [Spilled(folder / f"{shard:05d}") for shard in range(pool.n_shards)]

    def run(self, without: Sequence[BoolArray] | None = None) -> None:
        """Deal the items out to all, or all but some of each shard, then look at those aside."""
        for shard, spilled in enumerate(self._spilled):
            users = self._pool.candidates(shard)
            spilled.begin(users, self._limited(shard, users.rows, users.lists))
            aside = users.aside if without is None else users.aside | without[shard]
            self._visit(shard, np.flatnonzero(~aside))
        while len(let_go := self._market.settle()):
            shards = let_go >> 32
            for shard in np.unique(shards).tolist():
                self._visit(shard, let_go[shards == shard] & _ROW)
        for shard, spilled in enumerate(self._spilled if without is None else ()):
            self._visit(shard, np.flatnonzero(spilled.aside), aside=True)

    def rows(self, shard: int) -> IntArray:
        """Return the rows of those who compete or stand aside."""
        return np.array(self._spilled[shard].rows)

    def aside(self, shard: int) -> BoolArray:
        """Return who of them stands aside."""
        return np.array(self._spilled[shard].aside)

    def held(self, shard: int) -> Lists:
        """Return what each holds in the end, or would hold."""
        spilled = self._spilled[shard]
        view = View.of(shard, spilled, np.arange(len(spilled.rows)))
        return only(view.lists, view.offered & view.wanted(self._market))

    def short(self, shard: int, least: int) -> BoolArray:
        """Return who competes and holds fewer than so many; nobody, where one item is enough."""
        aside = self.aside(shard)
        if least == 1:
            return np.zeros_like(aside)
        return np.asarray((self.held(shard).counts < least) & ~aside, np.bool_)

    def _limited(self, shard: int, rows: IntArray, lists: Lists) -> BoolArray:
        """Return bool (m,): whose items depend on each other."""
        return np.array(
            [
                count > 0
                and self._pool.places(shard, row, lists.items[[start]], lists.scores[[start]])
                is not None
                for row, count, start in zip(
                    rows.tolist(), lists.counts.tolist(), lists.offsets.tolist(), strict=False
                )
            ],
            np.bool_,
        )

    def _visit(self, shard: int, places: LongArray, *, aside: bool = False) -> None:
        """Let users of a shard make all the offers that they have a mind to.

        Those who stand `aside` come when everything is dealt out, and the items hear nothing of it.
        """
        while len(places):
            view = View.of(shard, self._spilled[shard], places)
            wanted = view.wanted(self._market)
            held, fresh = wanted & view.offered, wanted & ~view.offered
            lacking = self._k - view.per_user(held)
            asked = fresh & (view.rank(fresh) < np.repeat(lacking, view.lists.counts))
            for user in np.flatnonzero(view.limited).tolist():
                own = view.lists.row(user)
                asked[own] = self._chosen(view, user, held[own], fresh[own])
            if not aside:
                view.offer(self._market, asked)
            view.note(asked)
            short = (view.per_user(asked) < lacking) & ~view.lists.complete
            places = places[short]
            if len(places):
                self._deepen(shard, places)

    def _chosen(self, view: View, user: int, held: BoolArray, fresh: BoolArray) -> BoolArray:
        """Return which of a user's fresh candidates go with what is held, under the limits."""
        order = np.concatenate([np.flatnonzero(held), np.flatnonzero(fresh)])
        asked = np.zeros(len(held), np.bool_)
        if len(order):
            best_first = np.arange(len(order), 0, -1, dtype=np.float32)
            items = view.lists.items[view.lists.row(user)][order]
            places = self._pool.places(view.shard, int(view.rows[user]), items, best_first)
            asked[order[places]] = True
        return asked & fresh

    def _deepen(self, shard: int, places: LongArray) -> None:
        """Give these users of a shard longer lists, of what they can still get."""
        spilled = self._spilled[shard]
        depth = spilled.depth
        parts, flags, order = [], [], []
        for some, asked in _portions(places, np.maximum(depth[places], 1) * _DEEPER):
            view = View.of(shard, spilled, some)
            deeper = self._pool.deepen(shard, view.rows, asked)
            lists, offered = self._extended(view, deeper, complete=asked >= self._n_items)
            depth[some] = asked
            parts.append(lists)
            flags.append(offered)
            order.append(some)
        others = np.setdiff1d(np.arange(len(spilled.rows)), np.concatenate(order))
        rest = View.of(shard, spilled, others)
        together = Lists.joined([*parts, rest.lists])
        back = np.argsort(np.concatenate([*order, others]), kind="stable")
        entries = entries_of(together, back)
        spilled.replace(together.rows(back), np.concatenate([*flags, rest.offered])[entries])

    def _extended(self, view: View, deeper: Lists, *, complete: bool) -> tuple[Lists, BoolArray]:
        """Return a view's lists, without what is out of reach, and what deeper ones add to them."""
        kept = view.wanted(self._market)
        before = only(view.lists, kept)
        further = replace(view, lists=replace(deeper, mean=before.mean, spread=before.spread))
        fresh = further.wanted(self._market)
        keys = further.keys(self._n_items)[fresh]
        fresh[fresh] = ~np.isin(keys, view.keys(self._n_items))
        most = _DEEPER * self._k
        added = fresh & (further.rank(fresh) < most)
        after = only(deeper, added)
        left = further.per_user(fresh) <= most
        n = len(before)
        pairs = np.arange(2 * n).reshape(2, n).T.ravel()  # each user's own and what is added
        both = Lists.joined([before, after])
        joined, entries = both.rows(pairs), entries_of(both, pairs)
        offered = np.concatenate([view.offered[kept], np.zeros(len(after.items), np.bool_)])
        lists = Lists(
            joined.offsets[::2],
            joined.items,
            joined.scores,
            (before.own + after.own).astype(np.int32),
            before.mean,
            before.spread,
            (deeper.complete | complete) & left,
        )
        return lists, offered[entries]


def _portions(places: LongArray, depths: LongArray) -> Iterator[tuple[LongArray, int]]:
    """Yield places to be asked to the same depth, so few that their lists fit into memory."""
    for depth in np.unique(depths).tolist():
        same = places[depths == depth]
        step = max(1, _ENTRIES // depth)
        for start in range(0, len(same), step):
            yield same[start : start + step], depth
