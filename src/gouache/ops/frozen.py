"""Convolutions with frozen weights: the gradient at their input needs no more than the weights.

Torch keeps the input of every convolution, for a gradient at the weights that nobody asks for. In
the decoder of a VQGAN these inputs are a third of all that is kept for the backward pass.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """`layer(x)` for (B,C,H,W); where its weights are frozen, x is not kept for going back."""
    weight = layer.weight
    if weight.requires_grad or not (x.requires_grad and torch.is_grad_enabled()):
        return cast(Tensor, layer(x))
    if torch.is_autocast_enabled(x.device.type):
        if weight.dtype != torch.get_autocast_dtype(x.device.type):
            return cast(Tensor, layer(x))  # casts the weights, which is not frozen's business
        x = x.to(weight.dtype)
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        return cast(Tensor, layer(x))
    out = _Conv.apply(x, weight, layer.bias, layer.stride, layer.padding)  # type: ignore[no-untyped-call]
    return cast(Tensor, out)


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.stride, ctx.padding, ctx.size = stride, padding, x.shape[2:]
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        # Rows and columns at the end that no window of a strided convolution reached.
        rest = [
            size + 2 * pad - kernel - (out - 1) * step
            for size, pad, kernel, out, step in zip(
                ctx.size, ctx.padding, weight.shape[2:], gradient.shape[2:], ctx.stride, strict=True
            )
        ]
        out = F.conv_transpose2d(gradient, weight, None, ctx.stride, ctx.padding, rest)
        return out, None, None, None, None


__all__ = ["conv"]
