"""Composes the twenty scenes that gouache_bench.editing measures on, with the true regions.

python -m gouache_bench.make_scenes DATA.gpack [--out src/gouache_bench/scenes]

Two drawings of Noto Emoji (Apache-2.0, by Google) stand side by side on a plain, striped, checked,
graded or speckled ground. Writes NAME.png, NAME-left.png and NAME-right.png (white where the thing
covers more than half) and scenes.json. The same data set gives the same files.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gouache_training.pack import PictureSet

WIDTH, HEIGHT = 192, 128
# left thing, right thing, what the source (the first word of the third: left or right) becomes
SCENES = (
    ("red apple", "banana", "left", "a green apple"),
    ("cat", "cactus", "left", "a rabbit"),
    ("house", "deciduous tree", "right", "a cactus"),
    ("lemon", "strawberry", "left", "an orange fish"),
    ("penguin", "balloon", "right", "a yellow star"),
    ("frog", "umbrella", "left", "a red car"),
    ("guitar", "drum", "right", "a pumpkin"),
    ("rocket", "castle", "left", "a pine tree"),
    ("fish", "octopus", "right", "a crab"),
    ("crown", "key", "left", "a red heart"),
    ("elephant", "butterfly", "right", "a purple flower"),
    ("snail", "sunflower", "left", "a turtle"),
    ("bus", "bicycle", "left", "a green house"),
    ("owl", "brown mushroom", "right", "a candle"),
    ("carrot", "tomato", "right", "a blue balloon"),
    ("lion", "rose", "left", "a panda"),
    ("snowman", "sailboat", "right", "a castle"),
    ("hamburger", "doughnut", "left", "a strawberry"),
    ("turtle", "crab", "right", "a watermelon"),
    ("camera", "bell", "right", "a guitar"),
)
ARTICLES = {"owl": "an", "umbrella": "an", "octopus": "an", "elephant": "an"}
PHRASES = {"deciduous tree": "a tree", "brown mushroom": "a mushroom"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/gouache_bench/scenes"))
    given = parser.parse_args()
    pictures = PictureSet.load(given.data)
    noto = {row.name: k for k, row in enumerate(pictures.entries) if row.source == "noto"}
    given.out.mkdir(parents=True, exist_ok=True)
    described: list[dict[str, Any]] = []
    for number, (left, right, side, target) in enumerate(SCENES):
        rng = np.random.default_rng(number)
        image = ground(number, rng)
        name = f"{number + 1:02d}"
        boxes = []
        for where, thing in (("left", left), ("right", right)):
            size = int(rng.integers(68, 90))
            middle = WIDTH // 4 + (where == "right") * WIDTH // 2
            x = middle - size // 2 + int(rng.integers(-3, 4))
            y = int(rng.integers(4, HEIGHT - size - 3))
            sprite = sprite_of(pictures, noto[thing], size)
            alpha = sprite[..., 3:] / 255
            area = image[y : y + size, x : x + size]
            area[:] = area * (1 - alpha) + sprite[..., :3]
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[y : y + size, x : x + size] = 255 * (alpha[..., 0] > 0.5)
            Image.fromarray(mask).convert("1").save(
                given.out / f"{name}-{where}.png", optimize=True
            )
            boxes.append([x, y, size, size])
        picture = Image.fromarray(np.rint(np.clip(image, 0, 255)).astype(np.uint8))
        picture.save(given.out / f"{name}.png", optimize=True)
        described.append(
            {
                "name": name,
                "left": phrase(left),
                "right": phrase(right),
                "replace": side,
                "with": target,
                "ground": GROUNDS[number % len(GROUNDS)],
            }
        )
    text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
    (given.out / "scenes.json").write_text(text, encoding="utf-8")


def phrase(thing: str) -> str:
    return PHRASES.get(thing, f"{ARTICLES.get(thing, 'a')} {thing}")


def sprite_of(pictures: PictureSet, number: int, size: int) -> NDArray[np.float64]:
    """(size,size,4) premultiplied, 0 to 255."""
    pixels = np.ascontiguousarray(pictures.pixels[number].transpose(1, 2, 0))
    resized = Image.frombuffer("RGBa", pixels.shape[1::-1], pixels.tobytes(), "raw", "RGBa", 0, 1)
    return np.asarray(resized.resize((size, size), Image.Resampling.BOX), np.float64)


GROUNDS = ("plain", "graded", "striped", "checked", "speckled")


def ground(number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(HEIGHT,WIDTH,3), 0 to 255: pale, so that most things stand out."""
    first = rng.uniform(120, 245, 3)
    second = np.clip(first + rng.uniform(25, 55) * rng.choice([-1, 1]), 0, 255)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    kind = GROUNDS[number % len(GROUNDS)]
    share: np.ndarray[Any, np.dtype[np.float64]]
    if kind == "plain":
        share = np.zeros((HEIGHT, WIDTH))
    elif kind == "graded":
        share = rows / HEIGHT
    elif kind == "striped":
        share = ((rows + columns) // 12 % 2).astype(float)
    elif kind == "checked":
        share = ((rows // 16 + columns // 16) % 2).astype(float)
    else:  # a coarse speckle: pixel noise would only make the files large
        coarse = rng.random((HEIGHT // 4, WIDTH // 4))
        share = np.asarray(np.kron(coarse, np.ones((4, 4))), np.float64)
    found: np.ndarray[Any, np.dtype[np.float64]]
    found = first * (1 - share[..., None]) + second * share[..., None]
    return found


if __name__ == "__main__":
    main()
