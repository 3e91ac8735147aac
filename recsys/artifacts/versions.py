"""The folder of versions: publishing one, listing them, and the `current` link."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys import files
from recsys.artifacts.artifact import DATA, Artifact, as_settings, load_artifact, write_parts
from recsys.artifacts.manifest import (
    FORMAT,
    PRODUCT,
    DataFacts,
    Manifest,
    check_files,
    facts_of,
    library_versions,
    read_manifest,
    write_manifest,
)
from recsys.errors import ArtifactError, UsageError
from recsys.ids import IdMap
from recsys.interactions.times import to_iso
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model

if TYPE_CHECKING:  # reading data sets is more than loading a model needs
    from recsys.interactions.dataset import Dataset

CURRENT = "current"


@dataclass(frozen=True)
class VersionInfo:
    """A version in the folder.

    Attributes
    ----------
    version
        The folder's name.
    current
        Whether serving follows it.
    manifest
        What it says of itself; None where it cannot be read.
    problem
        Why it could not be served, as far as names and lengths of files tell; else None.
    """

    version: str
    current: bool
    manifest: Manifest | None
    problem: str | None


def prepare(models: Path) -> None:
    """Make the folder `models` if need be, and see that a model can be published there.

    Raises
    ------
    ArtifactError
        It is no folder, cannot be written to, or its `current` is something other than a link.
    """
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{models}: cannot be a folder for models ({error})") from error
    if not os.access(models, os.W_OK | os.X_OK):
        raise ArtifactError(f"{models}: no permission to write there")
    current = models / CURRENT
    if current.exists() and not current.is_symlink():
        raise ArtifactError(f"{current}: not a link to a version: move it away")


def publish(
    models: Path,
    model: Model[Any],
    dataset: Dataset,
    *,
    weighting: Weighting | None = None,
    metrics: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> str:
    """Write a fitted model and its data as a new version, make it current, and return its name.

    Nothing is left behind when it fails. Several may publish at once; the last to end is current.

    Parameters
    ----------
    models
        The folder of versions, made if need be.
    model, dataset
        The model, fitted on this data set.
    weighting
        What weights meant in its training; the data set's where None.
    metrics
        Results on held-out users, for the manifest: anything that JSON holds.
    training
        How to train it anew, for the manifest.
    calibration
        How its scores become probabilities, for the manifest.

    Raises
    ------
    ArtifactError
        The folder or its disk does not take it.
    NotFittedError
        The model is not fitted.
    """
    prepare(models)
    created = datetime.now(UTC)
    version = f"{created:%Y%m%dT%H%M%S}.{created.microsecond // 1000:03}Z-{model.name}"
    version = f"{version}-{uuid.uuid4().hex[:4]}"
    try:
        with files.folder_written_aside(models / version) as aside:
            write_parts(aside, model, dataset)
            manifest = Manifest(
                product=PRODUCT,
                format=FORMAT,
                version=version,
                created=created.isoformat(timespec="seconds"),
                model=model.name,
                config=as_settings(model.config),
                weighting=as_settings(weighting or dataset.weighting),
                data=_data_facts(dataset),
                metrics=dict(metrics or {}),
                libraries=library_versions(),
                files=facts_of(aside),
                training=dict(training or {}),
                calibration=dict(calibration or {}),
            )
            write_manifest(aside, manifest)
        _switch(models, version)
    except OSError as error:
        raise ArtifactError(f"{models}: the model could not be written ({error})") from error
    return version


def load_current(models: Path) -> Artifact:
    """Return the model that `current` points to.

    Raises
    ------
    ArtifactError
        There is none, or it cannot be trusted (see `load_artifact`).
    """
    current = models / CURRENT
    if not current.is_symlink() and not current.exists():
        raise ArtifactError(f"{models}: no model is published there: run `recsys train` first")
    try:
        folder = current.resolve(strict=True)  # once: a switch half-way must not mix two versions
    except (OSError, RuntimeError) as error:
        raise ArtifactError(
            f"{current}: points to {str(current.readlink())!r}, which is not there: "
            "run `recsys models roll-back` or train anew"
        ) from error
    return load_artifact(models / folder.name if folder.parent == models.resolve() else folder)


def list_versions(models: Path) -> list[VersionInfo]:
    """Return the versions in a folder, the newest first, damaged ones with the reason.

    Raises
    ------
    ArtifactError
        There is no such folder.
    """
    if not models.is_dir():
        raise ArtifactError(f"{models}: no such folder: `recsys train` makes it")
    current = _current_name(models)
    names = sorted(
        (
            path.name
            for path in models.iterdir()
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
        ),
        reverse=True,
    )
    return [_info(models / name, name == current) for name in names]


def versions_with(models: Path, user: str) -> list[str]:
    """Return the versions whose data holds a user, the newest first; damaged ones are left out."""
    text = user.encode("utf-8", "surrogatepass")
    found = []
    for info in list_versions(models):
        with suppress(ArtifactError):
            data = files.map_tensors(models / info.version / DATA)
            # most versions are ruled out without reading every id
            if text in data["users.bytes"].tobytes() and user in IdMap.from_tensors(data, "users"):
                found.append(info.version)
    return found


def roll_back(models: Path, to: str | None = None) -> str:
    """Make an older version current, and return its name.

    Parameters
    ----------
    models
        The folder of versions.
    to
        Any version in it; the one before the current where None.

    Raises
    ------
    ArtifactError
        The version cannot be trusted; `current` stays as it was.
    UsageError
        There is no such version, or none before the current.
    """
    names = [info.version for info in list_versions(models)]
    if to is None:
        current = _current_name(models)
        older = [name for name in names if current is None or name < current]
        if not older:
            raise UsageError(f"{models}: no version is older than the current {current or ''}")
        to = older[0]
    elif to not in names:
        raise UsageError(f"{models}: no version {to!r}; there are {', '.join(names) or 'none'}")
    load_artifact(models / to)
    try:
        _switch(models, to)
    except OSError as error:
        raise ArtifactError(f"{models}: `current` could not be switched ({error})") from error
    return to


def _info(folder: Path, current: bool) -> VersionInfo:
    manifest = None
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest, checksums=False)
    except ArtifactError as error:
        return VersionInfo(folder.name, current, manifest, str(error))
    return VersionInfo(folder.name, current, manifest, None)


def _data_facts(dataset: Dataset) -> DataFacts:
    newest = dataset.interactions.newest
    return DataFacts(
        name=dataset.name,
        source=dataset.source,
        fingerprint=dataset.fingerprint,
        users=len(dataset.users),
        items=len(dataset.items),
        interactions=dataset.interactions.n_events,
        reference_time=None if newest is None else to_iso(newest),
    )


def _current_name(models: Path) -> str | None:
    link = models / CURRENT
    return link.readlink().name if link.is_symlink() else None


def _switch(models: Path, version: str) -> None:
    """Point `current` at a version in one step."""
    aside = models / f".{CURRENT}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        aside.symlink_to(version, target_is_directory=True)
        aside.replace(models / CURRENT)
        files.sync(models)
    finally:
        aside.unlink(missing_ok=True)
