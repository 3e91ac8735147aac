"""What an app's requests share."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from api.access import Access
from api.config import Config
from api.current import CurrentModel
from recsys.store.store import Store


@dataclass(frozen=True, eq=False)
class Served:
    """The parts of one app; see each."""

    config: Config
    store: Store
    current: CurrentModel
    access: Access


def served() -> Served:
    """Return the parts of the app that answers this request."""
    parts: Served = current_app.extensions["recsys"]
    return parts
