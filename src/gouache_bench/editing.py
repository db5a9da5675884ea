"""Masks and edits on twenty scenes of known regions (scenes/), for docs/editing.md.

python -m gouache_bench.editing [--steps 80] [--only masks edits colors] [--guides pocket+photo ...]

All is done by each set of guides in turn, by default by `pocket` alone and by `pocket` and `photo`.
Masks: overlap with the true region, and which of the two things the mask lies on, by the default
threshold and, of the first set, by the paper's. Edits: the referee, which never guides, compares
the masked part with the target before and after. Colours: whole pictures edited by --from/--to.
Writes table.md to --work.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gouache.editing import EditConfig, edit
from gouache.editing.mask import read_source, score
from gouache.editing.shapes import bounding_box, feathered
from gouache.engine.words import embed_texts
from gouache.networks.models import load_guides
from gouache.ops.images import grid_pil, to_tensor
from gouache.perceptors import load_perceptor
from gouache.protocols import Perceptor
from gouache.settings.config import parse_perceptor
from gouache_bench.latents import whole

SCENES = Path(__file__).parent / "scenes"
SIDES = ("left", "right")
GUIDES = ("pocket", "pocket+photo")  # names, or NAME:WEIGHT, joined by +
# scene, side, what it is, what it becomes
COLORS = (
    ("01", "left", "a red apple", "a green apple"),
    ("01", "right", "a yellow banana", "a green banana"),
    ("04", "right", "a red strawberry", "a blue strawberry"),
    ("05", "right", "a red balloon", "a blue balloon"),
    ("06", "left", "a green frog", "a red frog"),
    ("09", "left", "a blue fish", "an orange fish"),
    ("15", "right", "a red tomato", "a yellow tomato"),
    ("16", "right", "a red rose", "a purple rose"),
    ("19", "right", "a red crab", "a blue crab"),
    ("20", "right", "a yellow bell", "a pink bell"),
)


def all_scenes() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((SCENES / "scenes.json").read_text())
    return found


def region(name: str, side: str) -> NDArray[np.bool_]:
    return np.asarray(Image.open(SCENES / f"{name}-{side}.png").convert("L")) > 127


def overlap(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float((found & true).sum() / max(1, (found | true).sum()))


def similarity(referee: Perceptor, image: Image.Image, phrases: Sequence[str]) -> list[float]:
    """Cosine of a picture with each phrase, by who did not guide."""
    told = embed_texts(phrases, referee, templates=True).cpu()
    values: list[float] = (whole(referee, to_tensor(image)) @ told.T)[0].tolist()
    return values


def around(image: Image.Image, mask: NDArray[np.bool_], margin: float = 1.1) -> Image.Image:
    """The square about a mask's box."""
    left, top, right, bottom = bounding_box(torch.from_numpy(mask.copy()))
    side = min(margin * max(right - left, bottom - top), *image.size)
    x = min(max((left + right - side) / 2, 0), image.width - side)
    y = min(max((top + bottom - side) / 2, 0), image.height - side)
    return image.crop((round(x), round(y), round(x + side), round(y + side)))


def psnr(one: Image.Image, other: Image.Image, where: NDArray[np.bool_]) -> float:
    apart = (np.asarray(one, float) - np.asarray(other, float))[where] / 255
    return -10 * math.log10(max(1e-12, float(np.square(apart).mean())))


def masks(scenes: Sequence[dict[str, str]], work: Path, named: Sequence[str]) -> list[str]:
    guides = {name: load_guides(map(parse_perceptor, name.split("+"))) for name in named}
    lines = [
        "| guides, threshold | mean IoU | median | right thing | of those replaced | seconds |"
    ]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    variants: list[tuple[str, str, dict[str, Any]]] = [
        *((name, "auto", {}) for name in named),
        (named[0], "auto, no colours", {"colors": False}),
        (named[0], "paper, k = 2", {"threshold": "paper"}),
        (named[0], "paper, k = -1", {"threshold": "paper", "deviations": -1.0}),
    ]
    present: dict[str, list[float]] = {name: [] for name in named}
    for name, label, values in variants:
        config = EditConfig().updated(**values)
        overlaps, right, replaced, tiles = [], 0, 0, []
        begun = time.process_time()
        for scene in scenes:
            source = read_source(SCENES / f"{scene['name']}.png")
            for side in SIDES:
                mask = score(source, scene[side], guides[name], config)
                found, other = mask.selected.numpy(), SIDES[1 - SIDES.index(side)]
                true, wrong = region(scene["name"], side), region(scene["name"], other)
                overlaps.append(overlap(found, true))
                won = float(found[true].mean()) > float(found[wrong].mean())
                right += won
                replaced += won and scene["replace"] == side
                if label == "auto":
                    present[name].append(mask.seen)
                    tiles.append(mask.overlay(source))
                    print(
                        name, scene["name"], scene[side], f"{overlaps[-1]:.2f}", won,
                        f"{mask.seen:.3f}", flush=True,
                    )  # fmt: skip
        spent = (time.process_time() - begun) / len(overlaps)
        lines.append(
            f"| {name}, {label} | {np.mean(overlaps):.3f} | {np.median(overlaps):.3f} | "
            f"{right} of {len(overlaps)} | {replaced} of {len(scenes)} | {spent:.1f} |"
        )
        if label == "auto":
            grid_pil(tiles, columns=8).save(work / f"masks-{name}.png")
    lines.append("")
    spread = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]
    for name in named:
        absent = []
        others = all_scenes()
        for scene in scenes:
            source = read_source(SCENES / f"{scene['name']}.png")
            for shift in (3, 8, 13):
                elsewhere = others[(others.index(scene) + shift) % len(others)]
                absent.append(score(source, elsewhere["left"], guides[name], EditConfig()).seen)
        lines += [
            f"{name}: score of phrases, quantiles 0, 10, 25, 50, 75, 90, 100 %: there "
            + " ".join(f"{v:.3f}" for v in np.quantile(present[name], spread))
            + "; not there "
            + " ".join(f"{v:.3f}" for v in np.quantile(absent, spread)),
            "",
        ]
    return lines


