"""Muon: steps along the orthogonalised momentum of each matrix (Jordan et al. 2024).

Networks this small learn several times faster with it than with AdamW: a step moves all directions
of a kernel alike, not only the few that dominate the gradient.
"""

from __future__ import annotations

from collections import defaultdict
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
        matrix: (...,R,C).
        iterations: of the Newton-Schulz kind, computed in bfloat16.
    """
    x = matrix.bfloat16()
    wide = x.shape[-2] <= x.shape[-1]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: Tensor = (x if wide else x.mT).to(matrix.dtype)
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
            own = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not own:
                continue
            torch._foreach_mul_(own, 1.0 - group["lr"] * group["weight_decay"])
            alike: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            vectors: dict[int, list[Tensor]] = defaultdict(list)
            for parameter in own:
                rows = len(parameter) if parameter.ndim >= 2 else 1
                if min(rows, parameter.numel() // rows) >= _SMALLEST:
                    alike[rows, parameter.numel() // rows].append(parameter)
                else:
                    vectors[self._counted(parameter)].append(parameter)
            for matrices in alike.values():
                self._step_matrices(matrices, group)
            for count, some in vectors.items():
                self._step_vectors(some, count, group)

    def _step_matrices(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Matrices of one shape, all at once: on a graphics card calls cost more than numbers."""
        aheads = []
        for parameter in parameters:
            state, gradient = self.state[parameter], parameter.grad
            assert gradient is not None
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
            ahead = gradient.lerp(state["momentum"], group["momentum"])  # Nesterov's look ahead
            aheads.append(ahead.reshape(len(ahead), -1))
        updates = orthogonalized(torch.stack(aheads))
        rate = -0.2 * group["lr"] * max(aheads[0].shape) ** 0.5
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.add_(update.reshape(parameter.shape), alpha=rate)

    def _counted(self, vector: Tensor) -> int:
        """Which step of a vector this is, its state made ready."""
        state = self.state[vector]
        if "step" not in state:
            state["step"] = torch.zeros(())
            state["mean"] = torch.zeros_like(vector)
            state["square"] = torch.zeros_like(vector)
        state["step"] += 1
        return int(state["step"])

    def _step_vectors(self, parameters: list[Tensor], count: int, group: dict[str, Any]) -> None:
        low, high = group["betas"]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = [self.state[parameter]["mean"] for parameter in parameters]
        squares = [self.state[parameter]["square"] for parameter in parameters]
        torch._foreach_lerp_(means, gradients, 1.0 - low)
        torch._foreach_mul_(squares, high)
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - high)
        sizes = torch._foreach_sqrt(torch._foreach_div(squares, 1.0 - high**count))
        torch._foreach_add_(sizes, group["eps"])
        torch._foreach_addcdiv_(parameters, means, sizes, -group["lr"] / (1.0 - low**count))


__all__ = ["Muon", "orthogonalized"]
