"""A data set: one folder (or database) of events, read, cleaned, and numbered."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting


@dataclass(frozen=True, eq=False)
class Dataset:
    """Cleaned interactions and everything needed to speak of them to the outside.

    Attributes
    ----------
    name
        Short name: the folder's, unless `dataset.toml` says otherwise.
    source
        Where it was read from, as the user gave it.
    fingerprint
        SHA-256 over the cleaned events, ids and times, in hexadecimal.
    interactions
        The events; for a published split, its train part.
    users, items
        Outside ids of rows and columns.
    catalogue
        Titles and the like, in the order of `items`.
    weighting
        What `dataset.toml` or flags say weights mean.
    test
        The test part of a published split (protocol `given`), row for row the same users; else
        None.
    """

    name: str
    source: str
    fingerprint: str
    interactions: Interactions
    users: IdMap
    items: IdMap
    catalogue: Catalogue
    weighting: Weighting
    test: Interactions | None = None