def edits(scenes: Sequence[dict[str, str]], work: Path, steps: int, guides: str) -> list[str]:
    referee = load_perceptor("referee")
    rises, ratios, same, seconds, tiles = [], [], 0, [], []
    for scene in scenes:
        source = read_source(SCENES / f"{scene['name']}.png")
        begun = time.process_time()
        made = edit(
            source,
            scene["with"],
            replace=scene[scene["replace"]],
            preset="pocket",
            perceptor=guides.split("+"),
            steps=steps,
            min_score=0.0,
        )
        seconds.append(time.process_time() - begun)
        assert made.mask is not None
        inside = made.mask.selected.numpy()
        true = region(scene["name"], scene["replace"])
        painted = made.image.resize(source.size, Image.Resampling.LANCZOS)
        soft = feathered(made.mask.selected, made.mask.config.feather).numpy()
        from gouache.editing.composite import composite

        laid = composite(source, made.image, made.mask)
        before = similarity(referee, around(source, inside | true), [scene["with"]])[0]
        after = similarity(referee, around(laid, inside | true), [scene["with"]])[0]
        rises.append(after - before)
        ratios.append(psnr(source, painted, soft == 0))
        same += bool((np.asarray(source)[soft == 0] == np.asarray(laid)[soft == 0]).all())
        tiles += [source, made.overlay(), laid]
        print(
            scene["name"],
            scene["with"],
            f"{before:.3f} {after:.3f} {ratios[-1]:.1f} dB",
            flush=True,
        )
    grid_pil(tiles, columns=6).save(work / f"edits-{guides}.png")
    return [
        f"{guides}: masked edits, {steps} steps: similarity to the target rises in "
        f"{sum(rise > 0 for rise in rises)} of {len(rises)} (mean {np.mean(rises):+.3f}); outside "
        f"the mask {np.mean(ratios):.1f} dB on average, least {min(ratios):.1f} dB, "
        f"{sum(ratio >= 25 for ratio in ratios)} of {len(ratios)} at least 25 dB; with --composite "
        f"identical outside in {same} of {len(rises)}; {np.mean(seconds):.1f} s of one core each.",
        "",
    ]


def colors(work: Path, steps: int, guides: str) -> list[str]:
    referee, won, kept, tiles = load_perceptor("referee"), 0, 0, []
    others = [
        Image.open(SCENES / f"{n:02d}.png").convert("RGB").crop((0, 0, 96, 96)) for n in (3, 8)
    ]
    for name, side, old, new in COLORS:
        scene = read_source(SCENES / f"{name}.png")
        source = around(scene, region(name, side), 1.25).resize(
            (128, 128), Image.Resampling.LANCZOS
        )
        made = edit(
            source, new, old=old, preset="pocket", perceptor=guides.split("+"), steps=steps
        ).image
        was, now = (similarity(referee, image, [old, new]) for image in (source, made))
        changed = now[1] > now[0] and now[1] - now[0] > was[1] - was[0]
        like = _alike(referee, source, made)
        apart = max(_alike(referee, source, other) for other in others)
        won += changed
        kept += like > apart
        tiles += [source, made]
        print(
            old,
            new,
            f"{was[0]:.3f} {was[1]:.3f} -> {now[0]:.3f} {now[1]:.3f}; {like:.2f} {apart:.2f}",
        )
    grid_pil(tiles, columns=4).save(work / f"colors-{guides}.png")
    return [
        f"{guides}: colours by --from/--to, {steps} steps: {won} of {len(COLORS)} changed "
        f"by the referee; nearer to their source than an unrelated picture is: {kept} of "
        f"{len(COLORS)}.",
        "",
    ]


def _alike(referee: Perceptor, one: Image.Image, other: Image.Image) -> float:
    return float((whole(referee, to_tensor(one)) * whole(referee, to_tensor(other))).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["masks", "edits", "colors"])
    parser.add_argument("--work", type=Path, default=Path("out/editing"))
    parser.add_argument("--guides", nargs="+", default=list(GUIDES), metavar="NAME+NAME")
    parser.add_argument("--scenes", type=int, default=20, help="only so many, evenly chosen")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    scenes = all_scenes()
    scenes = scenes[:: max(1, len(scenes) // given.scenes)][: given.scenes]
    lines: list[str] = []
    if "masks" in given.only:
        lines += masks(scenes, given.work, given.guides)
    for guides in given.guides:
        if "edits" in given.only:
            lines += edits(scenes, given.work, given.steps, guides)
        if "colors" in given.only:
            lines += colors(given.work, given.steps, guides)
    (given.work / "table.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
