"""People who must not be mailed: lists that are read, remembered as hashes, and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.campaigns.hashing import HashArray, hashes
from recsys.campaigns.loading import name_of
from recsys.campaigns.sources import Reading, ids_of, place_of
from recsys.campaigns.spec import CampaignSpec, Suppression
from recsys.errors import DataError
from recsys.files import map_tensors, write_tensors


@dataclass(frozen=True)
class ListFacts:
    """A suppression list as it was read: its name, how many people, the SHA-256 of its content."""

    name: str
    size: int
    sha256: str


def read_lists(spec: CampaignSpec, path: Path, before: Mapping[str, int]) -> tuple[ListFacts, ...]:
    """Read the spec's lists, and write the hashes of who is on them to a file.

    Parameters
    ----------
    spec
        Names the lists.
    path
        The safetensors file to write: sorted hashes by the list's name.
    before
        How many people lists had when they were last read.

    Raises
    ------
    DataError
        A list is absent, cannot be read, or is smaller than before by more than it may be.
    """
    facts, found = [], {}
    for suppression in spec.suppression:
        name = name_of(suppression)
        people, sha256 = _read(suppression)
        _refuse_shrunk(suppression, len(people), before.get(name, 0))
        facts.append(ListFacts(name, len(people), sha256))
        found[name] = people
    write_tensors(path, dict(found))
    return tuple(facts)


class Suppressed:
    """Tells who is on which list.

    Parameters
    ----------
    path
        What `read_lists` wrote.
    """

    def __init__(self, path: Path) -> None:
        self._lists = map_tensors(path)

    def reasons(self, users: Sequence[str]) -> list[str | None]:
        """Return the first list that each user is on, None for those on none.

        A stranger whose hash is that of someone on a list of a million is taken for them with a
        chance of one in 10^13: then one mail too few is sent, never one too many.
        """
        reasons: list[str | None] = [None] * len(users)
        if not self._lists:
            return reasons
        asked = _hashes(users)
        for name in sorted(self._lists, reverse=True):
            people = self._lists[name]
            at = np.minimum(np.searchsorted(people, asked), max(len(people) - 1, 0))
            on = people[at] == asked if len(people) else np.zeros(len(asked), np.bool_)
            for place in np.flatnonzero(on).tolist():
                reasons[place] = f"on suppression list {name}"
        return reasons


def _read(suppression: Suppression) -> tuple[HashArray, str]:
    """Return the sorted hashes of a list's people, and its fingerprint."""
    source, reading = suppression.source, Reading(suppression.source)
    some: list[HashArray] = []
    for block in reading.blocks():
        names = block.rows.column_names
        if suppression.column not in names:
            raise DataError(
                f"has no column {suppression.column!r}; its columns are "
                f"{', '.join(map(repr, names))}",
                file=place_of(source),
                hint="name the right one as `column` of this suppression list",
            )
        ids = ids_of(block.rows[suppression.column], block.file, suppression.column)
        some.append(np.unique(_hashes(ids.drop_null().to_pylist())))
    people = np.unique(np.concatenate([np.zeros(0, np.uint64), *some]))
    return people, reading.fingerprint()


def _hashes(users: Sequence[str]) -> HashArray:
    # a blank more or less must not let anyone slip through
    return hashes((user.strip() for user in users), "suppression")


def _refuse_shrunk(suppression: Suppression, size: int, before: int) -> None:
    if size < before * (1 - suppression.max_shrink):
        raise DataError(
            f"has {size:,} people and had {before:,} when it was last read: more than "
            f"max_shrink = {suppression.max_shrink:g} are gone, so nobody is mailed",
            file=place_of(suppression.source),
            hint="mend the list, or raise its max_shrink if it is meant",
        )
