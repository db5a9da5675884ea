"""Systems by name, for `gouache paint --system`, figures and Python: the one registry.

Other packages join through the entry-point group "gouache.systems" with a builder
`(device) -> System`. A system whose weights the user has, or that are published, goes by the name
of its model, too.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from gouache.errors import ConfigError, ModelError
from gouache.registry import Registry, nearest
from gouache.systems.options import GLIDE, MINDALLE, POCKET_AR, POCKET_DIFFUSION
from gouache.weights import catalogue
from gouache.weights.cache import cached, obtain
from gouache.weights.catalogue import added

if TYPE_CHECKING:
    from types import ModuleType

    from PIL.Image import Image

    from gouache.weights.catalogue import Entry


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


@runtime_checkable
class Inpainting(System, Protocol):
    """Paints a part of a picture anew."""

    def paint_over(self, prompt: str, seed: int, picture: Image, mask: Image) -> Image:
        """`picture` (RGB) at the system's own size, painted anew where `mask` (L) is light."""
        ...


Builder: TypeAlias = Callable[[str], System]

systems: Registry[Builder] = Registry("system", "gouache.systems", ModelError)
systems.add("mindalle", "gouache.systems.mindalle:added")
systems.add("min-dalle", "gouache.systems.min_dalle:MinDallePort")
systems.add("pocket-ar", "gouache.systems.pocket_ar:load_pocket_ar")  # shipped
systems.add("pocket-diffusion-clip", "gouache.systems.pocket_diffusion:clip_guided")
systems.add("pocket-diffusion-free", "gouache.systems.pocket_diffusion:classifier_free")
systems.add("glide-clip", "gouache.systems.glide:clip_guided")
systems.add("glide-free", "gouache.systems.glide:classifier_free")


@runtime_checkable
class Adjustable(System, Protocol):
    """Has options (`gouache.systems.options`)."""

    @property
    def options(self) -> tuple[str, ...]:
        """Their names."""
        ...

    def adjusted(self, options: Mapping[str, Any]) -> System:
        """The same system painting otherwise, by those of them that are given."""
        ...


@dataclass(frozen=True)
class Family:
    """How published models of one kind are loaded: "module:attribute" of `(folder, device)`.

    Attributes:
        load: what gives the `System`.
        over: the family that paints a part of a picture anew, "" for none.
        mark: a file by which its weights are known in a folder of another family.
        options: names of those that it has.
    """

    load: str
    over: str = ""
    mark: str = ""
    options: tuple[str, ...] = ()


# By their names in the catalogue.
FAMILIES = {
    "mindalle": Family("gouache.systems.mindalle:load_mindalle", options=MINDALLE),
    "glide": Family("gouache.systems.glide:load_glide", "glide-inpaint", options=GLIDE),
    "glide-inpaint": Family(
        "gouache.systems.glide:load_inpainter", "glide-inpaint", "base_inpaint.pt", GLIDE
    ),
}
# Registered names -> the family whose weights they need.
NEEDS_WEIGHTS = {"mindalle": "mindalle", "glide-clip": "glide", "glide-free": "glide"}
# Registered names whose weights are shipped or of a package -> options.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "min-dalle": (),
    "pocket-ar": POCKET_AR,
    "pocket-diffusion-clip": POCKET_DIFFUSION,
    "pocket-diffusion-free": POCKET_DIFFUSION,
}
# name -> module it needs, what installs it
NEEDS = {
    "min-dalle": ("min_dalle", "pip install min-dalle"),
}


def names() -> list[str]:
    """All names that `build` knows, in alphabetical order."""
    return sorted({*systems.names(), *catalogue.names("system")})


def available() -> list[str]:
    """Names of the built-in systems whose weights or packages are here; nothing is imported."""
    packaged = [name for name, (module, _) in NEEDS.items() if importlib.util.find_spec(module)]
    return [name for name in NEEDS_WEIGHTS if _place(name) is not None] + packaged


def check(name: str, over: bool = False) -> None:
    """Raises `ModelError` for an unknown system, or one whose package is not here, and
    `ConfigError` where it is to paint `over` a picture and cannot."""
    if name in NEEDS:
        if not importlib.util.find_spec(NEEDS[name][0]):
            raise _missing(name)
    elif _family(name):
        if over and (not _family(name, over) or name == "glide-clip"):  # guided by none there
            raise _not_over(name)
    elif name in systems.names():
        systems.get(name)
    else:
        raise ModelError(f"no system is called {name!r:.80}; {nearest(name, names())}")


def build(name: str, device: str, over: bool = False) -> System:
    """The system called `name`, on `device`; with `over` it is one that keeps `Inpainting`.

    Raises what `check` does, and `ModelError` for weights that are damaged.
    """
    check(name, over)
    if (family := _family(name, over)) and (over or name not in systems.names()):
        load = pkgutil.resolve_name(FAMILIES[family].load)
        loaded: System = load(weights(name, over), device)
        return loaded
    found = systems.get(name)(device)
    if over and not isinstance(found, Inpainting):
        raise _not_over(name)
    return found


def options_of(name: str) -> tuple[str, ...] | None:
    """Names of its options; None for what tells them only when it is loaded."""
    if family := _family(name):
        return FAMILIES[family].options
    return _OPTIONS.get(name)


def missing(name: str, over: bool = False) -> Entry | None:
    """What has to be fetched before `name` can paint; None for nothing."""
    family = _family(name, over)
    return catalogue.find(family) if family and _place(name, over) is None else None


def weights(name: str, over: bool = False) -> Path:
    """The folder of a system whose network is ours, fetched if need be; raises as `obtain` does."""
    if (found := _place(name, over)) is not None:
        return found
    own = _entry(name)
    entry = own if own is not None and own.status == "added" else missing(name, over)
    assert entry is not None
    return obtain(entry)


def _family(name: str, over: bool = False) -> str:
    """Of which family a name is, or what of it paints `over` a picture; "" for none of ours."""
    entry = _entry(name)
    family = NEEDS_WEIGHTS.get(name) or ("" if entry is None else entry.family)
    if family not in FAMILIES:
        return ""
    return FAMILIES[family].over if over else family


def _entry(name: str) -> Entry | None:
    found = catalogue.find(name)
    return found if found is not None and found.kind == "system" else None


def _place(name: str, over: bool = False) -> Path | None:
    """Where its weights lie: those of that very name, else any of its family; None: nowhere.

    A model that the user added is that one or none.
    """
    own, family = _entry(name), _family(name, over)
    if own is not None and own.status == "added":
        return cached(own)
    mark = FAMILIES[family].mark if family in FAMILIES else ""
    for entry in (own, _entry(family), *added()):
        if entry is None or entry.kind != "system" or (place := cached(entry)) is None:
            continue
        if entry.family == family or (mark and (place / mark).is_file()):
            return place
    return None


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


def _not_over(name: str) -> ConfigError:
    return ConfigError(
        f"{name} cannot paint a part of a picture; leave --init-image and --mask out, or: "
        "--system glide"
    )


__all__ = [
    "FAMILIES",
    "NEEDS",
    "Adjustable",
    "Builder",
    "Inpainting",
    "System",
    "available",
    "build",
    "check",
    "missing",
    "names",
    "need",
    "options_of",
    "systems",
    "weights",
]
