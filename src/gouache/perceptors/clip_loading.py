"""CLIPs from files: as OpenAI publishes them, as state dicts, as open_clip and
transformers keep them, and ours."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors import clip_hub
from gouache.perceptors.clip import ClipPerceptor, infer_config
from gouache.perceptors.clip_tokenizer import ClipTokenizer, find_tokenizer
from gouache.perceptors.clip_towers import ClipConfig
from gouache.perceptors.preprocessing import Preprocessing, Resample
from gouache.perceptors.torchscript import read_torchscript
from gouache.weights.blank import shape_of
from gouache.weights.prefixes import find_prefix
from gouache.weights.recognise import is_torchscript, read_config
from gouache.weights.safe import read_checkpoint
from gouache.weights.saving import save_model
from gouache.weights.watch import held_back

FAMILY = "clip"  # marks our own files of this kind
OPEN_CLIP_CONFIG = "open_clip_config.json"
CONFIGS = (OPEN_CLIP_CONFIG, "config.json")
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# Numbers that say in the file what the shapes say too (only OpenAI's have them), and what only
# training needs.
_OPENAI = ("input_resolution", "context_length", "vocab_size")
_SURPLUS = (*_OPENAI, "attn_mask", "num_batches_tracked")
_MARKS = ("token_embedding.weight", "positional_embedding", "ln_final.weight")
_PARTS = (
    "visual", "transformer", "token_embedding", "positional_embedding", "ln_final",
    "text_projection", "logit_scale",
)  # fmt: skip
# What open_clip may say of a model whose layers are the ones of `clip_towers`.
_VISION = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
_RESAMPLE: dict[str, Resample] = {"bicubic": "bicubic", "bilinear": "bilinear"}


class AssumedActivationWarning(UserWarning):
    """Nothing says which activation a CLIP was trained with."""


class SurplusWarning(UserWarning):
    """A file holds tensors that are no part of the CLIP."""


@dataclass(frozen=True)
class _Settings:
    """What a configuration says that tensors do not."""

    activation: Literal["quick_gelu", "gelu"]
    head_width: int = 64
    text_heads: int | None = None
    preprocessing: Preprocessing | None = None


@held_back()
def load_clip(
    path: Path, device: torch.device | str = "cpu", name: str = "", *, vocabulary: bool = True
) -> ClipPerceptor:
    """The frozen CLIP in a file, in float32.

    A TorchScript archive of OpenAI's (its code is not run), a state dict with the same names as
    pickle or safetensors, or a file by `save_clip`. ViT and ResNet, and all sizes, are told by the
    tensors. The tokenizer lies beside it or in the cache, see `clip_tokenizer.find_tokenizer`;
    without `vocabulary` it is not looked for, and texts cannot be embedded. Of a state dict the
    configuration is read that lies beside it (its own name with `.json`, `open_clip_config.json`,
    `config.json`); where none does, and the file is not OpenAI's, an `AssumedActivationWarning`
    says that OpenAI's activation is taken. Raises `ModelError`.
    """
    state, values, openai = _read(path)
    if values is not None and values.get("family") in (FAMILY, "pocket"):
        config, preprocessing = _from_dict(values, path)
    else:
        settings = _Settings("quick_gelu") if openai else _settings_beside(path)
        config, preprocessing = _described(state, path, settings)
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


@held_back()
def load_open_clip_folder(
    folder: Path, device: torch.device | str = "cpu", name: str = ""
) -> ClipPerceptor:
    """The model in a folder as open_clip puts it on the hub.

    Damaged files, and layers that are not CLIP's, raise `ModelError`.
    """
    place = folder / OPEN_CLIP_CONFIG
    settings = _open_clip_settings(read_config(place), place)
    if settings is None:
        raise ModelError(
            f"{place} tells of other layers than those of OpenAI's CLIP, which gouache expects; "
            "look for the same model in the format of transformers"
        )
    weights = next((folder / file for file in OPEN_CLIP_WEIGHTS if (folder / file).is_file()), None)
    if weights is None:
        raise ModelError(f"{folder} has no weights; expected {' or '.join(OPEN_CLIP_WEIGHTS)}")
    state, _, _ = _read(weights)
    config, preprocessing = _described(state, weights, settings)
    return _build(state, config, preprocessing, weights, folder, device, name, True)


@held_back()
def load_hub_clip(
    folder: Path, device: torch.device | str = "cpu", name: str = ""
) -> ClipPerceptor | None:
    """The CLIP in a folder as transformers keeps it; None where it is not CLIP as OpenAI built it.

    Damaged files raise `ModelError`.
    """
    weights = clip_hub.weights_in(folder)
    if weights is None:
        return None
    settings = clip_hub.read_settings(
        read_config(folder / clip_hub.CONFIG), read_config(folder / clip_hub.IMAGES)
    )
    if settings is None:
        return None
    try:
        tokenizer = find_tokenizer(folder, settings.context, settings.vocabulary)
    except ModelError:  # another kind of tokenizer than CLIP's
        return None
    state = clip_hub.by_openai_names(read_checkpoint(weights, clip_hub.select).tensors)
    told = _Settings(
        settings.activation, settings.head_width, settings.text_heads, settings.preprocessing
    )
    config, preprocessing = _described(state, weights, told)
    return _build(state, config, preprocessing, weights, folder, device, name, tokenizer)


def _settings_beside(path: Path) -> _Settings:
    """What the configuration beside a bare state dict says; otherwise what is assumed."""
    for place in (path.with_suffix(".json"), *(path.with_name(n) for n in CONFIGS)):
        if not place.is_file():
            continue
        values = read_config(place)
        model = values.get("model_cfg", values)
        if isinstance(model, Mapping) and "vision_cfg" in model:
            settings = _open_clip_settings({"model_cfg": model, **values}, place)
            return settings or _Settings("quick_gelu" if model.get("quick_gelu") else "gelu")
        if isinstance(values.get("quick_gelu"), bool):
            return _Settings("quick_gelu" if values["quick_gelu"] else "gelu")
        if values.get("model_type") == "clip":  # of transformers
            return _Settings(_transformers_activation(values, place))
    warnings.warn(
        f"{path} does not say whether its layers have QuickGELU or the exact GELU; QuickGELU, as "
        f"OpenAI's, is assumed: if that is wrong, put {path.with_suffix('.json').name} beside it "
        'with {"quick_gelu": false}',
        AssumedActivationWarning,
        stacklevel=3,
    )
    return _Settings("quick_gelu")


def _transformers_activation(
    values: Mapping[str, Any], place: Path
) -> Literal["quick_gelu", "gelu"]:
    parts = [values.get(key) or {} for key in ("text_config", "vision_config")]
    found = {str(part.get("hidden_act", "quick_gelu")) for part in parts}
    if found == {"gelu"}:
        return "gelu"
    if found == {"quick_gelu"}:
        return "quick_gelu"
    raise ModelError(f"{place}: hidden_act is {sorted(found)!r:.60}; expected quick_gelu or gelu")


def _open_clip_settings(values: Mapping[str, Any], place: Path) -> _Settings | None:
    """From open_clip's configuration; None where it has other layers than CLIP's."""
    model = values.get("model_cfg", {})
    try:
        vision, text = model["vision_cfg"], model["text_cfg"]
        known = set(model) <= _MODEL and set(vision) <= _VISION and set(text) <= _TEXT
        if not known or {vision.get("mlp_ratio", 4.0), text.get("mlp_ratio", 4.0)} != {4.0}:
            return None
        head_width = int(vision.get("head_width", 64))
        return _Settings(
            activation="quick_gelu" if model.get("quick_gelu") else "gelu",
            head_width=64 if head_width < 1 else head_width,
            text_heads=int(text["heads"]),
            preprocessing=_open_clip_preprocessing(values.get("preprocess_cfg", {}), vision),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{place} is not a model of open_clip ({error!s:.60})") from None


def _build(
    state: dict[str, Tensor],
    config: ClipConfig,
    preprocessing: Preprocessing,
    weights: Path,
    source: Path,
    device: torch.device | str,
    name: str,
    tokenizer: ClipTokenizer | bool,
) -> ClipPerceptor:
    """`tokenizer`: true where it is to be found, false for none."""
    with shape_of(weights, "a CLIP"):
        model = ClipPerceptor(config, preprocessing)
    model.filled(state, weights, device, name or str(source))
    if tokenizer is True:
        tokenizer = find_tokenizer(source, config.context, config.vocabulary)
    model.tokenize = tokenizer or None
    if config.is_resnet:
        model.visual.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any] | None, bool]:
    """Tensors, the configuration inside, and whether the file is known to be OpenAI's."""
    openai = False

    def choose(names: Collection[str]) -> Mapping[str, str]:
        nonlocal openai
        if any("text_model." in name for name in names):
            raise ModelError(
                f"{path} has the names of transformers; give its folder instead, with config.json "
                "and the tokenizer"
            )
        openai = any(name.endswith(_OPENAI) for name in names)
        return _select(names)

    if is_torchscript(path):
        return read_torchscript(path, _select, torch.float32), None, True
    found = read_checkpoint(path, choose)
    return found.tensors, found.config, openai


