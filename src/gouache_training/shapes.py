"""Coloured mats, discs and squares under a thing: they bind a colour to a second object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gouache_training.colors import COLOR_NAMES, FloatArray, IntArray, color_word, jittered

__all__ = ["Shapes", "draw_shapes", "paint_shapes", "shape_words"]


# Half width, half height, middle (y down) and exponent of |x|^p + |y|^p <= 1, with the words.
_FORMS: tuple[tuple[float, float, float, float, tuple[str, ...]], ...] = (
    (0.9, 0.28, 0.62, 2, ("on a {} mat", "on a {} rug", "on a {} carpet", "on a {} plate")),
    (0.92, 0.22, 0.72, 10, ("on a {} table", "on a {} box", "on a {} block", "on a {} mat")),
    (0.9, 0.9, 0, 2, ("in a {} circle", "on a {} circle", "in front of a {} circle")),
    (0.88, 0.88, 0, 14, ("in a {} square", "on a {} square", "in front of a {} square")),
)


@dataclass(frozen=True)
class Shapes:
    """Shapes of some pictures.

    Attributes:
        owner: (S,) picture each lies in.
        form: (S,) index into the known forms.
        color: (S,) index into `COLOR_NAMES`.
        rgb: (S,3) its shade in [0,1].
    """

    owner: IntArray
    form: IntArray
    color: IntArray
    rgb: FloatArray

    def unlike(self, thing: FloatArray) -> Shapes:
        """Only those whose colour is far enough from the (S,3) colour of the thing on them."""
        keep = np.sqrt(((self.rgb - thing) ** 2).sum(1)) > 0.35
        return Shapes(self.owner[keep], self.form[keep], self.color[keep], self.rgb[keep])


def draw_shapes(owner: IntArray, rng: np.random.Generator) -> Shapes:
    """Draw a shape for each of the given pictures."""
    form = rng.integers(0, len(_FORMS), len(owner))
    color = rng.integers(0, len(COLOR_NAMES), len(owner))
    return Shapes(owner, form, color, jittered(color, rng))


def paint_shapes(image: Tensor, alpha: Tensor, shapes: Shapes) -> None:
    """Paint into (N,3,size,size) pictures, and mark the place in their (N,1,size,size) alpha."""
    if not len(shapes.owner):
        return
    size = image.shape[-1]
    numbers = torch.tensor([form[:4] for form in _FORMS])[torch.from_numpy(shapes.form)]
    wide, high, middle, power = numbers.view(-1, 4, 1, 1, 1).unbind(1)
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    x, y = axis.view(1, 1, 1, -1), axis.view(1, 1, -1, 1)
    inside = 1 - ((x / wide).abs() ** power + ((y - middle) / high).abs() ** power)
    mask = (inside * size / 8).clamp(0, 1)
    owner = torch.from_numpy(shapes.owner)
    rgb = torch.from_numpy(shapes.rgb)[:, :, None, None]
    image[owner] = image[owner] * (1 - mask) + rgb * mask
    alpha[owner] = torch.maximum(alpha[owner], mask)


def shape_words(shapes: Shapes, row: int, rng: np.random.Generator) -> str:
    """Words for being on a shape: "on a red mat", "in an orange circle"."""
    phrases = _FORMS[int(shapes.form[row])][4]
    word = color_word(int(shapes.color[row]), rng)
    text = phrases[int(rng.random() * len(phrases))].format(word)
    return text.replace(" a orange", " an orange")
