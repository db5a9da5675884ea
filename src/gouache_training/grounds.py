"""Grounds to place things on: plain colours, gradients, textures, scenes; and their words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gouache.styles.banks import banks
from gouache_training.colors import (
    COLOR_NAMES,
    COLOR_RGB,
    FloatArray,
    IntArray,
    color_word,
    jittered,
)

__all__ = [
    "SCENES",
    "TIMES",
    "Grounds",
    "Scene",
    "Time",
    "choose_grounds",
    "ground_words",
    "paint_grounds",
    "scene_grounds",
]


WHITE = COLOR_NAMES.index("white")


@dataclass(frozen=True)
class Scene:
    """A sky and a land, each a vertical gradient, and the words for being there.

    Colours are RGB of 255: sky from top to horizon, land from horizon to bottom.
    """

    words: tuple[str, ...]
    sky: tuple[tuple[int, int, int], tuple[int, int, int]]
    land: tuple[tuple[int, int, int], tuple[int, int, int]]
    horizon: tuple[float, float]
    texture: float = 0.03
    stars: float = 0.0
    relief: float = 0.02  # how far the horizon rises and falls
    timed: bool = True  # whether a time of day or weather may change it


@dataclass(frozen=True)
class Time:
    """A time of day or weather that changes a scene, and its words.

    Attributes:
        words: phrases that follow the scene's.
        sky: as a scene's, in its place.
        veil: colour that lies over the land, RGB of 255.
        dense: how much of it, in [0,1].
        stars: as a scene's.
        disc: colour of a sun or moon, if there is one.
    """

    words: tuple[str, ...]
    sky: tuple[tuple[int, int, int], tuple[int, int, int]]
    veil: tuple[int, int, int]
    dense: float
    stars: float = 0.0
    disc: tuple[int, int, int] | None = None


TIMES: tuple[Time, ...] = (
    Time(
        ("at night", "at night", "by night", "in the moonlight", "under the moon"),
        ((8, 12, 45), (35, 40, 95)),
        (8, 12, 35),
        0.72,
        1.0,
        (245, 240, 210),
    ),
    Time(
        ("at sunset", "at dusk", "in the evening", "at sunrise", "at dawn"),
        ((90, 60, 130), (255, 160, 70)),
        (70, 35, 50),
        0.5,
        0.0,
        (255, 220, 130),
    ),
    Time(
        ("on a sunny day", "in the sunshine", "under the sun"),
        ((60, 145, 240), (190, 225, 250)),
        (255, 245, 200),
        0.08,
        0.0,
        (255, 228, 90),
    ),
    Time(
        ("in the fog", "on a foggy day", "in the mist"),
        ((195, 200, 206), (222, 226, 230)),
        (212, 216, 220),
        0.6,
    ),
)

SCENES: tuple[Scene, ...] = (
    Scene(
        (
            *("on the grass", "in a field", "in a green meadow", "under a blue sky"),
            *("on a green hill", "on a hill", "in a garden", "in the countryside"),
        ),
        ((70, 140, 230), (185, 220, 250)),
        ((105, 180, 70), (50, 120, 40)),
        (0.5, 0.8),
    ),
    Scene(
        (
            *("on the sea", "at sea", "on the water", "in the ocean", "on blue water"),
            *("by the sea", "by the sea", "by a lake", "near the water"),
        ),
        ((120, 190, 245), (215, 235, 250)),
        ((40, 110, 190), (15, 60, 130)),
        (0.4, 0.75),
        0.05,
    ),
    Scene(
        ("in the desert", "on the sand", "on a beach", "on yellow sand", "at the beach"),
        ((110, 180, 240), (235, 235, 220)),
        ((235, 205, 140), (200, 160, 95)),
        (0.5, 0.8),
    ),
    Scene(
        ("in the snow", "on the snow", "in winter", "on white snow"),
        ((150, 190, 225), (220, 232, 242)),
        ((250, 252, 255), (225, 232, 242)),
        (0.45, 0.75),
        0.02,
        0.3,
    ),
    Scene(
        ("at night", "under the night sky", "under the stars", "in the dark"),
        ((8, 12, 45), (35, 40, 95)),
        ((18, 32, 30), (8, 14, 14)),
        (0.6, 0.9),
        0.02,
        1.0,
        timed=False,
    ),
    Scene(
        ("at sunset", "at sunrise", "at dusk", "under an orange sky"),
        ((90, 60, 130), (255, 160, 70)),
        ((60, 45, 60), (25, 20, 35)),
        (0.55, 0.85),
        timed=False,
    ),
    Scene(
        ("on a wooden floor", "on a wooden table", "in a room", "on a table"),
        ((225, 215, 195), (205, 195, 175)),
        ((165, 110, 60), (120, 75, 40)),
        (0.55, 0.8),
        0.03,
        timed=False,
    ),
    Scene(
        ("in space", "in outer space", "among the stars"),
        ((5, 5, 18), (15, 10, 35)),
        ((15, 10, 35), (5, 5, 18)),
        (0.3, 0.9),
        0.02,
        1.0,
        timed=False,
    ),
    Scene(
        ("under water", "underwater", "at the bottom of the sea"),
        ((70, 175, 215), (20, 95, 155)),
        ((20, 90, 140), (120, 120, 95)),
        (0.75, 0.95),
        0.06,
        timed=False,
    ),
    Scene(
        ("in the forest", "in a forest", "in the woods"),
        ((60, 110, 60), (35, 80, 40)),
        ((70, 75, 40), (45, 50, 28)),
        (0.55, 0.85),
        0.12,
    ),
    Scene(
        ("in the sky", "in the clouds", "in the air"),
        ((60, 135, 230), (150, 200, 245)),
        ((150, 200, 245), (200, 225, 250)),
        (0.4, 0.9),
        0.08,
    ),
    Scene(
        ("on the street", "on a road", "in the city"),
        ((175, 200, 220), (210, 215, 220)),
        ((110, 110, 115), (80, 80, 85)),
        (0.5, 0.75),
    ),
    Scene(
        ("in the mountains", "in front of mountains", "below a mountain", "in the hills"),
        ((120, 180, 235), (215, 230, 245)),
        ((120, 135, 150), (70, 95, 70)),
        (0.45, 0.7),
        0.04,
        relief=0.09,
    ),
)

_SCENE_SKY: FloatArray = np.array([scene.sky for scene in SCENES], np.float32) / 255
_SCENE_LAND: FloatArray = np.array([scene.land for scene in SCENES], np.float32) / 255
_SCENE_HORIZON: FloatArray = np.array([scene.horizon for scene in SCENES], np.float32)
_SCENE_TEXTURE: FloatArray = np.array([scene.texture for scene in SCENES], np.float32)
_SCENE_STARS: FloatArray = np.array([scene.stars for scene in SCENES], np.float32)

_SCENE_RELIEF: FloatArray = np.array([scene.relief for scene in SCENES], np.float32)
_SCENE_TIMED = np.array([scene.timed for scene in SCENES])
_TIME_SKY: FloatArray = np.array([time.sky for time in TIMES], np.float32) / 255
_TIME_VEIL: FloatArray = np.array([time.veil for time in TIMES], np.float32) / 255
_TIME_DENSE: FloatArray = np.array([time.dense for time in TIMES], np.float32)
_TIME_STARS: FloatArray = np.array([time.stars for time in TIMES], np.float32)
_TIME_DISC: FloatArray = np.array([time.disc or (0, 0, 0) for time in TIMES], np.float32) / 255
_TIME_HAS_DISC = np.array([time.disc is not None for time in TIMES])
_TIMED = 0.45  # of the scenes that may have one

# Shares of white, plain colour, gradient and texture among grounds that are no scenes.
_SHARES = np.cumsum([0.32, 0.18, 0.1, 0.14]) / 0.74
_FRAME_SHARES = np.cumsum([0.55, 0.1, 0.15, 0.05])
_UNLIKE_FROM = 0.3  # distance in RGB from which a thing stands out from its ground


@dataclass(frozen=True)
class Grounds:
    """What to paint behind N pictures; every field is drawn before anything is painted.

    Attributes:
        upper: (N,2,3) colours from the top to the horizon.
        lower: (N,2,3) colours from the horizon to the bottom.
        horizon: (N,) height of the horizon in [0,1], above 1 for none.
        texture: (N,) amount of soft noise.
        stars: (N,) amount of bright points above the horizon.
        maps: (N,3) which ramp, noise and stars to use.
        color: (N,) index of the ground's colour name, or -1.
        scene: (N,) index into `SCENES`, or -1.
        time: (N,) index into `TIMES`, or -1.
        disc: (N,3) place (x, y) and radius of a sun or moon, as shares of the side; radius 0: none.
    """

    upper: FloatArray
    lower: FloatArray
    horizon: FloatArray
    texture: FloatArray
    stars: FloatArray
    maps: IntArray
    color: IntArray
    scene: IntArray
    time: IntArray
    disc: FloatArray

    def mean(self) -> FloatArray:
        """(N,3) the colour behind a thing in the middle."""
        land = np.clip(1.1 - self.horizon, 0, 1)[:, None]
        mean: FloatArray = self.upper.mean(1) * (1 - land) + self.lower.mean(1) * land
        return mean


def choose_grounds(
    thing: FloatArray,
    rng: np.random.Generator,
    scenes: float = 0.26,
    white: NDArray[np.bool_] | None = None,
) -> Grounds:
    """Draw grounds against which things of the given colours can be seen.

    Args:
        thing: (N,K,3) mean colours of the things in each picture, in [0,1]; NaN where fewer than K.
        rng: source of chance.
        scenes: how often a scene is chosen.
        white: (N,) where to put things on white, unless they could not be seen there.
    """
    count = len(thing)
    grounds = _draw(count, rng, scenes)
    if white is not None and white.any():
        plain = np.full(int(white.sum()), WHITE, np.int64)
        grounds = _replace(grounds, white, _plain(COLOR_RGB[plain], plain, rng))
    for _ in range(3):  # a clash is drawn again; what still clashes goes onto white or black
        clash = _clashes(grounds.mean(), thing)
        if not clash.any():
            return grounds
        grounds = _replace(grounds, clash, _draw(int(clash.sum()), rng, scenes))
    clash = _clashes(grounds.mean(), thing)
    if clash.any():
        light = np.nanmean(thing[clash], axis=(1, 2)) > 0.6
        color = np.where(light, rng.choice([4, 3, 8, 5, 0], len(light)), WHITE).astype(np.int64)
        grounds = _replace(grounds, clash, _plain(COLOR_RGB[color], color, rng))
    return grounds


def _clashes(ground: FloatArray, thing: FloatArray) -> NDArray[np.bool_]:
    away = np.sqrt(((thing - ground[:, None]) ** 2).sum(-1))
    return np.asarray(np.nanmin(away, axis=1) < _UNLIKE_FROM, np.bool_)


def _plain(rgb: FloatArray, color: IntArray, rng: np.random.Generator) -> Grounds:
    count = len(rgb)
    both = np.repeat(rgb[:, None], 2, axis=1)
    zeros = np.zeros(count, np.float32)
    none = np.full(count, -1, np.int64)
    maps = rng.integers(0, 2**16, (count, 3))
    disc = np.zeros((count, 3), np.float32)
    return Grounds(both, both, zeros + 2, zeros, zeros, maps, color, none, none, disc)


def _draw(count: int, rng: np.random.Generator, scenes: float) -> Grounds:
    kind = np.searchsorted(_SHARES * (1 - scenes), rng.random(count), side="right")
    color = rng.integers(0, len(COLOR_NAMES), count)
    color = np.where(kind == 0, WHITE, color)
    base = jittered(color, rng)
    base = np.where((kind == 0)[:, None], 1 - 0.05 * rng.random((count, 1)) ** 2, base)
    # A third of the coloured grounds have a colour without a plain name.
    nameless = (kind > 0) & (rng.random(count) < 0.3)
    base = np.where(nameless[:, None], rng.random((count, 3)), base).astype(np.float32)
    color = np.where(nameless, -1, color)
    grounds = _plain(base, color, rng)
    graded = (kind == 2) | ((kind == 3) & (rng.random(count) < 0.3))
    change = rng.uniform(-0.25, 0.25, (count, 3)) * graded[:, None]
    upper = grounds.upper.copy()
    upper[:, 1] = np.clip(base + change, 0, 1)
    texture = np.where(kind == 3, rng.uniform(0.015, 0.07, count), 0).astype(np.float32)
    scene = np.where(kind == 4, rng.integers(0, len(SCENES), count), -1)
    return _scenic(grounds, scene, upper, texture, rng)


def scene_grounds(scene: IntArray, rng: np.random.Generator) -> Grounds:
    """The grounds of given scenes, (N,) indices into `SCENES`; white where -1."""
    white = np.full(len(scene), WHITE, np.int64)
    grounds = _plain(COLOR_RGB[white], white, rng)
    return _scenic(grounds, scene, grounds.upper, grounds.texture, rng, timed=0.0)


def _scenic(
    grounds: Grounds,
    scene: IntArray,
    upper: FloatArray,
    texture: FloatArray,
    rng: np.random.Generator,
    timed: float = _TIMED,
) -> Grounds:
    """`grounds` with the given sky colours and textures, or a scene's where there is one.

    `timed` is how often a scene that may have a time of day has one.
    """
    count = len(scene)
    there = scene >= 0
    shade = rng.uniform(-0.08, 0.08, (count, 1, 3)).astype(np.float32)
    upper = np.where(there[:, None, None], np.clip(_SCENE_SKY[scene] + shade, 0, 1), upper)
    lower = np.where(there[:, None, None], np.clip(_SCENE_LAND[scene] + shade, 0, 1), upper)
    low, high = _SCENE_HORIZON[scene].T
    height = np.where(there, low + (high - low) * rng.random(count), 2).astype(np.float32)
    stars = np.where(there, _SCENE_STARS[scene], 0)
    changed = there & _SCENE_TIMED[scene] & (rng.random(count) < timed)
    time = np.where(changed, rng.integers(0, len(TIMES), count), -1)
    upper = np.where(changed[:, None, None], np.clip(_TIME_SKY[time] + shade, 0, 1), upper)
    dense = np.where(changed, _TIME_DENSE[time], 0)[:, None, None]
    lower = lower + dense * (_TIME_VEIL[time][:, None] - lower)
    stars = np.where(changed, _TIME_STARS[time], stars)
    place = rng.random((count, 3))
    # Beside the middle, where things stand, and above the horizon.
    side = place[:, 0] < 0.5
    across = np.where(side, 0.08 + 0.36 * place[:, 0], 0.56 + 0.36 * place[:, 0])
    disc = np.stack([across, 0.08 + 0.16 * place[:, 1], 0.045 + 0.04 * place[:, 2]], 1)
    disc = disc * (changed & _TIME_HAS_DISC[time])[:, None]
    return Grounds(
        upper.astype(np.float32),
        lower.astype(np.float32),
        height,
        np.where(there, _SCENE_TEXTURE[scene], texture).astype(np.float32),
        stars.astype(np.float32),
        grounds.maps,
        np.where(there, -1, grounds.color),
        scene,
        time,
        disc.astype(np.float32),
    )


def _replace(grounds: Grounds, where: NDArray[np.bool_], other: Grounds) -> Grounds:
    fields = {}
    for name in Grounds.__dataclass_fields__:
        value = getattr(grounds, name).copy()
        value[where] = getattr(other, name)
        fields[name] = value
    return Grounds(**fields)


def paint_grounds(grounds: Grounds, size: int) -> Tensor:
    """Paint (N,3,size,size) in [0,1]."""
    bank = banks(size)
    maps = torch.from_numpy(grounds.maps)
    ramp = bank.ramps[maps[:, 0] % len(bank.ramps)]
    noise = bank.smooth[maps[:, 1] % len(bank.smooth)]
    upper = torch.from_numpy(grounds.upper)[..., None, None]
    image = upper[:, 0] + (upper[:, 1] - upper[:, 0]) * ramp
    scenic = torch.from_numpy(np.flatnonzero(grounds.scene >= 0))
    if len(scenic):
        image[scenic] = _paint_scenes(grounds, scenic, noise[scenic], size)
    texture = torch.from_numpy(grounds.texture)[:, None, None, None]
    return image.addcmul_(texture, noise).clamp_(0, 1)


def _paint_scenes(grounds: Grounds, chosen: Tensor, noise: Tensor, size: int) -> Tensor:
    bank = banks(size)
    rows = ((torch.arange(size) + 0.5) / size).view(1, 1, size, 1)
    horizon = torch.from_numpy(grounds.horizon)[chosen][:, None, None, None]
    upper = torch.from_numpy(grounds.upper)[chosen][..., None, None]
    lower = torch.from_numpy(grounds.lower)[chosen][..., None, None]
    above = (rows / horizon).clamp(0, 1)
    below = ((rows - horizon) / (1 - horizon).clamp(min=0.05)).clamp(0, 1)
    # Hills: the horizon follows the noise of its own row a little.
    relief = torch.from_numpy(_SCENE_RELIEF[grounds.scene[chosen.numpy()]])[:, None, None, None]
    hills = noise[:, :, size // 2 : size // 2 + 1] * relief
    land = ((rows - horizon - hills) * size).clamp(0, 1)
    sky = upper[:, 0] + (upper[:, 1] - upper[:, 0]) * above
    field = lower[:, 0] + (lower[:, 1] - lower[:, 0]) * below
    stars = bank.stars[torch.from_numpy(grounds.maps)[chosen, 2] % len(bank.stars)]
    sky = sky + stars * torch.from_numpy(grounds.stars)[chosen][:, None, None, None]
    disc = torch.from_numpy(grounds.disc)[chosen][..., None, None]  # (M,3,1,1)
    columns = rows.view(1, 1, size)
    away = ((columns - disc[:, 0]) ** 2 + (rows[0] - disc[:, 1]) ** 2).sqrt()
    round_ = (((disc[:, 2] - away) * size).clamp(0, 1) * (disc[:, 2] > 0))[:, None]
    light = torch.from_numpy(_TIME_DISC[grounds.time[chosen.numpy()]])[..., None, None]
    sky = sky + round_ * (light - sky)
    return sky * (1 - land) + field * land


def ground_words(grounds: Grounds, number: int, rng: np.random.Generator) -> str:
    """A phrase for the ground of one picture ("on a blue background"), "" when it has no name."""
    scene = int(grounds.scene[number])
    if scene >= 0:
        words = SCENES[scene].words
        found = words[int(rng.integers(len(words)))]
        if (time := int(grounds.time[number])) >= 0:
            times = TIMES[time].words
            found += " " + times[int(rng.integers(len(times)))]
        return found
    color = int(grounds.color[number])
    if color < 0:
        return ""
    word = color_word(color, rng)
    article = "an" if word[0] in "aeiou" else "a"
    frames = (
        f"on {article} {word} background",
        f"on {word}",
        f"against {article} {word} background",
        f"in front of {article} {word} wall",
        f"with {article} {word} background",
    )
    return frames[int(np.searchsorted(_FRAME_SHARES, rng.random(), side="right"))]
