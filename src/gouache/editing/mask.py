"""Where in a picture a phrase is: masks without any training for it (paper, appendix H.2)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gouache.editing import crops, shapes
from gouache.editing.config import EditConfig
from gouache.errors import ImageError, PromptError
from gouache.ops.images import encode, load_image, to_tensor
from gouache.output.png import save_picture
from gouache.prompts import Prompt, one_line, parse_prompts
from gouache.protocols import Perceptor

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MIN_SIDE = 16  # pixels; less holds nothing that could be named
MAX_ASPECT = 8.0
_WORK = 8 / 3  # short side that is searched, in sides of what the perceptor sees
_ALL = 0.995  # a mask of more than this share of the picture selects everything
TINT = (255, 40, 120)


@dataclass(frozen=True)
class Mask:
    """Where a phrase is in a picture of `size` (width, height).

    scores: (H,W) in [0,1], how much each place looks like the phrase, at the source's size.
    selected: (H,W) bool, what passed the threshold, grown and inverted as asked.
    seen: in [0,1], the phrase's share among the perceptor's other captions in the crop where it is
    greatest; 1 for masks that were given.
    """

    phrase: str
    scores: Tensor = field(repr=False)
    selected: Tensor = field(repr=False)
    threshold: float
    config: EditConfig = field(repr=False)
    seen: float = 1.0

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
    perceptor: str | Perceptor = "pocket",
    device: str = "cpu",
    config: EditConfig | None = None,
    **settings: Any,
) -> Mask:
    """Masks what `phrase` names: `find_mask("scene.png", "a red apple").save("mask.png")`.

    Crops at several scales are scored by the perceptor, the scores written at their centres and
    smoothed to pixels (H.2, steps 1 to 4). `threshold="paper"` cuts `deviations` standard
    deviations below the mean, as the paper has it; "auto" scores against the perceptor's other
    captions, cuts by Otsu's method and follows the picture's colours. `settings` are those of
    `EditConfig`. An empty phrase raises `PromptError`; unusable pictures, phrases that are
    nowhere in them, and masks of nothing or of everything, `ImageError`.
    """
    config = (config or EditConfig()).updated(**settings)
    check_phrase(phrase)
    source = read_source(image)
    model = perceptor
    if isinstance(model, str):
        from gouache.perceptors import load_perceptor

        model = load_perceptor(model, device)
    mask = score(source, phrase, model, config)
    require_some(mask)
    return mask


def score(source: Picture, phrase: str, perceptor: Perceptor, config: EditConfig) -> Mask:
    """Like `find_mask`, for what is loaded; the mask may be empty."""
    width, height = source.size
    image = to_tensor(source)
    scale = min(1.0, _WORK * perceptor.image_size / min(width, height))
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    if scale < 1:
        image = F.interpolate(image, small, mode="bilinear", antialias=True, align_corners=False)
    where = next((t.device for t in (perceptor.bank,) if t is not None), torch.device("cpu"))
    seen = crops.embed_crops(image.to(where), perceptor)
    wanted = crops.embed_phrase(check_phrase(phrase), perceptor)
    likely = crops.likelihoods(seen, wanted, perceptor.bank)
    most = float(likely.max()) if perceptor.bank is not None else 1.0
    if config.threshold == "paper":
        grey = shapes.normalized(crops.to_pixels(seen, crops.cosines(seen, wanted)))
        threshold = shapes.paper_threshold(grey, config.deviations)
        chosen = grey > threshold
    else:
        grey = shapes.normalized(crops.to_pixels(seen, likely))
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
    return Mask(phrase, scores.clamp(0, 1), selected, threshold, config, most)


def read_mask(
    path: str | os.PathLike[str] | Picture, size: tuple[int, int], config: EditConfig
) -> Mask:
    """A mask from a picture file, light where it is; resized to `size` (width, height).

    Another aspect than the picture's, and masks of nothing or of everything, raise `ImageError`.
    """
    shown = "the mask" if isinstance(path, Image.Image) else one_line(os.fspath(path))
    picture = path if isinstance(path, Image.Image) else load_image(os.fspath(path))
    width, height = picture.size
    if abs(width * size[1] - height * size[0]) > 0.02 * width * size[1] + max(size):
        raise ImageError(
            f"{shown} is {width}x{height} and the picture {size[0]}x{size[1]}; "
            "give a mask of the same aspect"
        )
    grey = picture.convert("L").resize(size, Image.Resampling.BILINEAR)
    scores = torch.from_numpy(np.array(grey)).float() / 255
    selected = scores > 0.5
    if config.invert:
        selected = ~selected
    mask = Mask(shown, scores, shapes.grown(selected, config.grow), 0.5, config)
    require_some(mask)
    return mask


def require_some(mask: Mask) -> None:
    """Raises `ImageError` for a phrase not seen, and for a mask of nothing or of everything."""
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


def read_source(image: Picture | str | os.PathLike[str]) -> Picture:
    """A picture to edit, RGB and upright; `ImageError` for one too small or too long."""
    if isinstance(image, Image.Image):
        source = image if image.mode == "RGB" else _as_rgb(image)
        shown = "the picture"
    else:
        shown = one_line(os.fspath(image))
        source = load_image(os.fspath(image))
    width, height = source.size
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"{shown} is {width}x{height} pixels; editing needs at least {MIN_SIDE} on each side"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{shown} is {width}x{height} pixels; one side is more than {MAX_ASPECT:g} times the "
            "other, so cut a part out of it first"
        )
    return source


def check_phrase(phrase: str) -> str:
    """The words of a phrase, escapes resolved.

    A phrase without words, with a weight, or of several parts raises `PromptError`.
    """
    if not phrase.strip():
        raise PromptError("the phrase is empty; say what to look for, for example 'a red apple'")
    stages = parse_prompts(phrase)
    found = stages[0][0]
    if len(stages) > 1 or len(stages[0]) > 1 or found != Prompt(text=found.text):
        raise PromptError(
            r"what to look for is one phrase without weights; write \: \| \^ for the characters",
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


def _as_rgb(image: Picture) -> Picture:
    from gouache.ops.images import to_pil

    return to_pil(to_tensor(image)[0])


__all__ = ["Mask", "check_phrase", "find_mask", "read_mask", "read_source", "score", "tinted"]
