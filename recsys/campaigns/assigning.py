"""Dealing out items of which there are too few for everyone: what `quota` needs of a run."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys.campaigns.deciding import Decided, candidates, deeper
from recsys.campaigns.lists import Candidates, Lists
from recsys.campaigns.opened import OpenRun
from recsys.campaigns.quota import assign
from recsys.interactions.tables import FloatArray, IntArray

NO_LIMIT = 2**62
"""More than there can be users."""


class RunPool:
    """The candidates of a run, shard by shard; see `quota.Pool`.

    Parameters
    ----------
    run
        The run, decided on.
    """

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self.n_shards = run.pinned.n_shards
        self._limited = [arm.rules.look_at_the_list for arm in run.arms]
        self._codes = [_codes(arm.numbers, len(run.items.ids)) for arm in run.arms]
        self._arms: tuple[int, IntArray] | None = None

    def candidates(self, shard: int) -> Candidates:
        """Return who of a shard competes, and who is held out and does not."""
        return candidates(self._run, shard)

    def deepen(self, shard: int, rows: IntArray, depth: int) -> Lists:
        """Return longer lists for these rows."""
        return deeper(self._run, shard, rows, depth)

    def places(self, shard: int, row: int, items: IntArray, scores: FloatArray) -> list[int] | None:
        """Return which of these a user may hold together; None where the first k are it."""
        number = int(self._arms_of(shard)[row])
        if not self._limited[number]:
            return None
        arm, k = self._run.arms[number], self._run.pinned.spec.k
        shelf = arm.recommender.look([]).ranker.shelf
        return shelf.places(self._codes[number][items], scores, k, arm.rules)

    def keep(self, shard: int, rows: IntArray, chosen: Lists) -> None:
        """Write down what these rows hold in the end; others hold nothing."""
        decided = Decided.read(self._run.work.decided(shard))
        others = np.setdiff1d(np.arange(len(decided.statuses)), rows)
        together = Lists.joined([chosen, Lists.empty(len(others))])
        lists = together.rows(np.argsort(np.concatenate([rows, others]), kind="stable"))
        replace(decided, lists=lists).write(self._run.work.assigned(shard))

    def _arms_of(self, shard: int) -> IntArray:
        if self._arms is None or self._arms[0] != shard:
            self._arms = shard, Decided.read(self._run.work.decided(shard)).arms
        return self._arms[1]


def assign_items(run: OpenRun) -> None:
    """Deal out the items of a run under its quota, and write down who holds what."""
    folder = run.work.candidates
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()
    spec = run.pinned.spec
    assign(RunPool(run), quotas(run), spec.k, least=spec.min_items, folder=folder)


def quotas(run: OpenRun) -> npt.NDArray[np.int64]:
    """Return int64 (n_items,): how many users each of the run's items may be sent to."""
    asked = run.pinned.spec.quota
    if asked is None:
        return np.full(len(run.items.ids), NO_LIMIT, np.int64)
    default = NO_LIMIT if asked.default is None else asked.default
    found = np.full(len(run.items.ids), default, np.int64)
    for item, limit in asked.items.items():
        if item in run.items.numbers:
            found[run.items.numbers[item]] = limit
    return found


def _codes(numbers: IntArray, n_items: int) -> IntArray:
    """Return a model's code of each of the run's items; those it does not know are never asked."""
    codes = np.zeros(n_items, np.int32)
    codes[numbers] = np.arange(len(numbers), dtype=np.int32)
    return codes
