"""Where torch computes, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import numpy as np
import torch

from recsys.errors import UsageError

Precision = Literal["auto", "float32", "bfloat16"]


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


def generator_of(device: torch.device, *seed: int) -> torch.Generator:
    """Return a generator on a device, whose numbers have nothing to do with those of other seeds.

    Parameters
    ----------
    device
        Where its numbers are wanted.
    seed
        One or more numbers ≥ 0.
    """
    (state,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state))


def matrix_products(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Return a context in which layers multiply in this precision; all else stays float32.

    `auto` is bfloat16 where the device multiplies it natively, about twice as fast as float32.
    """
    wanted = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
