"""Tiny random models in transformers' format, with tokenizers made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SIDE = 24
TEXT = "a red apple on white background lighthouse at dusk in the storm and night"
WORDS = ["<pad>", "<s>", "</s>", "<unk>", *TEXT.split()]


def tokenizer(*, start: bool) -> Any:
    """A word-level tokenizer: an end token, and a start token where `start`."""
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    single = "<s> $A </s>" if start else "$A </s>"
    special = [("<s>", 1), ("</s>", 2)] if start else [("</s>", 2)]
    inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>" if not start else "</s>",
        unk_token="<unk>",
    )


def shape(**values: Any) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        **values,
    }


def save_clip(folder: Path) -> Path:
    """A CLIP: resized by its short side, cropped, the end token pooled."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    text = shape(
        vocab_size=len(WORDS), max_position_embeddings=10, eos_token_id=2, bos_token_id=1,
        pad_token_id=2, projection_dim=20,
    )  # fmt: skip
    vision = shape(image_size=SIDE, patch_size=8, projection_dim=20)
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=20)
    images = CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    return _save(CLIPModel(config), images, tokenizer(start=True), folder)


def save_siglip(folder: Path) -> Path:
    """A SigLIP: squashed to a square, the last place pooled."""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    torch.manual_seed(1)
    text = shape(vocab_size=len(WORDS), max_position_embeddings=12, projection_size=32)
    vision = shape(image_size=SIDE, patch_size=8)
    config = SiglipConfig(text_config=text, vision_config=vision)
    images = SiglipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return _save(SiglipModel(config), images, tokenizer(start=False), folder)


def save_siglip2(folder: Path) -> Path:
    """A SigLIP 2 of the NaFlex kind: patches in a row."""
    from transformers import Siglip2Config, Siglip2ImageProcessor, Siglip2Model

    torch.manual_seed(2)
    text = shape(vocab_size=len(WORDS), max_position_embeddings=12, projection_size=32)
    vision = shape(num_patches=9, patch_size=8)
    config = Siglip2Config(text_config=text, vision_config=vision)
    images = Siglip2ImageProcessor(patch_size=8, max_num_patches=9)
    return _save(Siglip2Model(config), images, tokenizer(start=False), folder)


def _save(model: Any, images: Any, words: Any, folder: Path) -> Path:
    with torch.no_grad():  # fresh weights are so small that all texts look alike
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.eval().save_pretrained(folder)
    images.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def picture(width: int = SIDE, height: int = SIDE, seed: int = 0) -> Image.Image:
    """A random picture of 8-bit values, smooth enough to be resized."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
