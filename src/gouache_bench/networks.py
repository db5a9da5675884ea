"""The networks that are measured: the shipped ones, or the published shapes with random weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.generators import vqgan, vqgan_blocks, vqgan_tiled
from gouache.generators.loading import load_pocket
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.perceptors import clip_towers, load_perceptor
from gouache.perceptors.clip import ClipPerceptor
from gouache.perceptors.clip_towers import ClipConfig
from gouache.perceptors.preprocessing import Preprocessing
from gouache.protocols import CodebookGenerator, Perceptor

KINDS = ("pocket", "full")
VIT_B_32 = ClipConfig(  # one layer for texts, which are not measured
    embed_dim=512, image_size=224, vision_layers=(12,), vision_width=768, vision_heads=12,
    patch_size=32, context=77, vocabulary=49408, text_width=512, text_layers=1, text_heads=8,
)  # fmt: skip


class RandomClip(ClipPerceptor):
    """OpenAI's ViT-B/32 in shape. It has no vocabulary: a text is as good as its length."""

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        rng = torch.Generator().manual_seed(sum(map(len, texts)))
        drawn = torch.randn(len(texts), self.embed_dim, generator=rng)
        return F.normalize(drawn, dim=-1).to(self.device)


def networks(kind: str, device: str = "cpu") -> tuple[CodebookGenerator, Perceptor]:
    """ "pocket" or "full" (f16 with 16384 codes, ViT-B/32), fresh and frozen: nobody else's."""
    if kind == "pocket":
        return load_pocket(device), load_perceptor("pocket", device)
    return random_vqgan().to(device), random_clip().to(device)


def as_published(
    generator: CodebookGenerator, perceptor: Perceptor
) -> tuple[CodebookGenerator, Perceptor]:
    """The same weights by the operations of the published code, and in its memory layout.

    For this whole process, which has to be one of its own: swish as a product with a sigmoid,
    convolutions and patches as torch's layers, attention by torch's kernel, NCHW.
    """
    for module in (vqgan_blocks, vqgan_tiled, vqgan):
        vars(module).update(conv=_layer)
    vars(vqgan_blocks).update(norm_silu=_norm_swish)
    vars(clip_towers).update(attend=_attend)
    clip_towers.VisionTransformer._patches = _convolved  # type: ignore[method-assign,assignment]
    for model in (generator, perceptor):
        assert isinstance(model, torch.nn.Module)
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return generator, perceptor


def _layer(layer: torch.nn.Conv2d, x: Tensor) -> Tensor:
    out: Tensor = layer(x)
    return out


def _norm_swish(norm: torch.nn.GroupNorm, x: Tensor) -> Tensor:
    normed: Tensor = norm(x)
    return normed * torch.sigmoid(normed)


def _attend(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


def _convolved(tower: clip_towers.VisionTransformer, pixels: Tensor) -> Tensor:
    patches: Tensor = tower.conv1(pixels)
    return patches.flatten(2).transpose(1, 2)


def random_vqgan() -> VQGAN:
    """The published f16 generator with 16384 codes, with random weights."""
    torch.manual_seed(0)
    config = VQGANConfig(
        ch=128, ch_mult=(1, 1, 2, 2, 4), num_res_blocks=2, attn_resolutions=(16,), resolution=256,
        z_channels=256, in_channels=3, out_ch=3, dropout=0.0, embed_dim=256, n_embed=16384,
    )  # fmt: skip
    model = VQGAN(config, "random-f16-16384").eval().requires_grad_(False)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def random_clip() -> RandomClip:
    """ViT-B/32 with random weights."""
    rng = torch.Generator().manual_seed(0)
    model = RandomClip(VIT_B_32, Preprocessing(VIT_B_32.image_size)).eval().requires_grad_(False)
    for name, value in model.named_parameters():
        if value.ndim > 1:
            value.normal_(std=0.02, generator=rng)
        else:
            value.fill_(1.0 if name.endswith("weight") or not value.ndim else 0.0)
    return model


__all__ = ["KINDS", "RandomClip", "as_published", "networks", "random_clip", "random_vqgan"]
