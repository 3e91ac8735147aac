"""What is compared: a model with its settings, under the name by which the results call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.errors import SettingsError, UsageError
from recsys.interactions.dataset import Dataset
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model, model_class
from recsys.settings import parsed, read_toml, validated

TUNED = Path(__file__).parents[1] / "settings"
"""Where tuned settings are kept: DATASET.toml with a table a model."""


@dataclass(frozen=True)
class Entry:
    """A model to evaluate.

    Attributes
    ----------
    label
        What to call it: the model's name, or `NAME:FILE.toml` as it was asked for.
    name
        The name in the registry.
    settings
        The fields of its config that differ from the defaults.
    weighting
        What weights mean for it.
    """

    label: str
    name: str
    settings: Mapping[str, Any]
    weighting: Weighting

    def described(self) -> dict[str, Any]:
        """Return all settings, defaults included, as JSON takes them."""
        config = make_model(self.name, self.settings).config
        return {**asdict(config), "weights": asdict(self.weighting)}


def entries(
    models: Sequence[str],
    dataset: Dataset,
    *,
    tuned: bool = False,
    overrides: Sequence[str] = (),
) -> list[Entry]:
    """Return what `--models`, `--settings` and `--set` ask for, checked.

    Later ones win: the defaults, the tuned settings, the model's own file, the overrides.

    Parameters
    ----------
    models
        `NAME` or `NAME:FILE.toml`; a file has the model's fields and perhaps a table `[weights]`.
    dataset
        Its weighting is the default.
    tuned
        Start from the settings tuned for this data set.
    overrides
        `MODEL.FIELD=VALUE` or `MODEL.weights.FIELD=VALUE`, for every entry of that model.

    Raises
    ------
    UsageError
        An unknown model, field or value, an entry named twice, or no tuned settings.
    """
    if not models:
        raise UsageError("--models: name at least one model")
    known = tuned_settings(dataset) if tuned else {}
    changes = [_override(text) for text in overrides]
    specs = [(label, *label.partition(":")[::2]) for label in models]
    for label, name, _ in specs:
        model_class(name)
        if models.count(label) > 1:
            raise UsageError(f"--models: {label} is named twice; a second needs a settings file")
    for model, field, _ in changes:
        if model not in {name for _, name, _ in specs}:
            raise UsageError(f"--set {model}.{field}: {model} is not among --models")
    return [
        _entry(
            label,
            name,
            [
                known.get(name, {}),
                read_toml(Path(file)) if file else {},
                *(_nested(field, value) for model, field, value in changes if model == name),
            ],
            dataset.weighting,
        )
        for label, name, file in specs
    ]


def tuned_settings(dataset: Dataset) -> dict[str, Any]:
    """Return the table of each model tuned for this data set, found by its name or fingerprint.

    Raises
    ------
    UsageError
        There are none.
    """
    for file in TUNED.glob("*.toml"):
        if file.stem in {dataset.name, dataset.fingerprint}:
            return read_toml(file)
    raise UsageError(
        f"--settings tuned: there are none for the data set {dataset.name!r}; `recsys tune` makes "
        "them"
    )


def _entry(
    label: str, name: str, layers: Sequence[Mapping[str, Any]], weighting: Weighting
) -> Entry:
    settings: dict[str, Any] = {}
    weights = asdict(weighting)
    for layer in layers:
        own = dict(layer)
        weights |= _table(own.pop("weights", {}), label)
        settings |= own
    make_model(name, settings)  # says at once what is wrong with them
    return Entry(label, name, settings, validated(Weighting, weights, f"{label} weights"))


def _table(value: object, label: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{label}: weights = {value!r} must be a table [weights]")
    return value


def _override(text: str) -> tuple[str, str, Any]:
    """Return model, field and value of `MODEL.FIELD=VALUE`."""
    target, equals, value = text.partition("=")
    model, dot, field = target.strip().partition(".")
    if not (equals and dot and model and field):
        raise UsageError(f"--set {text}: write MODEL.FIELD=VALUE, such as ease.l2=80")
    return model, field.strip(), parsed(value.strip())


def _nested(field: str, value: object) -> dict[str, Any]:
    table, dot, inner = field.partition(".")
    return {table: {inner: value}} if dot else {field: value}
