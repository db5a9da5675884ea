"""diffusers' `VQModel`: the same network as taming-transformers' under other names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from gouache.errors import ModelError
from gouache.generators.vqgan import VQGANConfig
from gouache.generators.vqgan_blocks import ACTIVATIONS

# Parts of a name, and what they are called in taming-transformers. Of the two spellings of layers
# of attention the first is that of old checkpoints.
_PARTS = (
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.down_blocks\.(\d+)\.", r".down.\1."),
    (r"\.up_blocks\.(\d+)\.", r".up.\1."),
    (r"\.mid_block\.attentions\.0\.", ".mid.attn_1."),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.resnets\.(\d+)\.", r".block.\1."),
    (r"\.attentions\.(\d+)\.", r".attn.\1."),
    (r"\.downsamplers\.0\.", ".downsample."),
    (r"\.upsamplers\.0\.", ".upsample."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
)
MIN_CELLS = 8  # of a latent's side; a size of training with fewer is diffusers' default, 32 pixels
_ATTENTION = (
    (r"\.group_norm\.", ".norm."),
    (r"\.(?:query|to_q)\.", ".q."),
    (r"\.(?:key|to_k)\.", ".k."),
    (r"\.(?:value|to_v)\.", ".v."),
    (r"\.(?:proj_attn|to_out\.0)\.", ".proj_out."),
)


def is_diffusers(names: Collection[str]) -> bool:
    """Whether these are the names of tensors of a diffusers autoencoder."""
    return any(name.startswith("encoder.down_blocks.") for name in names)


def taming_names(names: Collection[str]) -> dict[str, str]:
    """Names in diffusers -> names in taming-transformers, for all of `names`."""
    levels = [int(found[1]) for name in names if (found := _LEVEL.match(name))]
    last = max(levels, default=0)
    return {name: _taming_name(name, last) for name in names}


_LEVEL = re.compile(r"decoder\.up_blocks\.(\d{1,3})\.")


def _taming_name(name: str, last: int) -> str:
    # Here the decoder's levels run from the lowest resolution, there from the highest.
    turned = _LEVEL.sub(lambda found: f"decoder.up_blocks.{last - int(found[1])}.", name)
    for pattern, replacement in _PARTS + (_ATTENTION if ".attentions." in name else ()):
        turned = re.sub(pattern, replacement, turned)
    return turned


def as_convolutions(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Layers of attention, (C,C) in diffusers, as the 1x1 convolutions (C,C,1,1) that ours are."""
    return {
        name: tensor[..., None, None] if tensor.ndim == 2 and ".attn" in name else tensor
        for name, tensor in tensors.items()
    }


def from_diffusers(values: Mapping[str, Any]) -> VQGANConfig:
    """Reads the `config.json` of a diffusers VQModel; `ModelError` where ours cannot be like it."""
    kind = values.get("_class_name")
    if kind != "VQModel":
        raise ModelError(f"the configuration describes {kind!r:.60}; expected a VQModel")
    norm = values.get("norm_type", "group")
    if norm != "group":
        raise ModelError(
            f"the VQModel has norm_type {norm!r:.40}; "
            "expected an ordinary VQGAN with norm_type 'group'"
        )
    activation = str(values.get("act_fn") or "silu").lower()
    activation = "silu" if activation == "swish" else activation
    if activation not in ACTIVATIONS:
        raise ModelError(
            f"the VQModel has act_fn {activation!r:.40}; expected {', '.join(ACTIVATIONS)} or swish"
        )
    try:
        widths = [int(width) for width in values["block_out_channels"]]
        down, up = list(values["down_block_types"]), list(values["up_block_types"])
        channels = int(values["latent_channels"])
        # Only a note there, for people; here it says where attention sits, by the level's side.
        side = int(values.get("sample_size") or 256)
        factor = 1 << (len(widths) - 1)
        side = side if side % factor == 0 and side // factor >= MIN_CELLS else 256
        found = {
            "ch": widths[0],
            "ch_mult": [width // widths[0] for width in widths],
            "num_res_blocks": int(values["layers_per_block"]),
            "resolution": side,
            "z_channels": channels,
            "in_channels": int(values["in_channels"]),
            "out_ch": int(values["out_channels"]),
            "embed_dim": int(values.get("vq_embed_dim") or channels),
            "n_embed": int(values["num_vq_embeddings"]),
            "norm_groups": int(values.get("norm_num_groups", 32)),
            "mid_attention": bool(values.get("mid_block_add_attention", True)),
            "activation": activation,
            # Whether `decode` takes indices matters to its callers only. But the models that have
            # it so, those of aMUSEd, were trained on pictures in [0,1].
            "unit_range": bool(values.get("lookup_from_codebook")),
        }
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())[:60]
        raise ModelError(f"the configuration of the VQModel is incomplete ({reason})") from None
    attention = [_has_attention(block, "Down") for block in down]
    if attention != [_has_attention(block, "Up") for block in reversed(up)]:
        raise ModelError("the VQModel has attention at different levels of encoder and decoder")
    if len(attention) != len(widths) or any(width % widths[0] for width in widths):
        raise ModelError(f"the VQModel has levels of {widths} channels; expected multiples")
    sides = [side >> level for level, has in enumerate(attention) if has]
    return VQGANConfig.from_dict({**found, "attn_resolutions": sides})


def _has_attention(block: object, direction: str) -> bool:
    coder = {"Down": "Encoder", "Up": "Decoder"}[direction]
    known = {f"{direction}{coder}Block2D": False, f"Attn{direction}{coder}Block2D": True}
    if block not in known:
        raise ModelError(f"the VQModel has a block {block!r:.60}; expected {' or '.join(known)}")
    return known[str(block)]


__all__ = ["as_convolutions", "from_diffusers", "is_diffusers", "taming_names"]
