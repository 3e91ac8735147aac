"""`recsys serve` as a person runs it."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest


def recsys(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recsys", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_no_model(tmp_path: Path) -> None:
    ended = recsys("--port", "0", "--models", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {tmp_path}: no model is published there")
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = recsys("--port", port, "--models", str(models))
    assert ended.returncode == 1
    expected = f"error: cannot listen on 127.0.0.1:{port}: the port is taken"
    assert ended.stderr.startswith(expected)
    assert ended.stderr.count("\n") == 1


def test_a_host_that_is_not_here(models: Path) -> None:
    ended = recsys("--host", "192.0.2.1", "--port", "0", "--models", str(models))
    assert ended.returncode == 1
    assert "cannot listen on 192.0.2.1" in ended.stderr


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--port", "x"), ("--workers", "0")])
def test_wrong_flags(arguments: tuple[str, str]) -> None:
    ended = recsys(*arguments)
    assert ended.returncode == 2
    assert arguments[0] in ended.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_also_with_a_connection_open(
    serving: Callable[[Path], Any], models: Path, how: int
) -> None:
    with serving(models) as running, urlopen(f"{running.url}/healthz") as answer:
        assert answer.status == 200
        start = time.monotonic()
        assert running.stop(how) == 0
        assert time.monotonic() - start < 12


def test_the_lines_to_try_work_and_a_worker_is_lean(
    serving: Callable[[Path], Any], models: Path
) -> None:
    with serving(models) as running:
        for _ in range(2):
            command, url = shlex.split(running.process.stdout.readline())
            assert command == "curl"
            with urlopen(url) as answer:
                assert b'"items"' in answer.read()
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        if not children.exists():
            pytest.skip("this system does not list a process's children")
        (worker,) = children.read_text().split()
        assert "torch" not in Path(f"/proc/{worker}/maps").read_text()
        threads = list(Path(f"/proc/{worker}/task").iterdir())
        assert len(threads) <= 5  # the main one, four that answer, none of a BLAS
