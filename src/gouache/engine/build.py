"""From settings to everything that a session needs: all wiring is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor

from gouache.engine.alone import alone_sizes, of_those_who_know
from gouache.engine.hook import Hook
from gouache.engine.loop import Stepping, steps
from gouache.engine.optimizer import find_optimizer
from gouache.engine.schedule import steps_of_run
from gouache.engine.starts import Rehearse, choose_start, enlarged
from gouache.engine.styled import contents, drawn, styles_asked
from gouache.engine.targets import StagePlan, plan_stages
from gouache.engine.tries import Tries
from gouache.engine.variation import crossed, disturbed
from gouache.errors import ConfigError
from gouache.inputs import Input, inputs_of, portable_model
from gouache.latents import latents
from gouache.losses import losses
from gouache.networks.canvas import Canvas
from gouache.networks.compiling import compiled, wanted
from gouache.networks.devices import autocast_dtype, resolve_device
from gouache.networks.models import Guide, Models
from gouache.ops.images import load_image
from gouache.ops.seeding import picture_rngs
from gouache.ops.sums import object_sum
from gouache.output.lineage import lineage_of
from gouache.protocols import Generator, Loss, Perceptor, Step
from gouache.settings.codec import parse_weighted
from gouache.settings.config import MAX_COUNT, PaintConfig
from gouache.watching import Watcher, tell, watcher, watching

TRIES_TOGETHER = 6  # tries of a start in one batch: more are hardly faster, and take memory


@dataclass(frozen=True)
class Parts:
    """What a `Session` is made of. `pull_target` is where the stepwise pull on the latent leads;
    `styled` (B) says which pictures were begun there, in a style; empty for none.

    An empty `start` is found by the session: see `with_start`.
    """

    config: PaintConfig
    models: Models
    canvas: Canvas
    stages: tuple[StagePlan, ...]
    rngs: list[torch.Generator]
    start: Tensor  # (B,code_dim,h,w)
    pull_target: Tensor | None
    losses: tuple[Loss, ...] = ()  # besides those that the settings ask for
    edit: Hook | None = None  # where a picture is edited
    inputs: tuple[Input, ...] = ()  # the pictures that were read
    lineage: Mapping[str, Any] | None = None  # of the pictures that it starts from
    styled: tuple[bool, ...] = ()
    pace: Tensor | None = None  # (1,1,h,w): times that a step moves a cell; None is 1 everywhere


def prepare(
    config: PaintConfig,
    *,
    generator: Generator | None = None,
    perceptor: Perceptor | Sequence[Guide] | None = None,
    init_image: Image | Tensor | None = None,
    losses: Sequence[Loss] = (),
    models: Models | None = None,
) -> Parts:
    """Loads models, encodes all prompts once, and encodes the start where it is a picture.

    Settings are checked first: a typing error is reported before anything is loaded. `models` are
    those of the same settings, where `Models.load` gave them before.
    """
    validate(config)
    if models is None:
        tell("loading the models")
        models = Models.load(config, generator, perceptor)
    tell("reading the words")
    stages = plan_stages(config, models)
    canvas, rngs = _canvas(config, models), picture_rngs(config.seed, config.count)
    models.plan_memory(canvas, config.count, config.cutouts.num_cutouts)
    fast = _compiled(config, models, canvas)
    inputs = inputs_of(config)
    if init_image is not None:
        of, sha256 = object_sum(init_image)
        others = (one for one in inputs if one.setting != "init_image")
        inputs = (Input("init_image", "", sha256, of), *others)
    elif config.init_image:
        init_image = load_image(Path(config.init_image))
    if init_image is not None:
        tell("reading the picture")
        start = models.encode(canvas.read(init_image), canvas).expand(config.count, -1, -1, -1)
        if config.cross_image:
            other = canvas.read(load_image(Path(config.cross_image)))
            start = crossed(start, models.encode(other, canvas), rngs)
        pull_target = start.clone()
        if config.latents.init_disturb:
            start = disturbed(start, config.latents.init_disturb, rngs)
        parts = Parts(config, fast, canvas, stages, rngs, start, pull_target, tuple(losses))
        return replace(parts, inputs=inputs, lineage=lineage_of(config, inputs))
    for name, value in (
        ("cross_image", config.cross_image),
        ("init_disturb", config.latents.init_disturb),
    ):
        if value:
            raise ConfigError(f"{name} is {value!r:.80} without an init image; give init_image")
    parts = Parts(config, fast, canvas, stages, rngs, torch.zeros(0), None, tuple(losses))
    return replace(parts, inputs=inputs)


def with_start(parts: Parts, begin: Callable[[Parts], Tried]) -> Parts:
    """The parts with a start of their own, found where they have none; `begin` paints the tries."""
    if len(parts.start):
        return parts
    if any(styles := styles_asked(parts.config, parts.stages[0])):
        return _with_styled_start(parts, styles, begin)
    config, canvas, first, rngs = parts.config, parts.canvas, parts.stages[0], parts.rngs
    changes: dict[str, int] = {}
    models = replace(parts.models, compiled={})  # tries are too few steps to be compiled
    plain = replace(parts, models=models)
    # Losses that a caller brings may know the number of pictures.
    together = 1 if parts.losses else min(TRIES_TOGETHER, MAX_COUNT // config.count)
    sizes = alone_sizes(config, first, models)
    start = torch.zeros(config.count, models.generator.code_dim, *canvas.grid, device=models.device)
    if not all(sizes):
        chosen = [k for k, size in enumerate(sizes) if size is None or parts.losses]
        some, tries = _only(plain, chosen), Tries(config)
        start[chosen], changes = choose_start(
            some.config,
            models,
            canvas,
            some.stages[0],
            some.rngs,
            _rehearsal(some, begin, tries),
            together,
            tries,
        )
    for picture, size in enumerate(sizes):
        if size is not None:
            rngs[picture : picture + 1] = picture_rngs(config.seed + picture, 1)
            start[picture], changes = _begun_alone(plain, picture, size, begin)
    if changes and config.count == 1:
        config = config.updated(**changes)
    return replace(parts, start=start, config=config)


def _with_styled_start(
    parts: Parts, styles: Sequence[tuple[str, ...]], begin: Callable[[Parts], Tried]
) -> Parts:
    """As `with_start`, where some pictures are begun in styles, () for none; see `styled`."""
    config, canvas, first, models = parts.config, parts.canvas, parts.stages[0], parts.models
    content = contents(config, first, styles, models)
    plain = config.updated(style_weight=0.0)
    begun = with_start(replace(parts, config=plain, stages=(content, *parts.stages[1:])), begin)
    start, pull_target = begun.start.clone(), torch.zeros_like(begun.start)
    alone = alone_sizes(plain, content, models)
    for picture, style in enumerate(styles):
        if not style:
            continue
        latent = start[picture]
        if alone[picture] is None:  # else it is as good as finished
            some = replace(_only(begun, [picture]), start=latent[None])
            session = begin(replace(some, models=replace(models, compiled={})))
            number = round(config.guidance.style_share * first.steps)
            show = watcher() if picture == 0 else None
            for step in steps(session, number):
                if show is not None:
                    show(_as_shown(step, torch.tensor([0]), number, canvas))
            latent = session.latent()[0]
        tell(f"drawing {', '.join(style)}")
        start[picture] = drawn(models, canvas, latent, style, config.seed + picture)
        pull_target[picture] = start[picture]
    weight = config.guidance.style_weight
    return replace(
        begun,
        config=begun.config.updated(style_weight=weight),
        stages=parts.stages,
        start=start,
        pull_target=pull_target,
        styled=tuple(map(bool, styles)),
    )


def _only(parts: Parts, pictures: Sequence[int]) -> Parts:
    """The parts for some pictures of the batch; their random streams are shared with it."""
    config = parts.config
    if len(pictures) == config.count:
        return parts
    return replace(
        parts,
        config=config.updated(count=len(pictures), prompt=tuple(map(config.prompt_of, pictures))),
        stages=tuple(stage.of(*pictures) for stage in parts.stages),
        rngs=[parts.rngs[picture] for picture in pictures],
    )


def _begun_alone(
    parts: Parts, picture: int, size: tuple[int, int], begin: Callable[[Parts], Tried]
) -> tuple[Tensor, dict[str, int]]:
    """The start (code_dim,h,w) of one picture: found small by those who know its words, enlarged;
    and the settings that make it again, where somebody chose meanwhile."""
    config, stage, models = of_those_who_know(
        parts.config, parts.stages[0], picture, parts.models, size
    )
    canvas, rngs = _canvas(config, models), parts.rngs[picture : picture + 1]
    small = replace(
        parts,
        config=config,
        models=models,
        canvas=canvas,
        stages=(stage,),
        rngs=rngs,
        start=torch.zeros(0),
        losses=(),
    )
    show = watcher() if picture == 0 else None  # the first stands for all
    # Nobody sees the others.
    lifted = _Lifted(show, parts.canvas, parts.config.count == 1) if show else Watcher()
    with watching(lifted):
        begun = with_start(small, begin)
    made, asked = begun.config.latents, config.latents
    found = {name: getattr(made, name) for name in ("start_choice", "start_steps")}
    changes = {name: value for name, value in found.items() if value != getattr(asked, name)}
    large = enlarged(parts.models, models.rounded(begun.start), canvas, parts.canvas)
    return parts.models.encode(large, parts.canvas)[0], changes


class _Lifted(Watcher):
    """Shows a watcher what is found alone, at the size of the run."""

    def __init__(self, watch: Watcher, canvas: Canvas, asking: bool) -> None:
        super().__init__(
            lambda step: watch(_as_shown(step, torch.tensor([0]), step.num_steps, canvas))
        )
        self.sees_all = watch.sees_all
        self.doing, self.sketched = watch.doing, watch.sketched  # type: ignore[method-assign]
        self.leading = watch.leading  # type: ignore[method-assign]
        if asking:
            self.choice = watch.choice  # type: ignore[method-assign]


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
    models.plan_memory(canvas, config.count, config.cutouts.num_cutouts)
    models = _compiled(config, models, canvas)
    start = torch.zeros(config.count, models.generator.code_dim, *canvas.grid, device=models.device)
    rngs = picture_rngs(config.seed, config.count)
    return Parts(config, models, canvas, (), rngs, start, None, tuple(losses))


def validate(config: PaintConfig) -> None:
    """Raises the error that `prepare` would, as far as that can be told without models or files."""
    device, steps = resolve_device(config.device), steps_of_run(config)
    find_optimizer(config.optimization.optimizer)
    latents.get(config.latents.latent)
    judge = config.latents.start_judge
    if portable_model(judge) != judge:  # records would hold the path, and nobody could replay it
        raise ConfigError(
            f"start_judge is {judge!r:.80}; expected the name of a perceptor, and no path"
        )
    for text in config.guidance.losses:
        losses.get(parse_weighted(text, "loss")[0])
    autocast_dtype(config.precision, device)
    wanted(config, device, steps)


def _compiled(config: PaintConfig, models: Models, canvas: Canvas) -> Models:
    """`models`, compiled where the settings want it; of given ones by themselves none are."""
    if not wanted(config, models.device, steps_of_run(config)):
        return replace(models, compiled={})
    return compiled(models, config, canvas, models.own)


class Tried(Stepping, Protocol):
    """What of a session a try needs."""

    def latent(self) -> Tensor: ...


def _rehearsal(parts: Parts, begin: Callable[[Parts], Tried], tries: Tries) -> Rehearse:
    """Paints `start_steps` steps of `parts` from a given start, on a canvas of its own."""

    def rehearse(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
        # Losses that a caller brings may know the picture's size: they wait for the real thing.
        losses = parts.losses if canvas == parts.canvas else ()
        count = parts.config.count
        stages = tuple(stage.repeated(len(start) // count) for stage in parts.stages)
        # Small pictures hold little: guides that are costly look at fewer cutouts of them, but at
        # one of each place that is asked about.
        area = (canvas.width * canvas.height) / (parts.canvas.width * parts.canvas.height)
        least = max([1, *map(len, stages[0].looks)])
        guides = tuple(
            replace(guide, shown=guide.shown * area, least=least) for guide in parts.models.guides
        )
        together = replace(
            parts,
            models=replace(parts.models, guides=guides),
            config=replace(parts.config, count=len(start)),
            canvas=canvas,
            stages=stages,
            rngs=rngs,
            start=start,
            losses=losses,
        )
        session = begin(together)
        number = min(parts.config.latents.start_steps, parts.stages[0].steps)
        show = watcher()
        for step in steps(session, number):
            if show is None:
                continue
            leads = tries.lead(step) * count + torch.arange(count)
            tries.show(step.image, step.index + 1)
            show(_as_shown(step, leads, number, parts.canvas))
            if tries.ask():
                break
        return session.latent()

    return rehearse


def _as_shown(step: Step, which: Tensor, steps: int, canvas: Canvas) -> Step:
    """A step of some of the pictures, at the size of the run."""
    size, which = (canvas.height, canvas.width), which.to(step.image.device)
    image = F.interpolate(step.image[which], size, mode="bilinear", align_corners=False)
    losses = {name: values[which] for name, values in step.losses.items()}
    return Step(step.index, steps, step.stage, image, losses)


def _canvas(config: PaintConfig, models: Models) -> Canvas:
    return Canvas(*config.size, models.generator.downsampling)


__all__ = ["Parts", "prepare", "prepare_blank", "validate", "with_start"]
