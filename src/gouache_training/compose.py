"""Composes training pictures with captions from the packed pictures, fast enough to feed a CPU.

Chance is drawn first, in numpy and in a fixed order; then the batch is painted with a few tensor
operations over all pictures at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gouache.errors import TrainingError
from gouache.styles.filters import STYLES, stylize
from gouache_training import captions as words
from gouache_training.colors import (
    COLOR_NAMES,
    FloatArray,
    IntArray,
    color_word,
    dominant_color,
    hue_matrix,
    jittered,
    name_has_color,
    recolor_name,
    tint_matrix,
)
from gouache_training.grounds import Grounds, choose_grounds, ground_words, paint_grounds
from gouache_training.layouts import COUNT, ONE, PAIR, RELATIONS, Layout, affine, draw_layout
from gouache_training.pack import PictureSet
from gouache_training.plain import plain
from gouache_training.shapes import Shapes, draw_shapes, paint_shapes, shape_words
from gouache_training.sources import PICTURE_SOURCES

__all__ = ["Batch", "Composer", "Shares", "plain"]


BLACK = COLOR_NAMES.index("black")
_COARSE = np.array([style.coarse for style in STYLES])
_LOOKS = {source.name: source.look for source in PICTURE_SOURCES}


@dataclass(frozen=True)
class Batch:
    """Composed pictures and what is true of them.

    Attributes:
        image: (N,3,size,size) float32 in [0,1].
        captions: N captions.
        concepts: (N,) LongTensor, the concept shown; -1 in pictures of two different things.
        colors: (N,) LongTensor, colour of the thing as index into `COLOR_NAMES`; -1 where it has
            none, where the style hides it and in pictures of two things.
        styles: (N,) LongTensor, index into `STYLES`, -1 for none.
    """

    image: Tensor
    captions: list[str]
    concepts: Tensor
    colors: Tensor
    styles: Tensor


@dataclass(frozen=True)
class Shares:
    """How often composing does what, each in [0,1].

    Attributes:
        pair: pictures of two different things.
        count: pictures of two to five alike.
        style: pictures turned into a style.
        hue: coloured things whose hues are turned.
        tint: coloured things painted in one colour.
        shape: pictures with a coloured mat or disc under the thing.
        calm: pictures of one thing that show it large, upright and in the middle.
        white: of those, the ones on white.
        scene: grounds that are a scene, of those that are not white for calm.
    """

    pair: float = 0.08
    count: float = 0.03
    style: float = 0.14
    hue: float = 0.15
    tint: float = 0.13
    shape: float = 0.03
    calm: float = 0.0
    white: float = 0.5
    scene: float = 0.26


@dataclass(frozen=True)
class _Things:
    """The K things of a batch: which pictures, how recoloured, and what colour that makes."""

    index: IntArray
    pixels: Tensor  # (K,4,side,side) uint8
    matrix: FloatArray  # (K,3,4)
    changed: NDArray[np.bool_]
    color: IntArray
    mean: FloatArray  # (K,3)


class Composer:
    """Draws batches from a picture set.

    Args:
        pictures: the packed pictures.
        rng: source of all chance. The same state gives the same batch on the same machine. A torch
            generator is asked for one seed per batch, so its state alone is enough to resume.
        shares: how often what is done.

    Raises:
        TrainingError: the set has no train pictures.
    """

    def __init__(
        self,
        pictures: PictureSet,
        rng: np.random.Generator | torch.Generator,
        shares: Shares | None = None,
    ) -> None:
        self.pictures = pictures
        self._source = rng
        self.rng = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(0)
        self.shares = shares or Shares()
        self._weights: dict[str, tuple[IntArray, NDArray[np.float64]]] = {}
        rows = pictures.entries
        self._mono = np.array([row.kind == "mono" for row in rows])
        self._fixed = np.array([recolor_name(row.name, None) is None for row in rows])
        self._countable = np.array([words.countable(row.name) for row in rows])
        self._concept = np.array([row.concept for row in rows], np.int64)
        self._frames = [words.frames_for(row.kind, _LOOKS.get(row.source, "")) for row in rows]
        self._pool("train")

    def batch(self, n: int, size: int = 64, split: str = "train") -> Batch:
        """Compose `n` pictures.

        Args:
            n: how many.
            size: side in pixels, at least 16.
            split: where the thing comes from; a second thing always comes from "train".

        Raises:
            TrainingError: unknown split, or one without pictures.
        """
        if n < 1 or size < 16:
            raise TrainingError(f"got {n} pictures of side {size}, expected at least 1 of side 16")
        self._reseed()
        rng, shares = self.rng, self.shares
        layout = draw_layout(n, shares.pair, shares.count, rng)
        calm = (layout.kind == ONE) & (rng.random(n) < shares.calm)
        layout = layout.calmed(calm, rng)
        things = self._draw_things(layout, split)
        style = np.where(rng.random(n) < shares.style, rng.integers(0, len(STYLES), n), -1)
        shapes = draw_shapes(
            np.flatnonzero((layout.kind == ONE) & (rng.random(n) < shares.shape)), rng
        )
        mean = np.full((n, 3, 3), np.nan, np.float32)
        first = np.concatenate([[True], layout.owner_of_thing[1:] != layout.owner_of_thing[:-1]])
        mean[layout.owner_of_thing, np.where(first, 0, 1)] = things.mean
        mean[shapes.owner, 2] = shapes.rgb
        grounds = choose_grounds(mean, rng, shares.scene, calm & (rng.random(n) < shares.white))
        shapes = shapes.unlike(things.mean[np.flatnonzero(first)][shapes.owner])
        image, alpha = self._paint(layout, things, grounds, shapes, size)
        # Coarse filters leave nothing to see of things drawn small.
        style[(layout.kind != ONE) & _COARSE[style] & (style >= 0)] = -1
        for number in np.unique(style[style >= 0]):
            chosen = torch.from_numpy(np.flatnonzero(style == number))
            image[chosen] = stylize(image[chosen], alpha[chosen], int(number), rng)
        captions, colors = self._describe(layout, things, grounds, shapes, style)
        concepts = self._concept[things.index[first]].copy()
        concepts[layout.kind == PAIR] = -1
        return Batch(
            image,
            captions,
            torch.from_numpy(concepts),
            torch.from_numpy(colors),
            torch.from_numpy(style.astype(np.int64)),
        )

    def plain_batch(self, n: int, size: int = 64) -> Tensor:
        """`n` train pictures drawn by weight, as `plain` shows them: (n,3,size,size) in [0,1]."""
        self._reseed()
        return self.plain(self._draw_index(n, "train"), size)

    def _reseed(self) -> None:
        """Where chance comes from torch, takes one seed from it."""
        if isinstance(self._source, torch.Generator):
            seed = int(torch.randint(2**62, (), generator=self._source))
            self.rng = np.random.default_rng(seed)

    def plain(self, indices: Sequence[int] | Tensor | IntArray, size: int = 64) -> Tensor:
        """The pictures as they are, centred on white; one-colour icons in black.

        Args:
            indices: numbers into the picture set.
            size: side in pixels.

        Returns:
            (len(indices),3,size,size) in [0,1].
        """
        return plain(self.pictures, indices, size)

    def _pool(self, split: str) -> tuple[IntArray, NDArray[np.float64]]:
        """Pictures of a split and their cumulated weights; held-out pictures weigh alike."""
        if split not in self._weights:
            index = self.pictures.indices(split)
            if not len(index):
                raise TrainingError(f"split {split!r} has no pictures")
            rows = self.pictures.entries
            weight = [rows[i].weight if split == "train" else 1.0 for i in index]
            self._weights[split] = (index, np.cumsum(np.maximum(weight, 1e-6)))
        return self._weights[split]

    def _draw_index(self, count: int, split: str) -> IntArray:
        index, total = self._pool(split)
        found = np.searchsorted(total, self.rng.random(count) * total[-1], side="right")
        chosen: IntArray = index[np.minimum(found, len(index) - 1)]
        return chosen

    def _draw_things(self, layout: Layout, split: str) -> _Things:
        rng = self.rng
        owner = layout.owner_of_thing
        count = len(owner)
        index = self._draw_index(count, split)
        second = np.concatenate([[False], owner[1:] == owner[:-1]])
        if second.any():
            index[second] = self._draw_index(int(second.sum()), "train")
        # Things counted must have a plural: try a few times, then let the caption say "some".
        for _ in range(6):
            unfit = (layout.kind[owner] == COUNT) & ~self._countable[index]
            if not unfit.any():
                break
            index[unfit] = self._draw_index(int(unfit.sum()), split)
        draw = rng.random(count)
        mono, free = self._mono[index], ~self._fixed[index]
        turned = ~mono & free & (draw < self.shares.hue)
        tinted = ~mono & free & ~turned & (draw < self.shares.hue + self.shares.tint)
        target = rng.integers(0, len(COLOR_NAMES), count)
        target = np.where(mono & (rng.random(count) < 0.15), BLACK, target)
        shade = jittered(target, rng)
        matrix = np.zeros((count, 3, 4), np.float32)
        matrix[:, :, :3] = np.eye(3, dtype=np.float32)
        matrix[turned, :, :3] = hue_matrix(
            rng.uniform(0.12, 0.88, int(turned.sum())).astype(np.float32)
        )
        matrix[tinted] = tint_matrix(shade[tinted])
        matrix[mono] = 0
        matrix[mono, :, 3] = shade[mono]
        raw = np.ascontiguousarray(self.pictures.pixels[index])
        step = max(1, raw.shape[-1] // 24)
        sparse = raw[:, :, step // 2 :: step, step // 2 :: step].reshape(count, 4, -1)
        sample = sparse.astype(np.float32) / 255
        alpha = sample[:, 3]
        rgb = np.clip(matrix @ sample, 0, alpha[:, None])
        color = dominant_color(np.concatenate([rgb, alpha[:, None]], 1).transpose(0, 2, 1))
        color = np.where(mono, target, color)
        mean = rgb.sum(-1) / np.maximum(alpha.sum(-1), 1e-3)[:, None]
        mean = np.where(mono[:, None], shade, mean).astype(np.float32)
        changed = turned | tinted | mono
        return _Things(index, torch.from_numpy(raw), matrix, changed, color, mean)

    def _paint(
        self, layout: Layout, things: _Things, grounds: Grounds, shapes: Shapes, size: int
    ) -> tuple[Tensor, Tensor]:
        """(N,3,size,size) pictures and the (N,1,size,size) alpha of what stands on the ground."""
        image = paint_grounds(grounds, size)
        alpha = torch.zeros(len(image), 1, size, size)
        paint_shapes(image, alpha, shapes)
        theta = affine(layout.side, layout.center, layout.angle, layout.flip)
        rank = np.arange(len(layout.owner)) - np.searchsorted(layout.owner, layout.owner)
        for layer in range(int(rank.max()) + 1):
            rows = np.flatnonzero(rank == layer)
            small = layout.kind[layout.owner[rows]] != ONE
            for part, halvings in ((rows[~small], 0), (rows[small], 1)):
                if not len(part):
                    continue
                sprites = self._sprites(things, layout.thing[part], theta[part], size, halvings)
                owner = torch.from_numpy(layout.owner[part])
                cover = sprites[:, 3:]
                image[owner] = image[owner] * (1 - cover) + sprites[:, :3]
                alpha[owner] = alpha[owner] * (1 - cover) + cover
        return image.clamp_(0, 1), alpha.clamp_(0, 1)

    def _sprites(
        self, things: _Things, which: IntArray, theta: Tensor, size: int, halvings: int
    ) -> Tensor:
        """(M,4,size,size) premultiplied things in place; halved first when drawn small."""
        x = things.pixels[torch.from_numpy(which)].float().mul_(1 / 255)
        if halvings:
            x = F.avg_pool2d(x, 2)
        grid = F.affine_grid(theta, [len(which), 4, size, size], align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False)
        changed = np.flatnonzero(things.changed[which])
        if len(changed):
            rows = torch.from_numpy(changed)
            part = x[rows]
            matrix = torch.from_numpy(things.matrix[which[changed]])
            rgb = (matrix @ part.flatten(2)).view(len(rows), 3, size, size)
            x[rows, :3] = torch.minimum(rgb.clamp_(min=0), part[:, 3:])
        return x

    def _describe(
        self, layout: Layout, things: _Things, grounds: Grounds, shapes: Shapes, style: IntArray
    ) -> tuple[list[str], IntArray]:
        rng = self.rng
        count = len(style)
        on_shape = {int(owner): row for row, owner in enumerate(shapes.owner)}
        first_thing = np.searchsorted(layout.owner_of_thing, np.arange(count))
        colors = np.full(count, -1, np.int64)
        captions = []
        for number in range(count):
            thing = int(first_thing[number])
            kind = int(layout.kind[number])
            how = STYLES[style[number]] if style[number] >= 0 else None
            colorful = how is None or how.keeps_color
            if kind != PAIR and colorful:
                colors[number] = things.color[thing]
            name = self._name(things, thing, colorful)
            full = words.with_article(name)
            if kind == PAIR:
                other = words.with_article(self._name(things, thing + 1, colorful, 0.75))
                relation = RELATIONS[layout.detail[number]]
                full, name = words.one_of(relation.words, rng).format(full, other), ""
            elif kind == COUNT:
                full, name = self._many(name, int(layout.detail[number])), ""
            tail = ""
            if how is None or how.keeps_ground:
                if number in on_shape:
                    tail = shape_words(shapes, on_shape[number], rng)
                else:
                    tail = self._ground(grounds, number)
            row = self.pictures.entries[int(things.index[thing])]
            if how is not None:
                frames = how.templates
                if not name:
                    frames = tuple(frame for frame in frames if "{a}" in frame)
                captions.append(words.fill(words.one_of(frames, rng), name, full, tail))
                continue
            frames = self._frames[things.index[thing]]
            text = words.wrap(name, full, tail, frames, rng)
            if name and row.tags and rng.random() < 0.04:
                text = f"{text}, {words.one_of(row.tags, rng)}"
            captions.append(text)
        return captions, colors

    def _name(self, things: _Things, thing: int, colorful: bool, color_chance: float = 0.35) -> str:
        """The name of a thing, with the colour word that is true of it, if any."""
        rng = self.rng
        row = self.pictures.entries[int(things.index[thing])]
        name = row.name
        if row.synonyms and not name_has_color(name) and rng.random() < 0.1:
            name = words.one_of(row.synonyms, rng)
        if not colorful:
            return recolor_name(name, None) or name
        color = int(things.color[thing])
        if things.changed[thing]:
            color_chance = 0.85
        elif name_has_color(name):
            return name
        said = color >= 0 and rng.random() < color_chance
        word = color_word(color, rng) if said else None
        if word is not None and word in name.split():
            return name
        return recolor_name(name, word) or name

    def _many(self, name: str, extra: int) -> str:
        if not words.countable(name) and len(name.split()) > 3:
            return name
        if words.is_plural(name) or words.with_article(name) == name:
            return name
        return f"{words.NUMBERS[extra]} {words.plural(name)}"

    def _ground(self, grounds: Grounds, number: int) -> str:
        """Words for the ground, said more often the more there is to say."""
        if grounds.scene[number] >= 0:
            chance = 0.75
        elif grounds.color[number] == COLOR_NAMES.index("white"):
            chance = 0.1
        else:
            chance = 0.45
        return ground_words(grounds, number, self.rng) if self.rng.random() < chance else ""
