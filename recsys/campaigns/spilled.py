"""Candidates of a shard on disk, with what was offered of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.campaigns.hashing import HashArray
from recsys.campaigns.lists import Candidates, Lists
from recsys.interactions.tables import BoolArray, IntArray, LongArray

_LISTS = ("offsets", "items", "scores", "own", "mean", "spread", "complete")


class Spilled:
    """What a shard's users may be given, and what they asked for already.

    Parameters
    ----------
    folder
        Where it lies; it is made by `begin`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, users: Candidates, limited: BoolArray) -> None:
        """Write down who there is, with what candidates; nothing is offered yet.

        `limited`, bool (m,), says whose items depend on each other.
        """
        self._folder.mkdir()
        self._save(
            rows=users.rows,
            ties=users.ties,
            aside=users.aside,
            limited=limited,
            depth=users.lists.counts,
        )
        self.replace(users.lists, np.zeros(len(users.lists.items), np.bool_))

    def replace(self, lists: Lists, offered: BoolArray) -> None:
        """Write other candidates in place of what there was."""
        self._save(offered=offered, **{name: getattr(lists, name) for name in _LISTS})

    @property
    def rows(self) -> IntArray:
        """int32 (m,): the users' rows in the shard."""
        return self._open("rows")

    @property
    def ties(self) -> HashArray:
        """uint64 (m,): which of equal users comes first."""
        return self._open("ties")

    @property
    def aside(self) -> BoolArray:
        """Who takes nothing from the others, user by user."""
        return self._open("aside")

    @property
    def limited(self) -> BoolArray:
        """Whether a user's items depend on each other, user by user."""
        return self._open("limited")

    @property
    def depth(self) -> LongArray:
        """int64 (m,): how long a list was asked for last; to be written to."""
        return self._open("depth")

    @property
    def offered(self) -> BoolArray:
        """Whether the user asked for the item, entry by entry; to be written to."""
        return self._open("offered")

    @property
    def lists(self) -> Lists:
        """The candidates."""
        return Lists(*(self._open(name) for name in _LISTS))

    def _save(self, **arrays: npt.NDArray[Any]) -> None:
        for name, array in arrays.items():
            np.save(self._folder / f"{name}.npy", np.array(array))  # a copy: it may be mapped

    def _open(self, name: str) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = np.load(self._folder / f"{name}.npy", mmap_mode="r+")
        return found
