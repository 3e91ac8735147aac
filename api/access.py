"""API keys: who may write, where reads need a key, who may read, and how often anyone may ask."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from api.limiting import RateLimit, caller_at
from recsys.errors import StoreDownError
from recsys.store.keys import Scope, hash_of
from recsys.store.looking import Counters
from recsys.store.store import Store

_ASK = WWWAuthenticate("bearer", {"realm": "recsys"})


@dataclass(frozen=True)
class _Known:
    """The keys as they were when the counters stood so."""

    counters: Counters = field(default_factory=Counters)
    scopes: dict[str, Scope] = field(default_factory=dict)


class Access:
    """Checks keys against the store; one that is removed there is refused at once.

    Parameters
    ----------
    store
        Where the keys are.
    reads_need_one
        Whether reads do; writes always do, and nobody may write before a key for it is made.
    limit
        How often each caller may ask; None: as often as it likes.
    """

    def __init__(self, store: Store, reads_need_one: bool, limit: RateLimit | None = None) -> None:
        self._store, self._reads_need_one, self._limit = store, reads_need_one, limit
        self._known = _Known()

    def check(self, scope: Scope, header: str | None, address: str | None) -> None:
        """Let a request pass whose Authorization header has a key for the scope.

        It counts for its key, or for its address where there is none, or one that nobody knows.

        Raises
        ------
        TooManyRequests
            The caller asks too often.
        Unauthorized
            It has no key, or an unknown one.
        Forbidden
            Its key is for reads alone.
        StoreDownError
            Keys for writes cannot be looked up. Reads go by those that were last seen.
        """
        needs_one = scope == "write" or self._reads_need_one
        if not needs_one and self._limit is None:
            return
        kind, _, token = (header or "").partition(" ")
        hashed = hash_of(token.strip()) if kind.lower() == "bearer" else None
        if self._limit is not None:
            known = hashed and _scope_of(hashed, self._scopes("read"))
            self._limit.count(hashed if hashed and known else caller_at(address))
        if needs_one:
            self._require(scope, hashed)

    def _require(self, scope: Scope, hashed: str | None) -> None:
        scopes = self._scopes(scope)
        if scope not in scopes.values() and "write" not in scopes.values():
            raise Unauthorized(
                f"no {scope} key is made yet; make one with recsys keys add --scope {scope}",
                www_authenticate=_ASK,
            )
        found = None if hashed is None else _scope_of(hashed, scopes)
        if found is None:
            raise Unauthorized(
                "the key is missing or unknown; send Authorization: Bearer KEY",
                www_authenticate=_ASK,
            )
        if scope == "write" and found != "write":
            raise Forbidden("this key is for reads; use one made with --scope write")

    def _scopes(self, scope: Scope) -> dict[str, Scope]:
        try:
            if self._store.counters().keys != self._known.counters.keys:
                self._known = _Known(*self._store.scopes())
        except StoreDownError:
            if scope == "write":
                raise
        return self._known.scopes


def _scope_of(hashed: str, scopes: dict[str, Scope]) -> Scope | None:
    """Return what a key allows; how long it takes says nothing of the keys there are."""
    found = [scope for known, scope in scopes.items() if hmac.compare_digest(known, hashed)]
    return found[0] if found else None
