"""One model on one split: score the test users in batches and keep a number a user and metric."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys import metrics
from recsys.interactions.parts import Split
from recsys.interactions.tables import BoolArray, HeldOut, IntArray, LongArray, Matrix
from recsys.interactions.weighting import Weighting
from recsys.metrics import Counts, Marks, Values
from recsys.models.base import Model
from recsys.progress import progress
from recsys.topk import TopK, top_k

OF_FOUND: dict[str, Callable[[Marks, Counts, int], Values]] = {
    "recall": metrics.recall,
    "recall_all": metrics.recall_all,
    "ndcg": metrics.ndcg,
    "map": metrics.average_precision,
    "mrr": metrics.reciprocal_rank,
    "hit": metrics.hit_rate,
}
"""Metrics of what was found, by the name they have in results."""

ALWAYS = (("recall", 20), ("recall", 50), ("ndcg", 100))
"""What the table, the groups and the comparisons need, whatever `--k` says."""

ITEM_GROUPS = ("head", "torso", "tail")
"""Items by popularity: the most popular that make a third of the training pairs, and so on."""

GROUP_DEPTH = 20
"""Length of the lists in which the items of each group are looked for."""

_SCORES_AT_ONCE = 2**24  # 64 MiB of float32


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of a model on one split, or on several pooled.

    Attributes
    ----------
    users
        int32 (n,): codes of the test users in the data set; the arrays below are in their order.
    values
        float64 (n,) by `metric@k`: one number a test user, NaN where there is none.
    by_item_group
        float64 (n,) by item group: recall@20 of the user's items in it, NaN where there are none.
    lengths
        int64 (n,): number of items that each test user was given.
    catalogue
        bool (n_items of the data set,): which items could be listed.
    listed
        bool (n_items of the data set,) by k: which were, in any top k.
    score_seconds
        Time from histories to finished lists.
    fit_seconds
        Time of the fits: what is chosen and what is tested.
    peak_memory_bytes
        See `peak_memory_bytes`.
    left_out
        What the split could not test, by reason, counted.
    splits
        Number of test users by split, in their order.
    chosen
        By split: the settings that validation chose.
    curves
        Training curves: `split`, `stage` (see `Fit`) and its `points`, one an epoch.
    """

    users: IntArray
    values: dict[str, Values]
    by_item_group: dict[str, Values]
    lengths: LongArray
    catalogue: BoolArray
    listed: dict[int, BoolArray]
    score_seconds: float
    fit_seconds: float = 0.0
    peak_memory_bytes: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    curves: Sequence[Mapping[str, Any]] = ()


class Measure:
    """Measures models on one split; what all of them share is worked out once.

    Parameters
    ----------
    split
        Where the test users and the training columns come from.
    n_items
        Size of the data set's catalogue.
    ks
        Lengths of lists to measure.
    """

    def __init__(self, split: Split, n_items: int, ks: Sequence[int]) -> None:
        self._split, self._n_items = split, n_items
        self._ks = sorted(set(ks))
        train: Matrix = Weighting().histories(split.training.full).matrix
        self._bits = metrics.information(train)
        self._vectors = metrics.item_vectors(train)
        self._group_of = _item_groups(train)

    def __call__(
        self, model: Model[Any], weighting: Weighting, *, batch: int | None = None
    ) -> Measured:
        """Score the split's test users with a fitted model.

        At most `batch` users are scored at once, by default as many as make 64 MiB of scores, so
        memory does not grow with the number of users.
        """
        held_out = self._split.test.held_out(weighting)
        batch = batch or min(512, max(1, _SCORES_AT_ONCE // max(1, held_out.given.n_items)))
        listed = {k: np.zeros(self._n_items, np.bool_) for k in self._ks}
        parts: list[dict[str, Values]] = []
        by_group: list[list[Values]] = []
        seconds = 0.0
        with progress(f"testing {model.name}", len(held_out)) as bar:
            for _, users in held_out.batches(batch):
                start = time.perf_counter()
                lists = self._lists(model, users)
                seconds += time.perf_counter() - start
                parts.append(self._values(lists, users))
                by_group.append(self._by_item_group(lists, users))
                for k in self._ks:
                    listed[k][self._split.items[metrics.covered(lists, k)]] = True
                bar.advance(len(users))
        catalogue = np.zeros(self._n_items, np.bool_)
        catalogue[self._split.items] = True
        lengths = np.diff(held_out.given.matrix.indptr).astype(np.int64)
        values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        by_item_group = {
            name: np.concatenate(columns)
            for name, columns in zip(ITEM_GROUPS, zip(*by_group, strict=True), strict=True)
        }
        users_tested = self._split.test.users
        return Measured(users_tested, values, by_item_group, lengths, catalogue, listed, seconds)

    def _lists(self, model: Model[Any], users: HeldOut) -> TopK:
        longest = max(*self._ks, *(k for _, k in ALWAYS))
        return top_k(users.mask_seen(model.score(users.given)), longest)

    def _values(self, lists: TopK, users: HeldOut) -> dict[str, Values]:
        hit = metrics.hits(lists, users.target.matrix)
        relevant = np.diff(users.target.matrix.indptr)
        wanted = [(name, k) for name in OF_FOUND for k in self._ks]
        wanted += [pair for pair in ALWAYS if pair not in wanted]
        values = {f"{name}@{k}": OF_FOUND[name](hit, relevant, k) for name, k in wanted}
        values |= {f"novelty@{k}": metrics.novelty(lists, self._bits, k) for k in self._ks}
        diversity = metrics.diversity(lists, self._vectors, self._ks)
        return values | {f"diversity@{k}": value for k, value in diversity.items()}

    def _by_item_group(self, lists: TopK, users: HeldOut) -> list[Values]:
        """Return, group by group, what share of a user's items of that group was found."""
        target = users.target.matrix
        hit, listed = metrics.hits(lists, target), self._group_of[lists.items]
        row = np.repeat(np.arange(len(users)), np.diff(target.indptr))
        wanted = self._group_of[target.indices]
        return [
            metrics.recall(
                hit & (listed == group),
                np.bincount(row[wanted == group], minlength=len(users)),
                GROUP_DEPTH,
            )
            for group in range(len(ITEM_GROUPS))
        ]


def _item_groups(train: Matrix) -> npt.NDArray[np.int64]:
    """Return the place in `ITEM_GROUPS` of each item, (n_items,)."""
    users = np.bincount(train.indices, minlength=train.shape[1])
    order = np.argsort(-users, kind="stable")
    before = np.cumsum(users[order]) - users[order]  # pairs with more popular items
    groups = np.empty(len(users), np.int64)
    groups[order] = np.minimum(
        before * len(ITEM_GROUPS) // max(users.sum(), 1), len(ITEM_GROUPS) - 1
    )
    return groups


def forget_peak_memory() -> None:
    """Start measuring the peak anew, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes() -> int:
    """Return the most main memory that this process held since `forget_peak_memory`.

    It is the whole process's resident memory, data set included; where the system cannot start
    anew it is the most since the process began.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
