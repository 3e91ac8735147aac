"""What differs about a data set: `dataset.toml`, the flags of every command, one dataclass tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from recsys.errors import SettingsError
from recsys.interactions.times import microseconds
from recsys.interactions.weighting import Weighting
from recsys.settings import read_toml, validated

Section = TypeVar("Section")


def _no_number(value: Any) -> Any:
    """Refuse 2011 as a date: it would be a second of 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdecimal()):
        raise ValueError("write a date as 2011-12-31 or 2011-12-31T12:00:00+01:00")
    return value


Moment = Annotated[datetime, BeforeValidator(_no_number)]
"""A date or time as TOML or a flag writes it; UTC where it names no zone."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns, where they are not the usual ones.

    Attributes
    ----------
    user
        Column of the user ids [usually user_id].
    item
        Column of the item ids, in events and items alike [usually item_id].
    time
        Column of the times: unix seconds to nanoseconds, dates or ISO timestamps; UTC where no
        zone is given [usually timestamp, if there is one].
    value
        Column of a number for each event: a rating, a quantity [usually value, if there is one].
    title
        Column of the items' titles [usually title].
    category
        Column of the items' categories; several are separated by | [usually category].
    price
        Column of the items' prices [usually price].
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    value: str | None = None
    title: str | None = None
    category: str | None = None
    price: str | None = None


@dataclass(frozen=True)
class Clean:
    """What is taken out, in this order: dates, duplicates, values, then rare users and items.

    Attributes
    ----------
    min_value
        Keep events whose value is at least this.
    from_
        Keep events from this date or time on (UTC where it names no zone).
    to
        Keep events before this date or time.
    duplicates
        How repeats count. `sum` makes one event of those with the same user, item and time, their
        values added; buying again later stays an event of its own. `first` and `last` keep only
        the earliest or latest event of each user and item.
    min_user_items
        Keep users with at least this many different items.
    min_item_users
        Keep items with at least this many different users. With min_user_items it is repeated
        until both hold (a k-core).
    """

    min_value: float | None = None
    from_: Moment | None = None
    to: Moment | None = None
    duplicates: Literal["sum", "first", "last"] = "sum"
    min_user_items: Annotated[int, Field(ge=1)] = 1
    min_item_users: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True)
class DatasetSpec:
    """Everything that can be said about how a data set is read.

    Attributes
    ----------
    name
        What to call the data set [the folder's name].
    events
        File of the events, in the data folder or a path.
    items
        File of the items, in the data folder or a path; for a database, a table of it.
    table
        Table (or schema.table) of the events, where the data set is a database.
    query
        SQL query that gives the events, instead of a table.
    encoding
        Character encoding of text files [utf-8, or what a known layout uses].
    delimiter
        What separates the cells of a text file [by its name: comma or tab].
    on_bad_rows
        `stop` at rows that cannot be read, or `skip` them and list them in NAME.bad-rows.csv.
    columns, clean, weights
        The sections of the same names.
    """

    name: str | None = None
    events: str | None = None
    items: str | None = None
    table: str | None = None
    query: str | None = None
    encoding: str | None = None
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]+$')] | None = None
    on_bad_rows: Literal["stop", "skip"] = "stop"
    columns: Columns = field(default_factory=Columns)
    clean: Clean = field(default_factory=Clean)
    weights: Weighting = field(default_factory=Weighting)

    @classmethod
    def read(
        cls,
        source: str | Path,
        file: Path | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> DatasetSpec:
        """Return what `file`, or else the source folder's `dataset.toml`, and `overrides` say.

        Parameters
        ----------
        source
            Folder, file or database URL of the data set.
        file
            A `dataset.toml` that lies elsewhere.
        overrides
            Keys that go before those of the file, nested as there.

        Raises
        ------
        SettingsError
            An unknown key, a wrong type or a value out of range.
        """
        beside = None if is_url(source) else Path(source) / "dataset.toml"
        if file is None and beside is not None and beside.is_file():
            file = beside
        said = {} if file is None else read_toml(file)
        spec = cls.of(said, str(file))
        if not overrides:
            return spec
        cls.of(overrides, "flags")  # so that a message names what is at fault
        merged = {**said, **overrides}
        for section in SECTIONS:
            merged[section] = {**said.get(section, {}), **overrides.get(section, {})}
        return cls.of(merged, "flags")

    @classmethod
    def of(cls, said: Mapping[str, Any], where: str) -> DatasetSpec:
        """Return the spec of nested keys, as in `dataset.toml`; messages start with `where`."""
        values: dict[str, Any] = dict(said)
        for name, kind in SECTIONS.items():
            if name in values:
                values[name] = _section(kind, values[name], f"{where} [{name}]")
        spec = validated(cls, values, where)
        if spec.table and spec.query:
            raise SettingsError(f"{where}: table and query are both set; give one of them")
        start, end = spec.clean.from_, spec.clean.to
        if start and end and microseconds(start) >= microseconds(end):
            raise SettingsError(f"{where}: from = {start} is not before to = {end}")
        return spec


SECTIONS: dict[str, type[Any]] = {"columns": Columns, "clean": Clean, "weights": Weighting}


def is_url(source: str | Path) -> bool:
    """Return whether the source is a database URL rather than a path."""
    return isinstance(source, str) and "://" in source


def flag_of(section: str | None, key: str) -> str:
    """Return the flag of a key, such as `--min-value`, `--user-column` or `--value-weight`."""
    if section == "columns":
        return f"--{key}-column"
    if (section, key) == ("weights", "value"):
        return "--value-weight"
    if (section, key) == (None, "name"):
        return "--dataset-name"
    return f"--{key.rstrip('_').replace('_', '-')}"


def _section(kind: type[Section], values: Any, where: str) -> Section:
    """Validate one section; `from`, a Python keyword, is the field `from_`."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}: is {values!r}, where keys were expected")
    renamed = {"from_" if key == "from" else key: value for key, value in values.items()}
    try:
        return validated(kind, renamed, where)
    except SettingsError as error:
        raise SettingsError(str(error).replace("from_", "from")) from error
