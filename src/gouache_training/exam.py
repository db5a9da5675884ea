"""The sixty prompts that shipped models are judged by, and what a real picture of each looks like.

Six groups of ten. A referee, a perceptor that never guides, says which of the sixty prompts a
picture shows; the share of right answers is the score. Real pictures give the ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import TrainingError
from gouache.styles.filters import STYLES, stylize
from gouache_training.captions import with_article
from gouache_training.colors import COLOR_NAMES, COLOR_RGB, tint_matrix
from gouache_training.grounds import SCENES, paint_grounds, scene_grounds
from gouache_training.pack import PictureSet

__all__ = ["QUESTIONS", "Question", "Rows", "real_pictures", "rows_by_name"]

Rows: TypeAlias = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Question:
    """A prompt and how to compose a real picture of it.

    Attributes:
        group: one of six.
        prompt: what is asked for.
        name: of the thing shown.
        color: it is painted in, a name of `COLOR_NAMES`, or "".
        scene: words of the scene it stands in, or "".
        style: name of a style of `STYLES`, or "".
        second: name of another thing, or "".
        second_color: of the other thing.
        above: the first thing stands above the second, not to its left.
    """

    group: str
    prompt: str
    name: str
    color: str = ""
    scene: str = ""
    style: str = ""
    second: str = ""
    second_color: str = ""
    above: bool = False


def _objects(group: str, names: str) -> list[Question]:
    return [Question(group, with_article(name), name) for name in names.split(", ")]


def _colored(pairs: str) -> list[Question]:
    found = [pair.split(" ", 1) for pair in pairs.split(", ")]
    return [
        Question("colours", with_article(f"{color} {name}"), name, color) for color, name in found
    ]


def _scenes(pairs: str) -> list[Question]:
    found = [pair.split("|") for pair in pairs.split(", ")]
    return [
        Question("scenes", f"{with_article(name)} {words}", name, scene=words)
        for name, words in found
    ]


def _styles(pairs: str) -> list[Question]:
    questions = []
    for pair in pairs.split(", "):
        style, name = pair.split("|")
        template = next(each for each in STYLES if each.name == style).templates[0]
        prompt = template.format(a=with_article(name), n=name)
        questions.append(Question("styles", prompt, name, style=style))
    return questions


def _two(pairs: str) -> list[Question]:
    questions = []
    for pair in pairs.split(", "):
        first, how, second = pair.split("|")
        prompt = f"{with_article(first)} {how} {with_article(second)}"
        (color, name), (other_color, other) = _split(first), _split(second)
        questions.append(
            Question("two", prompt, name, color, "", "", other, other_color, how == "above")
        )
    return questions


def _split(words: str) -> tuple[str, str]:
    first, _, rest = words.partition(" ")
    return (first, rest) if first in COLOR_NAMES and rest else ("", words)


QUESTIONS: tuple[Question, ...] = (
    *_objects(
        "objects",
        "key, umbrella, guitar, bicycle, house, rocket, crown, candle, cactus, strawberry",
    ),
    *_colored(
        "red car, green apple, blue balloon, yellow star, pink heart, orange fish, purple flower, "
        "black cat, white rabbit, brown horse"
    ),
    *_objects(
        "animals",
        "elephant, owl, frog, penguin, butterfly, lion, turtle, bee, snail, octopus",
    ),
    *_scenes(
        "castle|at night, sailboat|at sea, palm tree|on a beach, rocket|in space, "
        "snowman|in the snow, cow|in a field, volcano|at sunset, camel|in the desert, "
        "fish|under water, tent|in the forest"
    ),
    *_styles(
        "pencil sketch|house, pixel art|mushroom, stained glass|rose, watercolor|tree, "
        "neon|guitar, silhouette|horse, mosaic|fish, charcoal|cat, woodcut|ship, "
        "line drawing|bicycle"
    ),
    *_two(
        "cat|and|dog, sun|above|tree, apple|and|banana, house|next to|tree, car|next to|bus, "
        "moon|above|house, fish|and|crab, red heart|and|blue star, cup|next to|book, "
        "bee|above|flower"
    ),
)
"""All sixty, group by group."""


def real_pictures(
    pictures: PictureSet,
    seed: int = 0,
    size: int = 128,
    rows: Rows | None = None,
    loose: bool = False,
) -> tuple[Tensor, int]:
    """A composed picture of every question, and how many show pictures never trained on.

    Args:
        pictures: the data set. A held-out picture is taken where one has the name.
        seed: which picture of several, and of all other chance.
        size: side in pixels.
        rows: numbers of the pictures to choose from instead, by name.
        loose: places, sizes and plain grounds vary, as they do in what is painted.

    Returns:
        (60,3,size,size) in [0,1], and a count.

    Raises:
        TrainingError: the set has no picture of a thing that is asked for.
    """
    rng = np.random.default_rng(seed)
    if rows is None:
        rows = {
            name: [i for i in own if pictures.entries[i].split != "train"] or own
            for name, own in rows_by_name(pictures).items()
        }
    composed, held = [], 0
    for question in QUESTIONS:
        picture, fresh = _compose(pictures, question, rng, size, rows, loose)
        composed.append(picture)
        held += fresh
    return torch.cat(composed), held


def _compose(
    pictures: PictureSet,
    question: Question,
    rng: np.random.Generator,
    size: int,
    among: Rows,
    loose: bool,
) -> tuple[Tensor, bool]:
    scene = next((i for i, each in enumerate(SCENES) if question.scene in each.words), -1)
    if not question.scene:
        scene = -1
    image = paint_grounds(scene_grounds(np.array([scene]), rng), size)
    if question.color == "white":  # which could not be seen on white
        image = image * torch.tensor([0.5, 0.65, 0.85]).view(1, 3, 1, 1)
    elif loose and not question.scene and rng.random() < 0.6:
        paper = rng.uniform(0.25, 1.0, 3).astype(np.float32)
        image = image * torch.from_numpy(paper).view(1, 3, 1, 1)
    alpha = torch.zeros(1, 1, size, size)
    if question.second:
        gap = 0.24 * size
        offsets = [(-gap, 0.0), (gap, 0.0)] if question.above else [(0.0, -gap), (0.0, gap)]
        things = [(question.name, question.color), (question.second, question.second_color)]
        side = round(0.47 * size)
    else:
        offsets, things = [(0.0, 0.0)], [(question.name, question.color)]
        side = round((0.65 if question.scene else 0.9) * size)
        if question.scene:
            offsets = [(0.08 * size, 0.0)]
    if loose:
        side = round(side * rng.uniform(0.75, 1.0))
        shift = rng.uniform(-0.05, 0.05, 2) * size
        offsets = [(down + shift[0], across + shift[1]) for down, across in offsets]
    fresh = True
    for (name, color), (down, across) in zip(things, offsets, strict=True):
        sprite, new = _sprite(pictures, name, color, rng, side, among)
        fresh = fresh and new
        top, left = (
            min(max(round((size - side) / 2 + away), 0), size - side) for away in (down, across)
        )
        place = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
        cover = sprite[:, 3:]
        image[place] = image[place] * (1 - cover) + sprite[:, :3]
        alpha[place] = alpha[place] * (1 - cover) + cover
    if question.style:
        number = next(i for i, each in enumerate(STYLES) if each.name == question.style)
        image = stylize(image, alpha, number, rng)
    return image.clamp(0, 1), fresh


def rows_by_name(pictures: PictureSet) -> dict[str, list[int]]:
    """Numbers of the coloured pictures of everything that questions ask for."""
    found: dict[str, list[int]] = {q.name: [] for q in QUESTIONS}
    found |= {q.second: [] for q in QUESTIONS if q.second}
    for number, entry in enumerate(pictures.entries):
        if entry.name in found and entry.kind != "mono":
            found[entry.name].append(number)
    return found


def _sprite(
    pictures: PictureSet,
    name: str,
    color: str,
    rng: np.random.Generator,
    side: int,
    among: Rows,
) -> tuple[Tensor, bool]:
    """(1,4,side,side) premultiplied, and whether training never saw it."""
    rows = among[name]
    if not rows:
        raise TrainingError(f"the data set has no picture of {name!r}; build it again")
    chosen = int(rng.choice(rows))
    x = torch.from_numpy(np.ascontiguousarray(pictures.pixels[[chosen]])).float() / 255
    if color:
        target = COLOR_RGB[[COLOR_NAMES.index(color)]].astype(np.float32)
        matrix = torch.from_numpy(tint_matrix(target))
        rgb = (matrix @ x.flatten(2)).view(1, 3, *x.shape[-2:])
        x[:, :3] = torch.minimum(rgb.clamp(min=0), x[:, 3:])
    x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    return x, pictures.entries[chosen].split != "train"
