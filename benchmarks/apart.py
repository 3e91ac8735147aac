"""Measuring in a process of its own: what one holds and frees is not in another's memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from recsys.errors import RecsysError


class FailedError(RecsysError):
    """A process ended with an error."""


def measured_apart(script: str, *arguments: str) -> Any:
    """Run a script of Python and return the JSON that it prints."""
    return json.loads(output_of([sys.executable, script, *arguments]))


def output_of(command: list[str], **options: Any) -> str:
    """Run a command; where it fails, raise FailedError with the last line that it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise FailedError(lines[-1])
    return done.stdout


def forget_peak() -> None:
    """Start measuring the peak of this process's memory anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def held_bytes() -> int:
    """Return how much memory this process holds."""
    return _memory("VmRSS")


def peak_bytes() -> int:
    """Return the most it has held; getrusage would count the process that started it, too."""
    return _memory("VmHWM")


def _memory(key: str) -> int:
    """Return Linux's figure for this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"{key}:")]
    return int(line.split()[1]) * 1024
