"""Typed settings from outside: a frozen dataclass is the default, the flag and the manifest."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from recsys.errors import SettingsError

Settings = TypeVar("Settings")


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
