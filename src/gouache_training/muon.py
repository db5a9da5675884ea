"""Muon: steps along the orthogonalised momentum of each matrix (Jordan et al. 2024).

Networks this small learn several times faster with it than with AdamW: a step moves all directions
of a kernel alike, not only the few that dominate the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Coefficients of the quintic iteration that drives singular values towards 1 (Jordan et al. 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_SMALLEST = 16  # matrices with a shorter side are left to AdamW


def orthogonalized(matrix: Tensor, iterations: int = 5) -> Tensor:
    """The nearest matrix, roughly, whose singular values are all near 1: between 0.7 and 1.2.

    Args:
        matrix: (R,C).
        iterations: of the Newton-Schulz kind, computed in bfloat16.
    """
    x = matrix.bfloat16()
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: Tensor = (x if wide else x.T).to(matrix.dtype)
    return result


class Muon(torch.optim.Optimizer):
    """Muon for matrices and kernels, AdamW for everything else, at one learning rate.

    Muon's update is scaled to the size that AdamW's usually has (Liu et al. 2025,
    arXiv 2502.16982), so learning rates and weight decays of AdamW carry over.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.98),
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "eps": eps,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients as they are; closures are not supported."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                rows = len(parameter) if parameter.ndim >= 2 else 1
                if min(rows, parameter.numel() // rows) >= _SMALLEST:
                    self._step_matrix(parameter, group)
                else:
                    self._step_vector(parameter, group)

    def _step_matrix(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
        ahead = gradient.lerp(state["momentum"], group["momentum"])  # Nesterov's look ahead
        matrix = ahead.reshape(len(ahead), -1)
        update = orthogonalized(matrix).reshape(parameter.shape)
        parameter.add_(update, alpha=-0.2 * group["lr"] * max(matrix.shape) ** 0.5)

    def _step_vector(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "step" not in state:
            state["step"] = torch.zeros(())
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        count, (low, high) = int(state["step"]), group["betas"]
        state["mean"].lerp_(gradient, 1.0 - low)
        state["square"].mul_(high).addcmul_(gradient, gradient, value=1.0 - high)
        size = (state["square"] / (1.0 - high**count)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"] / (1.0 - low**count), size, value=-group["lr"])


__all__ = ["Muon", "orthogonalized"]
