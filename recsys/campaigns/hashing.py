"""Stable hashes of users: which shard, who is held out, which arm; the same everywhere, always."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

HashArray = npt.NDArray[np.uint64]


def hashes(texts: Iterable[str], *purpose: str) -> HashArray:
    """Return uint64 (n,): the first 64 bits of BLAKE2b of purpose and text.

    Hashes for different purposes have nothing to do with each other.
    """
    before = hashlib.blake2b(digest_size=8)
    before.update("".join(f"{word}\0" for word in purpose).encode("utf-8", "surrogatepass"))

    def hashed(text: str) -> bytes:
        digest = before.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    return np.frombuffer(b"".join(map(hashed, texts)), "<u8").astype(np.uint64)


def shares(found: HashArray) -> npt.NDArray[np.float64]:
    """Return hashes as evenly spread numbers, from 0 to below 1."""
    return (found >> np.uint64(11)).astype(np.float64) / 2.0**53
