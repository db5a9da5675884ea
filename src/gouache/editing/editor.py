"""Edits of a whole picture or of a masked part of it (paper, appendix H.2)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.Image import Image as Picture

from gouache.editing.composite import warn_lossy, warn_reduced
from gouache.editing.config import EditConfig, painting_config, split
from gouache.editing.mask import (
    Mask,
    check_phrase,
    from_grey,
    given_mask,
    read_base,
    require_some,
    score,
    shown_as,
    tinted,
)
from gouache.editing.relative import check_relative, directions
from gouache.editing.source import Source
from gouache.engine import Guide, Session
from gouache.engine.build import prepare, validate
from gouache.errors import ConfigError
from gouache.inputs import Input
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.ops.images import upright
from gouache.ops.profiles import flat
from gouache.ops.sums import object_sum, pixels_sha256
from gouache.protocols import Generator, Perceptor
from gouache.runs.drive import Run
from gouache.runs.painting import Painting, by_name, painted
from gouache.settings.config import PaintConfig

LONGEST = 1024


@dataclass(frozen=True)
class EditPlan:
    """What is edited and how: everything besides the settings of painting.

    `replace` names what is masked, `mask_image` is a mask of one's own; without either the whole
    picture is edited. `old` is what the prompt is relative to, a prompt too. `inputs` are the files
    that were read, for the record. `mask_image` is grey, light where to paint, at the source's
    size. `base` is the source before its transparency and its own colours were left out for
    painting (None: it had neither): what a composite keeps.
    """

    source: Picture = field(repr=False)
    config: EditConfig = field(default_factory=EditConfig)
    replace: str = ""
    old: str = ""
    mask_image: Picture | None = field(default=None, repr=False)
    inputs: tuple[Input, ...] = ()
    base: Picture | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.replace and self.old:
            raise ConfigError("give either what to replace or what to move away from, not both")
        if self.replace:
            check_phrase(self.replace)
        if self.old:
            check_relative(self.old)
        if self.config.composite and not self.masked:
            raise ConfigError("a composite needs a mask; say what to replace or give a mask")

    @property
    def masked(self) -> bool:
        return bool(self.replace) or self.mask_image is not None

    def begin(self, config: PaintConfig, *, sized: bool, models: Models | None = None) -> Run:
        """A run of it (see `gouache.runs.job`)."""
        return Run(start(self, config, sized=sized, models=models))

    def record(self, mask: Mask | None) -> dict[str, Any]:
        """What a picture's file tells of its edit; `replay` reads it."""
        return {
            "step": 0,
            "edit": "replace" if self.masked else "edit",
            "source": next((one.name for one in self.inputs if one.setting == "source"), ""),
            "source_sha256": pixels_sha256(self.source),
            "replace": self.replace,
            "from": self.old,
            "mask_file": self.mask_image is not None,
            "mask_share": None if mask is None else round(mask.share, 4),
            "settings": self.config.to_dict(),
        }


@dataclass(frozen=True)
class EditResult(Painting):
    """Like `Painting`, with the source and the mask beside the pictures."""

    source: Picture | None = field(default=None, repr=False)
    mask: Mask | None = field(default=None, repr=False)
    composite: bool = False

    def overlay(self) -> Picture:
        """The source with the mask tinted; the source itself where nothing was masked."""
        assert self.source is not None
        return self.source if self.mask is None else tinted(self.source, self.mask.selected)

    def save(self, path: str | Path) -> list[Path]:
        """Writes the pictures with their settings in them, as `Painting.save` does.

        A composite in a format that is not lossless is not the source's outside the mask to the
        byte: a `CompositeWarning` says so.
        """
        if self.composite:
            warn_lossy(path)
        return super().save(path)


def edit(
    image: Picture | str | os.PathLike[str],
    prompt: str,
    *,
    old: str = "",
    replace: str = "",
    mask: Picture | str | os.PathLike[str] | None = None,
    preset: str = "auto",
    generator: str | Generator | None = None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None = None,
    **settings: Any,
) -> EditResult:
    """Changes a picture to fit `prompt`: `edit("a.png", "at night").save("b.png")`.

    Without more the whole picture changes and keeps its structure, by the distance of each cutout
    to the same cutout of the source. With `old` the prompt is relative to it ("a red apple" -> "a
    green apple"). With `replace` (a phrase) or `mask` (a picture, light where to paint) only that
    part changes. `settings` are those of `EditConfig` and `PaintConfig`; the size is the picture's
    own aspect at the generator's native size unless `size` is given. Everything that can be wrong
    raises a `GouacheError` with one line.
    """
    names, generator, guides = by_name(generator, perceptor)
    mine, others = split(settings)
    drawn = generator is None and not mine.get("composite")
    config = painting_config(preset, {"prompt": prompt, **names, **others}, drawn=drawn)
    plan = make_plan(image, EditConfig().updated(**mine), replace=replace, old=old, mask=mask)
    sized = "size" in others
    return finish_edit(start(plan, config, sized=sized, generator=generator, perceptor=guides))


