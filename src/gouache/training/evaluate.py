"""Measures the models: retrieval, reconstruction, and what a referee sees in painted pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gouache.config import make_config
from gouache.engine.session import Session
from gouache.generators import load_generator
from gouache.ops.images import grid_pil, to_pil
from gouache.perceptors import load_perceptor
from gouache.protocols import Generator, Perceptor
from gouache.training.codebook import psnr
from gouache.training.dataset import PictureSet
from gouache.training.exam import QUESTIONS, answers, real_pictures, top1
from gouache.training.loop import log
from gouache.training.plain import plain

Indices: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = dict[str, Any]


@torch.no_grad()
def retrieval(model: Perceptor, pictures: PictureSet, indices: Indices, top: int = 1) -> float:
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


def measure(pictures: PictureSet, perceptor: Perceptor, generator: Generator, out: Path) -> Numbers:
    """Retrieval and reconstruction on the held-out splits; a sheet of reconstructions in `out`."""
    numbers: Numbers = {}
    for split in ("held_picture", "held_concept"):
        indices = _colored(pictures, pictures.indices(split))
        for top in (1, 10):
            numbers[f"{split} R@{top} of {len(indices)}"] = retrieval(
                perceptor, pictures, indices, top
            )
    emoji = _emoji(pictures)
    numbers[f"emoji R@1 of {len(emoji)}"] = retrieval(perceptor, pictures, emoji)
    held = np.concatenate([pictures.indices("held_picture"), pictures.indices("held_concept")])
    images = plain(pictures, _colored(pictures, held)[:256], generator.native_size)
    painted, perplexity = reconstruct(generator, images)
    numbers["PSNR dB"] = float(psnr(painted, images).mean())
    numbers["code perplexity"] = perplexity
    numbers["codebook size"] = len(generator.codebook)
    pairs = torch.stack([images[:24], painted[:24]], 1).flatten(0, 1)
    grid_pil([to_pil(picture) for picture in pairs], columns=8).save(out / "reconstruction.png")
    return numbers


def _colored(pictures: PictureSet, indices: Indices) -> Indices:
    return np.array([i for i in indices if pictures.entries[i].kind != "mono"], dtype=np.int64)


def _emoji(pictures: PictureSet, count: int = 334) -> Indices:
    """Held-out emoji of trained concepts, `count` at most."""
    found = [i for i in pictures.indices("held_picture") if pictures.entries[i].kind == "emoji"]
    return np.array(found[:count], dtype=np.int64)


def paint_sheet(
    generator: Generator, perceptor: Perceptor, seed: int, settings: Mapping[str, Any]
) -> Tensor:
    """One picture of every question, unpicked, by the settings of `pocket`: (60,3,H,W) in [0,1]."""
    painted = []
    for question in QUESTIONS:
        config = make_config("pocket", prompt=question.prompt, seed=seed, **settings)
        session = Session.build(config, generator=generator, perceptor=perceptor)
        for _ in session:
            pass
        painted.append(session.picture())
        log(f"seed {seed}: {len(painted)} of {len(QUESTIONS)} painted, {question.prompt}")
    return torch.cat(painted)


def random_pictures(generator: Generator, seed: int) -> Tensor:
    """As many pictures of random codes: what no painting at all would score."""
    side = generator.native_size // generator.downsampling
    rng = torch.Generator().manual_seed(seed)
    draws = torch.multinomial(
        generator.code_prior.cpu(), len(QUESTIONS) * side**2, True, generator=rng
    )
    codes = generator.codebook[draws.view(-1, side, side)].movedim(-1, 1).contiguous()
    with torch.no_grad():
        return generator.decode(codes).float().clamp(0, 1)


def wilson(right: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927)."""
    z, share = 1.96, right / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def examine(
    pictures: PictureSet,
    generator: Generator,
    perceptor: Perceptor,
    referee: Perceptor,
    starts: Sequence[str],
    seeds: int,
    out: Path,
    **settings: Any,
) -> dict[str, dict[str, tuple[int, int]]]:
    """The referee's right answers on painted, real and random pictures, by group.

    Every sheet of sixty goes into `out` as `sheet-START-SEED.png`, labelled with its prompts.
    """
    labels = [question.prompt for question in QUESTIONS]
    tables: dict[str, dict[str, tuple[int, int]]] = {}
    real = torch.cat(
        [real_pictures(pictures, seed, generator.native_size)[0] for seed in range(seeds)]
    )
    tables["real pictures"] = top1(answers(referee, real))
    blank = torch.cat([random_pictures(generator, seed) for seed in range(seeds)])
    tables["random codes"] = top1(answers(referee, blank))
    for start in starts:
        found = []
        for seed in range(seeds):
            sheet = paint_sheet(generator, perceptor, seed, {**settings, "start": start})
            tiles = [to_pil(picture) for picture in sheet]
            grid_pil(tiles, columns=10, labels=labels).save(out / f"sheet-{start}-{seed}.png")
            found.append(answers(referee, sheet))
        tables[f"painted, start {start}"] = top1(torch.cat(found))
    return tables


def table_text(tables: Mapping[str, Mapping[str, tuple[int, int]]]) -> str:
    """A Markdown table: a row per kind of picture, a column per group, with 95 % intervals."""
    groups = list(next(iter(tables.values())))
    lines = ["| pictures | " + " | ".join(groups) + " |", "| --- |" + " --- |" * len(groups)]
    for name, row in tables.items():
        cells = []
        for right, total in (row[group] for group in groups):
            low, high = wilson(right, total)
            cells.append(f"{right / total:.0%} ({low:.0%}-{high:.0%})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def evaluate_models(
    data: Path,
    models: Path | None,
    out: Path,
    starts: Sequence[str] = (),
    seeds: int = 3,
    **settings: Any,
) -> str:
    """Prints and stores retrieval, reconstruction and, with `starts`, the exam; returns the text.

    Args:
        data: the packed pictures.
        models: folder of exported models, the shipped ones if None.
        out: folder for numbers and sheets.
        starts: ways to start painting the sixty prompts from; none skips painting.
        seeds: how often each prompt is painted.
        settings: of painting, by their names.
    """
    pictures = PictureSet.load(data)

    def name(part: str) -> str:
        return str(models / f"{part}.safetensors") if models else "pocket"

    perceptor, generator = load_perceptor(name("perceptor")), load_generator(name("generator"))
    out.mkdir(parents=True, exist_ok=True)
    numbers = measure(pictures, perceptor, generator, out)
    width = max(map(len, numbers))
    text = "\n".join(f"{name:{width}}  {value:.3f}" for name, value in numbers.items())
    if starts:
        referee = load_perceptor(name("referee") if models else "referee")
        numbers["referee R@1"] = retrieval(referee, pictures, _emoji(pictures))
        text += f"\n{'referee R@1':{width}}  {numbers['referee R@1']:.3f}"
        tables = examine(pictures, generator, perceptor, referee, starts, seeds, out, **settings)
        numbers["exam"] = tables
        text += "\n\n" + table_text(tables)
    (out / "numbers.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return text
