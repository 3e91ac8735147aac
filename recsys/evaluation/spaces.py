"""Search spaces: what is searched for a model on given data, and how a study sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from recsys.evaluation.entries import Entry
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model
from recsys.settings import Search, searchable


def space_of(entry: Entry, fixed: Mapping[str, Any], train: Interactions) -> dict[str, Search]:
    """Return what is searched, by dotted field: what the data allows and nobody fixed.

    Parameters
    ----------
    entry
        The model; a blend's members are searched, too.
    fixed
        Dotted fields to leave out.
    train
        The data, which may have neither times nor values.
    """
    there = {"times": train.times is not None, "values": train.values is not None}
    model = make_model(entry.name, entry.settings)
    space = model.searched(model.config)
    space |= {f"weights.{name}": search for name, search in searchable(Weighting).items()}
    return {
        name: search
        for name, search in space.items()
        if name not in fixed and (search.needs is None or there[search.needs])
    }


def suggested(trial: optuna.Trial, name: str, search: Search) -> Any:
    """Return a value to try; of a real number three digits, so that a file can say it whole."""
    if search.choices:
        names = [str(choice) for choice in search.choices]
        return search.choices[names.index(trial.suggest_categorical(name, names))]
    if isinstance(search.low, int) and isinstance(search.high, int):
        return trial.suggest_int(name, search.low, search.high, log=search.log)
    value = float(f"{trial.suggest_float(name, search.low, search.high, log=search.log):.3g}")
    return None if search.off and value >= search.high else value


def point_in(space: Mapping[str, Search], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as a point of the space; what is outside of it comes to its edge."""
    point: dict[str, Any] = {}
    for name, search in space.items():
        value: Any = settings
        for part in name.split("."):
            value = value[part]
        if not search.choices:
            point[name] = min(max(search.high if value is None else value, search.low), search.high)
        elif value in search.choices:
            point[name] = str(value)
    return point
