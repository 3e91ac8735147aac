"""The page that says what a published model is, and whether its files are what was written."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recsys.errors import ArtifactError
from recsys.files import sha256_of, write_json

PRODUCT = "recsys"
FORMAT = 1
"""Number of the layout described here; it goes up when an older version could not read it."""

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FileFacts:
    """A file's checksum and length."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class DataFacts:
    """What a model was trained on; `reference_time` (ISO 8601, UTC) is None without times."""

    name: str
    source: str
    fingerprint: str
    users: int
    items: int
    interactions: int
    reference_time: str | None


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    Attributes
    ----------
    product, format
        Who wrote it, in which layout.
    version, created
        The folder's name, and when it was written (ISO 8601, UTC).
    model, config, weighting
        The model's registered name, its settings, and what weights mean.
    data
        What it was trained on.
    metrics
        Results on held-out users, as the publisher gave them; perhaps none.
    libraries
        Versions of Python and of the libraries that took part.
    files
        Each other file of the folder, by name.
    training
        How to train it anew, as the publisher gave it; perhaps nothing.
    calibration
        How its scores become probabilities, as the publisher gave it; perhaps nothing.
    """

    product: str
    format: int
    version: str
    created: str
    model: str
    config: dict[str, Any]
    weighting: dict[str, Any]
    data: DataFacts
    metrics: dict[str, Any]
    libraries: dict[str, str]
    files: dict[str, FileFacts]
    training: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into its folder."""
    write_json(folder / MANIFEST, asdict(manifest))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a published model; the files that it names are not looked at.

    Raises
    ------
    ArtifactError
        There is none, it is no manifest of this product or of a newer layout, or it names a file
        outside the folder.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder}: no {MANIFEST}: half-written, or no published model")
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("product") != PRODUCT:
        raise ArtifactError(f"{path}: not a model that {PRODUCT} published")
    number = content.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ArtifactError(
            f"{path}: format {number} is newer than the {FORMAT} that this version reads: "
            f"upgrade {PRODUCT}"
        )
    try:
        manifest = TypeAdapter(Manifest).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path}: damaged: {place}: {first['msg']}") from error
    for name in manifest.files:
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise ArtifactError(f"{path}: names {name!r}, which is no file of its folder")
    return manifest


def check_files(folder: Path, manifest: Manifest, *, checksums: bool = True) -> None:
    """Compare each file's presence, length and, unless told not to, checksum.

    Raises
    ------
    ArtifactError
        A file is missing, cut, or changed.
    """
    for name, facts in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path}: missing")
        size = path.stat().st_size
        if size != facts.bytes:
            raise ArtifactError(f"{path}: damaged: {size} bytes, {facts.bytes} were published")
        if checksums and sha256_of(path) != facts.sha256:
            raise ArtifactError(f"{path}: damaged: the checksum is not the published one")


def facts_of(folder: Path) -> dict[str, FileFacts]:
    """Return the facts of each file in a folder, by name."""
    return {
        path.name: FileFacts(sha256_of(path), path.stat().st_size)
        for path in sorted(folder.iterdir())
    }


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of those libraries that this process has used."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    used = [name for name in ("numpy", "scipy", "implicit", "torch") if name in sys.modules]
    return {"python": python, "recsys": version("recsys"), **{name: version(name) for name in used}}
