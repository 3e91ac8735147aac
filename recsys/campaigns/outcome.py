"""What came of a campaign: who bought afterwards, against those who were held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from math import fsum, hypot, sqrt
from pathlib import Path
from typing import Any

import pyarrow as pa
from scipy import stats

from recsys.campaigns.manifest import Manifest, read_manifest
from recsys.campaigns.purchases import Bought, PurchaseColumns
from recsys.campaigns.readers import read_rows
from recsys.campaigns.sources import USER
from recsys.errors import UsageError
from recsys.files import sha256_of
from recsys.interactions.tables import MICROSECONDS_PER_DAY
from recsys.interactions.times import from_iso, to_iso
from recsys.progress import progress

CONFIDENCE = 0.95

_GROUPS = ("sent", "held_out")


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; None where there are too few users for one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """Users who were treated alike.

    Attributes
    ----------
    users, buyers
        How many there are, and how many of them bought within the window.
    conversion
        Share of buyers; Wilson's interval (Wilson 1927).
    revenue
        What was sold within the window, a user of the group; Student's interval. None where the
        purchases have no values.
    """

    users: int
    buyers: int
    conversion: Estimate | None
    revenue: Estimate | None


@dataclass(frozen=True)
class ArmOutcome:
    """An arm's users who were to be sent against those of the same arm who were held out.

    Attributes
    ----------
    arm
        Its name; None for the whole campaign.
    sent, held_out
        The two groups, as they were assigned, whatever the mail tool made of it.
    conversion
        Difference of the shares of buyers, sent − held out; Newcombe's interval (1998, method 10).
    revenue
        Difference of the revenue a user; Welch's interval (Welch 1947).
    """

    arm: str | None
    sent: Group
    held_out: Group
    conversion: Estimate | None
    revenue: Estimate | None


@dataclass(frozen=True)
class Results:
    """What came of a campaign.

    Attributes
    ----------
    campaign, run_key
        Which it was.
    since, until
        Purchases from `since` to before `until` count; ISO 8601.
    newest
        The newest purchase in the file; None without any.
    purchases, buyers, others
        Rows within the window; people who bought; those of them who were in neither group.
    whole
        All arms together.
    arms
        Each arm; empty where the campaign has none.
    """

    campaign: str
    run_key: str
    since: str
    until: str
    newest: str | None
    purchases: int
    buyers: int
    others: int
    whole: ArmOutcome
    arms: tuple[ArmOutcome, ...]

    def shown(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {**asdict(self), "notes": list(self.notes), "confidence": CONFIDENCE}

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before anything is concluded."""
        notes = []
        if self.newest is not None and from_iso(self.newest, "newest") < from_iso(
            self.until, "until"
        ):
            notes.append(f"the window may not be over: the newest purchase is of {self.newest}")
        if not self.whole.held_out.users:
            notes.append("nobody was held out, so nothing says what they would have bought anyway")
        return tuple(notes)


def results_of(
    out: Path,
    purchases: Path,
    columns: PurchaseColumns,
    *,
    days: float,
    since: int | None = None,
) -> Results:
    """Return what users of a finished campaign bought afterwards, by assigned group.

    Groups are those that the campaign assigned (intention to treat): users who were to be sent,
    and users who were eligible and held out; all others are left out.

    Parameters
    ----------
    out
        The campaign's folder.
    purchases
        A file or folder of purchases, one a row, as an audience may be.
    columns
        What its columns are called.
    days
        Length of the window.
    since
        Its start in microseconds since 1970 UTC; the campaign's reference time where None.

    Raises
    ------
    UsageError
        There is no finished campaign, or its results are not as they were written.
    DataError
        The purchases cannot be read.
    """
    manifest = read_manifest(out)
    start = from_iso(manifest.at, "at") if since is None else since
    bought = Bought(columns, start, start + int(days * MICROSECONDS_PER_DAY))
    bought.read(purchases)
    tally = _Tally(bought, valued=columns.value is not None)
    for rows in _results(manifest, out):
        tally.add(rows)
    names = [str(model["arm"]) for model in manifest.models if model["arm"] is not None]
    return Results(
        campaign=manifest.campaign,
        run_key=manifest.run_key,
        since=to_iso(bought.start),
        until=to_iso(bought.end),
        newest=None if bought.newest is None else to_iso(bought.newest),
        purchases=bought.rows,
        buyers=len(bought.buyers),
        others=len(bought.buyers) - tally.buyers,
        whole=tally.outcome(None, [None, *names]),
        arms=tuple(tally.outcome(name, [name]) for name in names),
    )


