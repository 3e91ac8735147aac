"""Training by several processes at once, each holding a share of the users (torchrun)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who trains alone may train what needs no torch
    from torch import Tensor


@dataclass(frozen=True)
class World:
    """The processes that train one network together.

    Each holds every `size`-th history and the whole network. A batch is drawn from all histories;
    a process works on those of it that it holds, and gradients are added up. So a step is the same
    for any number of processes, but for what each draws as noise.

    Attributes
    ----------
    rank
        This process, from 0.
    size
        How many there are.
    """

    rank: int = 0
    size: int = 1

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Put the sum over all processes in place of each tensor, dense or sparse."""
        if self.size == 1:
            return
        from torch import distributed

        for tensor in tensors:
            distributed.all_reduce(tensor)

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """Return every process's tensor, all of one shape, in the order of their ranks."""
        if self.size == 1:
            return [tensor]
        import torch
        from torch import distributed

        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(parts, tensor)
        return parts


def world() -> World:
    """Return the processes that have joined; only this one outside of `joined`."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return World(distributed.get_rank(), distributed.get_world_size())
    return World()


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun started with this one, for the block.

    Without torchrun there are no others. With CUDA, process i takes the machine's i-th device.

    Parameters
    ----------
    device
        As `choose_device` takes it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    import torch
    from torch import distributed

    on_cuda = device != "cpu" and torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield world()
    finally:
        distributed.destroy_process_group()
