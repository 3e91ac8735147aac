"""`recsys campaign init`: a commented spec to start from."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("campaign.toml"))
def init(path: Path) -> None:
    """Write a commented spec to PATH [campaign.toml], which must not exist yet."""
    from importlib.resources import files

    from recsys.errors import RecsysError, UsageError

    text = (files("recsys.campaigns") / "campaign.toml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already; name another file") from error
    except OSError as error:
        raise RecsysError(f"cannot write {path}: {error.strerror or error}") from error
    click.echo(f"{path}: say there what you want, then run `recsys campaign --spec {path} …`")
