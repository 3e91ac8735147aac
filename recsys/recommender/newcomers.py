"""Places in a list for products that the model knows little of, found by their likeness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import BoolArray, FloatArray, Histories, Interactions
from recsys.recommender.answers import Contribution, Suggestion
from recsys.recommender.choosing import choose
from recsys.recommender.rules import Rules
from recsys.recommender.search import folded
from recsys.recommender.shelf import Shelf, Taken

_Matrix = sp.csr_array[np.float32, tuple[int, int]]
_Codes = npt.NDArray[np.integer]

_MOST_COMPARED = 200  # items of one history: the weightiest
_CANDIDATES = 1000  # new products of which those that may stand together are chosen
_REASONS = 3  # of each suggestion
_UNKNOWN_PRICE = 0.5  # how near two prices are of which one is unknown
_LEAST_PRICE = 0.01

_WORD = re.compile(r"\w+")


def unlisted(items: IdMap, catalogue: Catalogue, withheld: BoolArray) -> Shelf:
    """Return a shelf of products that a model does not know, so that nobody took them.

    Parameters
    ----------
    items, catalogue
        One entry a product.
    withheld
        bool (n,): those that stand in no list.
    """
    nothing = Interactions(np.zeros(1, np.int64), np.zeros(0, np.int32), len(items))
    return Shelf(items, catalogue, Taken(nothing), withheld)


def nothing_unlisted() -> Shelf:
    """Return a shelf without a product."""
    return unlisted(IdMap([]), Catalogue.untitled([]), np.zeros(0, np.bool_))


class Newcomers:
    """The products that a model knows little of, ready to be compared with what a user took.

    With h the items of a history, w their weights, v vectors of length 1 of the TF-IDF of the words
    of a title and of the categories, and p prices, a product c is as like the history as

        Σ_h w_h · (v_h · v_c)² · min(p_h, p_c) / max(p_h, p_c)  /  Σ_h w_h,

    from 0 to 1; the prices' part is ½ where one is unknown.

    Parameters
    ----------
    shelf
        The model's items.
    further
        Products that it does not know.
    events
        (n_items,): how many events of each of its items the model was trained on.
    """

    def __init__(self, shelf: Shelf, further: Shelf, events: _Codes) -> None:
        self._shelf, self._further = shelf, further
        self._events = np.concatenate([events, np.zeros(len(further.items), np.int64)])
        self._ids = [*shelf.items.ids, *further.items.ids]
        self._titles = [*shelf.catalogue.titles, *further.catalogue.titles]
        self._categories = [*shelf.catalogue.categories, *further.catalogue.categories]

    def placed(
        self,
        found: Sequence[Suggestion],
        history: Histories,
        *,
        k: int,
        rules: Rules,
        seen: AbstractSet[str] = frozenset(),
        why: bool = False,
    ) -> tuple[Suggestion, ...]:
        """Return a list of k with up to `rules.newcomers` new products in its last places.

        Parameters
        ----------
        found
            The model's list, of which the end makes way; more than k where places depend on each
            other, so that others can stand in.
        history
            One row, weighted.
        k, rules
            How many, of what; the rules hold for new products, too, but for diversity.
        seen
            Products that the user took and the model does not know.
        why
            Whether new products say what of the history they are like.
        """
        codes, parts = self._alike(history, rules, seen)
        likeness: FloatArray = np.asarray(parts.sum(axis=0), np.float32).ravel()
        order = np.lexsort((self._place_of_id[codes], -likeness))
        order = order[likeness[order] > 0][:_CANDIDATES]
        alone = replace(rules, limits=tuple(replace(limit, least=0) for limit in rules.limits))
        order = order[self._apart(codes[order], likeness[order], rules.newcomers, alone)]
        new = [
            Suggestion(0, self._ids[code], self._titles[code], score, new=True)
            for code, score in zip(codes[order].tolist(), likeness[order].tolist(), strict=True)
        ]
        if why:
            added = parts[:, order].toarray()  # (m, n)
            taken = _weightiest(history)
            new = [
                replace(each, because=self._reasons(history.matrix.indices[taken], column))
                for each, column in zip(new, added.T, strict=True)
            ]
        return self._together(found, new, k, rules)

    def _alike(
        self, history: Histories, rules: Rules, seen: AbstractSet[str]
    ) -> tuple[_Codes, _Matrix]:
        """Return the products that may be placed, (n,), and their likeness by parts, (m, n)."""
        free = np.concatenate([self._shelf.allowed(rules), self._further.allowed(rules)])
        free &= self._events < rules.new_below
        if not rules.include_seen:
            free[history.matrix.indices] = False
            known = len(self._shelf.items)
            own = (self._further.items.code(item) for item in seen)
            free[[known + code for code in own if code is not None]] = False
        codes = np.flatnonzero(free)
        entries = _weightiest(history)
        taken, weights = history.matrix.indices[entries], history.matrix.data[entries]
        parts = sp.csr_array(self._vectors[taken] @ self._vectors[codes].T)
        row_of = np.repeat(np.arange(len(taken)), np.diff(parts.indptr))
        prices = self._prices[taken[row_of]], self._prices[codes[parts.indices]]
        near = np.minimum(*prices) / np.maximum(*prices)
        near[np.isnan(near)] = _UNKNOWN_PRICE
        parts.data = ((weights / weights.sum())[row_of] * parts.data**2 * near).astype(np.float32)
        return codes, parts

    def _together(
        self, found: Sequence[Suggestion], new: Sequence[Suggestion], k: int, rules: Rules
    ) -> tuple[Suggestion, ...]:
        """Return the model's list with the new products behind it, k in all."""
        own = {each.item for each in new}
        both = [*new, *(each for each in found if each.item not in own)]
        ids = [self._code(each.item) for each in both]
        order = np.arange(len(both), 0, -1).astype(np.float32)  # new ones choose first
        chosen = self._apart(np.array(ids, np.int64), order, k, rules)
        last = sorted(chosen, key=lambda place: place < len(new))
        return tuple(replace(both[place], rank=rank) for rank, place in enumerate(last, 1))

    def _apart(self, codes: _Codes, scores: FloatArray, k: int, rules: Rules) -> list[int]:
        """Return the first k places, of those best first that the rules let stand together."""
        if not rules.look_at_the_list:
            return list(range(min(k, len(codes))))
        return choose(
            codes.astype(np.int32),
            scores,
            k=k,
            rules=replace(rules, diversity=0.0),
            categories=self._categories,
            variants=self._attribute(rules.variants),
        )

    def _reasons(self, taken: _Codes, added: FloatArray) -> tuple[Contribution, ...]:
        """Return what of a history, (m,) codes, a product is like, the most first."""
        order = [
            place for place in np.argsort(-added, kind="stable")[:_REASONS] if added[place] > 0
        ]
        return tuple(
            Contribution(self._ids[code], self._titles[code], float(added[place]))
            for place, code in zip(order, taken[order].tolist(), strict=True)
        )

    def _code(self, item: str) -> int:
        """Return the place of a product that is there."""
        code, known = self._shelf.items.code(item), len(self._shelf.items)
        return known + (self._further.items.code(item) or 0) if code is None else code

    def _attribute(self, name: str | None) -> Sequence[str | None]:
        """Return an attribute of every product; nothing where none is named."""
        if name is None:
            return ()
        return [
            value
            for shelf in (self._shelf, self._further)
            for value in shelf.catalogue.attributes.get(name, [None] * len(shelf.items))
        ]

    @cached_property
    def _prices(self) -> npt.NDArray[np.float64]:
        both = [shelf.catalogue.prices for shelf in (self._shelf, self._further)]
        return np.maximum(np.concatenate(both), _LEAST_PRICE)  # NaN stays NaN

    @cached_property
    def _place_of_id(self) -> npt.NDArray[np.int64]:
        """int64 (n_products,): where an id stands among all in the order of their text."""
        places = np.empty(len(self._ids), np.int64)
        places[sorted(range(len(self._ids)), key=self._ids.__getitem__)] = np.arange(len(places))
        return places

    @cached_property
    def _vectors(self) -> _Matrix:
        """float32 (n_products, n_words): see the class; a product without a word has zeros."""
        words: dict[str, int] = {}
        said = [
            sorted({*_WORD.findall(folded(title)), *(f"|{name}" for name in categories)})
            for title, categories in zip(self._titles, self._categories, strict=True)
        ]
        places = [words.setdefault(word, len(words)) for own in said for word in own]
        columns = np.array(places, np.int64)
        indptr = np.concatenate([[0], np.cumsum([len(own) for own in said])])
        occurs = np.bincount(columns, minlength=len(words))
        weights = np.log((1 + len(said)) / (1 + occurs))[columns]
        product_of = np.repeat(np.arange(len(said)), np.diff(indptr))
        lengths = np.sqrt(np.bincount(product_of, weights**2, minlength=len(said)))
        weights /= np.where(lengths > 0, lengths, 1)[product_of]
        shape = (len(said), len(words))
        return sp.csr_array((weights.astype(np.float32), columns, indptr), shape=shape)


def _weightiest(history: Histories) -> npt.NDArray[np.intp]:
    """Return the places of the weightiest entries of a history, at most 200."""
    return np.argsort(-history.matrix.data, kind="stable")[:_MOST_COMPARED]
