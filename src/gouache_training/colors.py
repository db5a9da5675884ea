"""Colours: their eleven basic English names, what colour a picture is, and how to change it.

Arrays of colours are float RGB in [0,1] with the channel last; indices refer to `COLOR_NAMES`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COLOR_NAMES",
    "COLOR_RGB",
    "FloatArray",
    "IntArray",
    "color_indices",
    "color_word",
    "dominant_color",
    "hue_matrix",
    "jittered",
    "name_has_color",
    "recolor_name",
    "tint_matrix",
]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

COLOR_NAMES = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "gray",
)
"""The eleven basic colour terms of English (Berlin and Kay 1969), American spelling."""

COLOR_RGB: FloatArray = (
    np.array(
        [
            (220, 30, 30),
            (245, 140, 20),
            (250, 215, 40),
            (50, 160, 60),
            (40, 90, 215),
            (130, 50, 170),
            (245, 130, 180),
            (125, 75, 40),
            (20, 20, 20),
            (248, 248, 248),
            (128, 128, 128),
        ],
        np.float32,
    )
    / 255
)
"""(11,3) typical values, used to paint grounds and one-colour icons."""

RED, ORANGE, YELLOW, GREEN, BLUE, PURPLE, PINK, BROWN, BLACK, WHITE, GRAY = range(11)

_LUMA: FloatArray = np.array([0.299, 0.587, 0.114], np.float32)
# Outlines, highlights and eyes are black, white or grey whatever the thing's colour is.
_SHARE: FloatArray = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0.45, 0.45, 0.45], np.float32)
_DOMINANT_FROM = 0.55

_COLOR_WORDS = frozenset([*COLOR_NAMES, "grey", "violet", "turquoise", "golden", "silver", "gold"])
_SPELLED = re.compile(r"\b(" + "|".join(sorted(_COLOR_WORDS)) + r")\b")
# Names in which the colour word is part of the word's meaning and must not be exchanged.
_FIXED = re.compile(
    r"\b(red panda|red cross|black hole|orange juice|orange slice|white wine|red wine"
    r"|green tea|black tea|brown bear|black bear|blue whale|white whale|green salad|green bean"
    r"|brown rice|brown bread|white bread|black board|red hair|white hair|white cane|white flag"
    r"|black flag|gold bar|gold mine|silver|golden retriever|goldfish|red planet|yellow card"
    r"|red card|red deer|red squirrel|black swan|white dwarf|green pepper|red pepper"
    r"|red carpet|grey matter|violet flower|pink lady|orange tree|orange fruit)\b"
)


def color_indices(rgb: FloatArray) -> IntArray:
    """Name every colour.

    Args:
        rgb: (...,3) in [0,1].

    Returns:
        (...) indices into `COLOR_NAMES`, -1 where people disagree (beige, skin, dull edges).
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    value = rgb.max(-1)
    spread = value - rgb.min(-1)
    safe = np.maximum(spread, 1e-6)
    saturation = spread / np.maximum(value, 1e-6)
    sector = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = sector * 60
    reddish = (hue < 14) | (hue >= 345)
    pale_red = (saturation < 0.5) & (value > 0.75)
    warm = np.select(
        [value < 0.7, saturation < 0.45],
        [BROWN, -1],
        ORANGE,
    )
    # First match wins: lightness where there is hardly any colour, then hue round the circle.
    choices: list[tuple[NDArray[np.bool_], IntArray | int]] = [
        (value < 0.2, BLACK),
        ((saturation < 0.13) & (value > 0.85), WHITE),
        ((saturation < 0.15) & (value < 0.28), BLACK),
        (saturation < 0.15, GRAY),
        (reddish & pale_red, PINK),
        (reddish & (value > 0.4), RED),
        (reddish, BROWN),
        (hue < 42, warm),
        ((hue < 68) & (saturation < 0.3), -1),
        ((hue < 68) & (value > 0.55), YELLOW),
        (hue < 68, BROWN),
        (hue < 165, GREEN),
        ((hue < 180) & (value > 0.8) & (saturation > 0.5), -1),
        (hue < 255, BLUE),
        (hue < 292, PURPLE),
        (value > 0.6, PINK),
    ]
    named = np.select([test for test, _ in choices], [index for _, index in choices], PURPLE)
    return named.astype(np.int64)


