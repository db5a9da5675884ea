"""From what the user calls a perceptor to the code that loads it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from gouache.errors import ModelError
from gouache.protocols import Perceptor
from gouache.registry import nearest
from gouache.weights import catalogue
from gouache.weights.cache import obtain
from gouache.weights.catalogue import Entry
from gouache.weights.recognise import recognise

OPEN_CLIP = "open_clip:"
# Architectures as OpenAI and open_clip name them; no owner of a repository is called so.
_RESNET = re.compile(r"(?i:RN)[0-9]+(x[0-9]+)?")
_ARCHITECTURE = re.compile(rf"((?i:ViT)-?[a-zA-Z]+|{_RESNET.pattern})([-@/ ][^.\\]*)?\Z")
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".onnx", ".gz", ".json")


def resolve(name: str, registered: list[str], device: torch.device) -> Perceptor:
    """The perceptor that `name`, no registered one, means.

    In this order: what open_clip calls so, "open_clip:MODEL/WEIGHTS"; a model of the catalogue or
    one that was added; a file or folder; OWNER/REPOSITORY on the Hugging Face hub. Raises
    `ModelError`.
    """
    if name.startswith(OPEN_CLIP):
        return _open_clip(name.removeprefix(OPEN_CLIP), device, name)
    entry = catalogue.find(name) if "/" not in name else None
    if entry is None and _exists(name):
        return load_path(Path(name).expanduser(), device, name)
    if entry is None and _may_be_on_hub(name) and not _ARCHITECTURE.match(name):
        entry = catalogue.find(name) or catalogue.from_hub(name)
    if entry is not None:
        return _load_entry(entry, device, name)
    if _looks_like_path(name) and not _ARCHITECTURE.match(name):
        raise ModelError(f"there is no perceptor {name!r:.200}; check the path")
    known = sorted({*registered, *catalogue.names("perceptor")})
    raise ModelError(
        f"no perceptor is called {name!r:.80}; {_hint(name, known)} Also possible: a path, "
        f"OWNER/REPOSITORY on the Hugging Face hub, {OPEN_CLIP}MODEL/WEIGHTS"
    )


def _open_clip(called: str, device: torch.device, name: str) -> Perceptor:
    """What open_clip would load by that name, by our own layers; that package is not used."""
    if called.startswith("local-dir:"):
        return load_path(Path(called.removeprefix("local-dir:")).expanduser(), device, name)
    if called.startswith("hf-hub:"):
        return _load_entry(catalogue.from_hub(called.removeprefix("hf-hub:")), device, name)
    if entry := next((e for e in catalogue.catalogue().values() if called in e.open_clip), None):
        return _load_entry(entry, device, name)
    weights = called.partition("/")[2]
    if weights and _exists(weights):  # MODEL/FILE
        return load_path(Path(weights).expanduser(), device, name)
    known = sorted(tag for e in catalogue.catalogue().values() for tag in e.open_clip)
    raise ModelError(
        f"no weights are known here as {name!r:.100}; {nearest(called, known)} Others: give the "
        "repository on the Hugging Face hub that open_clip's list of pretrained models names"
    )


def _hint(name: str, known: list[str]) -> str:
    """The catalogue's name for what others call "ViT-B/32", "RN50" or "ViT-B-32/openai"."""
    model, _, weights = name.partition("/")
    if _ARCHITECTURE.match(name) and weights[:1].isalpha():  # as open_clip writes it
        return f"did you mean {OPEN_CLIP}{name:.80}? Or {nearest(model, known)}"
    if _RESNET.fullmatch(name):
        return "did you mean clip-vit-b-32? Or give the path of OpenAI's file of that ResNet."
    return nearest(name, known)


def load_path(
    path: Path, device: torch.device | str = "cpu", name: str = "", family: str = ""
) -> Perceptor:
    """The perceptor in a file or folder; its contents tell which kind unless `family` does.

    Raises `ModelError`.
    """
    name = name or str(path)
    if not family:
        found = recognise(path)
        if found.kind != "perceptor":
            raise ModelError(f"{path} is a {found.kind}; give it as such, or choose a perceptor")
        family = found.family
    if family in ("open_clip", "transformers") and path.is_dir():
        family = _format_of(path, family)
    if family == "open_clip":
        from gouache.perceptors.clip_loading import load_open_clip_folder

        return load_open_clip_folder(path, device, name)
    if family == "transformers":
        from gouache.perceptors.clip_loading import load_hub_clip
        from gouache.perceptors.huggingface import load_transformers

        native = load_hub_clip(path, device, name)
        return native if native is not None else load_transformers(path, device, name)
    if family == "pocket":
        from gouache.perceptors.loading import load_pocket

        return load_pocket(path, device, name)
    if family == "openai":
        from gouache.perceptors.clip_loading import load_clip

        return load_clip(path, device, name)
    raise ModelError(f"{name} is of the family {family!r:.40}, which gouache cannot load")


def _load_entry(entry: Entry, device: torch.device, name: str) -> Perceptor:
    if entry.kind != "perceptor":
        raise ModelError(f"{entry.name} is a {entry.kind}; give it as such, or choose a perceptor")
    path = obtain(entry)
    # What lies there decides: a repository may have been published in either format.
    family = "" if path.is_dir() else entry.family
    return load_path(path, device, name, family)


def _format_of(folder: Path, family: str) -> str:
    """Repositories often have both configurations: what decides is whose weights lie there."""
    from gouache.perceptors.clip_loading import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS
    from gouache.perceptors.huggingface import WEIGHTS

    own = any(any(folder.glob(pattern)) for pattern in WEIGHTS[:2])
    if (folder / "config.json").is_file() and own:
        return "transformers"
    if (folder / OPEN_CLIP_CONFIG).is_file():
        found = any((folder / name).is_file() for name in OPEN_CLIP_WEIGHTS)
        return "open_clip" if found else family
    return family


def _exists(name: str) -> bool:
    try:
        return bool(name.strip()) and Path(name).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, an unknown home, a NUL
        return False


def _looks_like_path(name: str) -> bool:
    separators = {"/", os.sep, "\\"}
    return any(mark in name for mark in separators) or name.lower().endswith(SUFFIXES)


def _may_be_on_hub(name: str) -> bool:
    """OWNER/REPOSITORY and nothing that looks more like a path."""
    return (
        name.count("/") == 1
        and not name.startswith((".", "~", "/"))
        and "\\" not in name
        and not name.lower().endswith(SUFFIXES)
    )


__all__ = ["load_path", "resolve"]
