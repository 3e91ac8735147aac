"""What an engine does with a shard: a pure function of the run and the shard's number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from recsys.campaigns.deciding import Status, decide_shard
from recsys.campaigns.opened import Job, OpenRun
from recsys.campaigns.publishing import Published, publish_shard
from recsys.errors import RecsysError

Task = Literal["decide", "publish"]


@dataclass(frozen=True)
class Done:
    """What came of a shard.

    Attributes
    ----------
    shard
        Its number.
    statuses
        How many users have each status.
    reason
        Why the first one failed, where any did.
    published
        What was written, by the task `publish`.
    """

    shard: int
    statuses: dict[Status, int]
    reason: str | None = None
    published: Published | None = None

    @property
    def users(self) -> int:
        """How many there are."""
        return sum(self.statuses.values())


class Engine(Protocol):
    """What works at the shards of a run."""

    def map(self, job: Job, task: Task, shards: Sequence[int]) -> Iterator[Done]:
        """Do the task on each shard, in any order; yield what is done as it is done."""

    def close(self) -> None:
        """Let go of what is kept between tasks; whoever makes an engine closes it."""


def perform(run: OpenRun, task: Task, shard: int) -> Done:
    """Do a task on a shard.

    Raises
    ------
    RecsysError
        It cannot be done: the disk is full, the store does not answer, a file is damaged.
    """
    try:
        if task == "publish":
            published = publish_shard(run, shard)
            statuses: Counter[Status] = Counter()
            for _, status, _, users in published.tally:
                statuses[status] += users
            return Done(shard, dict(statuses), published=published)
        decided = decide_shard(run, shard)
    except OSError as error:
        said = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        raise RecsysError(f"{run.job.work}: {said}; run again to go on") from error
    failed = (
        reason
        for status, reason in zip(decided.statuses, decided.reasons, strict=True)
        if status == "failed"
    )
    return Done(shard, dict(Counter(decided.statuses)), next(failed, None))
