"""What gunicorn is told: options from a `Config`, and hooks for what its processes share."""

from __future__ import annotations

import atexit
import os
import shutil
from importlib import import_module
from logging.config import dictConfig
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from api.config import Config
from api.logs import logging_config

_SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def options(config: Config) -> dict[str, Any]:
    """Return gunicorn's options."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "worker_class": "api.worker.Worker",
        "workers": config.workers or cores or 1,
        # Scoring releases the interpreter lock; more threads than cores keep slow clients from
        # blocking.
        "threads": config.threads,
        # Each worker opens the model by itself: files are memory-mapped, so they are shared all
        # the same, and no library's threads have to survive a fork.
        "preload_app": False,
        "timeout": 60,
        "graceful_timeout": config.graceful_timeout,
        "keepalive": 15,
        "loglevel": config.log_level,
        "logger_class": _logger(config),
        # Bytes; the longest request line that gunicorn can be told to take.
        "limit_request_line": 8190,
        "control_socket_disable": True,
        "on_starting": on_starting,
        "child_exit": child_exit,
    }


def _logger(config: Config) -> type[Logger]:
    """Return gunicorn's logger with our lines, and without its own access log.

    Told of our lines by `logconfig_dict`, it would make up a line of that log for every request.
    """

    class OurLines(Logger):  # type: ignore[misc]
        def setup(self, cfg: Any) -> None:
            super().setup(cfg)
            dictConfig(logging_config(config))

    return OurLines


def share_metrics() -> None:
    """Make an empty folder in which the worker processes count together.

    It must happen before prometheus-client is imported, which looks once. A folder that the
    environment names holds the new one: counts of an earlier run would be added to this one's.
    """
    inside = os.environ.get(_SHARED_METRICS)
    if inside is not None:
        Path(inside).mkdir(parents=True, exist_ok=True)
    folder = mkdtemp(prefix="recsys-metrics-", dir=inside)
    os.environ[_SHARED_METRICS] = folder
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # workers are forked with it, but leave it to the process before them
        shutil.rmtree(folder, ignore_errors=True)


def on_starting(_server: Any) -> None:
    """Map the memory in which the workers count requests: before they are forked off."""
    import_module("api.limiting")


def child_exit(_server: Any, worker: Any) -> None:
    """Take a dead worker out of what counts the living."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
