"""CLIPs from files: as OpenAI publishes them, as state dicts, as open_clip keeps them, and ours."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors.clip import ClipPerceptor, infer_config
from gouache.perceptors.clip_tokenizer import find_tokenizer
from gouache.perceptors.clip_towers import ClipConfig
from gouache.perceptors.preprocessing import Preprocessing, Resample
from gouache.perceptors.torchscript import is_torchscript, read_torchscript
from gouache.weights.blank import blank
from gouache.weights.fingerprint import fingerprint
from gouache.weights.safe import load_state, read_checkpoint
from gouache.weights.saving import save_model

FAMILY = "clip"  # marks our own files of this kind
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
MAX_JSON_BYTES = 1 << 20
# Numbers that say in the file what the shapes say too, and what only training needs.
_SURPLUS = ("input_resolution", "context_length", "vocab_size", "attn_mask", "num_batches_tracked")
# What open_clip may say of a model whose layers are the ones of `clip_towers`.
_VISION = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
_RESAMPLE: dict[str, Resample] = {"bicubic": "bicubic", "bilinear": "bilinear"}


def load_clip(
    path: Path, device: torch.device | str = "cpu", name: str = "", *, vocabulary: bool = True
) -> ClipPerceptor:
    """The frozen CLIP in a file, in float32.

    A TorchScript archive of OpenAI's (its code is not run), a state dict with the same names as
    pickle or safetensors, or a file by `save_clip`. ViT and ResNet, and all sizes, are told by the
    tensors. The tokenizer lies beside it or in the cache, see `clip_tokenizer.find_tokenizer`;
    without `vocabulary` it is not looked for, and texts cannot be embedded. Raises `ModelError`.
    """
    state, values = _read(path)
    if values is None:
        config, preprocessing = _described(state, path)
    else:
        config, preprocessing = _from_dict(values, path)
    return _build(state, config, preprocessing, path, path, device, name, vocabulary)


def save_clip(model: ClipPerceptor, path: str | Path) -> None:
    """Writes `model` as safetensors with its configuration; `load_clip` reads it.

    Raises `OutputError`.
    """
    save_model(
        path,
        model.state_dict(),
        {
            "family": FAMILY,
            "model": asdict(model.config),
            "preprocessing": asdict(model.preprocessing),
        },
    )


def load_open_clip_folder(
    folder: Path, device: torch.device | str = "cpu", name: str = ""
) -> ClipPerceptor | None:
    """The model in a folder as open_clip puts it on the hub; None where its layers are not CLIP's.

    Damaged files raise `ModelError`.
    """
    values = _read_json(folder / OPEN_CLIP_CONFIG)
    model = values.get("model_cfg", {})
    try:
        vision, text = model["vision_cfg"], model["text_cfg"]
        known = set(model) <= _MODEL and set(vision) <= _VISION and set(text) <= _TEXT
        if not known or {vision.get("mlp_ratio", 4.0), text.get("mlp_ratio", 4.0)} != {4.0}:
            return None
        head_width = int(vision.get("head_width", 64))
        text_heads = int(text["heads"])
        preprocessing = _open_clip_preprocessing(values.get("preprocess_cfg", {}), vision)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{folder / OPEN_CLIP_CONFIG} is not a model of open_clip ({error!s:.60})"
        ) from None
    weights = next((folder / file for file in OPEN_CLIP_WEIGHTS if (folder / file).is_file()), None)
    if weights is None:
        raise ModelError(f"{folder} has no weights; expected {' or '.join(OPEN_CLIP_WEIGHTS)}")
    state, _ = _read(weights)
    config, _ = _described(state, weights, 64 if head_width < 1 else head_width)
    config = replace(config, text_heads=text_heads)
    if not model.get("quick_gelu"):
        config = replace(config, activation="gelu")
    if preprocessing.size != config.image_size:
        raise ModelError(
            f"{folder} expects pictures of {preprocessing.size} pixels, its weights are for "
            f"{config.image_size}; they do not belong together"
        )
    return _build(state, config, preprocessing, weights, folder, device, name, True)


def _build(
    state: dict[str, Tensor],
    config: ClipConfig,
    preprocessing: Preprocessing,
    weights: Path,
    source: Path,
    device: torch.device | str,
    name: str,
    vocabulary: bool,
) -> ClipPerceptor:
    try:
        with blank():
            model = ClipPerceptor(config, preprocessing)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ModelError(f"{weights} is not a CLIP ({reason})") from None
    load_state(model, state, weights, take=True)
    if vocabulary:
        model.tokenize = find_tokenizer(source, config.context, config.vocabulary)
    model.name = name or str(source)
    model.fingerprint = fingerprint(weights)
    model.to(device)
    if config.is_resnet:
        model.visual.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False)


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any] | None]:
    if is_torchscript(path):
        return read_torchscript(path, _select, torch.float32), None
    found = read_checkpoint(path, _select)
    return found.tensors, found.config


def _select(names: Collection[str]) -> dict[str, str]:
    # Training on several machines puts a word before every name.
    prefix = "module." if all(name.startswith("module.") for name in names) else ""
    return {n: n.removeprefix(prefix) for n in names if not n.endswith(_SURPLUS)}


def _described(
    state: Mapping[str, Tensor], path: Path, head_width: int = 64
) -> tuple[ClipConfig, Preprocessing]:
    try:
        config = infer_config(state, head_width)
        return config, Preprocessing(config.image_size)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from None


def _from_dict(values: Mapping[str, Any], path: Path) -> tuple[ClipConfig, Preprocessing]:
    try:
        if values["family"] != FAMILY:
            raise ValueError(f"it is of the family {values['family']!r:.40}")
        preprocessing = Preprocessing.from_dict(values["preprocessing"])
        return ClipConfig.from_dict(values["model"]), preprocessing
    except (KeyError, TypeError, ValueError, AttributeError, ModelError) as error:
        raise ModelError(f"{path} is not a CLIP ({error!s:.100})") from None


def _open_clip_preprocessing(values: Mapping[str, Any], vision: Mapping[str, Any]) -> Preprocessing:
    size = values.get("size", vision["image_size"])
    colours: dict[str, Any] = {key: tuple(values[key]) for key in ("mean", "std") if key in values}
    return Preprocessing(
        size=int(size[0] if isinstance(size, (list, tuple)) else size),
        resample=_RESAMPLE[values.get("interpolation", "bicubic")],
        fit="squash" if values.get("resize_mode") == "squash" else "crop",
        **colours,
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(MAX_JSON_BYTES))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, Mapping):
        raise ModelError(f"{path} is not the configuration of a model")
    return values


__all__ = ["load_clip", "load_open_clip_folder", "save_clip"]
