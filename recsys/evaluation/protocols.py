"""Which splits an evaluation runs over, and whether the data allows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from recsys.errors import UsageError
from recsys.interactions.dataset import Dataset
from recsys.interactions.parts import Split, Training
from recsys.interactions.splits import given_split, strong_splits, training_split, weak_split
from recsys.interactions.temporal import Targets, temporal_splits, temporal_training

Kind = Literal["strong", "weak", "temporal", "given"]


@dataclass(frozen=True)
class Protocol:
    """How to hold out; each attribute is the flag of that name.

    Attributes
    ----------
    kind
        `strong`, `weak`, `temporal` or `given`.
    test_users, folds
        Of strong: how many users to test, or into how many test sets to cut all.
    cuts, horizon_days, targets
        Of temporal.
    validation_users
        Of strong: how many users to choose on; None takes as many as are tested, and of folds a
        tenth of the others.
    """

    kind: Kind = "strong"
    test_users: int = 800
    folds: int | None = None
    cuts: tuple[date, ...] = ()
    horizon_days: int = 90
    targets: Targets = "first"
    validation_users: int | None = None

    def splits(self, dataset: Dataset, seed: int) -> Iterator[Split]:
        """Yield the splits one by one.

        Raises
        ------
        UsageError
            The data does not allow the protocol.
        """
        if self.kind == "given":
            if dataset.test is None:
                raise UsageError(
                    f"--protocol given: {dataset.source} is no published split; that is a folder "
                    "with train.npz and test.npz"
                )
            yield given_split(dataset.interactions, dataset.test, seed)
        elif self.kind == "weak":
            yield weak_split(dataset.interactions, seed)
        elif self.kind == "temporal":
            if not self.cuts:
                raise UsageError("--protocol temporal: say where to cut, --cut 2011-06-01,…")
            yield from temporal_splits(
                dataset.interactions,
                self.cuts,
                timedelta(days=self.horizon_days),
                targets=self.targets,
            )
        else:
            yield from strong_splits(
                dataset.interactions,
                test_users=self.test_users,
                folds=self.folds,
                validation_users=self.validation_users,
                seed=seed,
            )

    def asked(self) -> dict[str, Any]:
        """Return what the flags say, those of this kind of protocol alone, ready for JSON."""
        if self.kind == "temporal":
            cuts = [str(cut) for cut in self.cuts]
            return {"cuts": cuts, "horizon_days": self.horizon_days, "targets": self.targets}
        if self.kind == "strong":
            test_users = self.test_users if self.folds is None else None
            return {"folds": self.folds, "test_users": test_users}
        return {}

    def trainings(self, dataset: Dataset, seed: int) -> list[Training]:
        """Return what settings may be tuned in: of each cut, else of the first split alone."""
        splits = self.splits(dataset, seed)
        if self.kind == "temporal":
            return [split.training for split in splits]
        return [next(splits).training]

    def training(self, dataset: Dataset, seed: int) -> Training:
        """Return all of a data set to learn from, with a part of it on which to choose."""
        if self.kind == "temporal":
            horizon = timedelta(days=self.horizon_days)
            return temporal_training(dataset.interactions, horizon, targets=self.targets)
        return training_split(dataset.interactions, seed)
