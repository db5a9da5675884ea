"""Measures the models: retrieval, reconstruction, and what is seen in painted pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gouache.engine.session import Session
from gouache.engine.words import embed_texts
from gouache.errors import TrainingError
from gouache.generators import load_generator
from gouache.networks.models import Guide
from gouache.ops.images import grid_pil, to_pil
from gouache.perceptors import load_perceptor
from gouache.protocols import CodebookGenerator, Perceptor, with_codebook
from gouache.runs.drive import Run, drive
from gouache.settings.config import PaintConfig, make_config, parse_perceptor
from gouache.weights.gz import packed_or_plain
from gouache_training.class_prompts import CLASS_PROMPTS, TUNING_PROMPTS
from gouache_training.codebook import psnr
from gouache_training.dataset import PictureSet
from gouache_training.exam import QUESTIONS, real_pictures
from gouache_training.export import part_of
from gouache_training.judge import Judge, guides_too, load_judge
from gouache_training.loop import log
from gouache_training.marks import (
    Asked,
    ClassExaminer,
    Examiner,
    RefereeExaminer,
    Table,
    as_plain,
    count,
    joined,
    table_text,
)
from gouache_training.plain import plain
from gouache_training.probe import ProbeExaminer, load_probe, unseen

Indices: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = dict[str, Any]

SHEETS: dict[str, Sequence[Asked]] = {
    "sixty": QUESTIONS,
    "classes": CLASS_PROMPTS,
    "tuning": TUNING_PROMPTS,
}
JUDGES = ("referee", "lite2")


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
    told = embed_texts(captions, model)
    rows = {concept: row for row, concept in enumerate(names)}
    truth = torch.tensor([rows[entry.concept] for entry in entries], device=seen.device)
    nearest = (seen @ told.T).topk(min(top, len(names)), dim=1).indices
    return float((nearest == truth[:, None]).any(1).float().mean())


@torch.no_grad()
def reconstruct(model: CodebookGenerator, images: Tensor) -> tuple[Tensor, float]:
    """Reconstructions in [0,1] and the perplexity of the codes that they use."""
    parts, counts = [], torch.zeros(len(model.codebook))
    for chunk in torch.split(images, 32):
        codes, indices = model.quantize(model.encode(chunk))
        parts.append(model.decode(codes).clamp(0, 1))
        counts += torch.bincount(indices.flatten().cpu(), minlength=len(counts)).float()
    share = counts / counts.sum()
    perplexity = float((-(share * (share + 1e-12).log()).sum()).exp())
    return torch.cat(parts), perplexity


def measure(
    pictures: PictureSet, perceptor: Perceptor, generator: CodebookGenerator, out: Path
) -> Numbers:
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
    generator: CodebookGenerator,
    guides: Perceptor | Sequence[Guide],
    asked: Sequence[Asked],
    seed: int,
    settings: Mapping[str, Any],
) -> Tensor:
    """One picture of every prompt, unpicked: (len(asked),3,H,W) in [0,1]."""
    painted = []
    for each in asked:
        config = make_config(prompt=each.prompt, seed=seed, **settings)
        session = Session.build(config, generator=generator, perceptor=guides)
        drive(Run(session))
        painted.append(session.picture().cpu())
        log(f"seed {seed}: {len(painted)} of {len(asked)} painted, {each.prompt}")
    return torch.cat(painted)


def random_pictures(
    generator: CodebookGenerator, seed: int, number: int = len(QUESTIONS)
) -> Tensor:
    """Pictures of random codes: what no painting at all would score."""
    side = generator.native_size // generator.downsampling
    rng = torch.Generator().manual_seed(seed)
    draws = torch.multinomial(generator.code_prior.cpu(), number * side**2, True, generator=rng)
    codes = generator.codebook[draws.view(-1, side, side)].movedim(-1, 1).contiguous()
    with torch.no_grad():
        return generator.decode(codes).float().clamp(0, 1)


def examine(
    examiner: Examiner,
    asked: Sequence[Asked],
    generator: CodebookGenerator,
    guides: Perceptor | Sequence[Guide],
    starts: Sequence[str],
    seeds: int,
    out: Path,
    real: Tensor | None = None,
    **settings: Any,
) -> dict[str, Table]:
    """What an examiner sees in painted, real and random pictures, by group.

    Every sheet goes into `out` as `sheet-START-SEED.png`, labelled with its prompts.

    Args:
        examiner: never one of the guides.
        asked: the prompts.
        real: sheets of real pictures of them (S*len(asked),3,H,W), where there are any.
        settings: of painting, by their names.
    """
    labels = [each.prompt for each in asked]
    tables: dict[str, Table] = {}

    def mark(name: str, sheets: Sequence[Tensor]) -> None:
        # A sheet at a time: pictures may be large.
        marks = [examiner.marks(sheet, asked) for sheet in sheets]
        tables[name] = count(joined(marks), asked)

    if real is not None:
        mark("real pictures", torch.split(real, len(asked)))
    mark("random codes", [random_pictures(generator, seed, len(asked)) for seed in range(seeds)])
    for start in starts:
        painted = []
        for seed in range(seeds):
            sheet = paint_sheet(generator, guides, asked, seed, {**settings, "start": start})
            tiles = [to_pil(picture) for picture in sheet]
            grid_pil(tiles, columns=10, labels=labels).save(out / f"sheet-{start}-{seed}.png")
            painted.append(sheet)
        mark(f"painted, start {start}", painted)
    return tables


def find_examiner(
    judge: str, prompts: str, referee: Callable[[], Perceptor], data: Path, cache: Path
) -> Examiner:
    """Who marks: `judge` is "referee" or "lite2", `prompts` a name of `SHEETS`.

    Lite2 and, for the sixty prompts, its probe are fetched and trained where `cache` lacks them.
    Raises `TrainingError`.
    """
    if judge == "referee":
        return RefereeExaminer(referee())
    found = load_judge(cache)
    if prompts != "sixty":
        return ClassExaminer(found)
    probe = load_probe(found, data, cache)
    log(f"the probe names {probe.accuracy:.0%} of {probe.total} held-out composed pictures right")
    return ProbeExaminer(probe)


def evaluate_models(
    data: Path,
    models: Path | None,
    out: Path,
    starts: Sequence[str] = (),
    seeds: int = 3,
    prompts: str = "",
    judge: str = "referee",
    perceptors: Sequence[str] = (),
    cache: Path = Path("data/cache"),
    **settings: Any,
) -> str:
    """Prints and stores retrieval, reconstruction and, of pictures painted, marks; the text.

    Args:
        data: the packed pictures.
        models: folder of exported models, the shipped ones if None.
        out: folder for numbers and sheets.
        starts: ways to start painting from, the default one if `prompts` are named.
        seeds: how often each prompt is painted.
        prompts: a name of `SHEETS`; "" is "sixty" with `starts`, and skips painting without.
        judge: who marks, "referee" or "lite2".
        perceptors: guides as NAME or NAME:WEIGHT, where "pocket" is that in `models`; by default
            that alone with `models`, and else those that paint by default.
        cache: of downloads.
        settings: of painting, by their names.

    Raises:
        TrainingError: prompts or a judge of that name do not exist, or cannot be had.
    """
    if prompts and prompts not in SHEETS:
        raise TrainingError(f"got prompts {prompts!r:.60}, expected one of {', '.join(SHEETS)}")
    if judge not in JUDGES:
        raise TrainingError(f"got judge {judge!r:.60}, expected one of {', '.join(JUDGES)}")
    pictures = PictureSet.load(data)

    def name(part: str) -> str:
        return str(packed_or_plain(part_of(models, part))) if models else "pocket"

    perceptor = load_perceptor(name("perceptor"))
    generator = with_codebook(load_generator(name("generator")))
    assert generator is not None  # those that are trained here have one
    out.mkdir(parents=True, exist_ok=True)
    numbers = measure(pictures, perceptor, generator, out)
    width = max(map(len, numbers))
    text = "\n".join(f"{name:{width}}  {value:.3f}" for name, value in numbers.items())
    if starts or prompts:

        def referee() -> Perceptor:
            found = load_perceptor(name("referee") if models else "referee")
            numbers["referee R@1"] = retrieval(found, pictures, _emoji(pictures))
            return found

        asked = SHEETS[prompts or "sixty"]
        examiner = find_examiner(judge, prompts or "sixty", referee, data, cache)
        if "referee R@1" in numbers:
            text += f"\n{'referee R@1':{width}}  {numbers['referee R@1']:.3f}"
        if isinstance(examiner, ProbeExaminer):
            numbers["probe top 1"] = examiner.probe.accuracy
            text += f"\n{'probe top 1':{width}}  {examiner.probe.accuracy:.3f}"
        names = tuple(perceptors) or (("pocket",) if models else PaintConfig().perceptor)
        guides = [
            Guide(perceptor if guide == "pocket" else load_perceptor(guide), weight)
            for guide, weight in map(parse_perceptor, names)
        ]
        seen_by = _judge_of(examiner)
        if seen_by and any(guides_too(seen_by, guide.perceptor) for guide in guides):
            log("this judge is one of photo's classifiers and guides, too: its marks flatter")
        settings = {**settings, "perceptor": names}
        tables = examine(
            examiner,
            asked,
            generator,
            guides,
            starts or (make_config(**settings).latents.start,),
            seeds,
            out,
            real=_real(pictures, asked, examiner, seeds, generator.native_size),
            **settings,
        )
        numbers["exam"] = as_plain(tables)
        numbers["exam by"] = {"judge": judge, "prompts": prompts or "sixty", "guides": list(names)}
        text += "\n\n" + table_text(tables)
    (out / "numbers.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return text


def _judge_of(examiner: Examiner) -> Judge | None:
    """The classifier that an examiner asks, if it asks one."""
    if isinstance(examiner, ProbeExaminer):
        return examiner.probe.judge
    return examiner.judge if isinstance(examiner, ClassExaminer) else None


def _real(
    pictures: PictureSet, asked: Sequence[Asked], examiner: Examiner, seeds: int, size: int
) -> Tensor | None:
    """Composed pictures, for the questions that can be composed; none that the examiner learnt."""
    if asked is not QUESTIONS:
        return None
    rows = unseen(pictures)[1] if isinstance(examiner, ProbeExaminer) else None
    return torch.cat([real_pictures(pictures, seed, size, rows)[0] for seed in range(seeds)])
