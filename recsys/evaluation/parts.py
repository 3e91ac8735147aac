"""Finished parts of an evaluation on disk, so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ArtifactError
from recsys.evaluation.measuring import Measured
from recsys.files import Tensors, map_tensors, sha256_of, write_json, write_tensors

_FACTS = (
    "score_seconds",
    "fit_seconds",
    "peak_memory_bytes",
    "left_out",
    "splits",
    "chosen",
    "curves",
)


@dataclass(frozen=True)
class Parts:
    """A folder with one part for each model and split that was measured.

    Attributes
    ----------
    folder
        Where they lie, `OUT.json.parts` beside the results.
    resume
        Whether parts that lie there already are used.
    """

    folder: Path
    resume: bool

    @staticmethod
    def key(described: Mapping[str, Any]) -> str:
        """Return the name of the part that was measured exactly as described."""
        text = json.dumps(described, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def load(self, key: str) -> Measured | None:
        """Return a part, or None where it is not there, not whole, or not to be used."""
        facts = self.folder / f"{key}.json"
        if not (self.resume and facts.is_file()):
            return None
        try:
            written = json.loads(facts.read_text(encoding="utf-8"))
            tensors = self.folder / f"{key}.safetensors"
            if sha256_of(tensors) != written.pop("sha256"):
                return None
            return _restored(map_tensors(tensors), written)
        except (OSError, ValueError, KeyError, TypeError, ArtifactError):
            return None  # measured anew, which mends it

    def save(self, key: str, measured: Measured) -> None:
        """Write a part; the JSON comes last and vouches for the arrays."""
        tensors: Tensors = {
            "users": measured.users,
            "lengths": measured.lengths,
            "catalogue": measured.catalogue,
        }
        tensors |= {f"values {name}": array for name, array in measured.values.items()}
        tensors |= {f"group {name}": array for name, array in measured.by_item_group.items()}
        tensors |= {f"listed {k}": array for k, array in measured.listed.items()}
        path = self.folder / f"{key}.safetensors"
        write_tensors(path, tensors)
        facts = {name: getattr(measured, name) for name in _FACTS}
        write_json(self.folder / f"{key}.json", {**facts, "sha256": sha256_of(path)})

    def discard(self) -> None:
        """Remove the folder: the results are whole."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _restored(tensors: Tensors, facts: Mapping[str, Any]) -> Measured:
    named = {tuple(name.partition(" ")[::2]): array for name, array in tensors.items()}
    return Measured(
        values={name: array for (kind, name), array in named.items() if kind == "values"},
        by_item_group={name: array for (kind, name), array in named.items() if kind == "group"},
        listed={int(name): array for (kind, name), array in named.items() if kind == "listed"},
        users=tensors["users"],
        lengths=tensors["lengths"],
        catalogue=tensors["catalogue"],
        **{name: facts[name] for name in _FACTS},
    )