def dominant_color(premultiplied: FloatArray) -> IntArray:
    """The colour people would call each picture, if they would agree on one.

    Args:
        premultiplied: (N,K,4) sampled pixels, premultiplied RGBA in [0,1].

    Returns:
        (N,) indices into `COLOR_NAMES`, -1 where no colour covers 55 % of the opaque part.
    """
    alpha = premultiplied[..., 3]
    solid = alpha > 0.8
    index = color_indices(premultiplied[..., :3] / np.maximum(alpha, 1e-3)[..., None])
    count = len(COLOR_NAMES) + 1
    flat = (index + 1) + count * np.arange(len(index))[:, None]
    totals = np.bincount(
        flat.ravel(), weights=solid.ravel().astype(np.float64), minlength=count * len(index)
    ).reshape(-1, count)
    totals[:, 1:] = totals[:, 1:] * _SHARE
    # Unnamed colours count against every name.
    best = totals[:, 1:].argmax(1)
    amount = totals[np.arange(len(index)), best + 1]
    return np.where(amount > _DOMINANT_FROM * np.maximum(totals.sum(1), 1e-6), best, -1)


def hue_matrix(turns: FloatArray) -> FloatArray:
    """Matrices that turn hues about the grey axis.

    Args:
        turns: (N,) in whole turns.

    Returns:
        (N,3,3) to multiply column vectors of RGB with; rows sum to 1, so greys stay.
    """
    angle = (2 * np.pi * turns).astype(np.float32)
    cosine, sine = np.cos(angle), np.sin(angle)
    third = (1 - cosine) / 3
    part = sine / np.float32(np.sqrt(3))
    near, up, down = cosine + third, third - part, third + part
    rows = [near, up, down, down, near, up, up, down, near]
    return np.stack(rows, -1).reshape(-1, 3, 3).astype(np.float32)


def tint_matrix(rgb: FloatArray, strength: float = 1.0) -> FloatArray:
    """Matrices that paint a picture in one colour, its lightness kept as shading.

    Args:
        rgb: (N,3) target colours in [0,1].
        strength: 1 replaces the colours, 0 keeps them.

    Returns:
        (N,3,4) to multiply premultiplied RGBA columns with.
    """
    count = len(rgb)
    out = np.zeros((count, 3, 4), np.float32)
    # Dark parts go to half the colour, light parts to the colour: outlines stay visible.
    out[:, :, :3] = strength * 0.65 * rgb[:, :, None] * _LUMA
    out[:, :, :3] += (1 - strength) * np.eye(3, dtype=np.float32)
    out[:, :, 3] = strength * 0.45 * rgb
    return out


def jittered(index: IntArray, rng: np.random.Generator, amount: float = 0.08) -> FloatArray:
    """(N,3) shades near the typical value of each named colour, each channel moved by `amount`."""
    noise = rng.uniform(-amount, amount, (len(index), 3)).astype(np.float32)
    shades: FloatArray = np.clip(COLOR_RGB[index] + noise, 0, 1)
    return shades


def color_word(index: int, rng: np.random.Generator) -> str:
    """The name of a colour; grey in both spellings."""
    word = COLOR_NAMES[index]
    return "grey" if word == "gray" and rng.random() < 0.5 else word


def name_has_color(name: str) -> bool:
    """Whether a colour word describes the thing ("red apple"), rather than being it ("orange")."""
    return any(word in _COLOR_WORDS for word in name.split()[:-1])


def recolor_name(name: str, color: str | None) -> str | None:
    """The name of the same thing in another colour.

    Args:
        name: such as "red apple".
        color: the new colour's word; None leaves the colour unsaid.

    Returns:
        "blue apple" or "apple"; None when the colour cannot be exchanged ("red panda").
    """
    if _FIXED.search(name):
        return None
    words = name.split()
    found = [position for position, word in enumerate(words[:-1]) if word in _COLOR_WORDS]
    if len(found) > 1:
        return None
    if found:
        del words[found[0]]
        if color is not None:
            words.insert(found[0], color)
    elif color is not None:
        words.insert(0, color)
    return " ".join(words)
