"""Building a network whose weights come from a file, without making any up first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
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


__all__ = ["blank", "shape_of"]
