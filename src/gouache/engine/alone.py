"""Pictures that only some of the guides know the words of: begun small, and then hardly changed.

`pocket` sees few pixels: in a picture larger than its own it guides shapes and colours, and nobody
guides what is finer where `photo` does not know the words. `pocket` alone chooses well among what
the prior draws, but what it paints itself is soft. Such a picture starts from its choice of many
draws, in the size that both were trained for, and only settles at its full size. See
docs/models/photo.md for the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gouache.engine.targets import StagePlan, Target
from gouache.engine.words import SILENT
from gouache.networks.models import Models
from gouache.settings.config import LatentConfig, PaintConfig
from gouache.settings.presets import ALONE, ALONE_WITH_SEVERAL, PRESETS, preset_of

SETTLING = 1 / 256  # of the learning rate: shapes, edges and colours stay as they were found
LONGER = 2  # times as many steps as are asked of the whole: who paints so small is fast


def alone_size(config: PaintConfig, stage: StagePlan, models: Models) -> tuple[int, int] | None:
    """Width and height in which a picture that is asked this plan is begun.

    None where it is painted at its size at once: all guides know some of what is asked, the others
    want nothing different (`presets.preset_of`), see all of a picture as small as this, or no try
    of a start is wished for.
    """
    if config.latents.start_steps == 0 or config.latents.start_scale == 1:
        return None
    names = [guide.perceptor.name for guide in models.guides]
    knowing = [names[number] for number in _who_knows(stage, len(names))]
    if not knowing or preset_of(knowing) == preset_of(names):
        return None
    if (own := PRESETS[preset_of(knowing)].get("size")) is None:
        return None
    share = min(own) / min(config.size)
    if share >= 1:
        return None
    width, height = (round(share * side) for side in config.size)
    return width, height


def alone_sizes(
    config: PaintConfig, stage: StagePlan, models: Models
) -> list[tuple[int, int] | None]:
    """`alone_size` of each picture of a batch."""
    return [alone_size(config, stage.of(picture), models) for picture in range(config.count)]


def of_those_who_know(
    config: PaintConfig, plan: StagePlan, picture: int, models: Models, size: tuple[int, int]
) -> tuple[PaintConfig, StagePlan, Models]:
    """One picture of the plan in `size`, its guides those that know of it, for its start alone."""
    stage = plan.of(picture)
    numbers = _who_knows(stage, len(models.guides))
    guides = tuple(models.guides[number] for number in numbers)

    def told(target: Target) -> Target:
        return replace(
            target,
            embeddings=tuple(target.embeddings[number] for number in numbers),
            confidences=tuple(target.confidence(number) for number in numbers),
        )

    rows = {name: tuple(t and told(t) for t in row) for name, row in stage.rows.items()}
    # What somebody wishes otherwise than by default holds here too.
    usual, given = LatentConfig(), config.latents
    own = ALONE if len(_wished(stage)) == 1 else ALONE_WITH_SEVERAL
    changed = {n: v for n, v in own.items() if getattr(given, n) == getattr(usual, n)}
    asked = config.prompt_of(picture)
    config = config.updated(**changed, size=size, count=1, prompt=asked)
    return config, StagePlan(LONGER * stage.steps, rows), replace(models, guides=guides)


def settling(
    config: PaintConfig,
    stages: Sequence[StagePlan],
    models: Models,
    styled: Sequence[bool] = (),
) -> Tensor | None:
    """Which pictures of a run only settle while the first stage lasts, (B,) bool; None for none.

    Those that were begun in a style (`styled`) do not: it has to grow together with the thing.
    """
    if config.init_image or not stages:
        return None
    sizes = alone_sizes(config, stages[0], models)
    gently = [size is not None for size in sizes]
    for picture in (k for k, own in enumerate(styled) if own):
        gently[picture] = False
    return torch.tensor(gently, device=models.device) if any(gently) else None


@torch.no_grad()
def settle(parameters: Sequence[Tensor], before: Sequence[Tensor], which: Tensor) -> None:
    """Takes back most of a step, from (B,...) `before` to `parameters`, of pictures (B,) `which`.

    The others keep theirs to the last bit.
    """
    for parameter, old in zip(parameters, before, strict=True):
        gentle = old.lerp(parameter, SETTLING)
        whose = which.view(-1, *[1] * (parameter.ndim - 1))
        parameter.copy_(torch.where(whose, gentle, parameter))


def _wished(stage: StagePlan) -> list[Target]:
    return [target for target in stage.targets if target.prompt.weight > 0]


def _who_knows(stage: StagePlan, count: int) -> list[int]:
    """The guides, of `count`, that know any of what is wished for."""
    wished = _wished(stage)
    return [
        number
        for number in range(count)
        if any(target.confidence(number) >= SILENT for target in wished)
    ]


__all__ = ["SETTLING", "alone_size", "alone_sizes", "of_those_who_know", "settle", "settling"]
