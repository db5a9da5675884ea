"""Generators by name or from a file. Listing the names imports no network code and no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gouache.errors import ModelError
from gouache.registry import Registry

if TYPE_CHECKING:
    import torch

    from gouache.protocols import Generator

    Builder = Callable[[torch.device | str, torch.dtype], Generator]

CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")

generators: Registry[Builder] = Registry("generator", "gouache.generators", ModelError)
generators.add("pocket", "gouache.generators.loading:load_pocket")


def load_generator(
    name: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Generator:
    """A frozen generator, ready to paint: a registered name, or the path of a checkpoint.

    Checkpoints are ours (`weights.saving.save_model`) or those of taming-transformers, a `.ckpt`
    with its `.yaml` beside it; which of the two, and which kind of quantiser, is read from the
    contents. `dtype` is the precision of the networks, float32 when None; codes stay float32. An
    unknown name and an unusable file raise `ModelError`.
    """
    import torch

    dtype = torch.float32 if dtype is None else dtype
    if str(name) not in generators.names() and _is_path(name):
        from gouache.generators.loading import load_checkpoint

        return load_checkpoint(name, device, dtype)
    return generators.get(str(name))(device, dtype)


def _is_path(name: str | Path) -> bool:
    text = str(name)
    return (
        isinstance(name, Path)
        or "/" in text
        or "\\" in text
        or text.lower().endswith(CHECKPOINT_SUFFIXES)
        or Path(text).is_file()
    )


__all__ = ["generators", "load_generator"]
