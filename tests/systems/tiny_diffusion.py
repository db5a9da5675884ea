"""A folder of tiny models of the shipped ones' kinds, with random weights: what pocket-diffusion
needs."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from gouache.generators.vqgan import VQGAN
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.systems.latent_diffusion import LatentDiffusion, LatentDiffusionConfig
from gouache.weights.fingerprint import identity
from gouache.weights.saving import save_model
from gouache.weights.shipped import DIFFUSION, GENERATOR, PERCEPTOR, TOKENIZER
from tiny import TINY_VQGAN

SHAPE = LatentDiffusionConfig(
    code_dim=4,
    grid=4,
    channels=32,
    width=16,
    layers=1,
    table_dim=8,
    guide_channels=(32, 32),
    guide_width=16,
    embed_dim=12,
)


def tiny_networks(seed: int = 0) -> LatentDiffusion:
    """As if they had learnt something: nothing in them is zero."""
    torch.manual_seed(seed)
    model = LatentDiffusion(SHAPE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        model.mean.normal_(std=0.1)
        model.deviation.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


def tiny_perceptor() -> PocketPerceptor:
    torch.manual_seed(1)
    shape = PocketConfig(
        image_size=16, channels=(8, 8), blocks=(0, 1), table_dim=8, embed_dim=12,
        text_width=16, text_layers=1,
    )  # fmt: skip
    model = PocketPerceptor(shape, PocketTokenizer(TOKENIZER, shape.context))
    model.text_tower.set_table(torch.randn(shape.vocabulary, 8))
    return model.eval().requires_grad_(False)


def tiny_generator() -> VQGAN:
    torch.manual_seed(2)
    model = VQGAN(TINY_VQGAN)
    model.codebook.data.copy_(torch.randn(24, 4))
    return model.eval().requires_grad_(False)


def save_beside(folder: Path) -> None:
    """The models that pocket-diffusion learns from."""
    generator, perceptor = tiny_generator(), tiny_perceptor()
    save_model(folder / GENERATOR.name, generator.state_dict(), generator.config.to_dict())
    values = asdict(perceptor.config) | {"bank_size": 0}
    save_model(folder / PERCEPTOR.name, perceptor.state_dict(), values)
    shutil.copyfile(TOKENIZER, folder / TOKENIZER.name)


def taught_by(folder: Path) -> dict[str, str]:
    """The sums that a file of networks names."""
    return {
        "generator": identity(folder / GENERATOR.name),
        "perceptor": identity(folder / PERCEPTOR.name),
    }


def save_tiny_diffusion(folder: Path) -> Path:
    """All files of a folder that `load_pocket_diffusion` reads; returns the networks' own."""
    save_beside(folder)
    path = folder / DIFFUSION.name
    save_model(path, tiny_networks().state_dict(), asdict(SHAPE) | taught_by(folder), packed=True)
    return path
