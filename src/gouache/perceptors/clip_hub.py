"""CLIPs as transformers keeps them on the hub, for our own layers: shape, colours and names.

transformers is not needed. Whatever is not CLIP as OpenAI built it (other layers, another kind of
tokenizer, weights in pieces) is left to `huggingface`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors.huggingface import read_preprocessing
from gouache.perceptors.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing

CONFIG, IMAGES, TOKENIZER = "config.json", "preprocessor_config.json", "tokenizer.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# What a configuration means that does not say it: CLIPConfig's and CLIPImageProcessor's defaults.
_LAYERS = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_TEXT = {
    "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8,
    "vocab_size": 49408, "max_position_embeddings": 77, **_LAYERS,
}  # fmt: skip
_VISION = {
    "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "image_size": 224,
    "num_channels": 3, **_LAYERS,
}  # fmt: skip
_IMAGES = {
    "do_resize": True, "size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": 224,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "resample": 3,
    "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
}  # fmt: skip
_OWN = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.class_embedding": "class_embedding",
    "final_layer_norm": "ln_final",
    "pre_layrnorm": "ln_pre",  # spelled so
    "post_layernorm": "ln_post",
}
_LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_PROJECTIONS = {
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
}


@dataclass(frozen=True)
class HubClip:
    """What the configurations of a CLIP say that its tensors do not."""

    activation: Literal["quick_gelu", "gelu"]
    head_width: int
    text_heads: int
    context: int
    vocabulary: int
    preprocessing: Preprocessing


def read_settings(config: Mapping[str, Any], images: Mapping[str, Any]) -> HubClip | None:
    """From config.json and preprocessor_config.json; None where the layers are not OpenAI's."""
    kind = str(images.get("image_processor_type") or images.get("feature_extractor_type"))
    if config.get("model_type") != "clip" or not kind.startswith("CLIP"):
        return None
    text, vision = _part(config, "text", _TEXT), _part(config, "vision", _VISION)
    activation = text["hidden_act"]
    usual = activation in ("quick_gelu", "gelu") and vision["num_channels"] == 3
    for part in (text, vision):
        usual &= part["intermediate_size"] == 4 * part["hidden_size"]
        usual &= part["layer_norm_eps"] == 1e-5 and part["hidden_act"] == activation
    if not usual:
        return None
    size = SimpleNamespace(vision_config=SimpleNamespace(image_size=vision["image_size"]))
    try:
        preprocessing = read_preprocessing(SimpleNamespace(**{**_IMAGES, **images}), size)
        return HubClip(
            activation,
            head_width=vision["hidden_size"] // vision["num_attention_heads"],
            text_heads=text["num_attention_heads"],
            context=text["max_position_embeddings"],
            vocabulary=text["vocab_size"],
            preprocessing=preprocessing,
        )
    except (ModelError, TypeError, ValueError, ArithmeticError, AttributeError):
        return None  # transformers says what is wrong with it


def weights_in(folder: Path) -> Path | None:
    """The file of weights; None where they are in pieces, or something else is missing."""
    if not all((folder / name).is_file() for name in (CONFIG, IMAGES, TOKENIZER)):
        return None
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def select(names: Collection[str]) -> dict[str, str]:
    """All but the numbers of the positions, which some versions saved."""
    return {name: name for name in names if not name.endswith("position_ids")}


def by_openai_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by OpenAI's names: attention's three projections as one, others turned."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        tower, _, rest = name.partition(".")
        prefix = "visual." if tower == "vision_model" else ""
        if name in _PROJECTIONS:
            found[_PROJECTIONS[name]] = value.T.contiguous()
        elif rest in _OWN:
            found[prefix + _OWN[rest]] = value
        elif tower not in ("text_model", "vision_model"):
            found[name] = value
        elif not rest.startswith("encoder.layers."):
            layer, _, kind = rest.rpartition(".")
            found[prefix + f"{_OWN.get(layer, layer)}.{kind}"] = value
        else:
            number, _, part = rest.removeprefix("encoder.layers.").partition(".")
            layer, _, kind = part.rpartition(".")
            block = f"{prefix}transformer.resblocks.{number}"
            if layer == "self_attn.q_proj":
                parts = [state.get(name.replace("q_proj", f"{one}_proj")) for one in "qkv"]
                if all(one is not None for one in parts):
                    found[f"{block}.attn.in_proj_{kind}"] = torch.cat([*parts])  # type: ignore[list-item]
            elif layer in _LAYER:
                found[f"{block}.{_LAYER[layer]}.{kind}"] = value
    return found


def _part(config: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A tower's settings. Old files have them twice; transformers heeds those called _dict."""
    given = config.get(f"{name}_config_dict") or config.get(f"{name}_config") or {}
    return {**defaults, **given}


__all__ = ["HubClip", "by_openai_names", "read_settings", "select", "weights_in"]
