"""What a finished campaign says of itself: its key, its counts, and a checksum of every part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recsys.campaigns.pinning import Given
from recsys.errors import RecsysError, UsageError
from recsys.files import sha256_of, write_json

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
        `pinning.FORMAT` of the version that wrote it.
    run_key
        The same for the same audience, spec, models, store and reference time, else another.
    campaign
        What the ledger calls the run.
    at
        Reference time, ISO 8601 in UTC.
    spec
        What was asked for.
    files
        SHA-256 of the files of items that the spec names.
    audience
        Name, SHA-256 and columns of the audience.
    models
        Arm, name and version of each model that made lists.
    suppression
        Name, size and SHA-256 of each suppression list, as it was at the start.
    late_suppression
        The same, as it was just before publishing.
    store
        How far the store had come; None without a store.
    counts
        `input` = `audience` + `rejected`; `audience` = the sum of the statuses.
    arms
        For each arm, how many users have each status.
    reasons
        For each status, how many users have each reason; the commonest ten.
    parts
        `results/` and `send/`.
    rejected
        `rejected.csv`.
    """

    format: int
    run_key: str
    campaign: str
    at: str
    spec: Mapping[str, Any]
    files: Mapping[str, str]
    audience: Mapping[str, Any]
    models: tuple[Mapping[str, str | None], ...]
    suppression: tuple[Mapping[str, Any], ...]
    late_suppression: tuple[Mapping[str, Any], ...]
    store: Mapping[str, Any] | None
    counts: Counts
    arms: Mapping[str, Mapping[str, int]]
    reasons: Mapping[str, Mapping[str, int]]
    parts: tuple[Part, ...]
    rejected: Part

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into the folder."""
        write_json(folder / NAME, asdict(self))

    @property
    def given(self) -> Given:
        """What the run was given."""
        store = None if self.store is None else self.store["store"]
        return Given(self.spec, self.audience["sha256"], self.files, self.at, store)

    def check(self, out: Path) -> None:
        """Refuse a campaign of which a part is not as it was written.

        Raises
        ------
        UsageError
            There is such a part.
        """
        for part in (*self.parts, self.rejected):
            file = out / part.path
            if not file.is_file() or sha256_of(file) != part.sha256:
                raise UsageError(
                    f"{file} is not as this campaign wrote it; remove {out} and run again"
                )


def read_manifest(out: Path) -> Manifest:
    """Return the manifest of a finished campaign.

    Raises
    ------
    UsageError
        There is none.
    """
    if not (out / NAME).is_file():
        raise UsageError(f"{out} holds no finished campaign")
    try:
        text = (out / NAME).read_text(encoding="utf-8")
        return TypeAdapter(Manifest).validate_json(text)
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"{out / NAME} is no manifest of a campaign of this version") from error


def finished_in(out: Path) -> Manifest | None:
    """Return the manifest of the campaign that `out` holds, None if `out` is free to be taken.

    Raises
    ------
    UsageError
        `out` holds something else.
    """
    another = "name a folder that does not exist yet"
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; {another}")
    if not out.exists() or not any(out.iterdir()):
        return None
    if not (out / NAME).is_file():
        raise UsageError(f"--out {out} is not empty and holds no finished campaign; {another}")
    return read_manifest(out)
