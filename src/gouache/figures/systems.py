"""Systems that the paper compares itself with: anything that paints a picture of a prompt.

Other packages join through the entry-point group "gouache.systems" with a builder
`(device) -> System`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from gouache.errors import ModelError
from gouache.registry import Registry
from gouache.weights.catalogue import added

if TYPE_CHECKING:
    from types import ModuleType

    from PIL.Image import Image


@runtime_checkable
class System(Protocol):
    """Paints pictures from words."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its pictures besides prompt and seed: values that JSON can hold."""
        ...

    def paint(self, prompt: str, seed: int) -> Image:
        """One picture, RGB; the same for the same prompt and seed on one machine."""
        ...


Builder: TypeAlias = Callable[[str], System]

systems: Registry[Builder] = Registry("system", "gouache.systems", ModelError)
systems.add("mindalle", "gouache.figures.dalle:mindalle")
systems.add("min-dalle", "gouache.figures.dalle:MinDallePort")
systems.add("pocket-ar", "gouache.systems.pocket_ar:load_pocket_ar")  # shipped
systems.add("pocket-diffusion-clip", "gouache.systems.pocket_diffusion:clip_guided")
systems.add("pocket-diffusion-free", "gouache.systems.pocket_diffusion:classifier_free")
systems.add("glide-clip", "gouache.figures.glide:clip_guided")
systems.add("glide-free", "gouache.figures.glide:classifier_free")

_GLIDE = (
    "put base.pt, upsample.pt, clip_image_enc.pt and clip_text_enc.pt (3 GB) from "
    "https://openaipublic.blob.core.windows.net/diffusion/dec-2021/ and vocab.bpe from "
    "https://openaipublic.blob.core.windows.net/gpt-2/models/124M/ into a folder, then: "
    "gouache models add FOLDER --name glide"
)
# name -> family, how to get the weights; of systems whose networks are ours
WEIGHTS = {
    "mindalle": (
        "mindalle",
        "unpack https://arena.kakaocdn.net/brainrepo/models/minDALL-E/"
        "57b008f02ceaa02b779c8b7463143315/1.3B.tar.gz (5 GB), then: gouache models add 1.3B "
        "--name mindalle",
    ),
    "glide-clip": ("glide", _GLIDE),
    "glide-free": ("glide", _GLIDE),
}

# name -> module it needs, what installs it
NEEDS = {
    "min-dalle": ("min_dalle", "pip install min-dalle"),
}


def available() -> list[str]:
    """Names of the built-in systems whose weights or packages are here; nothing is imported."""
    packaged = [name for name, (module, _) in NEEDS.items() if importlib.util.find_spec(module)]
    return [name for name, (family, _) in WEIGHTS.items() if _added(family)] + packaged


def _added(family: str) -> Path | None:
    """Where the weights of a system of ours lie; None where none were added."""
    found = (one.path for one in added() if (one.kind, one.family) == ("system", family))
    return next(found, None)


def weights(name: str) -> Path:
    """The folder of a system whose network is ours; `ModelError` says how to get it."""
    family, how = WEIGHTS[name]
    if (found := _added(family)) is None:
        raise ModelError(f"{name} needs its weights: {how}")
    return found


def check(name: str) -> None:
    """Raises `ModelError` for an unknown system, or one whose package or weights are not here."""
    if name in WEIGHTS:
        weights(name)
    elif name not in NEEDS:
        systems.get(name)
    elif not importlib.util.find_spec(NEEDS[name][0]):
        raise _missing(name)


def need(name: str, module: str = "") -> ModuleType:
    """The package of a system, or `module` of it; `ModelError` where it cannot be imported."""
    import torch

    package, _ = NEEDS[name]
    try:
        # Some of these packages switch gradients off for the whole process as they are imported.
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            return importlib.import_module(module or package)
    except ImportError as error:
        reason = f" ({error})" if importlib.util.find_spec(package) else ""
        raise _missing(name, reason) from None


def _missing(name: str, reason: str = "") -> ModelError:
    package, install = NEEDS[name]
    return ModelError(
        f"{name} needs the package {package}, which cannot be imported{reason}; {install}"
    )


__all__ = [
    "NEEDS",
    "WEIGHTS",
    "Builder",
    "System",
    "available",
    "check",
    "need",
    "systems",
    "weights",
]
