"""Generators by name or from a file. Listing the names imports no network code and no torch.

Not here: perceptors, latents and loops: components see one another by `protocols` only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gouache.errors import ModelError
from gouache.registry import Registry, nearest
from gouache.weights.cache import converters

if TYPE_CHECKING:
    import torch

    from gouache.protocols import Generator
    from gouache.weights.catalogue import Entry

    Builder = Callable[[torch.device | str, torch.dtype], Generator]

CHECKPOINT_SUFFIXES = (".safetensors", ".safetensors.gz", ".ckpt", ".pt", ".pth", ".bin")

generators: Registry[Builder] = Registry("generator", "gouache.generators", ModelError)
generators.add("pocket", "gouache.generators.loading:load_pocket")
converters.add("vqgan", "gouache.generators.loading:convert")


def load_generator(
    name: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Generator:
    """A frozen generator, ready to paint.

    `name` is a registered name, a name in the catalogue or of a model that was added to the cache
    (fetched first, if need be), or the path of a checkpoint: ours (`weights.saving.save_model`),
    a `.ckpt` of taming-transformers or latent-diffusion with its `.yaml` beside it, or a folder of
    diffusers; which of these, and which kind of quantiser, is read from the contents. `dtype` is
    the precision of the networks, float32 when None; codes stay float32. An unknown name and an
    unusable file raise `ModelError`.
    """
    import torch

    dtype = torch.float32 if dtype is None else dtype
    if str(name) in generators.names():
        return generators.get(str(name))(device, dtype)
    if isinstance(name, str) and not _looks_like_path(name):
        from gouache.weights import catalogue

        entry = catalogue.find(name)
        if entry is not None:
            return _load_cached(entry, device, dtype)
        if not Path(name).exists():
            known = sorted({*generators.names(), *catalogue.names("generator")})
            raise ModelError(f"no generator is called {name!r:.80}; {nearest(name, known)}")
    from gouache.generators.loading import load_checkpoint

    return load_checkpoint(name, device, dtype)


def _load_cached(entry: Entry, device: torch.device | str, dtype: torch.dtype) -> Generator:
    from gouache.generators.loading import load_checkpoint
    from gouache.weights.cache import check_sum, obtain

    if entry.kind != "generator":
        raise ModelError(f"{entry.name} is a {entry.kind}; give it as such, or choose a generator")
    model = load_checkpoint(obtain(entry), device, dtype, name=entry.name)
    check_sum(entry.name, model.fingerprint)
    return model


def _looks_like_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.lower().endswith(CHECKPOINT_SUFFIXES)


__all__ = ["generators", "load_generator"]
