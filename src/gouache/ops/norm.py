"""Group normalisation followed by SiLU, as the VQGAN has it before every convolution.

In bf16 on a CPU the kernels of torch (2.13) for the normalisation take several times as long as the
arithmetic of the convolutions around them would suggest, mostly going backward. There the same
function is put together from plain passes over memory; everywhere else torch's own is used.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Numbers per picture from which the plain passes win; the batch must not decide, or a picture would
# depend on its company.
MIN_NUMBERS = 1 << 17


def norm_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """`F.silu(norm(x))` for (B,C,H,W), in the precision of x.

    The gradient goes to x only where the fast way is taken, which is never the case in training.
    """
    frozen = not norm.weight.requires_grad
    slow = x.dtype == torch.bfloat16 and x.device.type == "cpu" and x[0].numel() > MIN_NUMBERS
    if not (slow and frozen):
        return F.silu(norm(x))
    out = _NormSilu.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)  # type: ignore[no-untyped-call]
    return cast(Tensor, out)


class _NormSilu(torch.autograd.Function):
    """Statistics and coefficients are float32, what has the picture's size is x's precision."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        cells = _cells(x)
        centre = _mean(cells).to(x.dtype)  # per channel, so that squares do not cancel
        centred = cells - centre
        offset, square = _mean(centred), _mean(centred * centred)  # of x - centre, (B,1,C)
        middle = centre.float() + offset
        mean = _per_group(middle, groups)
        spread = square - offset.square() + (middle - mean).square()
        rstd = (_per_group(spread, groups) + eps).rsqrt()
        scale = rstd * weight.float()
        shift = (centre.float() - mean) * scale + bias.float()
        normed = torch.addcmul(shift.to(x.dtype), centred, scale.to(x.dtype))
        ctx.save_for_backward(centred, normed, scale, rstd, mean - centre.float())
        ctx.groups = groups
        return _picture(F.silu(normed), x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        centred, normed, scale, rstd, mean = ctx.saved_tensors
        inner = torch.ops.aten.silu_backward(_cells(gradient.to(normed.dtype)), normed)
        # With n = (x - mean) rstd and g the gradient at weight * n + bias, that at x is
        # rstd * (w g - mean(w g) - n mean(w g n)), means over the cells and channels of a group.
        first = _mean(inner)
        second = _mean(inner * centred) - mean * first
        pull = _per_group(first * scale, ctx.groups)
        twist = _per_group(second * scale, ctx.groups) * rstd.square()
        flat = (mean * twist - pull).to(inner.dtype)
        out = torch.addcmul(flat, centred, (-twist).to(inner.dtype))
        out.addcmul_(inner, scale.to(inner.dtype))
        return _picture(out, gradient), None, None, None, None


def _cells(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,H*W,C); a view where the memory is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, x.shape[1])


def _picture(cells: Tensor, like: Tensor) -> Tensor:
    batch, _, height, width = like.shape
    return cells.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _mean(cells: Tensor) -> Tensor:
    """Mean over the cells, (B,1,C) float32; torch adds up in float32 inside."""
    return cells.sum(1, keepdim=True).float() / cells.shape[1]


def _per_group(values: Tensor, groups: int) -> Tensor:
    """(B,1,C), averaged within groups of channels and spread out again."""
    grouped = values.view(len(values), 1, groups, -1)
    return grouped.mean(-1, keepdim=True).expand_as(grouped).reshape(values.shape)


__all__ = ["norm_silu"]
