"""The items that lists are made of: what is known of them, and which may stand in a list."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Self

import numpy as np
import scipy.sparse as sp

from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import BoolArray, FloatArray, IntArray, Interactions
from recsys.metrics import item_vectors
from recsys.recommender.answers import ItemInfo, Suggestion
from recsys.recommender.choosing import Vectors, choose
from recsys.recommender.columns import Column
from recsys.recommender.rules import Rules
from recsys.recommender.search import TitleIndex
from recsys.topk import top_k

_CANDIDATES = 10
"""Candidates for each place, where places depend on each other."""


class Taken:
    """What the events that a model was trained on say of the items."""

    def __init__(self, interactions: Interactions) -> None:
        self._interactions = interactions

    @cached_property
    def popularity(self) -> FloatArray:
        """float32 (n_items,): how many users took each item."""
        pairs = self._pairs()
        return np.bincount(pairs.indices, minlength=pairs.shape[1]).astype(np.float32)

    @cached_property
    def vectors(self) -> Vectors:
        """See `metrics.item_vectors`; as large as the data, so made only where it is asked for."""
        return item_vectors(self._pairs())

    def _pairs(self) -> sp.csr_array[np.bool_, tuple[int, int]]:
        events = self._interactions
        pairs = sp.csr_array(
            (np.ones(events.n_events, np.bool_), events.items.copy(), events.indptr.copy()),
            shape=(events.n_users, events.n_items),
        )
        pairs.sum_duplicates()
        return pairs


class Shelf:
    """The items of a model by code, with their catalogue.

    Parameters
    ----------
    items
        Their ids.
    catalogue
        What is known of them.
    taken
        What the events say of them.
    withheld
        bool (n_items,): items that stand in no list; None for none.
    """

    def __init__(
        self,
        items: IdMap,
        catalogue: Catalogue,
        taken: Taken,
        withheld: BoolArray | None = None,
    ) -> None:
        self.items, self.catalogue, self.taken = items, catalogue, taken
        self._withheld = withheld
        self._columns: dict[str, Column] = {}

    def restocked(self, catalogue: Catalogue, withheld: BoolArray) -> Self:
        """Return the same items with another catalogue, others of them withheld."""
        return type(self)(self.items, catalogue, self.taken, withheld)

    def allowed(self, rules: Rules) -> BoolArray:
        """Return bool (n_items,): where the rules on items hold, whoever the user is."""
        allowed = np.ones(len(self.items), np.bool_)
        if rules.category is not None:
            allowed &= self._at(self._categories.get(rules.category, []))
        if rules.only is not None:
            allowed &= self._at(self._codes(rules.only))
        for rule in rules.attributes:
            allowed &= self._column(rule.name).allowed(rule)
        prices = self.catalogue.prices
        if rules.min_price is not None:
            allowed &= prices >= rules.min_price
        if rules.max_price is not None:
            allowed &= prices <= rules.max_price
        if self._withheld is not None:
            allowed &= ~self._withheld
        allowed[self._codes(rules.exclude)] = False
        return allowed

    def best(
        self, scores: FloatArray, allowed: BoolArray, k: int, rules: Rules
    ) -> Iterator[tuple[Suggestion, ...]]:
        """Yield the k best allowed items of each row of scores, (b, n_items), changed in place.

        `rules` may limit categories and ask for diversity; the candidates are then the best 10 k
        of a row, four times as many as long as the limits leave fewer than k.
        """
        if not allowed.all():
            scores[:, ~allowed] = -np.inf
        if rules.look_at_the_list:
            lists = (self.chosen(row, k, rules) for row in scores)
        else:
            best = top_k(scores, k)
            lists = (best.row(row) for row in range(len(scores)))
        for items, values in lists:
            yield self.suggestions(items, values)

    def suggestions(self, items: IntArray, scores: FloatArray) -> tuple[Suggestion, ...]:
        """Return a list of items, best first, with their scores."""
        ids, titles = self.items.ids, self.catalogue.titles
        ranked = enumerate(zip(items.tolist(), scores.tolist(), strict=True), 1)
        return tuple(Suggestion(rank, ids[i], titles[i], score) for rank, (i, score) in ranked)

    def note(self, found: int, k: int, rules: Rules) -> str | None:
        """Return why a list of `found` items is shorter than k, where it is."""
        if found == k:
            return None
        if not found and rules.category is not None and rules.category not in self._categories:
            return f"no item is in category {rules.category!r}"
        for rule in rules.attributes:
            if not found and self._column(rule.name).is_empty:
                return f"no item has an attribute {rule.name!r}"
        if not found and any(limit.least for limit in rules.limits):
            return "no list has as many items of each category as it must"
        return f"only {found} of {k}: no other item may stand in this list"

    def title(self, item: str) -> str:
        """Return what to call an item, known or not."""
        code = self.items.code(item)
        return item if code is None else self.catalogue.titles[code]

    def find(self, query: str, limit: int) -> tuple[ItemInfo, ...]:
        """Return items that a query finds; see `TitleIndex.find`."""
        return tuple(self._info(item) for item in self._titles.find(query, limit))

    def chosen(self, scores: FloatArray, k: int, rules: Rules) -> tuple[IntArray, FloatArray]:
        """Return codes and scores of one row's list, whose places depend on each other."""
        candidates = _CANDIDATES * k
        while True:
            items, values = top_k(scores[np.newaxis], candidates).row(0)
            places = self.places(items, values, k, rules)
            if len(places) == k or len(items) < candidates:
                return items[places], values[places]
            candidates *= 4

    def places(self, items: IntArray, scores: FloatArray, k: int, rules: Rules) -> list[int]:
        """Return which of these candidates, best first, make the list: see `choosing.choose`."""
        values = self.catalogue.attributes.get(rules.variants) if rules.variants else None
        return choose(
            items,
            scores,
            k=k,
            rules=rules,
            categories=self.catalogue.categories,
            variants=values or (),
            vectors=self.taken.vectors if rules.diversity > 0 else None,
        )

    def _codes(self, ids: Iterable[str]) -> list[int]:
        """Return the codes of those ids that are an item's."""
        return [code for code in map(self.items.code, ids) if code is not None]

    def _at(self, codes: list[int]) -> BoolArray:
        """Return bool (n_items,): true at these codes."""
        marks = np.zeros(len(self.items), np.bool_)
        marks[codes] = True
        return marks

    def _column(self, name: str) -> Column:
        if name not in self.catalogue.attributes:
            return Column([None] * len(self.items))
        if name not in self._columns:
            self._columns[name] = Column(self.catalogue.attributes[name])
        return self._columns[name]

    def info(self, item: str) -> ItemInfo | None:
        """Return what is known of an item by id; None for one that is not here."""
        code = self.items.code(item)
        return None if code is None else self._info(code)

    @property
    def categories(self) -> tuple[tuple[str, int], ...]:
        """Each category with how many items it has, most first."""
        counts = ((name, len(items)) for name, items in self._categories.items())
        return tuple(sorted(counts, key=lambda each: (-each[1], each[0])))

    def _info(self, item: int) -> ItemInfo:
        price = float(self.catalogue.prices[item])
        title, category = self.catalogue.titles[item], self.catalogue.categories[item]
        return ItemInfo(self.items[item], title, category, None if math.isnan(price) else price)

    @cached_property
    def _categories(self) -> dict[str, list[int]]:
        """The items of each category."""
        items: dict[str, list[int]] = {}
        for item, categories in enumerate(self.catalogue.categories):
            for category in categories:
                items.setdefault(category, []).append(item)
        return items

    @cached_property
    def _titles(self) -> TitleIndex:
        return TitleIndex(self.catalogue.titles, self.items.ids, self.taken.popularity)
