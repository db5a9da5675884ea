"""Relative edits (--from, --to) at the tasks of Open-Edit (Liu et al. 2020, arXiv 2008.01576).

python -m gouache_bench.relative [--steps 80] [--kinds colour attribute object style] [--page]

Six edits of each kind: another colour, another time or place (attribute), another thing, another
style; sources are cut from scenes of known regions (scenes/). The guide is `pocket`, as by default.
Who judges never guided: the referee says whether the picture fits the new phrase better than the
old one, the trunk of `photo` how far its features are from the source's. Writes relative.json and
relative.jpg (pairs of source and edit) to --work; a second call goes on with what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gouache.editing import edit
from gouache.editing.mask import read_source
from gouache.generators.loading import load_pocket
from gouache.intervals import mean, share
from gouache.ops.images import grid_pil, to_pil, to_tensor
from gouache.perceptors import load_perceptor
from gouache.perceptors.efficientnet import EfficientNet
from gouache.perceptors.photo import shipped_photo
from gouache_bench.editing import SCENES, around, psnr, region, similarity
from gouache_training.drawing_judge import feature_distance

Measured: TypeAlias = dict[str, float | bool | None]
WAYS = ("relative", "encoded, decoded", "another source")
SIDE = 128
MARGIN = 1.4  # side of the source, in sides of its thing's box
PAGE = Path(__file__).parents[2] / "docs" / "editing.md"
BEGIN, END = "<!-- relative: begin -->", "<!-- relative: end -->"
# What has to stay: all but the thing, the thing itself, or only where edges are.
STAYS = {"colour": "ground", "attribute": "thing", "object": "ground", "style": ""}


@dataclass(frozen=True)
class Task:
    """scene and side: which thing is cut out; old, new: phrases."""

    kind: str
    scene: str
    side: str
    old: str
    new: str


TASKS = (
    Task("colour", "01", "left", "a red apple", "a green apple"),
    Task("colour", "05", "right", "a red balloon", "a blue balloon"),
    Task("colour", "06", "left", "a green frog", "a red frog"),
    Task("colour", "09", "left", "a blue fish", "an orange fish"),
    Task("colour", "15", "right", "a red tomato", "a yellow tomato"),
    Task("colour", "20", "right", "a yellow bell", "a pink bell"),
    Task("attribute", "08", "right", "a castle", "a castle at night"),
    Task("attribute", "03", "left", "a house", "a house in the snow"),
    Task("attribute", "17", "right", "a sailboat", "a sailboat at sunset"),
    Task("attribute", "03", "right", "a tree", "a tree in the fog"),
    Task("attribute", "08", "left", "a rocket", "a rocket in space"),
    Task("attribute", "16", "right", "a rose", "a rose at night"),
    Task("object", "02", "left", "a cat", "a rabbit"),
    Task("object", "15", "right", "a tomato", "a pumpkin"),
    Task("object", "04", "left", "a lemon", "a fish"),
    Task("object", "12", "right", "a sunflower", "a red rose"),
    Task("object", "08", "left", "a rocket", "a pine tree"),
    Task("object", "16", "left", "a lion", "a panda"),
    Task("style", "03", "left", "a house", "a watercolor painting of a house"),
    Task("style", "02", "left", "a cat", "a charcoal drawing of a cat"),
    Task("style", "09", "left", "a fish", "a stained glass window of a fish"),
    Task("style", "14", "right", "a mushroom", "pixel art of a mushroom"),
    Task("style", "16", "right", "a rose", "a pencil sketch of a rose"),
    Task("style", "08", "right", "a castle", "an oil painting of a castle"),
)


def source_of(task: Task) -> tuple[Image.Image, NDArray[np.bool_]]:
    """A square picture of the thing, and where it is."""
    true = region(task.scene, task.side)
    where = around(Image.fromarray(true), true, MARGIN).resize((SIDE, SIDE))
    picture = around(read_source(SCENES / f"{task.scene}.png"), true, MARGIN)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.asarray(where) > 0


def unrelated(number: int) -> int:
    """Another task, of another thing."""
    task = TASKS[number]
    others = ((number + 7 + k) % len(TASKS) for k in range(len(TASKS)))
    return next(k for k in others if (TASKS[k].scene, TASKS[k].side) != (task.scene, task.side))


def edges(image: Image.Image) -> NDArray[np.float64]:
    """How steep brightness is, (H,W), smoothed over three pixels."""
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    down, across = np.gradient(grey)
    steep = np.pad(np.hypot(down, across), 1, mode="edge")
    height, width = grey.shape
    total = np.zeros_like(grey)
    for y in range(3):
        for x in range(3):
            total += steep[y : y + height, x : x + width]
    return total / 9


def same_edges(one: Image.Image, other: Image.Image) -> float:
    """Correlation of two pictures' edges: 1 where the same lines are as clear."""
    return float(np.corrcoef(edges(one).ravel(), edges(other).ravel())[0, 1])


