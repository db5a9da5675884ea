"""Clips painted over, carried along or each frame by itself, for docs/video-restyle.md.

python -m gouache_bench.restyling [--frames 24] [--size 128] [--steps 40] [--steps-per-frame 12]

Two clips are drawn here, so that it is known where everything moves: a view that goes over a
landscape, and a balloon before one. The error is that of what should be the same from frame to
frame (Lai et al. 2018, arXiv 1808.00449, section 3): root mean square of frame t less frame t - k,
moved by the true flow, in levels of 255, where both show it. The referee never guides. Writes
restyling.md and sheets of frames to --work.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from gouache.engine.loop import steps
from gouache.engine.words import embed_texts
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.films.flow import Flow
from gouache.films.guide import Begun
from gouache.films.restyle import Restyle, follow, followed
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.ops.images import grid_pil, to_pil, to_tensor
from gouache.output.video import timelapse
from gouache.perceptors import load_perceptor
from gouache.settings.config import make_config
from gouache_bench.latents import whole

_FINE = 4  # times larger that scenes are drawn
FAR = 8  # frames between those that are compared over a while
SHOWN = 8  # frames on a sheet


@dataclass(frozen=True)
class Scene:
    """A drawn clip. still: pixels of what stands still, and what moves by how much a frame."""

    name: str
    prompt: str
    draw: Callable[[int, int], Image.Image]  # number of the frame, side
    moved: Callable[
        [int, int, int], Tensor
    ]  # from frame, to frame, side -> (2,H,W), as `Flow.back`
    mask: Callable[[int, int], Tensor]  # number, side -> (H,W) bool: what moves


def _landscape(width: int, side: int) -> Image.Image:
    """Sky, sun, hills, trees and houses, `_FINE` times as large as the frames."""
    fine = side * _FINE
    image = Image.new("RGB", (width * _FINE, fine), (150, 200, 235))
    pen = ImageDraw.Draw(image)
    rng = np.random.default_rng(3)
    unit = fine / 128
    pen.ellipse([60 * unit, 10 * unit, 84 * unit, 34 * unit], fill=(250, 220, 90))
    for k in range(math.ceil(image.width / (60 * unit))):
        x = k * 60 * unit
        pen.ellipse(
            [x - 40 * unit, 60 * unit, x + 60 * unit, 160 * unit], fill=(110, 150 + k % 3 * 12, 100)
        )
    pen.rectangle([0, 100 * unit, image.width, fine], fill=(90, 160, 70))
    for _ in range(image.width // round(14 * unit)):
        x, y = rng.uniform(0, image.width), rng.uniform(96, 120) * unit
        size = rng.uniform(6, 13) * unit
        if rng.random() < 0.25:
            pen.rectangle([x - size, y - size, x + size, y + size / 2], fill=(200, 120, 80))
            pen.polygon(
                [(x - 1.2 * size, y - size), (x + 1.2 * size, y - size), (x, y - 2 * size)],
                fill=(140, 50, 40),
            )
        else:
            pen.rectangle([x - size / 6, y - size, x + size / 6, y + size / 2], fill=(90, 60, 40))
            green = (40, int(rng.integers(90, 150)), 50)
            pen.ellipse([x - size, y - 2.4 * size, x + size, y - size / 2], fill=green)
    return image


def _pan(number: int, side: int) -> Image.Image:
    left = number * 3 * _FINE
    window = (left, 0, left + side * _FINE, side * _FINE)
    return _landscape(side * 3, side).crop(window).resize((side, side), Image.Resampling.BOX)


def _place(number: int, side: int) -> tuple[float, float]:
    return side * 0.2 + 3 * number, side * 0.32 + 1 * number


def _balloon(number: int, side: int) -> Image.Image:
    image = _landscape(side * 3, side).crop((side * _FINE, 0, 2 * side * _FINE, side * _FINE))
    pen, (x, y) = ImageDraw.Draw(image), _place(number, side)
    x, y, size = x * _FINE, y * _FINE, side * _FINE * 0.13
    pen.ellipse([x - size, y - size, x + size, y + size], fill=(210, 50, 50))
    pen.pieslice([x - size, y - size, x + size, y + size], 60, 120, fill=(245, 230, 220))
    pen.rectangle([x - size / 3, y + size, x + size / 3, y + 1.5 * size], fill=(120, 80, 40))
    return image.resize((side, side), Image.Resampling.BOX)


def _balloon_mask(number: int, side: int) -> Tensor:
    x, y = _place(number, side)
    size = side * 0.13
    across = torch.arange(side) + 0.5 - x
    down = torch.arange(side)[:, None] + 0.5 - y
    basket = (across.abs() <= size / 3) & (down >= 0) & (down <= 1.5 * size)
    return (across.square() + down.square() <= size**2) | basket


def _pan_moved(before: int, now: int, side: int) -> Tensor:
    back = torch.zeros(2, side, side)
    back[0] = 3.0 * (now - before)
    return back


def _balloon_moved(before: int, now: int, side: int) -> Tensor:
    way = torch.tensor([-3.0, -1.0]).view(2, 1, 1) * (now - before)
    return way * _balloon_mask(now, side)


SCENES = (
    Scene(
        "pan",
        "an oil painting of a village in autumn",
        _pan,
        _pan_moved,
        lambda _, side: torch.ones(side, side, dtype=torch.bool),
    ),
    Scene("balloon", "a watercolor of a snowy mountain", _balloon, _balloon_moved, _balloon_mask),
)


class Alone(Restyle):
    """Each frame by itself."""

    def begin(
        self, frame: int, painted: Mapping[int, Tensor], models: Models, canvas: Canvas
    ) -> Begun:
        return self.afresh(frame, models, canvas)


def error(frames: list[Tensor], scene: Scene, apart: int) -> float:
    """What changes between frames (3,H,W) that are `apart`, but for what moves: levels of 255."""
    side, sums, count = frames[0].shape[-1], 0.0, 0.0
    for now in range(apart, len(frames)):
        before = now - apart
        back = scene.moved(before, now, side)
        flow = Flow(back, torch.ones(1, side, side))
        here, there = scene.mask(now, side), scene.mask(before, side)
        # The same thing in both frames, not at its outline, and inside.
        same = flow.carry(there[None].float())[0].round().bool() == here
        same &= ~(_outline(here) | flow.carry(_outline(there)[None].float())[0].round().bool())
        x = torch.arange(side) + back[0]
        y = torch.arange(side)[:, None] + back[1]
        seen = same & (x >= 1) & (x <= side - 2) & (y >= 1) & (y <= side - 2)
        apart_by = (frames[now] - flow.carry(frames[before])).square().mean(0)
        sums, count = sums + float(apart_by[seen].sum()), count + float(seen.sum())
    return 255 * math.sqrt(sums / max(1.0, count))


def _outline(mask: Tensor) -> Tensor:
    """Within a pixel of the border of (H,W)."""
    wide, narrow = (
        F.max_pool2d(one[None, None].float(), 3, 1, 1)[0, 0].bool() for one in (mask, ~mask)
    )
    return wide & narrow


def paint(
    scene: Scene, clip: Path, road: str, arguments: argparse.Namespace
) -> tuple[list[Tensor], float]:
    """Frames (3,H,W), and seconds."""
    film = FilmConfig(
        steps_per_frame=arguments.steps_per_frame if road == "carried" else arguments.alone_steps,
        strength=arguments.strength,
        keep_weight=arguments.keep_weight,
        frame_lr=arguments.frame_lr if road == "carried" else 1.0,
    )
    config = make_config(
        "auto",
        prompt=scene.prompt,
        steps=arguments.steps,
        size=(arguments.size,) * 2,
        seed=1,
        perceptor=arguments.guides,
    )
    film, config = followed(clip, film, config, {"size"})
    guide = follow(clip, film, config)
    if road == "alone":
        config = config.updated(steps=(arguments.alone_steps,))
        guide = Alone(guide.clip, film)
    begun, frames = time.perf_counter(), []
    painter = Film.build(config, film, guide=guide)
    for _ in steps(painter):
        if painter.frame_done:
            frames.append(painter.picture()[0].clone())
    return frames, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--steps-per-frame", type=int, default=12)
    parser.add_argument("--alone-steps", type=int, default=40)
    parser.add_argument("--frame-lr", type=float, default=FilmConfig.frame_lr)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--keep-weight", type=float, default=30.0)
    parser.add_argument("--guides", nargs="*", default=["pocket"])
    parser.add_argument("--only", nargs="*", default=[scene.name for scene in SCENES])
    parser.add_argument("--roads", nargs="*", default=["clip", "alone", "carried"])
    parser.add_argument("--work", type=Path, default=Path("restyling"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    referee = load_perceptor("referee")
    rows = []
    for scene in (one for one in SCENES if one.name in arguments.only):
        clip = arguments.work / f"{scene.name}.mp4"
        drawn = [scene.draw(k, arguments.size) for k in range(arguments.frames)]
        with timelapse(clip, 12, hold=0) as film:
            for frame in drawn:
                film.add(frame)
        for road in arguments.roads:
            if road == "clip":
                frames, seconds = [to_tensor(frame)[0] for frame in drawn], 0.0
            else:
                frames, seconds = paint(scene, clip, road, arguments)
            words = embed_texts([scene.prompt], referee)
            seen = torch.cat([whole(referee, frame[None]) for frame in frames])
            row = {
                "clip": scene.name,
                "road": road,
                "error": error(frames, scene, 1),
                "far": error(frames, scene, FAR),
                "score": float((seen @ words.T).mean()),
                "seconds": seconds / len(frames),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
            shown = frames[:: max(1, len(frames) // SHOWN)][:SHOWN]
            sheet = grid_pil([to_pil(frame) for frame in shown], columns=SHOWN)
            sheet.save(arguments.work / f"{scene.name}-{road}.png")
    (arguments.work / "restyling.md").write_text(table(rows) + "\n", encoding="utf-8")


def table(rows: list[dict[str, float | str]]) -> str:
    names = {"clip": "the clip", "alone": "each by itself", "carried": "carried along"}
    lines = [
        f"| clip | frames | change from one before | from {FAR} before | referee | s a frame |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['clip']} | {names[str(row['road'])]} | {row['error']:.1f} | {row['far']:.1f} "
            f"| {row['score']:.3f} | {row['seconds']:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
