"""Rows and users counted by what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from recsys.campaigns.deciding import Status
from recsys.campaigns.manifest import Counts, Part
from recsys.campaigns.pinning import PinnedRun
from recsys.campaigns.publishing import Published
from recsys.errors import RecsysError


class Tally:
    """What became of the users of a run.

    Parameters
    ----------
    run
        The run.
    published
        What came of each shard.
    """

    def __init__(self, run: PinnedRun, published: Iterable[Published]) -> None:
        self._run, self._rejected = run, 0
        self.parts: list[Part] = []
        self._users: Counter[tuple[int, Status, str | None]] = Counter()
        for each in published:
            self.parts += each.parts
            self._rejected += each.rejected
            for arm, status, reason, users in each.tally:
                self._users[arm, status, reason] += users

    def counts(self) -> Counts:
        """Return the counts.

        Raises
        ------
        RecsysError
            They do not add up, or parts do not have as many rows.
        """
        statuses: Counter[str] = Counter()
        for (_, status, _), users in self._users.items():
            statuses[status] += users
        counts = Counts(self._run.audience.n_rows, self._rejected, self._users.total(), **statuses)
        counts.check()
        rows = {"results": counts.audience, "send": counts.sent}
        for place, expected in rows.items():
            found = sum(part.count for part in self.parts if part.path.startswith(f"{place}/"))
            if found != expected:
                raise RecsysError(
                    f"{place}/ has {found:,} rows, not {expected:,}: nothing is published"
                )
        return counts

    def arms(self) -> dict[str, dict[str, int]]:
        """Return how many users of each named arm have each status."""
        found: dict[str, dict[str, int]] = {}
        for number, arm in enumerate(self._run.arms):
            if arm.name is not None:
                of_arm = found.setdefault(arm.name, {})
                for (place, status, _), users in sorted(self._users.items(), key=repr):
                    if place == number:
                        of_arm[status] = of_arm.get(status, 0) + users
        return found

    def reasons(self, most: int = 10) -> dict[str, dict[str, int]]:
        """Return the commonest reasons of each status, with their counts."""
        users: Counter[tuple[str, str]] = Counter()
        for (_, status, reason), count in self._users.items():
            if reason is not None:
                users[status, reason] += count
        reasons: dict[str, dict[str, int]] = {}
        for (of, reason), count in sorted(users.items(), key=lambda each: (-each[1], each[0])):
            of_status = reasons.setdefault(of, {})
            if len(of_status) < most:
                of_status[reason] = count
        return dict(sorted(reasons.items()))
