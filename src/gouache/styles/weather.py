"""Weather and the like, drawn over a picture: what guides do not paint of "a tree in the snow".

Every filter has the signature of `filters`: image (B,3,S,S) in [0,1], the alpha of what stands on
the ground (B,1,S,S), random maps of that size and a source of chance, to an image of the same shape
and range.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from gouache.styles.banks import Banks
from gouache.styles.filters import Filter, luma, rgb

_Draw = Callable[[ImageDraw.ImageDraw, np.random.Generator, int], None]


def _lerp(low: Tensor, high: Tensor, share: Tensor | float) -> Tensor:
    return low + (high - low) * share


def _rows(image: Tensor) -> Tensor:
    """0 at the top to 1 at the bottom, (1,1,S,1)."""
    return torch.linspace(0, 1, image.shape[-2]).view(1, 1, -1, 1)


def _dull(image: Tensor, share: float) -> Tensor:
    return _lerp(image, luma(image).expand_as(image), share)


def _marks(image: Tensor, rng: np.random.Generator, draw: _Draw) -> Tensor:
    """What `draw` draws in white on black, at twice the size and reduced: (1,1,S,S) in [0,1]."""
    side = 2 * image.shape[-1]
    canvas = Image.new("L", (side, side))
    draw(ImageDraw.Draw(canvas), rng, side)
    found = torch.from_numpy(np.asarray(canvas, np.float32) / 255)[None, None]
    return F.avg_pool2d(found, 2)


def _discs(count: int, least: float, most: float, top: float = 0.0) -> _Draw:
    """Discs by lot below `top`, of radii between `least` and `most`, all in sides."""

    def draw(pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
        for x, y, r in rng.random((count, 3)) * (1, 1 - top, most - least) + (0, top, least):
            box = ((x - r) * side, (y - r) * side, (x + r) * side, (y + r) * side)
            pen.ellipse(box, fill=255)

    return draw


def _streaks(count: int) -> _Draw:
    def draw(pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
        for x, y, length in rng.random((count, 3)) * (1.2, 1.2, 0.08) + (-0.1, -0.1, 0.1):
            end = ((x - 0.3 * length) * side, (y + length) * side)
            pen.line(((x * side, y * side), end), fill=255, width=round(side / 60))

    return draw


def _bolt(pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x, y = 0.2 + 0.6 * rng.random(), 0.0
    points = [(x * side, y)]
    for _ in range(6):
        x, y = x + (rng.random() - 0.5) * 0.16, y + 0.05 + 0.05 * rng.random()
        points.append((x * side, y * side))
    pen.line(points, fill=255, width=round(side / 45))


def _bubbles(pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    for x, y, r in rng.random((12, 3)) * (1, 1, 0.025) + (0, 0, 0.02):
        box = ((x - r) * side, (y - r) * side, (x + r) * side, (y + r) * side)
        pen.ellipse(box, outline=255, width=round(side / 75))


def _snow(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    white = rgb(244, 248, 255)
    winter = _lerp(_dull(image, 0.35), rgb(196, 210, 228), 0.45 * (1 - 0.75 * alpha))
    hills = ((_rows(image) - 0.74 + 0.03 * bank.smooth[:1]) * 18).sigmoid()
    lying = _lerp(winter, white, hills * (1 - 0.7 * alpha))
    side = image.shape[-1]
    above = F.pad(alpha, (0, 0, side // 22, 0))[..., :side, :]
    lying = _lerp(lying, white, 0.9 * (alpha - above).clamp(0, 1))
    return _lerp(lying, torch.ones_like(image), _marks(image, rng, _discs(80, 0.008, 0.02)))


def _rain(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    gray = _lerp(_dull(image, 0.45), rgb(96, 112, 132), 0.42 * (1 - 0.5 * alpha))
    return _lerp(gray, rgb(226, 236, 246), 0.85 * _marks(image, rng, _streaks(55)))


def _storm(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    dark = 0.75 * _dull(image, 0.4)
    high = (1 - _rows(image) / 0.5).clamp(0, 1)
    clouds = ((bank.smooth[:1] + 3.2 * high - 1.1) * 2).sigmoid() * (1 - 0.5 * alpha)
    cloudy = _lerp(dark, rgb(46, 50, 62) + 0.07 * bank.smooth[:1].abs(), 0.9 * clouds)
    lit = _lerp(cloudy, rgb(255, 250, 190), _marks(image, rng, _bolt))
    return _lerp(lit, rgb(214, 224, 236), 0.6 * _marks(image, rng, _streaks(40)))


def _fog(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    dense = 0.55 + 0.12 * bank.smooth[:1] + 0.25 * _rows(image)
    return _lerp(_dull(image, 0.4), rgb(214, 219, 224), (dense * (1 - 0.4 * alpha)).clamp(0, 0.9))


def _under_water(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    depth = _lerp(rgb(70, 185, 215), rgb(8, 50, 110), _rows(image))
    blue = _lerp(image, depth, 0.7 * (1 - 0.7 * alpha))
    return _lerp(blue, rgb(215, 245, 255), 0.8 * _marks(image, rng, _bubbles))


def _rainbow(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    line = torch.linspace(0, 1, image.shape[-1])
    y, x = torch.meshgrid(line, line, indexing="ij")
    radius = ((x - 0.5).square() + (y - 0.72).square()).sqrt()
    colors = [(228, 40, 48), (246, 140, 40), (250, 226, 70), (70, 180, 90), (60, 110, 220)]
    found = image
    for number, color in enumerate([*colors, (130, 70, 180)]):
        middle = 0.6 - 0.03 * number
        band = (1 - (radius - middle).abs() / 0.015).clamp(0, 0.5) * 2 * (y < 0.72)
        found = _lerp(found, rgb(*color), 0.8 * band * (1 - alpha))
    return found


def _flowers(image: Tensor, alpha: Tensor, bank: Banks, rng: np.random.Generator) -> Tensor:
    low = ((_rows(image) - 0.62) * 14).sigmoid()
    found = _lerp(image, rgb(72, 150, 60), 0.7 * low * (1 - 0.6 * alpha))
    for color in ((230, 60, 70), (250, 205, 60), (235, 110, 190), (250, 250, 250)):
        discs = _marks(image, rng, _discs(16, 0.018, 0.034, 0.64))
        found = _lerp(found, rgb(*color), discs * (1 - 0.5 * alpha))
    return found


WEATHER: dict[str, Filter] = {
    "snow": _snow,
    "rain": _rain,
    "storm": _storm,
    "fog": _fog,
    "under water": _under_water,
    "rainbow": _rainbow,
    "flowers": _flowers,
}
"""By name; see `find_weather`."""

ASKED_BY = {
    "snow": "in the snow",
    "rain": "in the rain",
    "storm": "in a storm",
    "fog": "in the fog",
    "under water": "under water",
    "rainbow": "under a rainbow",
    "flowers": "in a field of flowers",
}
"""Words behind a thing that ask for each, of those that `find_weather` reads."""

_WORDS = {
    "snow": r"(?:in|on|under) (?:the |white |deep |fresh )?snow|in winter|on a snowy \w+|snowy \w+",
    "storm": r"in an? (?:thunder)?storm|in (?:the )?(?:thunder)?storm|stormy \w+",
    "rain": r"in (?:the |heavy )?rain|on a rainy day|rainy \w+",
    "fog": r"in (?:the |thick )?(?:fog|mist)|on a foggy \w+|(?:foggy|misty) \w+",
    "under water": r"under ?water|under the sea|in an aquarium",
    "rainbow": r"(?:under|with|and|below) (?:a|the) rainbow",
    "flowers": r"in an? (?:field|meadow|sea|garden) (?:of|full of|with) flowers",
}
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _WORDS.items()}


def find_weather(text: str) -> tuple[str, ...]:
    """Names of `WEATHER` that a prompt asks for with its thing, as "a tree in the snow" does."""
    return tuple(name for name, words in _PATTERNS.items() if words.search(text))


def without_weather(text: str) -> str:
    """A prompt without what stands behind its thing: "a tree" of "a tree in the snow".

    As it is where nothing would be left. What stands before a thing stays: of "snowy hills".
    """
    rest = text
    for words in _PATTERNS.values():
        rest = words.sub(lambda found: found[0] if found[0].split()[0].endswith("y") else "", rest)
    rest = ", ".join(filter(None, (" ".join(part.split()) for part in rest.split(","))))
    return rest or text


__all__ = ["ASKED_BY", "WEATHER", "find_weather", "without_weather"]
