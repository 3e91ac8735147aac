"""Tuned settings: a TOML file a data set and protocol, with a table a model.

[tuned]                 what they were found on
[tuned.found.als]       what was found: the metric on validation users, trials, seconds
[als]                   the settings
[als.weights]           what weights mean for it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys.errors import SettingsError, UsageError
from recsys.interactions.dataset import Dataset
from recsys.models.registry import MODELS
from recsys.settings import read_settings, write_settings
from recsys.training.validation import METRIC

FOLDER = Path(__file__).parents[1] / "settings"
"""Where those that come with the code are kept, and where `recsys tune` writes."""


@dataclass(frozen=True)
class Tuned:
    """Tuned settings of some models.

    Attributes
    ----------
    origin
        What they were found on: data set, protocol, metric.
    found
        What was found of each model: the metric, the trials, the time.
    models
        The settings of each model, as a settings file has them.
    """

    origin: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def winner(self) -> str | None:
        """The model of the best metric on validation users; None where none was measured."""
        measured = {name: facts[METRIC] for name, facts in self.found.items() if METRIC in facts}
        return max(measured, key=lambda name: measured[name], default=None)

    @classmethod
    def read(cls, path: Path) -> Tuned:
        """Return what a file holds.

        Raises
        ------
        SettingsError
            It cannot be read, or has a table that is no model's.
        """
        tables = read_settings(path)
        origin = tables.pop("tuned", {})
        for name, table in tables.items():
            if name not in MODELS or not isinstance(table, dict):
                raise SettingsError(f"{path}: {name!r} is no table of a model's settings")
        origin = _table(origin, f"{path}: tuned")
        found = _table(origin.pop("found", {}), f"{path}: found")
        for name, facts in found.items():
            value = _table(facts, f"{path}: found.{name}").get(METRIC)
            if value is not None and not isinstance(value, float):
                raise SettingsError(f"{path}: found.{name}: {METRIC} = {value!r} is no number")
        return cls(origin, found, tables)

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        tuned = {**self.origin, "found": self.found}
        heading = "Found by `recsys tune`, which writes this file anew."
        write_settings(path, {"tuned": tuned, **self.models}, heading)


def _table(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{place} = {value!r} must be a table")
    return value


def file_for(dataset: Dataset, protocol: str) -> Path:
    """Return where the settings tuned for a data set by a protocol belong."""
    return FOLDER / f"{dataset.name}.{protocol}.toml"


def tuned_for(dataset: Dataset, protocol: str) -> Tuned | None:
    """Return the settings tuned for a data set, None where there are none.

    Those of the protocol go before those of any, NAME.PROTOCOL.toml before NAME.toml, with the
    data set's name or its fingerprint.
    """
    for ending in (f".{protocol}.toml", ".toml"):
        for name in (dataset.name, dataset.fingerprint):
            path = FOLDER / f"{name}{ending}"
            if path.is_file():
                return Tuned.read(path)
    return None


def tuned_from(source: str, dataset: Dataset, protocol: str) -> Tuned:
    """Return the settings that `--settings` asks for; of `default`, those of no model.

    Parameters
    ----------
    source
        `default`, `tuned`, or a file that `recsys tune` wrote.
    dataset, protocol
        What they should have been tuned for.

    Raises
    ------
    UsageError
        There are no tuned ones, or the file cannot be used.
    """
    if source == "default":
        return Tuned()
    if source != "tuned":
        return Tuned.read(Path(source))
    tuned = tuned_for(dataset, protocol)
    if tuned is None:
        raise UsageError(
            f"--settings tuned: there are none for the data set {dataset.name!r} and protocol "
            f"{protocol}; `recsys tune` makes them"
        )
    return tuned
