"""Requests answered together: what has come in by the time that one is read is scored as one batch.

Each request runs in a greenlet of the worker's main thread, through the whole app. Where a view
asks for a list, it stops, and the next request runs; once none is left to read, all that wait are
scored at once, and each goes on from where it stopped. So there is one pass over the model for
all of them, no thread waits for another, and a request that is alone does not wait at all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from api.metrics import batch_scored
from api.schemas import ListArguments
from recsys.recommender import Recommendation, Recommender


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What a stopped request asked for."""

    request: _Request
    recommender: Recommender
    user: str
    arguments: ListArguments

    @property
    def key(self) -> Hashable:
        """What must be the same for two to be scored together."""
        return (self.recommender, *self.arguments.values())


class _Request(greenlet):  # type: ignore[misc]
    """A request that may stop; what it waits for goes to `waiting`."""

    def __init__(self, run: Callable[[], None], waiting: list[_Wanted]) -> None:
        super().__init__(run)
        self.waiting = waiting


class Batches:
    """The requests of one worker, all in its main thread."""

    def __init__(self) -> None:
        self._waiting: list[_Wanted] = []

    def start(self, answer: Callable[[], None]) -> None:
        """Run a request until it is answered, or asks for a list."""
        _Request(answer, self._waiting).switch()

    def finish(self) -> None:
        """Make the lists that are waited for, and let their requests go on until answered."""
        while self._waiting:
            wanted = self._waiting[:]
            self._waiting.clear()  # in place: requests hold it
            groups: dict[Hashable, list[_Wanted]] = {}
            for each in wanted:
                groups.setdefault(each.key, []).append(each)
            for group in groups.values():
                batch_scored(len(group))
                for each, found in zip(group, _lists(group), strict=True):
                    each.request.switch(found)


def recommend(recommender: Recommender, user: str, arguments: ListArguments) -> Recommendation:
    """Return one user's list: `Recommender.recommend`, with others where requests are batched."""
    request = getcurrent()
    if not isinstance(request, _Request):
        return recommender.recommend(user, **arguments)
    request.waiting.append(_Wanted(request, recommender, user, arguments))
    found: Recommendation | BaseException = request.parent.switch()
    if isinstance(found, BaseException):
        raise found
    return found


def _lists(group: list[_Wanted]) -> Iterator[Recommendation | BaseException]:
    """Yield each one's list, or what it raises."""
    first = group[0]
    try:
        yield from first.recommender.recommend_many(
            [each.user for each in group], **first.arguments
        )
    except Exception as error:
        if len(group) == 1:
            yield error
            return
        for each in group:  # one of them fails for all
            yield from _lists([each])
