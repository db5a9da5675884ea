"""Convolutions with frozen weights: the gradient at their input needs no more than the weights.

Torch keeps the input of every convolution, for a gradient at the weights that nobody asks for. In
the decoder of a VQGAN these inputs are a third of all that is kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.ops.onednn import convolve

Pads: TypeAlias = tuple[int, int, int, int]  # left, right, top, bottom, in pixels


def conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """`layer(x)` for (B,C,H,W); where its weights are frozen, x is not kept for going back."""
    if not _frozen(layer, x) or layer.groups != 1 or not isinstance(layer.padding, tuple):
        return cast(Tensor, layer(x))
    top, left = layer.padding
    return _applied(layer, x, (left, left, top, top), relu6=False)


def conv_relu6(layer: nn.Conv2d, x: Tensor, pads: Pads = (0, 0, 0, 0)) -> Tensor:
    """ReLU6 of `layer` at x (B,C,H,W), padded by `pads` (left, right, top, bottom) instead of the
    layer's own padding, which must be none; groups are one, or one for each channel.

    The same values and gradients as torch's operations one after the other, up to the rounding of
    gradients; where the weights are frozen, one pass over memory less and a way back that is many
    times quicker where strides and half precision meet.
    """
    if not _frozen(layer, x):
        return F.relu6(cast(Tensor, layer(F.pad(x, pads) if any(pads) else x)), inplace=True)
    return _applied(layer, x, pads, relu6=True)


def _frozen(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether a gradient is asked for at x and none at the weights, which are as they are used."""
    if layer.weight.requires_grad or not (x.requires_grad and torch.is_grad_enabled()):
        return False
    if layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        return False
    if not torch.is_autocast_enabled(x.device.type):
        return True
    # Else it casts the weights, which is not frozen's business.
    return layer.weight.dtype == torch.get_autocast_dtype(x.device.type)


def _applied(layer: nn.Conv2d, x: Tensor, pads: Pads, relu6: bool) -> Tensor:
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(layer.weight.dtype)  # as it would give it to the layer
    out = _Conv.apply(x, layer.weight, layer.bias, layer.stride, pads, layer.groups, relu6)  # type: ignore[no-untyped-call]
    return cast(Tensor, out)


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        pads: Pads,
        groups: int,
        relu6: bool,
    ) -> Tensor:
        ctx.stride, ctx.pads, ctx.groups, ctx.size = stride, pads, groups, x.shape[2:]
        left, right, top, bottom = pads
        if (left, top) == (right, bottom):
            padding = (top, left)
        else:
            x, padding = F.pad(x, pads), (0, 0)
        out = convolve(x, weight, bias, stride, padding, groups, relu6=relu6)
        ctx.save_for_backward(weight, *((out,) if relu6 else ()))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, *clamped = ctx.saved_tensors
        if clamped:
            gradient = torch.ops.aten.hardtanh_backward(gradient, *clamped, 0.0, 6.0)
        left, right, top, bottom = ctx.pads
        height, width = ctx.size
        single = ctx.groups == len(weight) != 1 and gradient.device.type == "cpu"
        if single and ctx.stride != (1, 1) and gradient.dtype != torch.float32:
            found = _spread_back(gradient, weight, ctx.size, ctx.stride, (top, left))
        elif (left, top) == (right, bottom):
            found = _back(gradient, weight, ctx.size, ctx.stride, (top, left), ctx.groups)
        else:
            padded = (height + top + bottom, width + left + right)
            found = _back(gradient, weight, padded, ctx.stride, (0, 0), ctx.groups)
            found = found[:, :, top : top + height, left : left + width]
        return found, None, None, None, None, None, None


def _back(
    gradient: Tensor,
    weight: Tensor,
    size: Sequence[int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
) -> Tensor:
    """The gradient at an input of `size`, from that at the output."""
    rows, columns = weight.shape[2:]
    around = (rows - 1 - padding[0], columns - 1 - padding[1])
    if stride == (1, 1) and min(around) >= 0 and gradient.device.type == "cpu":
        return convolve(gradient, weight, None, stride, around, groups, back=True)
    # Rows and columns at the end that no window of a strided convolution reached.
    rest = [
        side + 2 * pad - kernel - (out - 1) * step
        for side, pad, kernel, out, step in zip(
            size, padding, (rows, columns), gradient.shape[2:], stride, strict=True
        )
    ]
    return F.conv_transpose2d(gradient, weight, None, stride, padding, rest, groups)


def _spread_back(
    gradient: Tensor,
    weight: Tensor,
    size: Sequence[int],
    stride: tuple[int, int],
    before: tuple[int, int],
) -> Tensor:
    """Like `_back` for a convolution of single channels, `before` being the padding above and on
    the left: the gradient's values spread out by the stride, and a convolution of stride 1.

    In bfloat16 torch's own way takes ten times as long on a processor.
    """
    (height, width), (rows, columns) = size, weight.shape[2:]
    top, left = rows - 1 - before[0], columns - 1 - before[1]
    spread = torch.empty(
        (*gradient.shape[:2], height + rows - 1, width + columns - 1),
        dtype=gradient.dtype,
        memory_format=torch.channels_last,
    ).zero_()
    spread[:, :, top :: stride[0], left :: stride[1]][
        :, :, : gradient.shape[2], : gradient.shape[3]
    ] = gradient
    return convolve(spread, weight, None, (1, 1), (0, 0), len(weight), back=True)


__all__ = ["Pads", "conv", "conv_relu6"]
