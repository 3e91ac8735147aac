"""The flags that say which models, and with what settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def settings_option(default: str | None) -> Callable[[Command], Command]:
    """Return a decorator that adds `--settings`."""
    return click.option(
        "--settings",
        default=default,
        show_default=default is not None,
        metavar="default|tuned|FILE",
        help="Start from the models' defaults, from those tuned for this data set, or from a file "
        "that tune wrote.",
    )


def overrides_option(text: str) -> Callable[[Command], Command]:
    """Return a decorator that adds `--set`, with this help."""
    return click.option("--set", "overrides", multiple=True, metavar="MODEL.FIELD=VALUE", help=text)


def names(text: str) -> list[str]:
    """Return what a list `a,b,c` names."""
    return [name.strip() for name in text.split(",") if name.strip()]
