"""Measure what places for new products find.

    python benchmarks/newcomers.py --data data/online-retail --cut 2011-03-01,2011-06-01,2011-09-01

A model is trained on what came before a cut. Then each visit (a customer with a history, on a day
of the horizon) is answered from what was known that morning; new is a product first sold between
the cut and that day. Tables are printed as Markdown.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path

import click
import numpy as np

from recsys.artifacts import publish
from recsys.cli import run
from recsys.interactions.dataset import Dataset, load_dataset
from recsys.interactions.tables import MICROSECONDS_PER_DAY, BoolArray
from recsys.interactions.times import microseconds
from recsys.models.registry import make_model
from recsys.recommender import HistoryEntry, Recommender, Rules
from recsys.recommender.newcomers import unlisted

K = 10


@dataclass(frozen=True)
class Visit:
    """A customer on a day: what was taken before, and what was taken then for the first time."""

    day: int
    before: list[tuple[int, int]]  # item and time
    first: set[int]


@click.command()
@click.option("--data", required=True)
@click.option("--cut", "cuts", required=True)
@click.option("--horizon", default=90, show_default=True, help="Days.")
@click.option("--places", default=3, show_default=True)
@click.option("--model", default="ease", show_default=True)
@click.option("--half-life-days", default=60.0, show_default=True)
def newcomers(
    *, data: str, cuts: str, horizon: int, places: int, model: str, half_life_days: float
) -> None:
    """Share of the first purchases of new products that the places find, and what they cost."""
    dataset = load_dataset(data)
    dataset = replace(dataset, weighting=replace(dataset.weighting, half_life_days=half_life_days))
    names = ["likeness", "popular", "newest", "random"]
    header = ["cut", "visits", "first purchases", "of new", *names, "hits of 10", "with places"]
    click.echo(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for cut in cuts.split(","):
        at = microseconds(datetime.combine(date.fromisoformat(cut), time.min))
        with tempfile.TemporaryDirectory() as folder:
            trained = _trained(Path(folder), dataset, at, model)
            click.echo(f"| {' | '.join([cut, *_row(dataset, trained, at, horizon, places)])} |")


def _trained(folder: Path, dataset: Dataset, at: int, name: str) -> Recommender:
    """Return a model of what came before the cut."""
    times = dataset.interactions.times
    past = dataset.interactions.where(times < at)
    items = np.unique(past.items)
    cut = _of_items(replace(dataset, interactions=past), items)
    histories = cut.weighting.histories(cut.interactions, at)
    publish(folder, make_model(name).fit(histories), cut)
    return Recommender.open(folder)


def _of_items(dataset: Dataset, items: np.ndarray) -> Dataset:
    catalogue, codes = dataset.catalogue, items.tolist()
    return replace(
        dataset,
        interactions=dataset.interactions.columns(items),
        items=dataset.items.take(items),
        catalogue=replace(
            catalogue,
            titles=[catalogue.titles[code] for code in codes],
            categories=[catalogue.categories[code] for code in codes],
            prices=catalogue.prices[items],
            attributes={},
        ),
    )


def _row(
    dataset: Dataset, trained: Recommender, at: int, horizon: int, places: int
) -> Iterator[str]:
    """Yield the cells of a cut's row."""
    ids, log = dataset.items.ids, dataset.interactions
    first = np.full(log.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, log.items, log.times)
    end = at + horizon * MICROSECONDS_PER_DAY
    new = np.flatnonzero((first >= at) & (first < end))
    names = _of_items(dataset, new)
    generator = np.random.default_rng(0)
    hits: Counter[str] = Counter()
    rules = Rules(newcomers=places, new_below=1)
    sold: Counter[int] = Counter()
    morning, there = None, trained
    for visit in _visits(dataset, at, end):
        start = at + visit.day * MICROSECONDS_PER_DAY
        if visit.day != morning:
            morning = visit.day
            known = new[first[new] < start]
            sold = Counter(log.items[(log.times >= at) & (log.times < start)].tolist())
            withheld: BoolArray = first[new] >= start
            shelf = unlisted(names.items, names.catalogue, withheld)
            there = trained.restocked(trained.catalogue, np.zeros(len(trained.items), bool), shelf)
        seen = {ids[item] for item, _ in visit.before}
        entries = [
            HistoryEntry(ids[i], when) for i, when in visit.before if ids[i] in trained.items
        ]
        hits["visits"] += 1
        hits["first"] += len(visit.first)
        targets = {ids[item] for item in visit.first}
        hits["new"] += len(targets & set(names.items.ids))
        if not entries:
            continue
        asked = replace(rules, exclude=frozenset(seen))
        plain = [
            line.item
            for line in there.recommend_basket(
                entries, k=K, at=start, rules=replace(asked, newcomers=0)
            ).items
        ]
        hits["plain"] += len(targets & set(plain))
        lines = there.recommend_basket(entries, k=K, at=start, rules=asked).items
        hits["both"] += len(targets & {line.item for line in lines})
        hits["likeness"] += len(targets & {line.item for line in lines if line.new})
        free = [item for item in known.tolist() if ids[item] not in seen]
        orders = {
            "popular": sorted(free, key=lambda item: (-sold[item], ids[item])),
            "newest": sorted(free, key=lambda item: (-first[item], ids[item])),
            "random": generator.permutation(free).astype(int).tolist(),
        }
        for name, order in orders.items():
            hits[name] += len(targets & {ids[item] for item in order[:places]})
    yield from (f"{hits['visits']:,}", f"{hits['first']:,}", f"{hits['new'] / hits['first']:.1%}")
    for name in ("likeness", "popular", "newest", "random"):
        yield f"{hits[name] / hits['new']:.1%}"
    for name in ("plain", "both"):
        yield f"{hits[name] / hits['visits']:.3f}"


def _visits(dataset: Dataset, at: int, end: int) -> Iterator[Visit]:
    """Yield the visits of the horizon, the earliest first, of customers with a history."""
    log = dataset.interactions
    order = np.argsort(log.times, kind="stable")
    users, items, times = log.users[order], log.items[order], log.times[order]
    taken: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    today: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    morning = -1

    def ended() -> Iterator[Visit]:
        for user, own in sorted(today.items()):
            seen = {item for item, _ in taken[user]}
            if seen and (first := {item for item, _ in own} - seen):
                yield Visit(morning, list(taken[user]), first)
            taken[user] += own
        today.clear()

    for user, item, when in zip(users.tolist(), items.tolist(), times.tolist(), strict=True):
        if when >= end:
            break
        if when < at:
            taken[user].append((item, when))
            continue
        day = (when - at) // MICROSECONDS_PER_DAY
        if day != morning:
            yield from ended()
            morning = day
        today[user].append((item, when))
    yield from ended()


if __name__ == "__main__":
    run(newcomers)
