"""Joint text-image encoders by name.

`load_perceptor("pocket")` gives the shipped one. Third parties register builders
`(device) -> Perceptor` under the entry-point group "gouache.perceptors".

Not here: how a text becomes a target of a run (`engine.words`); other components.
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
perceptors.add("photo", "gouache.perceptors.photo:shipped_photo")
perceptors.add("referee", "gouache.perceptors.loading:shipped_referee")


def load_perceptor(name: str | Path, device: torch.device | str = "cpu") -> Perceptor:
    """A frozen perceptor, in evaluation mode.

    `name` is a registered name; one of the catalogue or of a model that was added (fetched first,
    if need be); the path of a file or folder, whose contents tell what it is; OWNER/REPOSITORY on
    the Hugging Face hub; or "open_clip:MODEL/WEIGHTS". Unknown names, missing and damaged files,
    missing packages and what cannot be fetched raise `ModelError`.
    """
    import torch

    target = torch.device(device)
    if isinstance(name, str) and name in perceptors.names():
        return perceptors.get(name)(target)
    from gouache.perceptors.resolve import load_path, resolve

    if isinstance(name, Path):
        return load_path(name, target)
    return resolve(name, perceptors.names(), target)


__all__ = ["load_perceptor", "perceptors"]
