"""Where in a picture a phrase is: masks without any training for it (paper, appendix H.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from PIL.Image import Image as Picture
from torch import Tensor

from gouache.editing import shapes
from gouache.editing.config import DEFAULTS, EditConfig
from gouache.editing.sight import look
from gouache.engine.words import check_words
from gouache.errors import ConfigError, ImageError, PromptError
from gouache.networks.devices import resolve_device
from gouache.networks.models import Guide, load_guides
from gouache.ops.images import encode, fit, read_picture, to_tensor
from gouache.ops.masks import mask_picture
from gouache.ops.profiles import flat
from gouache.output.pictures import save_picture
from gouache.prompts import Prompt, one_line, parse_prompts
from gouache.protocols import Perceptor
from gouache.settings.config import parse_perceptor

MIN_SIDE = 16  # pixels; less holds nothing that could be named
MAX_ASPECT = 8.0
_ALL = 0.995  # a mask of more than this share of the picture selects everything
TINT = (255, 40, 120)


@dataclass(frozen=True)
class Mask:
    """Where a phrase is in a picture of `size` (width, height).

    scores: (H,W) in [0,1], how much each place looks like the phrase, at the source's size.
    selected: (H,W) bool, what passed the threshold, grown and inverted as asked.
    seen: in [0,1], the phrase's share among the perceptor's other captions in the crop where it is
    greatest; 1 for masks that were given.
    given: a picture was given, and `phrase` is its name.
    """

    phrase: str
    scores: Tensor = field(repr=False)
    selected: Tensor = field(repr=False)
    threshold: float
    config: EditConfig = field(repr=False)
    seen: float = 1.0
    given: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.selected.shape[1], self.selected.shape[0]

    @property
    def share(self) -> float:
        """Of the picture, in [0,1]."""
        return float(self.selected.float().mean())

    def to_pil(self) -> Picture:
        """White where the mask is, black elsewhere; grey where it was feathered."""
        grey = shapes.feathered(self.selected, self.config.feather)
        return Image.fromarray((grey * 255).round().byte().numpy())

    def scores_pil(self) -> Picture:
        """The scores as a grey picture."""
        return Image.fromarray((self.scores * 255).round().byte().numpy())

    def overlay(self, image: Picture | str | os.PathLike[str]) -> Picture:
        """The source with the mask tinted, all else a little paler."""
        return tinted(read_source(image), self.selected)

    def save(self, path: str | Path) -> Path:
        """Writes `to_pil` with the phrase and settings in it; `OutputError` where that fails."""
        save_picture(self.to_pil(), path, self.record(), self.phrase)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return encode(self.to_pil())

    def record(self) -> dict[str, Any]:
        """What the file tells of how it was made."""
        return {
            "mask": {
                "phrase": self.phrase,
                "threshold": self.threshold,
                "share": self.share,
                "seen": self.seen,
                "settings": self.config.to_dict(),
            }
        }


def find_mask(
    image: Picture | str | os.PathLike[str],
    phrase: str,
    *,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] = DEFAULTS["perceptor"],
    device: str = "cpu",
    config: EditConfig | None = None,
    **settings: Any,
) -> Mask:
    """Masks what `phrase` names: `find_mask("scene.png", "a red apple").save("mask.png")`.

    Crops at several scales are scored by the perceptor, the scores written at their centres and
    smoothed to pixels (H.2, steps 1 to 4). `threshold="paper"` cuts `deviations` standard
    deviations below the mean, as the paper has it; "auto" scores against the perceptor's other
    captions, cuts by Otsu's method and follows the picture's colours. The first of several
    guides ("NAME" or "NAME:WEIGHT", or `Guide`s) that knows the phrase leads, and the others second
    it, see `gouache.editing.sight.look`. `settings` are those of `EditConfig`. An empty phrase
    raises `PromptError`; unusable pictures, phrases that are nowhere in them, and masks of nothing
    or of everything, `ImageError`.
    """
    config = (config or EditConfig()).updated(**settings)
    check_phrase(phrase)
    source = read_source(image)
    guides: Perceptor | Sequence[Guide]
    if isinstance(perceptor, str):
        guides = load_guides([parse_perceptor(perceptor)], resolve_device(device))
    elif isinstance(perceptor, Sequence):
        named = [parse_perceptor(one) for one in perceptor if isinstance(one, str)]
        given = [one for one in perceptor if not isinstance(one, str)]
        guides = (*load_guides(named, resolve_device(device)), *given)
    else:
        guides = perceptor
    mask = score(source, phrase, guides, config)
    require_some(mask)
    return mask


def score(
    source: Picture,
    phrase: str,
    guides: Perceptor | Sequence[Guide],
    config: EditConfig,
    dtype: torch.dtype | None = None,
) -> Mask:
    """Like `find_mask`, for what is loaded and seen in `dtype`; the mask may be empty."""
    told = check_phrase(phrase)
    asked = tuple(guides) if isinstance(guides, Sequence) else (Guide(guides),)
    if not asked:
        raise ConfigError("the list of perceptors is empty; give at least one")
    check_words([told], [guide.perceptor for guide in asked])
    width, height = source.size
    image = to_tensor(source)
    found = look(image, told, asked, config.threshold, dtype)
    grey = found.grey
    small = (grey.shape[0], grey.shape[1])
    if small != (height, width):
        image = F.interpolate(image, small, mode="bilinear", antialias=True, align_corners=False)
    if config.threshold == "paper":
        threshold = shapes.paper_threshold(grey, config.deviations)
        chosen = grey > threshold
    else:
        threshold = shapes.otsu_threshold(grey)
        chosen = grey > threshold
        if config.colors and bool(chosen.any()):
            chosen = shapes.outline(image, grey, threshold) > 0.5
    chosen = shapes.without_specks(chosen, config.min_area)
    full = (height, width)
    scores = F.interpolate(grey[None, None], full, mode="bilinear", align_corners=False)[0, 0]
    larger = chosen[None, None].float()
    if full != small:
        larger = F.interpolate(larger, full, mode="bilinear", align_corners=False)
    selected = larger[0, 0] > 0.5
    if config.invert:
        selected = ~selected
    selected = shapes.grown(selected, config.grow)
    return Mask(phrase, scores.clamp(0, 1), selected, threshold, config, found.most)


def given_mask(
    path: str | os.PathLike[str] | Picture,
    size: tuple[int, int],
    config: EditConfig,
    over: Picture | None = None,
) -> Mask:
    """A mask from a picture file or a PIL picture, at `size` (width, height).

    What it selects says `gouache.ops.masks.mask_picture`; `over` is the picture that it is for,
    RGB. Another aspect than the picture's, and masks of nothing or of everything, raise
    `ImageError`.
    """
    given = isinstance(path, Image.Image)
    shown = "the mask" if isinstance(path, Image.Image) else one_line(os.fspath(path))
    picture = mask_picture(path if isinstance(path, Image.Image) else Path(path), over=over)
    width, height = picture.size
    if abs(width * size[1] - height * size[0]) > 0.02 * width * size[1] + max(size):
        raise ImageError(
            f"{shown} is {width}x{height} and the picture {size[0]}x{size[1]}; "
            "give a mask of the same aspect"
        )
    name = shown if given else one_line(Path(path).name)  # type: ignore[arg-type]
    mask = from_grey(fit(picture, size), config, name)
    require_some(mask, shown)
    return mask


def from_grey(grey: Picture, config: EditConfig, name: str = "the mask") -> Mask:
    """A grey picture (mode L), light where to paint, as a mask of its own size."""
    scores = torch.from_numpy(np.array(grey)).float() / 255
    selected = scores > 0.5
    if config.invert:
        selected = ~selected
    return Mask(name, scores, shapes.grown(selected, config.grow), 0.5, config, given=True)


def require_some(mask: Mask, shown: str = "the mask") -> None:
    """Raises `ImageError` for a phrase not seen, and for a mask of nothing or of everything."""
    if mask.given:
        _require_some_given(mask, shown)
        return
    if mask.seen < mask.config.min_score:
        raise ImageError(
            f"{mask.phrase!r:.80} is not seen anywhere in the picture (score {mask.seen:.3f}, "
            f"at least {mask.config.min_score:g} wanted); use other words, a lower "
            "min_score, or a mask of your own"
        )
    if not bool(mask.selected.any()):
        raise ImageError(
            f"the mask of {mask.phrase!r:.80} is empty; use other words, a smaller min_area, or a "
            "mask of your own"
        )
    if mask.share > _ALL:
        advice = "threshold auto" if mask.config.threshold == "paper" else "other words"
        raise ImageError(
            f"the mask of {mask.phrase!r:.80} covers the whole picture; try {advice} or a mask of "
            "your own"
        )


def _require_some_given(mask: Mask, shown: str) -> None:
    inverted = mask.config.invert
    if not bool(mask.selected.any()):
        paints = "black" if inverted else "white"
        where = "light everywhere and inverted" if inverted else "dark everywhere"
        raise ImageError(f"{shown} is empty: it is {where}; make what is to be painted {paints}")
    if mask.share > _ALL:
        keeps = "white" if inverted else "black"
        advice = "use a smaller grow" if mask.config.grow else f"make what is to stay {keeps}"
        raise ImageError(
            f"{shown} covers the whole picture; {advice}, or give none to change all of it"
        )


def read_source(image: Picture | str | os.PathLike[str]) -> Picture:
    """A picture to edit, RGB in sRGB and upright; `ImageError` for one too small or too long."""
    shown = shown_as(image)
    return flat(read_base(image, shown), shown)


def read_base(image: Picture | str | os.PathLike[str], shown: str = "the picture") -> Picture:
    """Like `read_source`, with its transparency and its own colours: RGB or RGBA."""
    base = read_picture(image if isinstance(image, Image.Image) else Path(image), shown)
    width, height = base.size
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"{shown} is {width}x{height} pixels; editing needs at least {MIN_SIDE} on each side"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{shown} is {width}x{height} pixels; one side is more than {MAX_ASPECT:g} times the "
            "other, so cut a part out of it first"
        )
    return base


def shown_as(image: Picture | str | os.PathLike[str]) -> str:
    """What messages call a picture."""
    return "the picture" if isinstance(image, Image.Image) else one_line(os.fspath(image))


def check_phrase(phrase: str) -> str:
    """The words of a phrase, escapes resolved.

    A phrase without words, with a weight or a place, or of several parts raises `PromptError`.
    """
    if not phrase.strip():
        raise PromptError("the phrase is empty; say what to look for, for example 'a red apple'")
    stages = parse_prompts(phrase)
    found = stages[0][0]
    if len(stages) > 1 or len(stages[0]) > 1 or found != Prompt(text=found.text):
        raise PromptError(
            r"what to look for is one phrase without weights and places; write \: \| \^ \@ for the "
            "characters",
            phrase,
        )
    return found.text


def tinted(source: Picture, selected: Tensor) -> Picture:
    """A picture with `selected` (H,W) in a strong colour."""
    pixels = np.asarray(source, np.float32)
    inside = selected.numpy()[..., None]
    tint = np.array(TINT, np.float32)
    out = np.where(inside, 0.45 * pixels + 0.55 * tint, 0.6 * pixels + 0.4 * 255)
    return Image.fromarray(np.rint(out).astype(np.uint8))


__all__ = [
    "Mask",
    "check_phrase",
    "find_mask",
    "from_grey",
    "given_mask",
    "read_base",
    "read_source",
    "score",
    "shown_as",
    "tinted",
]
