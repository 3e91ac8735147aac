"""What is known of users at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.ids import IdMap
from recsys.interactions.tables import Interactions
from recsys.recommender.answers import Basis, HistoryItem
from recsys.recommender.ranking import Ranker


@dataclass(frozen=True, eq=False)
class Sight:
    """What is known of some users at one moment, and what makes their lists.

    Attributes
    ----------
    ranker
        The model, over the items as they are now.
    known
        Whether each is a user at all.
    events
        What they took, a row a user.
    at
        What ages count from, microseconds since 1970 UTC; None without times.
    basis
        What to call such a history.
    hidden
        Users of the model of whom nothing is to be said.
    """

    ranker: Ranker
    known: list[bool]
    events: Interactions
    at: int | None
    basis: Basis = "history"
    hidden: frozenset[str] = frozenset()

    @property
    def unlisted(self) -> list[tuple[int, str, int | None]]:
        """What they took that the model does not know: place of the user, item and time."""
        return []

    def unlisted_by_user(self) -> dict[int, set[str]]:
        """Return the items that the model does not know, by place of the user."""
        found: dict[int, set[str]] = {}
        for place, item, _ in self.unlisted:
            found.setdefault(place, set()).add(item)
        return found

    def history(self, items: IdMap) -> tuple[HistoryItem, ...]:
        """Return what the first user took, `items` being the ids of the model's columns.

        The latest comes first; an item that is not in the catalogue has its id for a title.
        """
        own = self.events
        times = [None] * own.n_events if own.times is None else own.times.tolist()
        taken = [(items[item], time) for item, time in zip(own.items, times, strict=True)]
        taken += [(item, time) for _, item, time in self.unlisted]
        taken.sort(key=lambda event: (event[1] is not None, event[1] or 0))
        # in the order of latest events: counting again moves to the end
        counts: dict[str, int] = {}
        for item, _ in taken:
            counts[item] = counts.pop(item, 0) + 1
        last, title = dict(taken), self.ranker.title
        return tuple(
            HistoryItem(item, title(item), count, last[item])
            for item, count in reversed(counts.items())
        )
