"""What an app can be told; the same names as mapping keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from recsys.settings import validated


@dataclass(frozen=True)
class Config:
    """How an app runs.

    Attributes
    ----------
    models
        The folder of published models, the one that holds `current`.
    store
        URL of the store of live events; None means SQLite in that folder.
    read_keys
        Whether reads need an API key, too; writes always do.
    """

    models: Path = Path("models")
    store: str | None = None
    read_keys: bool = False

    @classmethod
    def of(cls, given: Config | Mapping[str, Any] | None) -> Config:
        """Return `given` as a config; None means the environment's.

        That is RECSYS_MODELS, RECSYS_STORE and RECSYS_READ_KEYS.

        Raises
        ------
        SettingsError
            The mapping has an unknown key or a value of the wrong type.
        """
        if isinstance(given, Config):
            return given
        if given is None:
            names = {field.name: f"RECSYS_{field.name.upper()}" for field in fields(cls)}
            given = {
                name: os.environ[variable]
                for name, variable in names.items()
                if os.environ.get(variable)
            }
        return validated(cls, given, "API config")
