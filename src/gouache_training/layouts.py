"""Where things stand in a picture: one, two in a relation that words name, or several alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gouache_training.colors import FloatArray, IntArray

__all__ = ["COUNT", "ONE", "PAIR", "RELATIONS", "Layout", "Relation", "affine", "draw_layout"]


ONE, PAIR, COUNT = 0, 1, 2


@dataclass(frozen=True)
class Relation:
    """How a first and a second thing stand to each other.

    Attributes:
        words: phrases with `{0}` and `{1}`, articles included when filled.
        first: centre of the first thing as (x, y) in [-1,1], x to the right and y down; the second
            stands opposite.
        side: side of each thing as a share of the picture.
    """

    words: tuple[str, ...]
    first: tuple[float, float]
    side: tuple[float, float] = (0.38, 0.5)


RELATIONS: tuple[Relation, ...] = (
    Relation(("{0} and {1}", "{1} and {0}", "{0} with {1}"), (-0.46, 0)),
    Relation(("{0} and {1}", "{1} and {0}", "{0} together with {1}"), (0.46, 0)),
    Relation(("{0} next to {1}", "{0} beside {1}", "{1} next to {0}"), (-0.46, 0)),
    Relation(("{0} to the left of {1}", "{0} left of {1}", "{1} to the right of {0}"), (-0.46, 0)),
    Relation(("{0} to the right of {1}", "{0} right of {1}", "{1} to the left of {0}"), (0.46, 0)),
    Relation(("{0} above {1}", "{0} over {1}", "{1} below {0}", "{1} under {0}"), (0, -0.47)),
    Relation(("{0} below {1}", "{0} under {1}", "{1} above {0}"), (0, 0.47)),
    Relation(("{0} on top of {1}", "{0} standing on {1}", "{0} on {1}"), (0, -0.42), (0.44, 0.5)),
)
"""Relations drawn with equal chance; "and" and "next to" hold on either side."""

_GROUPS: tuple[tuple[tuple[float, float], ...], ...] = (
    ((-0.45, 0), (0.45, 0)),
    ((-0.47, 0.4), (0.47, 0.4), (0, -0.42)),
    ((-0.46, -0.46), (0.46, -0.46), (-0.46, 0.46), (0.46, 0.46)),
    ((-0.6, -0.6), (0.6, -0.6), (0, 0), (-0.6, 0.6), (0.6, 0.6)),
)
_GROUP_SIDE = (0.46, 0.42, 0.42, 0.34)


@dataclass(frozen=True)
class Layout:
    """Sprites of N pictures, one row per thing drawn; all drawn before anything is painted.

    Attributes:
        kind: (N,) ONE, PAIR or COUNT.
        detail: (N,) index into `RELATIONS` for pairs, number of things less two for counts.
        thing: (M,) which thing each sprite shows; things are numbered picture by picture.
        owner: (M,) picture of each sprite.
        owner_of_thing: (K,) picture of each thing.
        side: (M,) side as a share of the picture.
        center: (M,2) (x, y) in [-1,1].
        angle: (M,) turn in radians.
        flip: (M,) 1 or -1.
    """

    kind: IntArray
    detail: IntArray
    thing: IntArray
    owner: IntArray
    owner_of_thing: IntArray
    side: FloatArray
    center: FloatArray
    angle: FloatArray
    flip: FloatArray

    def calmed(self, calm: NDArray[np.bool_], rng: np.random.Generator) -> Layout:
        """A copy whose pictures marked in `calm` (N,) show things large, upright, in the middle."""
        still = calm[self.owner]
        count = len(still)
        return replace(
            self,
            side=np.where(still, rng.uniform(0.85, 0.97, count), self.side).astype(np.float32),
            center=np.where(
                still[:, None], rng.uniform(-0.03, 0.03, (count, 2)), self.center
            ).astype(np.float32),
            angle=np.where(still, 0, self.angle).astype(np.float32),
        )


def draw_layout(
    count: int, pair_share: float, count_share: float, rng: np.random.Generator
) -> Layout:
    """Draw where everything stands in `count` pictures."""
    draw = rng.random(count)
    kind = np.where(draw < pair_share, PAIR, np.where(draw < pair_share + count_share, COUNT, ONE))
    relation = rng.integers(0, len(RELATIONS), count)
    number = np.minimum(rng.geometric(0.45, count) - 1, len(_GROUPS) - 1)
    detail = np.where(kind == PAIR, relation, np.where(kind == COUNT, number, 0))
    things = np.where(kind == PAIR, 2, 1)
    sprites = np.where(kind == PAIR, 2, np.where(kind == COUNT, number + 2, 1))
    owner_of_thing = np.repeat(np.arange(count), things)
    owner = np.repeat(np.arange(count), sprites)
    first_thing = np.cumsum(things) - things
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(sprites) - sprites, sprites)
    thing = first_thing[owner] + np.where(kind[owner] == PAIR, rank, 0)
    total = len(owner)
    side = rng.uniform(0.55, 1.0, total)
    room = 1 - side + 0.06
    center = rng.uniform(-1, 1, (total, 2)) * room[:, None]
    for picture in np.flatnonzero(kind != ONE):
        rows = np.flatnonzero(owner == picture)
        if kind[picture] == PAIR:
            chosen = RELATIONS[detail[picture]]
            spots = np.array([chosen.first, (-chosen.first[0], -chosen.first[1])])
            side[rows] = rng.uniform(chosen.side[0], chosen.side[1], 2)
            center[rows] = spots + rng.uniform(-0.05, 0.05, (2, 2))
        else:
            spots = np.array(_GROUPS[detail[picture]])
            side[rows] = _GROUP_SIDE[detail[picture]] * rng.uniform(0.88, 1.0)
            center[rows] = spots + rng.uniform(-0.03, 0.03, spots.shape)
    angle = rng.normal(0, 0.12, total) * (rng.random(total) < 0.6)
    flip = np.where(rng.random(total) < 0.4, -1, 1)
    return Layout(
        kind.astype(np.int64),
        detail.astype(np.int64),
        thing.astype(np.int64),
        owner.astype(np.int64),
        owner_of_thing.astype(np.int64),
        side.astype(np.float32),
        center.astype(np.float32),
        angle.astype(np.float32),
        flip.astype(np.float32),
    )


def affine(side: FloatArray, center: FloatArray, angle: FloatArray, flip: FloatArray) -> Tensor:
    """(M,2,3) matrices from picture to sprite coordinates, as `affine_grid` wants them."""
    cosine, sine = np.cos(angle) / side, np.sin(angle) / side
    x, y = center.T
    rows = [
        flip * cosine,
        flip * sine,
        -flip * (cosine * x + sine * y),
        -sine,
        cosine,
        sine * x - cosine * y,
    ]
    return torch.from_numpy(np.stack(rows, 1).reshape(-1, 2, 3).astype(np.float32))
