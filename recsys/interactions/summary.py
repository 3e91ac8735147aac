"""A data set in figures: how many, how sparse, how long the tail, how long ago."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import Interactions, LongArray

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Spread:
    """A distribution: its mean, and its values at `QUANTILES`."""

    mean: float
    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, numbers: npt.NDArray[np.number]) -> Spread:
        """Summarise the numbers, of which there must be one."""
        at = np.quantile(numbers, QUANTILES, method="inverted_cdf")
        return cls(float(numbers.mean(dtype=np.float64)), tuple(map(float, at)))


@dataclass(frozen=True)
class Tail:
    """How unevenly interactions are spread over the items.

    Attributes
    ----------
    top_1_percent, top_10_percent
        Share of the interactions that the most popular items have.
    items_of_one_user
        Items that a single user has.
    users_below_5_items
        Users too short to be tested by the strong protocol.
    """

    top_1_percent: float
    top_10_percent: float
    items_of_one_user: int
    users_below_5_items: int


@dataclass(frozen=True)
class Span:
    """When the interactions happened (UTC).

    Attributes
    ----------
    first, last
        The oldest and the newest.
    months
        Interactions in each calendar month from the first to the last.
    """

    first: datetime
    last: datetime
    months: tuple[int, ...]


@dataclass(frozen=True)
class Described:
    """What is known of the items.

    Attributes
    ----------
    titles, prices, categories
        How many items have one.
    distinct_categories
        How many categories there are.
    attributes
        Names of the further columns.
    """

    titles: int
    prices: int
    categories: int
    distinct_categories: int
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """A data set in figures.

    Attributes
    ----------
    users, items, interactions, pairs
        How many; several interactions of a user with an item are one pair.
    density
        Share of all pairs that there are.
    items_per_user, users_per_item, interactions_per_user
        Distributions over those that have any.
    tail
        How uneven it is.
    span
        When; None without times.
    values
        Distribution of the values; None without.
    described
        What is known of the items.
    test_pairs, test_users
        Size of a published split's test part; None without.
    """

    users: int
    items: int
    interactions: int
    pairs: int
    density: float
    items_per_user: Spread
    users_per_item: Spread
    interactions_per_user: Spread
    tail: Tail
    span: Span | None
    values: Spread | None
    described: Described
    test_pairs: int | None = None
    test_users: int | None = None


def summarize(dataset: Dataset) -> Summary:
    """Return the figures of a data set."""
    events, test = dataset.interactions, dataset.test
    pairs = np.unique(events.users.astype(np.int64) * events.n_items + events.items)
    of_user = np.bincount(pairs // events.n_items, minlength=events.n_users)
    of_item = np.bincount(pairs % events.n_items, minlength=events.n_items)
    lengths = np.diff(events.indptr)
    return Summary(
        users=events.n_users,
        items=events.n_items,
        interactions=events.n_events,
        pairs=len(pairs),
        density=len(pairs) / (events.n_users * events.n_items),
        items_per_user=Spread.of(of_user[of_user > 0]),
        users_per_item=Spread.of(of_item[of_item > 0]),
        interactions_per_user=Spread.of(lengths[lengths > 0]),
        tail=_tail(events, of_user, of_item),
        span=None if events.times is None else _span(events.times),
        values=None if events.values is None else Spread.of(events.values),
        described=_described(dataset),
        test_pairs=None if test is None else test.n_events,
        test_users=None if test is None else int(np.count_nonzero(np.diff(test.indptr))),
    )


def _tail(events: Interactions, of_user: LongArray, of_item: LongArray) -> Tail:
    counts = np.sort(np.bincount(events.items, minlength=events.n_items))[::-1]

    def share(part: float) -> float:
        return float(counts[: max(1, round(part * len(counts)))].sum() / counts.sum())

    return Tail(
        share(0.01),
        share(0.1),
        int(np.count_nonzero(of_item == 1)),
        int(np.count_nonzero(of_user < 5)),
    )


def _span(times: LongArray) -> Span:
    months = times.view("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    first, last = (_EPOCH + timedelta(microseconds=int(at)) for at in (times.min(), times.max()))
    return Span(first, last, tuple(np.bincount(months - months.min()).tolist()))


def _described(dataset: Dataset) -> Described:
    catalogue = dataset.catalogue
    titled = sum(
        title != identifier
        for title, identifier in zip(catalogue.titles, dataset.items.ids, strict=True)
    )
    return Described(
        titled,
        int(np.count_nonzero(~np.isnan(catalogue.prices))),
        sum(map(bool, catalogue.categories)),
        len({category for categories in catalogue.categories for category in categories}),
        tuple(catalogue.attributes),
    )
