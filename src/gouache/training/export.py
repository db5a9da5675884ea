"""Turns training checkpoints into the files that gouache ships."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.training.dataset import PictureSet, name_bank
from gouache.training.loop import load_checkpoint
from gouache.weights.saving import save_model

BANK_SIZE = 1000
# What half-painted pictures look like: without these as rivals, texture passes for the thing.
NOT_THINGS = (
    "nothing", "noise", "a blur", "a pattern", "a texture", "stripes", "polka dots", "text",
    "letters", "a checkerboard", "fabric", "an abstract picture", "a blank picture", "a smear",
)  # fmt: skip


def bank_captions(pictures: PictureSet, size: int = BANK_SIZE) -> list[str]:
    """The captions of the concepts with the largest weight, and a few of no thing at all."""
    names, concepts = name_bank(pictures)
    weight = torch.zeros(len(pictures.concepts))
    for entry in pictures.entries:
        if entry.split == "train":
            weight[entry.concept] += entry.weight
    order = weight[concepts].argsort(descending=True, stable=True)[:size].tolist()
    return [f"a {names[i]}" for i in order] + list(NOT_THINGS)


def load_generator_checkpoint(path: Path) -> VQGAN:
    """The averaged weights of a generator's checkpoint, ready to paint with."""
    content = load_checkpoint(path)
    model = VQGAN(VQGANConfig.from_dict(content["config"]))
    model.load_state_dict(content["average"])
    counts = content["codes"]["counts"]
    model.codebook.data.copy_(content["codes"]["sums"] / counts.unsqueeze(1))
    model.code_prior.copy_(counts / counts.sum())
    return model.eval().requires_grad_(False)


def load_perceptor_checkpoint(path: Path, tokenizer: Path) -> PocketPerceptor:
    """The averaged weights of a perceptor's checkpoint, without a bank."""
    content = load_checkpoint(path)
    config = PocketConfig.from_dict(content["config"])
    model = PocketPerceptor(config, PocketTokenizer(tokenizer, config.context))
    model.load_state_dict(content["average"])
    return model.eval().requires_grad_(False)


def export_models(
    out: Path, data: Path, cache: Path, generator: Path, perceptor: Path
) -> list[Path]:
    """Writes generator.safetensors, perceptor.safetensors and tokenizer.json into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = out / "tokenizer.json"
    shutil.copyfile(cache / "tokenizer.json", tokenizer)
    painter = load_generator_checkpoint(generator)
    save_model(
        out / "generator.safetensors", painter.state_dict(), painter.config.to_dict(), half=True
    )
    viewer = load_perceptor_checkpoint(perceptor, tokenizer)
    captions = bank_captions(PictureSet.load(data))
    with torch.no_grad():
        chunks = [captions[i : i + 256] for i in range(0, len(captions), 256)]
        viewer.bank_embeddings = torch.cat([viewer.embed_text(chunk) for chunk in chunks])
    config = asdict(viewer.config) | {"bank_size": len(captions)}
    save_model(out / "perceptor.safetensors", viewer.state_dict(), config, half=True)
    return [out / "generator.safetensors", out / "perceptor.safetensors", tokenizer]