class Sums:
    """Users, buyers, revenue and its squares, added up."""

    def __init__(self) -> None:
        self.users = self.buyers = 0
        self.revenue = self.squares = 0.0

    def add(self, users: int, bought: int, spent: Sequence[float]) -> None:
        """Add so many users, of whom some bought; `spent` is of those who spent anything."""
        self.users += users
        self.buyers += bought
        self.revenue += fsum(spent)
        self.squares += fsum(value * value for value in spent)

    def plus(self, other: Sums) -> Sums:
        """Return the sums of both."""
        both = Sums()
        for one in (self, other):
            both.users += one.users
            both.buyers += one.buyers
            both.revenue += one.revenue
            both.squares += one.squares
        return both

    @property
    def mean(self) -> float:
        """Revenue a user."""
        return self.revenue / self.users if self.users else 0.0

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None for fewer than two users."""
        if self.users < 2:
            return None
        squares = max(self.squares - self.users * self.mean**2, 0.0)
        return sqrt(squares / (self.users - 1) / self.users)


class _Tally:
    """What users of each arm and group bought."""

    def __init__(self, bought: Bought, *, valued: bool) -> None:
        self._bought, self._valued = bought, valued
        self._sums: defaultdict[tuple[str | None, str], Sums] = defaultdict(Sums)

    def add(self, rows: pa.Table) -> None:
        """Add rows of the campaign's results."""
        groups: defaultdict[tuple[str | None, str], list[str]] = defaultdict(list)
        columns = (rows[name].to_pylist() for name in (USER, "status", "arm"))
        for user, status, arm in zip(*columns, strict=True):
            if status in _GROUPS:
                groups[arm or None, status].append(user)
        for key, users in groups.items():
            spent = [self._bought.revenue[user] for user in users if user in self._bought.revenue]
            bought = sum(user in self._bought.buyers for user in users)
            self._sums[key].add(len(users), bought, spent)

    @property
    def buyers(self) -> int:
        """How many of the users bought."""
        return sum(sums.buyers for sums in self._sums.values())

    def outcome(self, arm: str | None, arms: Sequence[str | None]) -> ArmOutcome:
        """Return what came of these arms together."""
        sent, held_out = (
            reduce(Sums.plus, [self._sums[one, group] for one in arms], Sums()) for group in _GROUPS
        )
        return ArmOutcome(
            arm,
            self._group(sent),
            self._group(held_out),
            proportions_apart(sent.buyers, sent.users, held_out.buyers, held_out.users),
            means_apart(sent, held_out) if self._valued else None,
        )

    def _group(self, sums: Sums) -> Group:
        revenue = None
        if self._valued and sums.users:
            half = None if sums.error is None else _t(sums.users - 1) * sums.error
            revenue = _around(sums.mean, half)
        return Group(sums.users, sums.buyers, proportion(sums.buyers, sums.users), revenue)


def proportion(successes: int, n: int) -> Estimate | None:
    """Return a share and Wilson's interval; None of nobody."""
    if not n:
        return None
    low, high = _wilson(successes, n)
    return Estimate(successes / n, low, high)


def proportions_apart(successes: int, n: int, others: int, n_others: int) -> Estimate | None:
    """Return the difference of two shares and Newcombe's interval; None where a group is empty.

    With Wilson's intervals (l, u) of both shares p, the interval of p − p' is

        p − p' − √((p − l)² + (u' − p')²)  to  p − p' + √((u − p)² + (p' − l')²).
    """
    if not (n and n_others):
        return None
    p, q = successes / n, others / n_others
    (low, high), (low_q, high_q) = _wilson(successes, n), _wilson(others, n_others)
    return Estimate(p - q, p - q - hypot(p - low, high_q - q), p - q + hypot(high - p, q - low_q))


def _wilson(successes: int, n: int) -> tuple[float, float]:
    low, high = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, "wilson")
    return float(low), float(high)


def means_apart(one: Sums, two: Sums) -> Estimate | None:
    """Return the difference of two means and Welch's interval; None where a group is empty."""
    if not (one.users and two.users):
        return None
    apart = one.mean - two.mean
    if one.error is None or two.error is None:
        return Estimate(apart)
    a, b = one.error**2, two.error**2
    if not a + b:
        return Estimate(apart)
    freedom = (a + b) ** 2 / (a**2 / (one.users - 1) + b**2 / (two.users - 1))
    return _around(apart, _t(freedom) * sqrt(a + b))


def _around(value: float, half: float | None) -> Estimate:
    return Estimate(value) if half is None else Estimate(value, value - half, value + half)


def _t(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _results(manifest: Manifest, out: Path) -> Iterator[pa.Table]:
    """Yield the rows of the campaign's results, whole as they were written."""
    parts = [part for part in manifest.parts if part.path.startswith("results/")]
    with progress("joining", manifest.counts.audience) as bar:
        for part in parts:
            path = out / part.path
            if not path.is_file() or sha256_of(path) != part.sha256:
                raise UsageError(f"{path} is not as the campaign wrote it: bring it back first")
            for _, rows in read_rows(path) if part.count else ():
                yield rows
                bar.advance(len(rows))
