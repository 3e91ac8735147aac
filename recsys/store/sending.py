"""The ledger: what campaigns sent to whom, so that later ones can leave it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import sqlalchemy as sa

from recsys.store import forgetting
from recsys.store.events import insert_new, pieces, storable
from recsys.store.items import next_version
from recsys.store.schema import meta, runs, sends

_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Send:
    """An item that a campaign sent to a user; `time` in microseconds, `arm` of a test if any."""

    campaign: str
    user: str
    item: str
    time: int
    arm: str | None = None


@dataclass(frozen=True)
class Committed:
    """A campaign whose sends are in the ledger.

    Attributes
    ----------
    run
        The key of its run.
    number
        Counts commits.
    campaign
        What its sends call it.
    time
        The run's reference time, microseconds since 1970 UTC.
    lists
        How many people each suppression list had, by the list's name.
    """

    run: str
    number: int
    campaign: str
    time: int
    lists: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class SentRows:
    """What several users were sent; one entry of each list an item.

    Attributes
    ----------
    users
        Place of the user among those asked for.
    campaigns, items, times
        As in `Send`.
    """

    users: list[int] = field(default_factory=list)
    campaigns: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


class Ledger:
    """The ledger within one transaction, which ends well or changes nothing.

    Parameters
    ----------
    connection
        In a transaction for writing.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        # whoever commits at the same moment waits for this transaction
        connection.execute(sa.select(meta.c.number).where(meta.c.name == "sends").with_for_update())

    def committed(self, run: str) -> Committed | None:
        """Return what is in the ledger of a run; None where nothing is."""
        return committed(self._connection, run)

    def sent_to(self, users: Sequence[str], after: int) -> SentRows:
        """Return what these users were sent after a time."""
        return sent_to(self._connection, users, after)

    def recent(self, n: int) -> frozenset[str]:
        """Return the newest n campaigns."""
        return recent(self._connection, n)

    def forgotten_among(self, users: Sequence[str]) -> frozenset[str]:
        """Return those of the users who are forgotten."""
        return frozenset(forgetting.among(self._connection, users))

    def add(self, given: Iterable[Send]) -> int:
        """Write sends down; return how many are new."""
        return sum(add(self._connection, some) for some in pieces(given, _AT_ONCE))

    def close(self, run: str, campaign: str, time: int, lists: Mapping[str, int]) -> Committed:
        """Write down that a run is committed."""
        number = next_version(self._connection, "sends")
        closed = Committed(run, number, campaign, time, dict(lists))
        self._connection.execute(sa.insert(runs), asdict(closed))
        return closed


def add(connection: sa.Connection, given: Iterable[Send]) -> int:
    """Write down what was sent; what a campaign sent a user already is kept once."""
    rows = {
        (send.campaign, send.user, send.item): {
            "campaign": send.campaign,
            "user_id": send.user,
            "item_id": send.item,
            "time": send.time,
            "arm": send.arm,
        }
        for send in given
    }
    return insert_new(connection, sends, rows)


def to_users(connection: sa.Connection, users: Sequence[str], since: int) -> list[Send]:
    """Return what the users were sent from a time on, the oldest first."""
    found = [
        Send(row.campaign, row.user_id, row.item_id, row.time, row.arm)
        for some in pieces(user for user in users if storable(user))
        for row in connection.execute(
            sa.select(sends).where(sends.c.user_id.in_(some), sends.c.time >= since)
        )
    ]
    return sorted(found, key=lambda send: (send.time, send.campaign, send.user, send.item))


def sent_to(
    connection: sa.Connection, users: Sequence[str], after: int, number: int | None = None
) -> SentRows:
    """Return what the users were sent after a time, by runs up to this number if one is given."""
    found = SentRows()
    places = {user: place for place, user in enumerate(users) if storable(user)}
    columns = (sends.c.user_id, sends.c.campaign, sends.c.item_id, sends.c.time)
    read = sa.select(*columns).where(sends.c.time > after, *_up_to(number))
    for some in pieces(places):
        for user, campaign, item, when in connection.execute(read.where(sends.c.user_id.in_(some))):
            found.users.append(places[user])
            found.campaigns.append(campaign)
            found.items.append(item)
            found.times.append(when)
    return found


def recent(connection: sa.Connection, n: int, number: int | None = None) -> frozenset[str]:
    """Return the newest n campaigns, by the time of their sends."""
    newest = sa.func.max(sends.c.time)
    read = sa.select(sends.c.campaign).where(*_up_to(number)).group_by(sends.c.campaign)
    return frozenset(connection.scalars(read.order_by(newest.desc(), sends.c.campaign).limit(n)))


def stand(connection: sa.Connection) -> tuple[int, int]:
    """Return the number of the newest commit, and how many sends there are."""
    number = connection.scalar(sa.select(meta.c.number).where(meta.c.name == "sends"))
    count = connection.scalar(sa.select(sa.func.count()).select_from(sends))
    return int(number or 0), int(count or 0)


def list_sizes(connection: sa.Connection) -> dict[str, int]:
    """Return how many people each suppression list had when a run that read it was committed."""
    sizes: dict[str, int] = {}
    for lists in connection.scalars(sa.select(runs.c.lists).order_by(runs.c.number)):
        sizes |= lists
    return sizes


def committed(connection: sa.Connection, run: str) -> Committed | None:
    """Return what is in the ledger of a run; None where nothing is."""
    row = connection.execute(sa.select(runs).where(runs.c.run == run)).one_or_none()
    return None if row is None else Committed(**row._mapping)


def _up_to(number: int | None) -> list[sa.ColumnElement[bool]]:
    """Leave out what runs of higher numbers sent."""
    if number is None:
        return []
    later = sa.select(runs.c.campaign).where(runs.c.number > number)
    return [sends.c.campaign.not_in(later)]
