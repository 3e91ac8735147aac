"""What an app can be told; the same names as mapping keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
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
    """

    models: Path = Path("models")

    @classmethod
    def of(cls, given: Config | Mapping[str, Any] | None) -> Config:
        """Return `given` as a config; None means the environment's, RECSYS_MODELS.

        Raises
        ------
        SettingsError
            The mapping has an unknown key or a value of the wrong type.
        """
        if isinstance(given, Config):
            return given
        if given is None:
            folder = os.environ.get("RECSYS_MODELS")
            given = {} if folder is None else {"models": folder}
        return validated(cls, given, "API config")
