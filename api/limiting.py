"""A limit on requests a minute that all worker processes count together.

`limits` and its like need Redis to count across processes; here the counts lie in memory that the
workers share with the process they were forked from.
"""

from __future__ import annotations

import mmap
import os
import time
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from math import ceil

import numpy as np
from werkzeug.exceptions import TooManyRequests

_SLOTS = 2**18
_MINUTE = 60.0

# Made once, at import, so before gunicorn forks: mapped memory without a file stays shared then.
_times = np.frombuffer(mmap.mmap(-1, 8 * _SLOTS), np.float64)
_secret = os.urandom(16)


class RateLimit:
    """So many requests a minute from each caller, all at once or one after the other.

    A caller's slot holds when all of its requests so far were due, had they come evenly (the
    generic cell rate algorithm, a leaky bucket in one number). Two callers whose ids fall into the
    same of 262,144 slots share one limit; two requests in the same microsecond may count as one.

    Parameters
    ----------
    per_minute
        How many.
    name
        Tells the callers of one app from those of another in this process.
    """

    def __init__(self, per_minute: int, name: str) -> None:
        self._per_minute, self._name = per_minute, name

    def count(self, caller: str) -> None:
        """Count a request of a caller's.

        Raises
        ------
        TooManyRequests
            It is one too many; it says after how many seconds the next may come.
        """
        slot = self._slot(caller)
        now = time.monotonic()
        due = max(now, float(_times[slot])) + _MINUTE / self._per_minute
        if due > now + _MINUTE * (1 + 1e-9):
            raise TooManyRequests(
                f"more than {self._per_minute} requests a minute; come back later",
                retry_after=ceil(due - now - _MINUTE),
            )
        _times[slot] = due

    def _slot(self, caller: str) -> int:
        text = f"{self._name}\0{caller}".encode("utf-8", "surrogateescape")
        digest = blake2b(text, digest_size=8, key=_secret).digest()
        return int.from_bytes(digest, "big") % _SLOTS


def caller_at(address: str | None) -> str:
    """Return who counts as one: an IPv4 address, or the network of 2⁶⁴ that an IPv6 host has."""
    try:
        parsed = ip_address(address or "")
    except ValueError:  # a socket file has no addresses
        return address or ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return parsed.exploded[:19]
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
