"""One published model: how its parts are written, and read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from recsys import files
from recsys.artifacts.manifest import Manifest, check_files, read_manifest
from recsys.errors import ArtifactError, MissingDependencyError, RecsysError
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import Interactions
from recsys.interactions.times import from_iso
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model
from recsys.models.registry import model_class
from recsys.settings import validated

if TYPE_CHECKING:  # reading data sets is more than loading a model needs
    from recsys.interactions.dataset import Dataset

MODEL, DATA, ITEMS = "model.safetensors", "data.safetensors", "items.parquet"

_ATTRIBUTE = "attribute."  # keeps an attribute called title apart from the title


@dataclass(frozen=True, eq=False)
class Artifact:
    """A published model with all that serving needs; its large arrays are memory-mapped.

    Attributes
    ----------
    folder, manifest
        Where it lies and what it says of itself.
    model, weighting
        The fitted model, and what weights mean to it.
    users, items
        Outside ids of rows and columns.
    catalogue
        Titles and the like, in the order of `items`.
    interactions
        The events it was trained on.
    reference_time
        What ages count from, microseconds since 1970 UTC; None without times.
    """

    folder: Path
    manifest: Manifest
    model: Model[Any]
    weighting: Weighting
    users: IdMap
    items: IdMap
    catalogue: Catalogue
    interactions: Interactions
    reference_time: int | None


def load_artifact(folder: Path) -> Artifact:
    """Return the model in a version's folder, once every file is seen to be what was published.

    Raises
    ------
    ArtifactError
        The folder is no published model, damaged, half-written, or of a newer layout.
    """
    manifest = read_manifest(folder)
    for name in (MODEL, DATA, ITEMS):
        if name not in manifest.files:
            raise ArtifactError(f"{folder}: damaged: the manifest does not name {name}")
    check_files(folder, manifest)
    try:
        return _read(folder, manifest)
    except (ArtifactError, MissingDependencyError):
        raise
    except (RecsysError, OSError, KeyError, ValueError, TypeError) as error:
        raise ArtifactError(f"{folder}: its parts do not fit together ({error})") from error


def write_parts(folder: Path, model: Model[Any], dataset: Dataset) -> None:
    """Write everything but the manifest into `folder`."""
    files.write_tensors(folder / MODEL, model.tensors())
    events = dataset.interactions
    columns = {name: getattr(events, name) for name in ("indptr", "items", "times", "values")}
    files.write_tensors(
        folder / DATA,
        {
            **dataset.users.tensors("users"),
            **dataset.items.tensors("items"),
            **{f"events.{name}": array for name, array in columns.items() if array is not None},
        },
    )
    with files.written_aside(folder / ITEMS) as aside:
        _write_catalogue(aside, dataset.catalogue)


def as_settings(config: Any) -> dict[str, Any]:
    """Return a config's fields as JSON holds them."""
    shown: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return shown


def _read(folder: Path, manifest: Manifest) -> Artifact:
    kind = model_class(manifest.model)
    config = validated(kind.config_type, manifest.config, manifest.model)
    data = files.map_tensors(folder / DATA)
    users, items = IdMap.from_tensors(data, "users"), IdMap.from_tensors(data, "items")
    interactions = _events(data, len(items))
    catalogue = _read_catalogue(folder / ITEMS)
    if interactions.n_users != len(users) or len(catalogue) != len(items):
        raise ValueError("ids, events and items are not of one data set")
    newest = manifest.data.reference_time
    return Artifact(
        folder=folder,
        manifest=manifest,
        model=kind.restore(config, len(items), files.map_tensors(folder / MODEL)),
        weighting=validated(Weighting, manifest.weighting, "weighting"),
        users=users,
        items=items,
        catalogue=catalogue,
        interactions=interactions,
        reference_time=None if newest is None else from_iso(newest, "reference_time"),
    )


def _events(data: files.Tensors, n_items: int) -> Interactions:
    """Return the stored events, still memory-mapped, as plain arrays: indexing those is quicker."""
    columns = {
        name.removeprefix("events."): np.asarray(array)
        for name, array in data.items()
        if name.startswith("events.")
    }
    return Interactions(n_items=n_items, **columns)


def _write_catalogue(path: Path, catalogue: Catalogue) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "title": pa.array(catalogue.titles, pa.string()),
        "category": pa.array(
            [list(names) for names in catalogue.categories], pa.list_(pa.string())
        ),
        "price": pa.array(catalogue.prices, pa.float64()),
    }
    for name, texts in catalogue.attributes.items():
        columns[_ATTRIBUTE + name] = pa.array(texts, pa.string())
    pq.write_table(pa.table(columns), path)


def _read_catalogue(path: Path) -> Catalogue:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    attributes = [name for name in table.column_names if name.startswith(_ATTRIBUTE)]
    return Catalogue(
        titles=table["title"].to_pylist(),
        categories=[tuple(names) for names in table["category"].to_pylist()],
        prices=table["price"].to_numpy(),
        attributes={name.removeprefix(_ATTRIBUTE): table[name].to_pylist() for name in attributes},
    )
