"""What a finished campaign says of itself: its key, its counts, and a checksum of every part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recsys.campaigns.audience import Audience
from recsys.campaigns.spec import CampaignSpec
from recsys.errors import RecsysError, UsageError
from recsys.files import sha256_of, write_json
from recsys.interactions.times import to_iso
from recsys.recommender import Recommender

FORMAT = 1
"""Version of what a campaign writes; a change of it is a change of every run key."""
NAME = "manifest.json"


@dataclass(frozen=True)
class Counts:
    """Rows of the audience file, and what became of its users."""

    input: int = 0
    rejected: int = 0
    audience: int = 0
    sent: int = 0
    suppressed: int = 0
    ineligible: int = 0
    held_out: int = 0
    failed: int = 0

    def check(self) -> None:
        """Refuse counts that do not add up.

        Raises
        ------
        RecsysError
            A row or a user is missing or counted twice.
        """
        ends = self.sent + self.suppressed + self.ineligible + self.held_out + self.failed
        if self.input != self.audience + self.rejected or self.audience != ends:
            raise RecsysError(f"the counts do not add up, so nothing was written: {asdict(self)}")


@dataclass(frozen=True)
class Part:
    """A file of a campaign: its path below the folder, its checksum, its rows."""

    path: str
    sha256: str
    count: int

    @classmethod
    def of(cls, file: Path, folder: Path, count: int) -> Part:
        """Return the part that `file`, somewhere below `folder`, is."""
        return cls(file.relative_to(folder).as_posix(), sha256_of(file), count)


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`; nothing in it depends on when or where the job ran.

    Attributes
    ----------
    format
        `FORMAT` of the version that wrote it.
    run_key
        The same for the same audience, spec, model and reference time, else another.
    at
        Reference time of ages, ISO 8601 in UTC; None for data without times.
    spec
        What was asked for.
    audience
        Name, SHA-256 and columns of the audience file.
    models
        Name and version of each model that made lists.
    counts
        `input` = `audience` + `rejected`; `audience` = the sum of the statuses.
    reasons
        For each status, how many users have each reason; the commonest ten.
    parts
        `results/` and `send/`.
    rejected
        `rejected.csv`.
    """

    format: int
    run_key: str
    at: str | None
    spec: Mapping[str, Any]
    audience: Mapping[str, Any]
    models: tuple[Mapping[str, str], ...]
    counts: Counts
    reasons: Mapping[str, Mapping[str, int]]
    parts: tuple[Part, ...]
    rejected: Part

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into the folder."""
        write_json(folder / NAME, asdict(self))


@dataclass(frozen=True)
class Run:
    """What a campaign is made from; equal inputs have equal keys."""

    spec: CampaignSpec
    audience: Audience
    recommender: Recommender

    @property
    def described(self) -> dict[str, Any]:
        """The manifest's fields that are known before anyone is scored, without the key."""
        spec = asdict(self.spec)
        for elsewhere in ("users", "models", "at", "engine"):
            del spec[elsewhere]
        given = self.spec.at
        at = self.recommender.reference_time if given is None else given
        return {
            "format": FORMAT,
            "at": None if at is None else to_iso(at),
            "spec": spec,
            "audience": {
                "file": self.audience.path.name,
                "sha256": self.audience.fingerprint,
                "columns": self.audience.own_columns,
            },
            "models": ({"model": self.recommender.model, "version": self.recommender.version},),
        }

    @property
    def key(self) -> str:
        """SHA-256 over `described`, in hexadecimal; the audience counts by its content alone."""
        text = json.dumps({**self.described, "audience": self.audience.fingerprint}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_finished(out: Path, key: str) -> Manifest | None:
    """Return the manifest of this very run if `out` holds it, None if `out` is free to be taken.

    Raises
    ------
    UsageError
        `out` holds something else, or a part of it is not as it was written.
    """
    another = "name a folder that does not exist yet"
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; {another}")
    if not out.exists() or not any(out.iterdir()):
        return None
    if not (out / NAME).is_file():
        raise UsageError(f"--out {out} is not empty and holds no finished campaign; {another}")
    try:
        text = (out / NAME).read_text(encoding="utf-8")
        manifest = TypeAdapter(Manifest).validate_json(text)
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"{out / NAME} is no manifest of a campaign; {another}") from error
    if manifest.run_key != key:
        raise UsageError(
            f"--out {out} holds another campaign (its audience, spec, model or reference time "
            f"differ); {another}, or remove this one"
        )
    for part in (*manifest.parts, manifest.rejected):
        file = out / part.path
        if not file.is_file() or sha256_of(file) != part.sha256:
            raise UsageError(f"{file} is not as this campaign wrote it; remove {out} and run again")
    return manifest
