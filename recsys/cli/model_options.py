"""The flags that say which models, and with what settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from recsys.store.store import Store

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


def models_option(command: Command) -> Command:
    """Add `--models`, the folder of published models."""
    return click.option(
        "--models",
        type=click.Path(path_type=Path),
        default=Path("models"),
        show_default=True,
        help="Folder of published models.",
    )(command)


def store_option(command: Command) -> Command:
    """Add `--store`; the command takes it as `url`."""
    return click.option(
        "--store",
        "url",
        envvar="RECSYS_STORE",
        metavar="URL",
        help="Store of live events, sqlite:///FILE or postgresql://…  "
        "[default: RECSYS_STORE, else store.db in the models folder]",
    )(command)


def store_options(command: Command) -> Command:
    """Add `--models` and `--store`, taken as `models` and `url`."""
    return models_option(store_option(command))


def opened_store(models: Path, url: str | None, *, create: bool = True) -> Store:
    """Return the store that `--store`, or else `--models`, names; it ends with the command."""
    from recsys.store.live import default_url
    from recsys.store.store import open_store

    store = open_store(url or default_url(models), create=create)
    click.get_current_context().call_on_close(store.close)
    return store


def names(text: str) -> list[str]:
    """Return what a list `a,b,c` names."""
    return [name.strip() for name in text.split(",") if name.strip()]
