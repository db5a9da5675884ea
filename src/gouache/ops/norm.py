"""Group normalisation followed by SiLU, as the VQGAN has it before every convolution.

With frozen weights the pair keeps its input only, in large pictures; what lies between the two is
computed again in the backward pass, for one pass over memory. Going backward in bf16, the kernels
of torch (2.13) for CPUs take several times as long as in float32: there the gradient is put
together from plain passes where the picture is large, and computed in float32 where it is small.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Numbers per picture from which memory matters and plain passes win; the batch must not decide, or
# a picture would depend on its company.
MIN_NUMBERS = 1 << 20
_DEVICES = frozenset({"cpu", "cuda"})  # where torch has these kernels


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """`F.silu(norm(x))` for (B,C,H,W), in the precision of x.

    The gradient goes to x only where weights are frozen, which is never the case in training.
    """
    frozen = not norm.weight.requires_grad and x.device.type in _DEVICES
    if not (frozen and x.requires_grad and torch.is_grad_enabled()):
        return F.silu(norm(x))
    out = _NormSilu.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)  # type: ignore[no-untyped-call]
    return cast(Tensor, out)


class _NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        normed, mean, rstd = _normalised(x, weight, bias, groups, eps)
        ctx.large, ctx.eps = x[0].numel() >= MIN_NUMBERS, eps
        ctx.save_for_backward(x, weight, bias, mean, rstd, None if ctx.large else normed)
        return F.silu(normed, inplace=ctx.large).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, weight, bias, mean, rstd, normed = ctx.saved_tensors
        if normed is None:
            normed = _normalised(x, weight, bias, mean.shape[1], ctx.eps)[0]
        pull = gradient.to(normed.dtype)
        if ctx.large and pull.dtype == torch.bfloat16:  # never elsewhere than on a CPU
            inner = torch.ops.aten.silu_backward(pull, normed)
            out = _by_passes(inner, normed, x, weight, bias, mean, rstd)
        else:
            place = normed if ctx.large else torch.empty_like(normed)
            inner = torch.ops.aten.silu_backward.grad_input(pull, normed, grad_input=place)
            out = _by_kernel(inner, x, weight, mean, rstd)
        return out, None, None, None, None


def _normalised(
    x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised x; mean and 1/deviation of each group, (B,groups) float32."""
    if x.device.type != "cpu":  # whose kernel adds up in float32 whatever x is, in any layout
        x = x.float().contiguous()
    batch, channels, height, width = x.shape
    found = torch.native_group_norm(x, weight, bias, batch, channels, height * width, groups, eps)
    return found


def _by_kernel(inner: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
    """The gradient at x for `inner`, the one at the normalised x."""
    batch, channels, height, width = x.shape
    inner, values = inner.float(), x.float()
    if x.device.type != "cpu":
        inner, values = inner.contiguous(), values.contiguous()
    out, _, _ = torch.ops.aten.native_group_norm_backward(
        *(inner, values, mean, rstd, weight.float()),
        *(batch, channels, height * width, mean.shape[1], [True, False, False]),
    )
    return cast(Tensor, out.to(x.dtype))


def _by_passes(
    inner: Tensor,
    normed: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    rstd: Tensor,
) -> Tensor:
    """The same; what has the picture's size keeps x's precision, the rest is float32.

    With n = (x - mean) rstd and g the gradient at w n + b, that at x is
    rstd * (w g - mean(w g) - n mean(w g n)), means over the cells and channels of a group.
    """
    groups, cells = mean.shape[1], _cells(inner)
    mean, rstd = (_spread(one.unsqueeze(1), weight) for one in (mean, rstd))  # (B,1,C)
    first = _mean(cells)
    second = _mean(cells * _cells(normed)) - bias * first  # w g n is g (w n + b) - g b
    pull, twist = (_per_group(one, groups, weight) for one in (first * weight, second))
    flat = rstd * (mean * rstd * twist - pull)
    out = torch.addcmul(flat.to(x.dtype), _cells(x), (-rstd.square() * twist).to(x.dtype))
    out.addcmul_(cells, (rstd * weight).to(x.dtype))
    return out.view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)


def _cells(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,H*W,C); a view where the memory is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, x.shape[1])


def _mean(cells: Tensor) -> Tensor:
    """Mean over the cells, (B,1,C) float32; torch adds up in float32 inside."""
    return cells.sum(1, keepdim=True).float() / cells.shape[1]


def _per_group(values: Tensor, groups: int, weight: Tensor) -> Tensor:
    """(B,1,C), averaged within groups of channels and spread out again."""
    return _spread(values.view(len(values), 1, groups, -1).mean(3), weight)


def _spread(values: Tensor, weight: Tensor) -> Tensor:
    """(B,1,groups) -> (B,1,C)."""
    return values.repeat_interleave(weight.numel() // values.shape[2], 2)


__all__ = ["norm_silu"]
