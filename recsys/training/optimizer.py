"""Adam, which of large matrices moves only the rows that a batch has touched."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_CHUNK = 2**18
"""Numbers updated at once: what is made on the way stays near the processor."""


class Adam(torch.optim.Adam):
    """Adam (Kingma & Ba 2015); where a gradient is sparse, the lazy kind.

    Rows that a sparse gradient does not name stay where they are, with their moments, as in
    torch's SparseAdam: a step then costs what the batch touches, not what the catalogue has. The
    weight decay of a row waits for it likewise.

    Parameters
    ----------
    parameters
        What to learn.
    learning_rate, weight_decay
        Step size, and the L2 penalty.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, learning_rate, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step, and let go of the sparse gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    self._step_rows(parameter, group)
                    parameter.grad = None
        return super().step(closure)

    def _step_rows(self, parameter: Tensor, group: dict[str, Any]) -> None:
        """Update the rows of a matrix that its gradient names."""
        gradient = parameter.grad.coalesce()  # type: ignore[union-attr]
        state = self.state[parameter]
        if not state:  # as torch's own Adam keeps it
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        step = state["step"].item()
        size = max(1, _CHUNK // parameter.shape[1])
        indices = gradient.indices().squeeze(0).split(size)
        for rows, values in zip(indices, gradient.values().split(size), strict=True):
            _move(parameter, state, rows, values, group, step=step)


def _move(
    matrix: Tensor,
    state: dict[str, Tensor],
    rows: Tensor,
    gradient: Tensor,
    group: dict[str, Any],
    *,
    step: float,
) -> None:
    """Give some rows of a matrix, (r,), the step that their gradient, (r, width), asks for."""
    first, second = group["betas"]
    moved = matrix.index_select(0, rows)
    if group["weight_decay"]:
        gradient = gradient.add(moved, alpha=group["weight_decay"])
    mean = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - first)
    square = state["exp_avg_sq"].index_select(0, rows).mul_(second)
    square.addcmul_(gradient, gradient, value=1 - second)
    state["exp_avg"].index_copy_(0, rows, mean)
    state["exp_avg_sq"].index_copy_(0, rows, square)
    scale = square.sqrt_().div_(math.sqrt(1 - second**step)).add_(group["eps"])
    moved.addcdiv_(mean, scale, value=-group["lr"] / (1 - first**step))
    matrix.index_copy_(0, rows, moved)
