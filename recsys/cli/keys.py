"""`recsys keys`: who may use the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from recsys.cli.model_options import opened_store, store_options

if TYPE_CHECKING:
    from recsys.store.keys import Key


@click.group()
def keys() -> None:
    """Make, list and remove API keys."""


@keys.command("add")
@store_options
@click.option(
    "--scope",
    type=click.Choice(["read", "write"]),
    required=True,
    help="What the key allows; write includes read.",
)
@click.option("--name", default="", help="Whose it is, to tell keys apart.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add_command(
    models: Path, url: str | None, scope: Literal["read", "write"], name: str, as_json: bool
) -> None:
    """Make a key and print it. It is shown this once: the store keeps a hash alone."""
    token, key = opened_store(models, url).add_key(scope, name)
    if as_json:
        click.echo(json.dumps({"key": token, **_shown(key)}, indent=2, ensure_ascii=False))
        return
    click.echo(token)
    click.echo("Keep it: it is not shown again. Send it as Authorization: Bearer KEY.", err=True)


@keys.command("list")
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(models: Path, url: str | None, as_json: bool) -> None:
    """List the keys: id, scope, since when, name."""
    found = opened_store(models, url, create=False).keys()
    if as_json:
        shown = {"keys": [_shown(key) for key in found]}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for key in found:
        shown = _shown(key)
        click.echo(f"{key.id}  {key.scope:<5}  {shown['created'][:16]}  {key.name}")


@keys.command("remove")
@click.argument("identifier", metavar="ID")
@store_options
def remove_command(identifier: str, models: Path, url: str | None) -> None:
    """Remove the key of this ID (see list); from the next request on it is refused."""
    key = opened_store(models, url, create=False).remove_key(identifier)
    click.echo(f"removed {key.scope} key {key.id} {key.name}".rstrip())


def _shown(key: Key) -> dict[str, Any]:
    from recsys.interactions.times import to_iso

    created = to_iso(key.created)
    return {"id": key.id, "scope": key.scope, "name": key.name, "created": created}
