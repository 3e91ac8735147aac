"""Starting gunicorn from Python, with a socket that is known to be free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from api.app import create_app
from api.config import Config
from api.hosting import options
from recsys.errors import RecsysError


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn serving the app of one config on a socket that is open already.

    Parameters
    ----------
    config
        What `create_app` takes, in each worker, and what gunicorn is told.
    listener
        The socket to answer on.
    when_ready
        Called once the server is listening.
    """

    def __init__(
        self, config: Config, listener: socket.socket, *, when_ready: Callable[[], None]
    ) -> None:
        self._config = config
        self._settings: dict[str, Any] = {
            **options(config),
            "bind": f"fd://{listener.fileno()}",
            "when_ready": lambda _: when_ready(),
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand the settings to gunicorn."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app; gunicorn calls this in each worker."""
        return create_app(self._config)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    RecsysError
        The port is taken or not allowed, or the host is no address of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise RecsysError(f"cannot listen on {host}:{port}: {_said(error)}") from error


def _said(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken; stop what uses it or choose another with --port"
    if error.errno == errno.EACCES:
        return "that port needs more rights; choose one above 1023 with --port"
    return f"{error.strerror}; check --host"
