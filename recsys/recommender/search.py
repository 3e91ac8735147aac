"""Finding items by the words of their titles and users by parts of their ids."""

from __future__ import annotations

import heapq
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class TitleIndex:
    """Titles and ids made ready to be searched, whatever the case and accents.

    Parameters
    ----------
    titles, ids
        One of each per item.
    popularity
        (n_items,): orders what a query finds, the highest first.
    """

    def __init__(
        self, titles: Sequence[str], ids: Sequence[str], popularity: npt.NDArray[np.floating]
    ) -> None:
        self._order = np.argsort(-popularity, kind="stable").tolist()
        self._titles = [folded(titles[item]) for item in self._order]
        self._texts = [
            f"{title}\n{folded(ids[item])}"
            for title, item in zip(self._titles, self._order, strict=True)
        ]

    def find(self, query: str, limit: int) -> list[int]:
        """Return the codes of items with every word of the query in title or id.

        Titles that start with the query come first, then the most popular. A query without a word
        finds everything.
        """
        text = " ".join(folded(query).split())
        found = list(range(len(self._texts)))
        for word in text.split():
            found = [position for position in found if word in self._texts[position]]
        found.sort(key=lambda position: not self._titles[position].startswith(text))
        return [self._order[position] for position in found[:limit]]


def find_ids(ids: Sequence[str], query: str, limit: int) -> list[str]:
    """Return ids that contain the query, whatever the case; those starting with it come first."""
    text = query.strip().casefold()
    matches = ((identifier.casefold().find(text), identifier) for identifier in ids)
    ranked = ((place > 0, len(match), match) for place, match in matches if place >= 0)
    return [match for _, _, match in heapq.nsmallest(limit, ranked)]


def folded(text: str) -> str:
    """Return the text without case and accents."""
    plain = text.casefold()
    if plain.isascii():
        return plain
    decomposed = unicodedata.normalize("NFKD", plain)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()
