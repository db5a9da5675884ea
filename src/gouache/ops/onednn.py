"""Convolutions on processors with weights that do not change: put in order once.

Torch hands a convolution to oneDNN, which brings its weights into the order in which the processor
multiplies them, and does so again at every call. Where pictures are small that takes as long as
the convolution. Frozen weights are kept in that order here, for the way there and the way back.
The numbers are those of torch's own operations, up to rounding.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

_KEPT = 4  # orders of one weight that are kept: one for each size and direction
_ONE = (1, 1)


class _Orders:
    """Weights as oneDNN wants them, as long as the weights themselves live and stay as they are."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[weakref.ref[Tensor], dict[Any, Tensor]]] = {}

    def get(
        self,
        weight: Tensor,
        size: Sequence[int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        groups: int,
        back: bool,
    ) -> Tensor:
        """`weight`, or with `back` the weight of the way back, for an input of `size`."""
        kept = self._of(weight)
        state = (weight.data_ptr(), weight._version, weight.dtype)
        key = (state, tuple(size), stride, padding, groups, back)
        if (found := kept.get(key)) is not None:
            return found
        for other in [one for one in kept if one[0] != state]:
            del kept[other]
        while len(kept) >= _KEPT:
            del kept[next(iter(kept))]
        plain = turned(weight, groups) if back else weight.detach()
        kept[key] = torch.ops.mkldnn._reorder_convolution_weight(
            plain, padding, stride, _ONE, groups, list(size)
        )
        return kept[key]

    def _of(self, weight: Tensor) -> dict[Any, Tensor]:
        found = self._found.get(id(weight))
        if found is not None and found[0]() is weight:
            return found[1]
        number = id(weight)

        def forget(gone: weakref.ref[Tensor]) -> None:
            if (there := self._found.get(number)) is not None and there[0] is gone:
                self._found.pop(number, None)

        self._found[number] = (weakref.ref(weight, forget), {})
        return self._found[number][1]


_ORDERS = _Orders()


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    groups: int = 1,
    *,
    relu6: bool = False,
    back: bool = False,
) -> Tensor:
    """The convolution of x (B,C,H,W) by frozen weights, and ReLU6 of it where that is asked for.

    `back` takes the weights `turned`.
    """
    if not _is_ours(x):
        used = turned(weight, groups) if back else weight
        out = F.conv2d(x, used, bias, stride, padding, 1, groups)
        return F.relu6(out, inplace=True) if relu6 else out
    then = ("hardtanh", [0.0, 6.0], "") if relu6 else ("none", [], "")
    order = _ORDERS.get(weight, x.shape, stride, padding, groups, back)
    pointwise = torch.ops.mkldnn._convolution_pointwise
    return cast(Tensor, pointwise(x, order, bias, padding, stride, _ONE, groups, *then))


def turned(weight: Tensor, groups: int) -> Tensor:
    """The weight that leads a gradient back through a convolution of stride 1: (O,I/groups,H,W)
    with input and output of each group exchanged, and turned by half a circle."""
    outer, inner, rows, columns = weight.shape
    split = weight.detach().view(groups, outer // groups, inner, rows, columns).flip(3, 4)
    return split.transpose(1, 2).reshape(groups * inner, outer // groups, rows, columns)


def _is_ours(x: Tensor) -> bool:
    """Whether torch has the operations for such an x; what is compiled has its own."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or x.numel() == 0:
        return False
    return torch.backends.mkldnn.is_available() and _knows(x.dtype)  # type: ignore[no-untyped-call]


@functools.cache
def _knows(dtype: torch.dtype) -> bool:
    names = ("_convolution_pointwise", "_reorder_convolution_weight", "_is_mkldnn_bf16_supported")
    if not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


__all__ = ["convolve", "turned"]
