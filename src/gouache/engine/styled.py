"""Pictures that are begun in the style that their words name.

Guides know a style by its colours and strokes, and would not draw the tiles of a mosaic by
themselves. So what the words say without the style is painted first; that picture is drawn in the
style by a filter (`gouache.styles`) and encoded, and painting goes on from there with all words,
held near it by `losses.StyleLoss`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.alone import alone_sizes
from gouache.engine.starts import enlarged
from gouache.engine.targets import StagePlan, encode_parts
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.prompts import Prompt, laid_out, one_line
from gouache.settings.config import PaintConfig
from gouache.settings.schedule import Schedule
from gouache.styles import draw_in, find_style, find_weather, without_weather

_SMALL = 512  # sides below this are drawn from a picture of twice the size


class StyleWarning(UserWarning):
    """A picture is begun in a style."""

    all_differ = True

    def __init__(self, message: str, drawn: Mapping[str, Sequence[str]] | None = None) -> None:
        """`drawn`: what is painted first, "a fish", to what it is drawn in, ["mosaic"]."""
        super().__init__(message)
        self.details = {"drawn": {words: list(styles) for words, styles in (drawn or {}).items()}}


def styles_asked(config: PaintConfig, stage: StagePlan) -> tuple[tuple[str, ...], ...]:
    """What each picture of a plan is to be drawn in at its beginning, in turn: weather, a style."""
    weight = config.guidance.style_weight
    if not isinstance(weight, Schedule) and not weight:
        return ((),) * len(stage.columns)
    return tuple(_split([target.prompt for target in own])[0] for own in stage.columns)


def contents(
    config: PaintConfig, stage: StagePlan, styles: Sequence[tuple[str, ...]], models: Models
) -> StagePlan:
    """The plan without the words for styles, of the pictures that are begun in one; of those that
    are begun small (`alone`) without those for weather, too, which only blur the little that the
    prior and the guides know of the thing."""
    asked = [tuple(target.prompt for target in own) for own in stage.columns]
    plain = {picture: _split(asked[picture])[1] for picture, style in enumerate(styles) if style}

    def plan() -> StagePlan:
        for picture, prompts in plain.items():
            asked[picture] = laid_out(prompts) if config.guidance.lays_out else prompts
        return replace(stage, rows=encode_parts(asked, config, models))

    found = plan()
    small = alone_sizes(config, found, models)
    bare = {
        picture: tuple(
            replace(one, text=without_weather(one.text)) if one.kind == "text" else one
            for one in prompts
        )
        for picture, prompts in plain.items()
        if small[picture] is not None
    }
    if bare:
        plain |= bare
        found = plan()
    told: dict[str, tuple[str, ...]] = {}
    for picture, prompts in plain.items():
        words = " | ".join(prompt.text for prompt in prompts if prompt.kind == "text")
        told[one_line(words, 60)] = styles[picture]
    shown = ", ".join(f"{words} ({', '.join(style)})" for words, style in told.items())
    message = (
        f"begun as a picture and drawn in a style: {shown}; style_weight 0 leaves styles to the "
        "guides"
    )
    warnings.warn(StyleWarning(message, told), stacklevel=2)
    return found


@torch.no_grad()
def drawn(
    models: Models, canvas: Canvas, latent: Tensor, styles: Sequence[str], seed: int
) -> Tensor:
    """The picture of a latent (code_dim,h,w), drawn in styles and encoded: (code_dim,h,w)."""
    codes, large = models.rounded(latent[None]), canvas
    if max(canvas.width, canvas.height) < _SMALL:
        large = Canvas(2 * canvas.width, 2 * canvas.height, canvas.cell)
    image = enlarged(models, codes, canvas, large)
    for style in styles:
        image = draw_in(style, image, seed)
    size = (canvas.height, canvas.width)
    image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
    return models.encode(image, canvas)[0]


def _split(prompts: Sequence[Prompt]) -> tuple[tuple[str, ...], tuple[Prompt, ...]]:
    """What the wishes in words name of weather and of one style, and all wishes without the style.

    A style beside which nothing would be left to paint is none.
    """
    wished = [
        number
        for number, prompt in enumerate(prompts)
        if prompt.kind == "text" and prompt.weight > 0
    ]
    weather = (name for number in wished for name in find_weather(prompts[number].text))
    found = tuple(dict.fromkeys(weather))
    for number in wished:
        asked = find_style(prompts[number].text)
        if asked is None:
            continue
        own = (replace(prompts[number], text=asked.content),) if asked.content else ()
        rest = (*prompts[:number], *own, *prompts[number + 1 :])
        if any(one.kind == "text" and one.weight > 0 for one in rest):
            return (*found, asked.style), rest
    return found, tuple(prompts)


__all__ = ["StyleWarning", "contents", "drawn", "styles_asked"]
