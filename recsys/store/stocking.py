"""What the store says of items, laid over the catalogue that a model was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import BoolArray
from recsys.recommender.newcomers import unlisted
from recsys.recommender.shelf import Shelf
from recsys.store.items import ItemState


def restocked(
    changed: Sequence[ItemState],
    items: IdMap,
    trained: Catalogue,
    now: Catalogue,
    withheld: BoolArray,
) -> tuple[BoolArray, Catalogue]:
    """Return which items are withheld, and the catalogue, after some items changed.

    Parameters
    ----------
    changed
        The items' new state; unknown items change nothing.
    items
        The ids, in the order of the catalogues.
    trained
        What counts where the store says nothing.
    now, withheld
        How it was; neither is changed.
    """
    states = {code: state for state in changed if (code := items.code(state.item)) is not None}
    titles, categories = list(now.titles), list(now.categories)
    prices, withheld = now.prices.copy(), withheld.copy()
    for code, state in states.items():
        withheld[code] = state.blocked or not state.in_stock
        titles[code] = trained.titles[code] if state.title is None else state.title
        prices[code] = trained.prices[code] if state.price is None else state.price
        said = state.category
        categories[code] = trained.categories[code] if said is None else said
    attributes = dict(now.attributes)
    for name in {*attributes, *(name for state in states.values() for name in state.attributes)}:
        column = list(attributes.get(name, [None] * len(items)))
        before = trained.attributes.get(name)
        for code, state in states.items():
            column[code] = state.attributes.get(name, None if before is None else before[code])
        attributes[name] = column
    catalogue = replace(
        now, titles=titles, categories=categories, prices=prices, attributes=attributes
    )
    return withheld, catalogue


def unlisted_shelf(states: Sequence[ItemState]) -> Shelf:
    """Return a shelf of items that the model does not know, in the order of their ids.

    One without a title shows its id.
    """
    states = sorted(states, key=lambda state: state.item)
    items = IdMap(state.item for state in states)
    withheld = np.array([state.blocked or not state.in_stock for state in states], np.bool_)
    nothing = Catalogue.untitled(items.ids)
    return unlisted(items, restocked(states, items, nothing, nothing, withheld)[1], withheld)
