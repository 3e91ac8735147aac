"""Typed settings from outside: a frozen dataclass is the default, the flag and the manifest."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError

from recsys.errors import SettingsError
from recsys.files import written_aside

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class Search:
    """Where to look for the best value of a setting; stands beside its bounds in `Annotated`.

    Attributes
    ----------
    low, high
        Range of a number, both ends included; whole numbers alone where both are.
    log
        Whether to look evenly over orders of magnitude.
    off
        Whether `high` stands for None: a half-life that long is none.
    choices
        The values to choose from, instead of a range.
    needs
        What the data must have for the setting to make sense.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    off: bool = False
    choices: tuple[Any, ...] = ()
    needs: Literal["times", "values"] | None = None


def searchable(kind: type[Any]) -> dict[str, Search]:
    """Return the fields of a dataclass that have a `Search`, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: mark
        for name, hint in hints.items()
        if get_origin(hint) is Annotated
        for mark in get_args(hint)[1:]
        if isinstance(mark, Search)
    }


def validated(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """Return the dataclass `kind` filled from `values`, its defaults where they are silent.

    Types and the bounds given by `Annotated[..., Field(...)]` are checked.

    Raises
    ------
    SettingsError
        An unknown field, a wrong type or a value out of bounds; the message starts with `where`.
    """
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise SettingsError(
                f"{where}: unknown setting {name!r}; there are {', '.join(sorted(known)) or 'none'}"
            )
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        raise SettingsError(f"{where}: {name} = {first['input']!r}: {first['msg']}") from error


def parsed(text: str) -> Any:
    """Return what `NAME=text` means on the command line: a TOML value, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None if text == "none" else text


def write_settings(path: Path, values: Mapping[str, Any], heading: str) -> None:
    """Write a TOML file with a comment on top; TOML has no None, so it is written as "none"."""
    text = f"# {heading}\n\n{tomli_w.dumps(_exchanged(values, None, 'none'))}"
    with written_aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_settings(path: Path) -> dict[str, Any]:
    """Return what `write_settings` or a person wrote; raises as `read_toml` does."""
    return _exchanged(read_toml(path), "none", None)


def _exchanged(table: Mapping[str, Any], old: str | None, new: str | None) -> dict[str, Any]:
    return {
        name: _exchanged(value, old, new)
        if isinstance(value, Mapping)
        else (new if value == old else value)
        for name, value in table.items()
    }


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's content.

    Raises
    ------
    SettingsError
        The file is absent, unreadable, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
