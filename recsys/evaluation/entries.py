"""What is compared: a model with its settings, under the name by which the results call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.errors import SettingsError, UsageError
from recsys.interactions.dataset import Dataset
from recsys.interactions.weighting import Weighting
from recsys.models.registry import MODELS, make_model, model_class
from recsys.settings import parsed, read_settings, validated


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
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overrides: Sequence[str] = (),
) -> list[Entry]:
    """Return what `--models`, `--settings` and `--set` ask for, checked.

    Later ones win: the defaults, the tuned settings or in their place the model's own file, the
    overrides.

    Parameters
    ----------
    models
        `NAME` or `NAME:FILE.toml`; a file has the model's fields and perhaps a table `[weights]`,
        or a table a model with such in it.
    dataset
        Its weighting is the default.
    settings
        The settings of some models, as a settings file has them, to start from.
    overrides
        `MODEL.FIELD=VALUE` or `MODEL.weights.FIELD=VALUE`, for every entry of that model.

    Raises
    ------
    UsageError
        An unknown model, field or value, or an entry named twice.
    """
    if not models:
        raise UsageError("--models: name at least one model")
    known = settings or {}
    changes = changed(overrides)
    specs = [(label, *label.partition(":")[::2]) for label in models]
    for label, name, _ in specs:
        model_class(name)
        if models.count(label) > 1:
            raise UsageError(f"--models: {label} is named twice; a second needs a settings file")
    for model, fields in changes.items():
        if model not in {name for _, name, _ in specs}:
            raise UsageError(f"--set {model}.{next(iter(fields))}: {model} is not among --models")
    return [
        _entry(
            label,
            name,
            [
                _own(read_settings(Path(file)), name) if file else known.get(name, {}),
                nested(changes.get(name, {})),
            ],
            # tuned settings say all, a file of one's own only what it says
            Weighting() if name in known and not file else dataset.weighting,
        )
        for label, name, file in specs
    ]


def changed(overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what `MODEL.FIELD=VALUE` texts set: by model, by dotted field, the value.

    Raises
    ------
    UsageError
        A text that is not of that form.
    """
    changes: dict[str, dict[str, Any]] = {}
    for text in overrides:
        model, field, value = _override(text)
        changes.setdefault(model, {})[field] = value
    return changes


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables from dotted names: `a.b = 1` as b in a table a."""
    tables: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, inner = name.split(".")
        table = tables
        for part in outer:
            table = table.setdefault(part, {})
        table[inner] = value
    return tables


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, table by table; where both say something, `above` goes before."""
    both = dict(below)
    for name, value in above.items():
        under = both.get(name)
        tables = isinstance(under, Mapping) and isinstance(value, Mapping)
        both[name] = merged(under, value) if tables else value  # type: ignore[arg-type]
    return both


def _own(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a model's table of a file that has several models', else the file as it is."""
    if name in content and name in MODELS and isinstance(content[name], dict):
        table: Mapping[str, Any] = content[name]
        return table
    return content


def _entry(
    label: str, name: str, layers: Sequence[Mapping[str, Any]], weighting: Weighting
) -> Entry:
    settings: dict[str, Any] = {}
    weights = asdict(weighting)
    for layer in layers:
        own = dict(layer)
        weights |= _table(own.pop("weights", {}), label)
        settings = merged(settings, own)
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
