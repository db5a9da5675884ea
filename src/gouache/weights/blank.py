"""Building a network whose weights come from a file, without making any up first.

`blank` is for networks of our own. Of other packages' networks, which start from chance where their
weights are not to be had, `marked` tells what no file has overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gouache.errors import ModelError


class _NoInitial(TorchFunctionMode):
    """Leaves out all of `torch.nn.init`.

    On the meta device it would have nothing to do, but drawing nothing there still imports torch's
    compiler: more than half a second, and 70 MB.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def blank() -> Iterator[None]:
    """Modules made inside have weights on the meta device: shapes, but no memory and no values."""
    with torch.device("meta"), _NoInitial():
        yield


@contextmanager
def shape_of(path: Path, what: str) -> Iterator[None]:
    """`blank`, for a shape that a file tells of: `ModelError` where that is not `what`."""
    try:
        with blank():
            yield
    except (ArithmeticError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ModelError(f"{path} is not {what} ({reason})") from None


class _Marked(TorchFunctionMode):
    """Whatever would come from chance is NaN instead."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        chance = getattr(func, "__name__", "") in _CHANCE and isinstance(made, Tensor)
        if chance and made.is_floating_point():
            with torch.no_grad():
                made.fill_(torch.nan)
        return made


_CHANCE = frozenset({
    "rand", "randn", "rand_like", "randn_like", "normal", "bernoulli", "uniform_", "normal_",
    "bernoulli_", "exponential_", "log_normal_", "cauchy_", "trunc_normal_", "xavier_uniform_",
    "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "sparse_",
})  # fmt: skip


@contextmanager
def marked() -> Iterator[None]:
    """Modules made inside have NaN where their weights would be random; see `unfilled`."""
    with _Marked():
        yield


def unfilled(module: nn.Module) -> list[str]:
    """Names of the tensors of a module made inside of `marked` that still are not numbers."""
    return [
        name
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point() and bool(tensor.isnan().any())
    ]


__all__ = ["blank", "marked", "shape_of", "unfilled"]
