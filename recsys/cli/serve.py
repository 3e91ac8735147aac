"""`recsys serve`: the API and the page under gunicorn."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from recsys.cli.model_options import store_options

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@store_options
@click.option("--read-keys", is_flag=True, help="Ask for an API key from those who read, too.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes that answer; default: one a core."
)
def serve(
    *, host: str, port: int, models: Path, url: str | None, read_keys: bool, workers: int | None
) -> None:
    """Serve the API and the page."""
    for name in _ONE_THREAD:  # before numpy is loaded: the workers share the cores among them
        os.environ.setdefault(name, "1")
    from api.config import Config
    from api.server import Server, listen
    from recsys.artifacts import load_current

    artifact = load_current(models)  # refuses now what every worker would refuse
    user, item = quote(artifact.users[0], safe=""), quote(artifact.items[0], safe="")
    listener = listen(host, port)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def greet() -> None:
        click.echo(f"Serving {artifact.manifest.model} on {address}/ (Ctrl-C stops). Try:")
        click.echo(f"  curl '{address}/recommend?user={user}&k=10'")
        click.echo(f"  curl '{address}/similar?item={item}'")

    config = Config(models, url, read_keys)
    Server(config, listener, workers=workers, when_ready=greet).run()
