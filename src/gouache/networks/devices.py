"""Where the networks run and in which arithmetic."""

from __future__ import annotations

import contextlib
import os

import torch

from gouache.errors import ConfigError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda", "cuda:N" or "mps" -> device; `ConfigError` when there is none such.

    "auto" takes a CUDA device, then Apple's, then the CPU.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (
        colon and not (kind == "cuda" and number.isascii() and number.isdigit())
    ):
        raise ConfigError(f"device is {name!r:.60}; write auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device is {name!r:.60}; this machine has {torch.cuda.device_count()} CUDA devices; "
            "use cpu or auto"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device is 'mps'; this machine or torch build has none; use cpu or auto")
    return torch.device(name)


def cards(device: torch.device) -> list[str]:
    """Values of `CUDA_VISIBLE_DEVICES` for one process each; none where no card is to paint, or one
    that has a number."""
    if device.type != "cuda" or device.index is not None:
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    number = torch.cuda.device_count()
    return visible.split(",")[:number] if visible else [str(k) for k in range(number)]


def processors() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The half precision in which the frozen networks run, or None for float32.

    "auto" is bf16 where the processor multiplies it natively: elsewhere it is emulated and slower
    than float32. fp16 needs a graphics card, `ConfigError` otherwise.
    """
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError("precision is fp16, which is for graphics cards; use bf16, fp32 or auto")
    if precision == "auto":
        return torch.bfloat16 if _has_native_bf16(device) else None
    return _DTYPES.get(precision)


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Private names: where a later torch drops them, float32 is the safe answer.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def in_precision(
    device: torch.device, dtype: torch.dtype | None
) -> contextlib.AbstractContextManager[object]:
    """Half precision for what runs on `device`; nothing is changed where `dtype` is None."""
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype)


__all__ = ["autocast_dtype", "cards", "in_precision", "processors", "resolve_device"]
