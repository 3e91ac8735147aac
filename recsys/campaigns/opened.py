"""A run opened in one process: its models, its store, what is suppressed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.artifacts import load_artifact
from recsys.campaigns.intake import Intake
from recsys.campaigns.loading import rules_of
from recsys.campaigns.pinning import PinnedArm, PinnedRun
from recsys.campaigns.spec import RuleSpec
from recsys.campaigns.suppression import Suppressed
from recsys.campaigns.work import Work
from recsys.errors import RecsysError
from recsys.interactions.tables import IntArray
from recsys.recommender import Recommender, Rules
from recsys.store.live import LiveRecommender
from recsys.store.pinned import PinnedStore, pinned


@dataclass(frozen=True)
class Job:
    """Where a run lies, for whoever is to work at it.

    Attributes
    ----------
    work
        Its work folder.
    models
        The folder of published models.
    store
        The store's URL; None without one.
    device
        Where networks score, `cpu` or `cuda`.
    """

    work: Path
    models: Path
    store: str | None = None
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class ItemTable:
    """The items of all models of a run; a place in these lists is an item's number in the run."""

    ids: list[str]
    titles: list[str]
    prices: list[float | None]
    categories: list[tuple[str, ...]]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each id."""
        return {item: number for number, item in enumerate(self.ids)}

    @cached_property
    def id_texts(self) -> pa.Array:
        """The ids, to be taken by number."""
        return pa.array(self.ids, pa.string())

    @cached_property
    def title_texts(self) -> pa.Array:
        """The titles, to be taken by number."""
        return pa.array(self.titles, pa.string())


@dataclass(frozen=True, eq=False)
class OpenArm:
    """An arm with its model.

    Attributes
    ----------
    recommender
        Over the items as the store had them, with the store's events.
    rules, spec
        What may stand in a list, as the recommender takes it and as the spec says it.
    numbers
        int32 (n_items,): the run's number of each of the model's items.
    recent
        Campaigns whose items must not come back.
    """

    pinned: PinnedArm
    recommender: Recommender
    rules: Rules
    spec: RuleSpec
    numbers: IntArray
    recent: frozenset[str]


class OpenRun:
    """A run, its arms and its store.

    Parameters
    ----------
    job
        Where it lies.
    run
        The run.
    """

    def __init__(self, job: Job, run: PinnedRun) -> None:
        self.job, self.pinned, self.work = job, run, Work(job.work)
        self.intake = Intake(self.work.intake)
        self.suppressed = Suppressed(self.work.suppressed)
        self.store = self._opened_store()
        recommenders = {arm.version: self._recommender(arm.version) for arm in run.arms}
        self.items = _item_table(list(recommenders.values()))
        self.arms = [self._arm(arm, recommenders[arm.version]) for arm in run.arms]

    @classmethod
    def open(cls, job: Job) -> OpenRun:
        """Open the run that lies in a work folder.

        Raises
        ------
        RecsysError
            There is none, or a model or the store cannot be used.
        """
        run = Work(job.work).read()
        if run is None:
            raise RecsysError(f"{job.work}: there is no run")
        return cls(job, run)

    def _opened_store(self) -> PinnedStore | None:
        moment = self.pinned.store
        if moment is None or self.job.store is None:
            return None
        return pinned(self.job.store, moment, self.work.read_states())

    def _recommender(self, version: str) -> Recommender:
        recommender = Recommender(load_artifact(self.job.models / version))
        if self.store is None:
            return recommender
        return LiveRecommender(recommender, self.store, required=True)

    def _arm(self, arm: PinnedArm, recommender: Recommender) -> OpenArm:
        ids = recommender.items.ids
        numbers = np.array([self.items.numbers[item] for item in ids], np.int32)
        n = arm.rules.not_sent_campaigns
        recent = self.store.recent_campaigns(n) if self.store is not None and n else frozenset()
        return OpenArm(arm, recommender, rules_of(arm.rules), arm.rules, numbers, recent)


def _item_table(recommenders: list[Recommender]) -> ItemTable:
    """Return the items of the first model, then those that others have besides."""
    table = ItemTable([], [], [], [])
    known: set[str] = set()
    for recommender in recommenders:
        catalogue = recommender.look([]).ranker.shelf.catalogue
        for code, item in enumerate(recommender.items.ids):
            if item not in known:
                known.add(item)
                price = float(catalogue.prices[code])
                table.ids.append(item)
                table.titles.append(catalogue.titles[code])
                table.prices.append(None if np.isnan(price) else price)
                table.categories.append(tuple(catalogue.categories[code]))
    return table
