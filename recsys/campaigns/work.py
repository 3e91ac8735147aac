"""The folder beside the output in which a run is made, and from which a restart goes on."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recsys.campaigns.pinning import PinnedRun
from recsys.errors import RecsysError, UsageError
from recsys.files import write_json
from recsys.store.items import ItemState

_STATES = TypeAdapter(list[ItemState])


@dataclass(frozen=True)
class Work:
    """Names what lies in a work folder.

    Attributes
    ----------
    folder
        The folder.
    """

    folder: Path

    @classmethod
    def beside(cls, out: Path) -> Work:
        """Return the work folder of an output folder."""
        out = out.resolve()
        return cls(out.with_name(f".{out.name}.work"))

    @property
    def state(self) -> Path:
        """The run; there as soon as all that it needs is."""
        return self.folder / "state.json"

    @property
    def intake(self) -> Path:
        """The audience by shard."""
        return self.folder / "audience"

    @property
    def suppressed(self) -> Path:
        """Who was on a suppression list at the start."""
        return self.folder / "suppressed.safetensors"

    @property
    def late(self) -> Path:
        """What is found just before publishing."""
        return self.folder / "late"

    @property
    def out(self) -> Path:
        """What takes the place of the output folder."""
        return self.folder / "out"

    def decided(self, shard: int) -> Path:
        """Return where what was decided of a shard is."""
        return self.folder / "decided" / f"{shard:05d}.arrow"

    @property
    def candidates(self) -> Path:
        """Where candidates lie while items are dealt out."""
        return self.folder / "candidates"

    def assigned(self, shard: int) -> Path:
        """Return where the lists of a shard's users under a quota are."""
        return self.folder / "assigned" / f"{shard:05d}.arrow"

    def rejected(self, shard: int) -> Path:
        """Return where the rows of a shard that are left out are."""
        return self.folder / "rejected" / f"{shard:05d}.arrow"

    def statistics(self, shard: int) -> Path:
        """Return where what the report needs of a shard is."""
        return self.folder / "statistics" / f"{shard:05d}.safetensors"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, made if need be, for this process alone.

        Raises
        ------
        RecsysError
            Another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RecsysError(
                    f"{self.folder}: another process is at this campaign; wait until it ends"
                ) from error
            yield

    def read(self) -> PinnedRun | None:
        """Return the run that was begun here; None where there is none.

        Raises
        ------
        UsageError
            What lies there is no run of this version.
        """
        if not self.state.exists():
            return None
        try:
            return PinnedRun.from_json(self.state.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise UsageError(
                f"{self.state} is no run that can go on; begin anew with --restart"
            ) from error

    def write(self, run: PinnedRun) -> None:
        """Write the run down."""
        write_json(self.state, run.to_json())

    def write_states(self, states: list[ItemState]) -> str:
        """Write down what the store says of items, and return its JSON."""
        shown: list[Any] = _STATES.dump_python(states, mode="json")
        write_json(self.folder / "items.json", {"items": shown})
        return json.dumps(shown, sort_keys=True)

    def read_states(self) -> list[ItemState]:
        """Return what `write_states` wrote."""
        text = (self.folder / "items.json").read_text(encoding="utf-8")
        return _STATES.validate_python(json.loads(text)["items"])

    def clear(self) -> None:
        """Remove everything but the lock."""
        for inner in self.folder.iterdir():
            if inner.is_dir():
                shutil.rmtree(inner)
            elif inner.name != "lock":
                inner.unlink()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
