"""Joint text-image encoders by name.

`load_perceptor("pocket")` gives the shipped one. Third parties register builders
`(device) -> Perceptor` under the entry-point group "gouache.perceptors".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gouache.errors import ModelError
from gouache.protocols import Perceptor
from gouache.registry import Registry

if TYPE_CHECKING:
    import torch

Builder: TypeAlias = "Callable[[torch.device], Perceptor]"

perceptors: Registry[Builder] = Registry("perceptor", "gouache.perceptors", ModelError)
perceptors.add("pocket", "gouache.perceptors.loading:shipped_pocket")
perceptors.add("referee", "gouache.perceptors.loading:shipped_referee")


def load_perceptor(name: str, device: torch.device | str = "cpu") -> Perceptor:
    """A frozen perceptor, by registered name or by the path of a file that gouache exported.

    Unknown names, missing and damaged files raise `ModelError`.
    """
    import torch

    target = torch.device(device)
    if name not in perceptors.names() and Path(name).suffix == ".safetensors":
        from gouache.perceptors.loading import load_pocket

        return load_pocket(Path(name), target)
    return perceptors.get(name)(target)


__all__ = ["load_perceptor", "perceptors"]
