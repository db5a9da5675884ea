"""What kind of model a local file or folder holds, told by its contents alone."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.errors import ModelError
from gouache.weights.records import Kind
from gouache.weights.safe import read_checkpoint

MAX_JSON_BYTES = 1 << 20
_DIFFUSERS = ("_class_name", "_diffusers_version")
_CODEBOOKS = ("quantize.embedding.weight", "quantize.embed.weight")
_SYSTEMS = {
    "mindalle": ("stage1_last.ckpt", "stage2_last.ckpt"),
    "glide": ("base.pt", "upsample.pt"),
    "glide-inpaint": ("base_inpaint.pt", "upsample_inpaint.pt"),
}
_PUBLISHERS = {"mindalle": "minDALL-E", "glide": "GLIDE", "glide-inpaint": "GLIDE"}
# Names of tensors by which other families are known; all of a line must be there.
_PERCEPTORS = {
    "openai": ("token_embedding.weight", "text_projection"),
    "pocket": ("image_tower.", "text_tower."),
}


@dataclass(frozen=True)
class Recognised:
    """`family` is that of `catalogue.Entry`, or "openai" or "pocket" for a perceptor in a file."""

    kind: Kind
    family: str


def recognise(path: Path) -> Recognised:
    """Generator, perceptor or system, and of which family; `ModelError` where it is none."""
    if path.is_dir():
        return _folder(path)
    if is_torchscript(path):
        return Recognised("perceptor", "openai")  # CLIP as OpenAI publishes it
    names: list[str] = []

    def see(found: Collection[str]) -> Mapping[str, str]:
        names.extend(found)
        return {}  # the tensors are not needed

    read_checkpoint(path, see)
    if any(name.endswith(_CODEBOOKS) for name in names):
        return Recognised("generator", "vqgan")
    for family, marks in _PERCEPTORS.items():
        if all(any(mark in name for name in names) for mark in marks):
            return Recognised("perceptor", family)
    first = f", first {min(names)!r:.60}" if names else ""
    raise ModelError(
        f"{path} is neither a VQGAN nor a CLIP: none of its {len(names)} tensors{first} is a "
        "codebook or a text encoder's"
    )


def _folder(path: Path) -> Recognised:
    for family, names in _SYSTEMS.items():
        if all((path / name).is_file() for name in names):
            return Recognised("system", family)
    if (path / "open_clip_config.json").is_file() and not (path / "config.json").is_file():
        return Recognised("perceptor", "open_clip")
    if not (path / "config.json").is_file():
        _lacking(path)
    if (path / "model_index.json").is_file():  # a whole diffusers pipeline: its VQGAN is meant
        return Recognised("generator", "vqgan")
    trained = checkpoint_in(path)
    if trained is not None and not (path / "config.json").is_file():
        return recognise(trained)
    values = read_config(path / "config.json")
    if any(key in values for key in _DIFFUSERS):
        return Recognised("generator", "vqgan")
    if "model_type" in values:
        return Recognised("perceptor", "transformers")
    raise ModelError(
        f"{path / 'config.json'} tells neither _class_name (diffusers) nor model_type "
        "(transformers); name the file of weights instead of the folder"
    )


def _lacking(path: Path) -> None:
    """`ModelError` for a folder that has one of a system's two networks only."""
    for family, names in _SYSTEMS.items():
        lacks = [name for name in names if not (path / name).is_file()]
        if len(lacks) < len(names):
            of = _PUBLISHERS[family]
            said = "folder" if family == "mindalle" else "files"
            raise ModelError(f"{path} lacks {lacks[0]}; expected {of}'s {said} as published")


def checkpoint_in(folder: Path) -> Path | None:
    """The newest checkpoint of a training run in its folder, as Lightning and taming keep them.

    `checkpoints/last.ckpt` in the run's folder, or that folder itself; without a last one the only
    one there. None where there is none, or no telling which.
    """
    for place in (folder / "checkpoints", folder):
        for name in ("last.ckpt", "model.ckpt"):
            if (place / name).is_file():
                return place / name
        found = sorted(place.glob("*.ckpt"))
        if len(found) == 1:
            return found[0]
    return None


def read_config(path: Path) -> Mapping[str, Any]:
    """The JSON beside a model's weights; `ModelError` where it is missing or no configuration."""
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(MAX_JSON_BYTES))
    except FileNotFoundError:
        raise ModelError(
            f"{path.parent} has no {path.name}; expected a folder of diffusers or transformers, "
            "or the path of a file of weights"
        ) from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not JSON; expected the configuration of a model") from None
    if not isinstance(values, Mapping):
        raise ModelError(f"{path} holds no settings; expected the configuration of a model")
    return values


def is_torchscript(path: Path) -> bool:
    """Whether it is such an archive, by its table of contents."""
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                return False
            file.seek(0)
            names = zipfile.ZipFile(file).namelist()
    except Exception:  # damaged archives fail in many ways; `read_checkpoint` says what is wrong
        return False
    return any(name.endswith("/constants.pkl") for name in names)


__all__ = ["Recognised", "checkpoint_in", "is_torchscript", "read_config", "recognise"]
