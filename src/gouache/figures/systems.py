"""Systems that the paper compares itself with: anything that paints a picture of a prompt.

Other packages join through the entry-point group "gouache.systems" with a builder
`(device) -> System`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from gouache.errors import ModelError
from gouache.registry import Registry

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
systems.add("mindalle", "gouache.figures.dalle:KakaoMinDalle")
systems.add("min-dalle", "gouache.figures.dalle:MinDallePort")
systems.add("glide-clip", "gouache.figures.glide:clip_guided")
systems.add("glide-free", "gouache.figures.glide:classifier_free")

# name -> module it needs, what installs it
NEEDS = {
    "mindalle": ("dalle", "pip install git+https://github.com/kakaobrain/minDALL-E"),
    "min-dalle": ("min_dalle", "pip install min-dalle"),
    "glide-clip": ("glide_text2im", "pip install git+https://github.com/openai/glide-text2im"),
    "glide-free": ("glide_text2im", "pip install git+https://github.com/openai/glide-text2im"),
}


def available() -> list[str]:
    """Names of the built-in systems whose packages are installed; nothing is imported."""
    return [name for name, (module, _) in NEEDS.items() if importlib.util.find_spec(module)]


def check(name: str) -> None:
    """Raises `ModelError` for an unknown system, or one whose package is not installed."""
    if name not in NEEDS:
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


__all__ = ["NEEDS", "Builder", "System", "available", "check", "need", "systems"]
