"""A pocket-ar small enough to write in milliseconds, random everywhere, and what it goes with."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch

from gouache.generators.vqgan import VQGAN
from gouache.systems.pocket_ar import WordsToCodes, WordsToCodesConfig
from gouache.weights.fingerprint import fingerprint
from gouache.weights.saving import save_model
from tiny import TINY_VQGAN

SHAPE = replace(TINY_VQGAN, embed_dim=3, n_embed=20)  # 4 x 4 cells of a picture of 32 pixels
CONFIG = WordsToCodesConfig(
    width=16,
    layers=2,
    heads=2,
    text_length=6,
    image_length=16,
    text_vocabulary=30522,
    image_vocabulary=20,
    table_dim=6,
)


def tiny(config: WordsToCodesConfig = CONFIG) -> WordsToCodes:
    """A fresh one's layers begin as the identity and look at nothing."""
    torch.manual_seed(0)
    network = WordsToCodes(config).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.add_(0.3 * torch.randn(weight.shape))
    return network


def save_all(folder: Path) -> None:
    """A generator, a table of words and a transformer, by the names of what is shipped."""
    torch.manual_seed(1)
    model = VQGAN(SHAPE)
    model.quantize.embedding.weight.data.normal_()
    save_model(folder / "generator.safetensors", model.state_dict(), SHAPE.to_dict(), half=True)
    table = {
        "text_tower.table": torch.randint(-127, 128, (30522, 6)).to(torch.int8),
        "text_tower.table_scale": torch.full((30522,), 0.01),
    }
    save_model(folder / "perceptor.safetensors.gz", table, {})
    save_ar(folder)


def save_ar(folder: Path, **changes: object) -> None:
    """The transformer alone; `changes` are of what its file says."""
    said = asdict(CONFIG) | {"generator": fingerprint(folder / "generator.safetensors")} | changes
    save_model(folder / "autoregressive.safetensors.gz", tiny().state_dict(), said, packed=True)


__all__ = ["CONFIG", "save_all", "save_ar", "tiny"]
