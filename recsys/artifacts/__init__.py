"""Published models: versioned folders with checksums, and `current`, the link that serving follows.

    models/
      current -> 20261124T052200.418Z-ease-3f2a
      20261124T052200.418Z-ease-3f2a/
        manifest.json       what it is, learnt from what, and the checksum of each other file
        model.safetensors   what the model learnt
        data.safetensors    ids and events
        items.parquet       titles, categories, prices, attributes

A version is written aside, flushed to the disk and renamed; `current` is switched last. So a reader
finds the old model or the new one, whole, whatever becomes of the publisher.
"""

from recsys.artifacts.artifact import Artifact, load_artifact
from recsys.artifacts.manifest import DataFacts, FileFacts, Manifest, read_manifest
from recsys.artifacts.versions import (
    VersionInfo,
    list_versions,
    load_current,
    prepare,
    publish,
    roll_back,
    versions_with,
)

__all__ = [
    "Artifact",
    "DataFacts",
    "FileFacts",
    "Manifest",
    "VersionInfo",
    "list_versions",
    "load_artifact",
    "load_current",
    "prepare",
    "publish",
    "read_manifest",
    "roll_back",
    "versions_with",
]
