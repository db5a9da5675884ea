"""Measures on pictures that training never saw: retrieval and reconstruction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gouache.generators import load_generator
from gouache.ops.images import grid_pil, to_pil
from gouache.perceptors import load_perceptor
from gouache.protocols import Generator, Perceptor
from gouache.training.codebook import psnr
from gouache.training.compose import plain
from gouache.training.dataset import PictureSet


@torch.no_grad()
def retrieval(
    model: Perceptor, pictures: PictureSet, indices: NDArray[np.int64], top: int = 1
) -> float:
    """Share of pictures whose own concept is among the `top` nearest of all concepts in `indices`.

    Every concept stands in the ranking once, under the name of its first picture.
    """
    if not len(indices):
        return float("nan")
    entries = [pictures.entries[i] for i in indices]
    names: dict[int, str] = {}
    for entry in entries:
        names.setdefault(entry.concept, entry.name)
    images = plain(pictures, indices, model.image_size)
    seen = torch.cat([model.embed_image(chunk) for chunk in torch.split(images, 128)])
    captions = [f"a {name}" for name in names.values()]
    told = torch.cat(
        [model.embed_text(captions[i : i + 256]) for i in range(0, len(captions), 256)]
    )
    rows = {concept: row for row, concept in enumerate(names)}
    truth = torch.tensor([rows[entry.concept] for entry in entries], device=seen.device)
    nearest = (seen @ told.T).topk(min(top, len(names)), dim=1).indices
    return float((nearest == truth[:, None]).any(1).float().mean())


@torch.no_grad()
def reconstruct(model: Generator, images: Tensor) -> tuple[Tensor, float]:
    """Reconstructions in [0,1] and the perplexity of the codes that they use."""
    parts, counts = [], torch.zeros(len(model.codebook))
    for chunk in torch.split(images, 32):
        codes, indices = model.quantize(model.encode(chunk))
        parts.append(model.decode(codes).clamp(0, 1))
        counts += torch.bincount(indices.flatten().cpu(), minlength=len(counts)).float()
    share = counts / counts.sum()
    perplexity = float((-(share * (share + 1e-12).log()).sum()).exp())
    return torch.cat(parts), perplexity


def evaluate_models(data: Path, models: Path | None, out: Path) -> str:
    """Prints and stores retrieval and reconstruction on the held-out splits; returns the text."""
    pictures = PictureSet.load(data)
    perceptor = load_perceptor(str(models / "perceptor.safetensors") if models else "pocket")
    generator = load_generator(str(models / "generator.safetensors") if models else "pocket")
    out.mkdir(parents=True, exist_ok=True)
    numbers: dict[str, Any] = {}
    for split in ("held_picture", "held_concept"):
        indices = pictures.indices(split)
        colored = np.array(
            [i for i in indices if pictures.entries[i].kind != "mono"], dtype=np.int64
        )
        for top in (1, 10):
            numbers[f"{split} R@{top} of {len(colored)}"] = retrieval(
                perceptor, pictures, colored, top
            )
    held = np.concatenate([pictures.indices("held_picture"), pictures.indices("held_concept")])
    held = np.array([i for i in held if pictures.entries[i].kind != "mono"][:256], dtype=np.int64)
    images = plain(pictures, held, generator.native_size)
    painted, perplexity = reconstruct(generator, images)
    numbers["PSNR dB"] = float(psnr(painted, images).mean())
    numbers["code perplexity"] = perplexity
    numbers["codebook size"] = len(generator.codebook)
    pairs = torch.stack([images[:24], painted[:24]], 1).flatten(0, 1)
    grid_pil([to_pil(picture) for picture in pairs], columns=8).save(out / "reconstruction.png")
    (out / "numbers.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    width = max(map(len, numbers))
    return "\n".join(f"{name:{width}}  {value:.3f}" for name, value in numbers.items())
