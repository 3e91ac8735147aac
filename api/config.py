"""What a server can be told: once, here, as the file's key, the variable, the flag and the doc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from recsys.settings import read_toml, validated

_NOTHING: Mapping[str, Any] = MappingProxyType({})

_PREFIX = "RECSYS_"


def _split(given: Any) -> Any:
    """Cut `A,B` into its parts; a list stays one."""
    if not isinstance(given, str):
        return given
    return [part.strip() for part in given.split(",") if part.strip()]


Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,]+)$")]


@dataclass(frozen=True)
class Config:
    """How the API runs; `recsys serve --help` lists what each setting means."""

    models: Annotated[Path, Field(description="Folder of published models.")] = Path("models")
    store: Annotated[
        str | None,
        Field(
            description="Store of live events, sqlite:///FILE or postgresql://…; store.db in the "
            "models folder unless given."
        ),
    ] = None
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    ] = 8000
    workers: Annotated[
        int | None, Field(ge=1, description="Processes that answer; one a core unless given.")
    ] = None
    threads: Annotated[int, Field(ge=1, description="Threads of each process that answer.")] = 4
    graceful_timeout: Annotated[
        int, Field(ge=1, description="Seconds that requests have to end when the server stops.")
    ] = 5
    read_keys: Annotated[
        bool, Field(description="Ask for an API key from those who read, too.")
    ] = False
    rate_limit: Annotated[
        int | None,
        Field(
            ge=1,
            description="Requests a minute that each key, or each address without one, may make; "
            "no limit unless given.",
        ),
    ] = None
    proxies: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="Proxies in front whose X-Forwarded-For is believed: it says whose a "
            "request without a key is.",
        ),
    ] = 0
    cors_origins: Annotated[
        tuple[Origin, ...],
        BeforeValidator(_split),
        Field(
            description="Other sites whose pages may call the API, https://SHOP,…, or *; none "
            "unless given."
        ),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least level to log.")
    ] = "warning"
    log_format: Annotated[
        Literal["json", "text"], Field(description="One JSON object a line, or plain text.")
    ] = "json"
    access_log: Annotated[bool, Field(description="Log each request.")] = False

    @classmethod
    def of(cls, given: Config | Mapping[str, Any] | None) -> Config:
        """Return `given` as a config; None means the environment's, as `load` has it.

        Raises
        ------
        SettingsError
            The mapping has an unknown key or a value of the wrong type.
        """
        if isinstance(given, Config):
            return given
        return cls.load() if given is None else validated(cls, given, "API config")

    @classmethod
    def load(cls, file: Path | None = None, flags: Mapping[str, Any] = _NOTHING) -> Config:
        """Return what the file says, the environment over it, and flags over both.

        Parameters
        ----------
        file
            TOML with this class's names as keys; None takes RECSYS_CONFIG's, if that is set.
        flags
            What was said on the command line.

        Raises
        ------
        SettingsError
            The file cannot be read or has an unknown key, or a value cannot be meant; the message
            names the file, variable or flag.
        """
        if file is None and os.environ.get(f"{_PREFIX}CONFIG"):
            file = Path(os.environ[f"{_PREFIX}CONFIG"])
        given = {} if file is None else read_toml(file)
        validated(cls, given, str(file))
        for name, variable in variables().items():
            if value := os.environ.get(variable):
                given[name] = value
                validated(cls, {name: value}, variable)
        for name, value in flags.items():
            given[name] = value
            validated(cls, {name: value}, flag(name))
        return validated(cls, given, "API config")


def variables() -> dict[str, str]:
    """Return the environment variable of each setting."""
    return {field.name: f"{_PREFIX}{field.name.upper()}" for field in fields(Config)}


def flag(name: str) -> str:
    """Return the command line's flag for a setting."""
    return f"--{name.replace('_', '-')}"