def _select(names: Collection[str]) -> dict[str, str]:
    prefix = find_prefix(names, _MARKS, ())
    own, others = {}, []
    for name in names:
        short = name.removeprefix(prefix)
        if name.endswith(_SURPLUS):
            continue
        if name.startswith(prefix) and short.partition(".")[0] in _PARTS:
            own[name] = short
        else:
            others.append(name)
    if others and own:
        warnings.warn(
            f"beside the CLIP the file holds {len(others)} tensors that are no part of it, first "
            f"{min(others)!r:.60}; left out",
            SurplusWarning,
            stacklevel=4,
        )
    return own or {name: name for name in names}


def _described(
    state: Mapping[str, Tensor], path: Path, settings: _Settings
) -> tuple[ClipConfig, Preprocessing]:
    try:
        config = infer_config(state, settings.head_width)
        config = replace(config, activation=settings.activation)
        if settings.text_heads is not None:
            config = replace(config, text_heads=settings.text_heads)
        preprocessing = settings.preprocessing or Preprocessing(config.image_size)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from None
    if preprocessing.size != config.image_size:
        raise ModelError(
            f"{path}: its configuration expects pictures of {preprocessing.size} pixels, its "
            f"weights are for {config.image_size}; they do not belong together"
        )
    return config, preprocessing


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


__all__ = ["load_clip", "load_hub_clip", "load_open_clip_folder", "save_clip"]
