"""From settings to everything that a session needs: all wiring is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gouache.config import PaintConfig
from gouache.engine.canvas import Canvas
from gouache.engine.devices import autocast_dtype, resolve_device
from gouache.engine.models import Guide, Models
from gouache.engine.optimizer import find_optimizer
from gouache.engine.schedule import steps_per_stage
from gouache.engine.seeding import picture_rngs
from gouache.engine.targets import StagePlan, parse_stages, plan_stages
from gouache.latents import latents
from gouache.ops.images import load_image, noise_image
from gouache.protocols import Generator, Loss, Perceptor

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Parts:
    """What a `Session` is made of. `pull_target` is where the stepwise pull on the latent leads."""

    config: PaintConfig
    models: Models
    canvas: Canvas
    stages: tuple[StagePlan, ...]
    rngs: list[torch.Generator]
    start: Tensor  # (B,code_dim,h,w)
    pull_target: Tensor | None
    losses: tuple[Loss, ...] = ()  # besides those that the settings ask for


def prepare(
    config: PaintConfig,
    *,
    generator: Generator | None = None,
    perceptor: Perceptor | Sequence[Guide] | None = None,
    init_image: Image | Tensor | None = None,
    losses: Sequence[Loss] = (),
) -> Parts:
    """Loads models, encodes all prompts once, and draws or encodes the start.

    Settings are checked first: a typing error is reported before anything is loaded.
    """
    validate(config)
    models = Models.load(config, generator, perceptor)
    stages = plan_stages(config, models)
    canvas, rngs = _canvas(config, models), picture_rngs(config.seed, config.count)
    if init_image is None and config.init_image:
        init_image = load_image(Path(config.init_image))
    if init_image is not None:
        start = models.encode(canvas.read(init_image), canvas).expand(config.count, -1, -1, -1)
        pull_target = start.clone()
    else:
        start, pull_target = draw_start(config, models, canvas, rngs), None
    return Parts(config, models, canvas, stages, rngs, start, pull_target, tuple(losses))


def prepare_blank(
    config: PaintConfig,
    *,
    generator: Generator | None = None,
    perceptor: Perceptor | Sequence[Guide] | None = None,
    losses: Sequence[Loss] = (),
) -> Parts:
    """Parts of a session that a state is about to be loaded into: no prompt or picture is read."""
    models = Models.load(config, generator, perceptor)
    canvas = _canvas(config, models)
    start = torch.zeros(config.count, models.generator.code_dim, *canvas.grid, device=models.device)
    rngs = picture_rngs(config.seed, config.count)
    return Parts(config, models, canvas, (), rngs, start, None, tuple(losses))


def validate(config: PaintConfig) -> None:
    """Raises the error that `prepare` would, as far as that can be told without models or files."""
    steps_per_stage(config.steps, len(parse_stages(config)))
    find_optimizer(config.optimization.optimizer)
    latents.get(config.latents.latent)
    autocast_dtype(config.precision, resolve_device(config.device))


@torch.no_grad()
def draw_start(
    config: PaintConfig, models: Models, canvas: Canvas, rngs: Sequence[torch.Generator]
) -> Tensor:
    """A random start, (B,code_dim,h,w): codes as frequent as in real pictures, or encoded noise."""
    kind = config.latents.start
    if kind != "random":
        noise = noise_image(kind, (canvas.width, canvas.height), config.count, rngs)
        return models.encode(noise, canvas)
    height, width = canvas.grid
    prior = models.generator.code_prior.detach().float().cpu()
    draws = [torch.multinomial(prior, height * width, True, generator=rng) for rng in rngs]
    indices = torch.stack(draws).view(-1, height, width).to(models.device)
    return models.generator.codebook.detach().float()[indices].movedim(-1, 1).contiguous()


def _canvas(config: PaintConfig, models: Models) -> Canvas:
    return Canvas(*config.size, models.generator.downsampling)


__all__ = ["Parts", "draw_start", "prepare", "prepare_blank", "validate"]