class Measure:
    """What the judges say of edits; all of them are loaded once."""

    def __init__(self) -> None:
        self._referee = load_perceptor("referee")
        trunk = shipped_photo().trunks[0]
        assert isinstance(trunk, EfficientNet)
        self._trunk = trunk

    @torch.no_grad()
    def __call__(
        self, task: Task, source: Image.Image, where: NDArray[np.bool_], made: Image.Image
    ) -> Measured:
        """`gain`: how much nearer to the new phrase, less how much to the old one; `done`: it is
        nearer to the new one; `edges`, `features`: likeness and distance to the source; `stays`:
        dB in what has to stay, None of styles."""
        was, now = (similarity(self._referee, one, [task.old, task.new]) for one in (source, made))
        kept = {"ground": ~where, "thing": where}.get(STAYS[task.kind])
        new, old = (to_tensor(one) for one in (made, source))
        return {
            "done": now[1] > now[0] and now[1] - now[0] > was[1] - was[0],
            "gain": (now[1] - now[0]) - (was[1] - was[0]),
            "edges": same_edges(made, source),
            "features": float(feature_distance(self._trunk, new, old)),
            "stays": None if kept is None else psnr(made, source, kept),
        }


def _edited(task: Task, source: Image.Image, steps: int, place: Path) -> Image.Image:
    made = edit(source, task.new, old=task.old, size=(SIDE, SIDE), steps=steps).image
    made.save(place)
    return made


@torch.no_grad()
def _decoded(picture: Tensor) -> Image.Image:
    generator = load_pocket("cpu")
    codes, _ = generator.quantize(generator.encode(picture))
    return to_pil(generator.decode(codes)[0].clamp(0, 1))


def row(name: str, found: Sequence[Measured]) -> str:
    """One line of the table, with 95 % intervals."""
    done = share(sum(bool(one["done"]) for one in found), len(found))
    cells = [f"{round(done.value * len(found))} of {len(found)}, {done.show()}"]
    for key, signed in (("gain", True), ("edges", False), ("features", False)):
        cells.append(mean([[float(one[key] or 0)] for one in found]).show(signed))
    kept = [one["stays"] for one in found if one["stays"] is not None]
    cells.append(f"{np.mean(kept):.1f} dB" if kept else "")
    return f"| {name} | " + " | ".join(cells) + " |"


def table(found: Mapping[str, Sequence[Measured]], kinds: Sequence[str]) -> str:
    """Markdown; `found` by the way and then task by task, as in `tasks_of(kinds)`."""
    lines = [
        "| edits | done, by the referee | its gain | edges like the source's | features' distance "
        "| what has to stay |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    asked = tasks_of(kinds)
    for kind in kinds:
        chosen = [one for task, one in zip(asked, found["relative"], strict=True)
                  if task.kind == kind]  # fmt: skip
        lines.append(row(kind, chosen))
    lines += [row(f"all, {way}", every) for way, every in found.items()]
    return "\n".join(lines)


def tasks_of(kinds: Sequence[str]) -> list[Task]:
    return [task for task in TASKS if task.kind in kinds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=STAYS, default=list(STAYS))
    parser.add_argument("--work", type=Path, default=Path("out/relative"))
    parser.add_argument("--page", action="store_true", help="renew the table in the docs")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    tasks, place = tasks_of(given.kinds), given.work / "relative.json"
    told: dict[str, dict[str, Measured]] = json.loads(place.read_text()) if place.exists() else {}
    measure, begun = Measure(), time.process_time()
    sources = [source_of(task) for task in TASKS]
    for task in tasks:
        number = TASKS.index(task)
        source, where = sources[number]
        known = told.setdefault(f"{task.old} -> {task.new}", {})
        ways: dict[str, Callable[[], Image.Image]] = {
            "relative": partial(_edited, task, source, given.steps, given.work / f"{number}.png"),
            "encoded, decoded": partial(_decoded, to_tensor(source)),
            # The floor: a picture that has nothing to do with the source.
            "another source": lambda: sources[unrelated(number)][0],  # noqa: B023
        }
        for way in [way for way in ways if way not in known]:
            known[way] = measure(task, source, where, ways[way]())
        place.write_text(json.dumps(told, indent=1))  # whatever ends it, what was measured stays
        print(task.old, "->", task.new, known["relative"], flush=True)
    seconds = (time.process_time() - begun) / len(tasks)
    pairs = [given.work / f"{number}.png" for number in range(len(TASKS))]
    tiles = [
        one
        for (source, _), pair in zip(sources, pairs, strict=True)
        if pair.exists()
        for one in (source, Image.open(pair))
    ]
    if tiles:
        grid_pil(tiles, columns=12).save(given.work / "relative.jpg", quality=90)
    found = {way: [told[f"{task.old} -> {task.new}"][way] for task in tasks] for way in WAYS}
    lines = table(found, given.kinds)
    print(f"{lines}\n\n{seconds:.1f} processor seconds each, with what was measured before")
    if given.page:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
