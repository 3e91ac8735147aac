"""What a protocol makes of a data set: what is learnt from, on whom is chosen and tested."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recsys.interactions.tables import HeldOut, IntArray, Interactions
from recsys.interactions.weighting import Weighting


@dataclass(frozen=True, eq=False)
class Probe:
    """Users to score, as events; `held_out` turns them into histories.

    Attributes
    ----------
    users
        int32 (n,): their codes in the data set.
    given, target
        Row for row the same users: what a model is given, and what it should find.
    at
        Reference time for ages, microseconds; None without times.
    repeats
        Whether items of `given` may be found again.
    """

    users: IntArray
    given: Interactions
    target: Interactions
    at: int | None
    repeats: bool = False

    def held_out(self, weighting: Weighting) -> HeldOut:
        """Return the histories: what is given carries weights, what is to be found counts 1."""
        return HeldOut(
            weighting.histories(self.given, self.at),
            Weighting().histories(self.target),
            self.repeats,
        )


@dataclass(frozen=True, eq=False)
class Training:
    """What may be learnt from, with a part of it on which to choose.

    Attributes
    ----------
    train, train_at
        What models learn from while something is chosen on `validation`, and the reference time.
    validation
        Users on whom settings, epochs and blend weights are chosen.
    full, full_at
        Train and validation together: what the final model learns from.
    """

    train: Interactions
    train_at: int | None
    validation: Probe
    full: Interactions
    full_at: int | None

    def of_popular(self, n_items: int) -> Training:
        """Return the same with the `n_items` items of most events alone, and who has such."""
        counts = np.bincount(self.full.items, minlength=self.full.n_items)
        items = np.sort(np.argsort(-counts, kind="stable")[:n_items])
        probe = self.validation
        given, target = probe.given.columns(items), probe.target.columns(items)
        users = np.flatnonzero((np.diff(given.indptr) > 0) & (np.diff(target.indptr) > 0))
        return Training(
            self.train.columns(items),
            self.train_at,
            replace(
                probe,
                users=probe.users[users],
                given=given.rows(users),
                target=target.rows(users),
            ),
            self.full.columns(items),
            self.full_at,
        )


@dataclass(frozen=True, eq=False)
class Split:
    """One way of cutting a data set; all parts share the columns `items`.

        ┌───────── training.full ─────────┐
        │ training.train  │ .validation   │      test
        └─────────────────────────────────┘
          to choose with    to choose on         to report on

    Attributes
    ----------
    label
        What to call it: `fold 2 of 5`, `2011-06-01`, …
    cut
        The temporal cut, microseconds since 1970 UTC; else None.
    items
        int32 (n_columns,): codes of the data set's items that are this split's columns.
    training
        What may be learnt from.
    test
        Users on whom the final model is tested; nothing of their targets is in `training`.
    left_out
        What could not be tested, by reason, counted (`unknown items`, `new users`, …).
    """

    label: str
    cut: int | None
    items: IntArray
    training: Training
    test: Probe
    left_out: dict[str, int]
