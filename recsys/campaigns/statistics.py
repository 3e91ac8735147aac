"""What the report of a campaign counts: by shard in small arrays, then all together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recsys.files import Tensors
from recsys.interactions.tables import BoolArray, LongArray

if TYPE_CHECKING:
    from recsys.campaigns.final import Final

_PER_DOUBLING = 16
"""Bins of scores between a value and its double, so that a bin is 4.4 % wide."""

_SMALLEST = 2.0**-60
_ZERO_BIN = 2000
"""The bin of scores that are nothing; positive ones lie above it, negative ones below."""

_ENDS = ("best item", "last item")


def statistics_of(final: Final, k: int) -> Tensors:
    """Return the counts of a shard: mails an item, lengths of lists, scores in bins."""
    lists, lengths = final.lists, final.lists.counts
    arms = np.repeat(final.arms, lengths).astype(np.int64)
    pairs, sends = np.unique(arms << 32 | lists.items, return_counts=True)
    sent = lengths > 0
    model = sent & np.array(
        [reason is None or "popular items:" not in reason for reason in final.reasons], np.bool_
    )
    model &= lists.own > 0
    starts = lists.offsets[:-1]
    bins = {"best": _binned(lists.scores[starts[model]])}
    bins["last"] = _binned(lists.scores[(starts + np.minimum(lists.own, lengths) - 1)[model]])
    found: Tensors = {
        "arm_item": pairs,
        "sends": sends,
        "lengths": np.bincount(lengths[sent], minlength=k + 1)[: k + 1],
    }
    for name, own in bins.items():
        keys, counts = np.unique(final.arms[model].astype(np.int64) << 32 | own, return_counts=True)
        found[f"{name}_bins"], found[f"{name}_counts"] = keys, counts
    return found


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts of the whole campaign.

    Attributes
    ----------
    sends
        int64 (n_arms, n_items): mails that an item is in.
    lengths
        int64 (k + 1,): lists of each length.
    scores
        For the best and the last item of a list, int64 (n_arms, n_bins): lists with such a score.
    """

    sends: LongArray
    lengths: LongArray
    scores: tuple[LongArray, LongArray]

    def curves(self, arm: int, steps: int) -> list[tuple[str, tuple[tuple[float, float], ...]]]:
        """Return, for the best and the last item, scores and the share of lists up to each."""
        curves = []
        for name, scores in zip(_ENDS, self.scores, strict=True):
            counts = scores[arm]
            there = np.flatnonzero(counts)
            if not len(there):
                return []
            reached = np.cumsum(counts[there]) / counts.sum()
            wanted = np.searchsorted(reached, np.linspace(0, 1, steps), side="left")
            shown = there[np.unique(np.minimum(wanted, len(there) - 1))]
            points = [(_value(at), float(counts[: at + 1].sum() / counts.sum())) for at in shown]
            curves.append((name, ((_value(int(shown[0])), 0.0), *points)))
        return curves


def merged(statistics: Iterable[Tensors], n_arms: int, n_items: int, k: int) -> Statistics:
    """Return the counts of all shards together."""
    sends, lengths = np.zeros((n_arms, n_items), np.int64), np.zeros(k + 1, np.int64)
    best, last = (np.zeros((n_arms, 2 * _ZERO_BIN + 1), np.int64) for _ in _ENDS)
    for found in statistics:
        lengths += found["lengths"]
        for keys, counts, into in (
            ("arm_item", "sends", sends),
            ("best_bins", "best_counts", best),
            ("last_bins", "last_counts", last),
        ):
            into[found[keys] >> 32, found[keys] & 0xFFFFFFFF] += found[counts]
    return Statistics(sends, lengths, (best, last))


def _binned(scores: npt.NDArray[np.float32]) -> LongArray:
    """Return the bins of scores: by the logarithm, positive and negative ones apart."""
    sizes = np.abs(scores.astype(np.float64))
    nothing: BoolArray = ~(sizes >= _SMALLEST)
    sizes = np.where(nothing, _SMALLEST, sizes)
    places = np.floor(np.log2(sizes / _SMALLEST) * _PER_DOUBLING) + 1
    places = np.clip(places, 1, _ZERO_BIN)
    signed = np.where(scores < 0, -places, places)
    return np.where(nothing, _ZERO_BIN, _ZERO_BIN + signed).astype(np.int64)


def _value(place: int) -> float:
    """Return the score in the middle of a bin."""
    if place == _ZERO_BIN:
        return 0.0
    size: float = _SMALLEST * 2.0 ** ((abs(place - _ZERO_BIN) - 0.5) / _PER_DOUBLING)
    return size if place > _ZERO_BIN else -size
