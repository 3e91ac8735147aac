"""API keys: who may write, and where reads need a key, who may read."""

from __future__ import annotations

from dataclasses import dataclass, field

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from recsys.errors import StoreDownError
from recsys.store.keys import Scope, hash_of
from recsys.store.store import Counters, Store

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
    """

    def __init__(self, store: Store, reads_need_one: bool) -> None:
        self._store, self._reads_need_one = store, reads_need_one
        self._known = _Known()

    def check(self, scope: Scope, header: str | None) -> None:
        """Let a request pass whose Authorization header has a key for the scope.

        Raises
        ------
        Unauthorized
            It has none, or an unknown one.
        Forbidden
            Its key is for reads alone.
        StoreDownError
            Keys for writes cannot be looked up. Reads go by those that were last seen.
        """
        if scope == "read" and not self._reads_need_one:
            return
        scopes = self._scopes(scope)
        if scope not in scopes.values() and "write" not in scopes.values():
            raise Unauthorized(
                f"no {scope} key is made yet; make one with recsys keys add --scope {scope}",
                www_authenticate=_ASK,
            )
        kind, _, token = (header or "").partition(" ")
        found = scopes.get(hash_of(token.strip())) if kind.lower() == "bearer" else None
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
