"""`recsys serve`: the API and the page under gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import quote

import click

from api.config import Config, flag

ENVIRONMENT = {
    # the workers share the cores among them
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    # a lone request is answered a third sooner where the model lies in huge pages of memory, and
    # where memory for scores is kept rather than asked of the system for each request
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
    ":glibc.malloc.trim_threshold=134217728",
}
"""What the libraries are told as they load, unless the environment has it already."""


def _config_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for each setting of `Config`, with its help and default."""
    hints = get_type_hints(Config, include_extras=True)
    for field in reversed(fields(Config)):
        kind, *marks = get_args(hints[field.name])
        text = marks[-1].description
        if field.default not in (None, ()):
            text += f"  [default: {str(field.default).lower()}]"
        name = flag(field.name)
        declared = f"{name}/--no-{name[2:]}" if kind is bool else name
        command = click.option(declared, field.name, default=None, help=text, **_form(kind))(
            command
        )
    return command


def _form(kind: Any) -> dict[str, Any]:
    """Return how click is to read a setting of this type; bounds are the config's business."""
    if get_origin(kind) is Literal:
        return {"type": click.Choice(get_args(kind))}
    if kind is bool:
        return {}
    if int in (kind, *get_args(kind)):
        return {"type": click.INT}
    return {"metavar": "FOLDER" if kind is Path else "TEXT"}


@click.command()
@click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML file of these settings, as read_keys = true.  [default: RECSYS_CONFIG's]",
)
@_config_flags
def serve(file: Path | None, **flags: Any) -> None:
    """Serve the API and the page.

    Each setting may stand in a file (read_keys = true), in the environment (RECSYS_READ_KEYS=1),
    or be a flag (--read-keys); the environment goes over the file, and flags over both.
    """
    config = Config.load(file, {name: value for name, value in flags.items() if value is not None})
    _start_anew_with(ENVIRONMENT)
    from recsys.artifacts import load_current

    artifact = load_current(config.models)  # refuses now what every worker would refuse
    from api.hosting import share_metrics

    share_metrics()
    from api.server import Server, listen

    user, item = quote(artifact.users[0], safe=""), quote(artifact.items[0], safe="")
    listener = listen(config.host, config.port)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def greet() -> None:
        click.echo(f"Serving {artifact.manifest.model} on {address}/ (Ctrl-C stops). Try:")
        click.echo(f"  curl '{address}/recommend?user={user}&k=10'")
        click.echo(f"  curl '{address}/similar?item={item}'")

    Server(config, listener, when_ready=greet).run()


def _start_anew_with(environment: dict[str, str]) -> None:
    """Run this command from its start in an environment that the libraries read as they load.

    What the environment has already, stays. That loses no time: nothing large is loaded by now.
    """
    missing = {name: value for name, value in environment.items() if name not in os.environ}
    if not missing:
        return
    os.environ.update(missing)
    if os.name == "posix":  # elsewhere it would be another process
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
