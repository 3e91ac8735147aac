"""The HTTP API and the page: a Flask app over one `Recommender`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.config import Config

if TYPE_CHECKING:
    from api.app import create_app

__all__ = ["Config", "create_app"]


def __getattr__(name: str) -> Any:
    """Import the app when it is asked for: flags and settings are read without it."""
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from api.app import create_app

    return create_app
