"""Points in time: microseconds since 1970 UTC on the inside, ISO 8601 on the outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recsys.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_iso(text: str, where: str) -> int:
    """Return a date's or time's microseconds since 1970 UTC; without a zone it is UTC.

    Raises
    ------
    UsageError
        The text is no ISO 8601 date or time; the message starts with `where`.
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{where}: {text!r} is no date or time; write 2011-12-09 or 2011-12-09T12:50:00Z"
        ) from error
    return microseconds(time)


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970 UTC; one without a zone is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def to_iso(time: int) -> str:
    """Return microseconds since 1970 UTC as `2011-12-09T12:50:00Z`."""
    return (_EPOCH + timedelta(microseconds=time)).isoformat().replace("+00:00", "Z")