def finish_edit(session: Session) -> EditResult:
    """Does what is left of an edit, begun by `start` or by `resume_session`."""
    edit, painting = edit_of(session), painted(Run(session))
    values = {item.name: getattr(painting, item.name) for item in dataclasses.fields(painting)}
    return EditResult(
        **values,
        source=edit.picture,
        mask=edit.mask,
        composite=edit.config.composite,
    )


def edit_of(session: Session) -> Source:
    """What a session edits; `ConfigError` for one that paints."""
    if not isinstance(session.edit, Source):
        raise ConfigError("the session edits no picture: it paints one")
    return session.edit


def replace(
    image: Picture | str | os.PathLike[str], old: str, new: str, **settings: Any
) -> EditResult:
    """Replaces what `old` names by `new` (the paper's figure 18); arguments as for `edit`.

    The result's `source`, `overlay()` and `image` are the figure's three panels.
    """
    return edit(image, new, replace=old, **settings)


def make_plan(
    image: Picture | str | os.PathLike[str],
    config: EditConfig,
    *,
    replace: str = "",
    old: str = "",
    mask: Picture | str | os.PathLike[str] | None = None,
) -> EditPlan:
    """Reads the files and checks the phrases; no model is loaded."""
    shown = shown_as(image)
    original = upright(image if isinstance(image, Image.Image) else Path(image), shown)
    if config.composite and (replace or mask is not None):
        warn_reduced(original)
    base = read_base(original, shown)
    source = flat(base, shown)
    mask_image: Picture | None = None
    if mask is not None:
        # Refused now rather than after loading.
        found = given_mask(mask, source.size, config, over=source)
        mask_image = Image.fromarray((found.scores * 255).round().byte().numpy())
    given = {"source": image} | ({} if mask is None else {"mask": mask})
    inputs = tuple(_input(name, picture) for name, picture in given.items())
    kept = base if base.mode == "RGBA" or base.info else None
    return EditPlan(source, config, replace, old, mask_image, inputs, kept)


def _input(setting: str, picture: Picture | str | os.PathLike[str]) -> Input:
    if isinstance(picture, Image.Image):
        of, sha256 = object_sum(picture)
        return Input(setting, "", sha256, of)
    return Input.of_file(setting, os.fspath(picture))


def start(
    plan: EditPlan,
    config: PaintConfig,
    *,
    sized: bool,
    generator: Generator | None = None,
    perceptor: Perceptor | Sequence[Guide] | None = None,
    models: Models | None = None,
) -> Session:
    """Loads the models, finds the mask, and encodes the picture as the session's start.

    `Session.edit` is the `gouache.editing.source.Source`. `models` are those of the same settings,
    where `Models.load` gave them before.
    """
    if len(config.prompt) > 1:
        raise ConfigError("an edit has one prompt, for all pictures; leave prompts out")
    validate(config)  # mistakes are told before anything is loaded
    if plan.old and config.prompt:
        check_relative(config.title)
    if models is None:
        models = Models.load(config, generator, perceptor)
    if not sized:
        config = config.updated(size=natural_size(plan.source.size, models.generator))
    mask = find(plan, models)
    canvas = Canvas(*config.size, models.generator.downsampling)
    parts = prepare(config, models=models, init_image=canvas.read(plan.source))
    ways = directions(plan.old, parts) if plan.old else []
    base, latent = plan.base or plan.source, parts.start[:1]
    if parts.pull_target is not None:
        latent = parts.pull_target[:1]  # as encoded, where the start is disturbed
    edit = Source(base, plan.config, mask, latent, models, canvas, plan.old, ways)
    if edit.cells is not None:  # disturbed is what may be painted; the rest begins as it stays
        parts = dataclasses.replace(parts, start=torch.where(edit.cells, parts.start, latent))
    others = (one for one in parts.inputs if one.setting != "init_image")
    inputs = (*plan.inputs, *others)
    session = Session(dataclasses.replace(parts, edit=edit, inputs=inputs, lineage=None))
    session.edits.append(plan.record(mask))
    return session


def find(plan: EditPlan, models: Models) -> Mask | None:
    """The plan's mask at the source's size, None where all may change."""
    if plan.mask_image is not None:
        given = from_grey(plan.mask_image, plan.config)
        require_some(given)
        return given
    if not plan.replace:
        return None
    mask = score(plan.source, plan.replace, models.guides, plan.config, models.dtype)
    require_some(mask)
    return mask


def natural_size(source: tuple[int, int], generator: Generator) -> tuple[int, int]:
    """Width and height of the source's aspect, the short side the generator's native size."""
    short = min(source)
    longest = max(generator.native_size, LONGEST)
    scale = min(generator.native_size / short, longest / max(source))
    width, height = (max(generator.downsampling, round(side * scale)) for side in source)
    return width, height


__all__ = [
    "EditPlan",
    "EditResult",
    "edit",
    "edit_of",
    "find",
    "finish_edit",
    "make_plan",
    "natural_size",
    "replace",
    "start",
]
