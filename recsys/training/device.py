"""Where torch computes."""

from __future__ import annotations

import torch

from recsys.errors import UsageError


def choose_device(name: str) -> torch.device:
    """Return the device called `name`: `auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:N`.

    Raises
    ------
    UsageError
        No such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r} is not there ({torch.cuda.device_count()} CUDA devices); use auto"
        )
    return device
