"""The loop: an iterator over steps that may be left, edited, saved and continued at any point."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from gouache.engine import edits, state
from gouache.engine.alone import settle, settling
from gouache.engine.build import Parts, prepare, with_start
from gouache.engine.display import session_html, session_png
from gouache.engine.held import Drawn, Held, drawn_over
from gouache.engine.objective import Objective
from gouache.engine.optimizer import (
    build_optimizer,
    clip_per_picture,
    drop_gradients,
    forget_cells,
    hasten,
    load_optimizer_state,
    optimizer_state,
    restart,
    set_learning_rate,
    take_step,
)
from gouache.engine.record import picture_record
from gouache.engine.schedule import learning_rate, stage_at
from gouache.engine.state import SessionState
from gouache.engine.targets import StagePlan, encode_prompts
from gouache.errors import PromptError, StateError
from gouache.inputs import models_at
from gouache.latents import latents
from gouache.networks.models import Guide
from gouache.ops.allocator import give_back
from gouache.ops.seeding import rng_states, set_rng_states
from gouache.prompts import Prompt, laid_out, one_line, parse_stage
from gouache.protocols import Generator, Loss, Perceptor, Step
from gouache.settings.config import PaintConfig
from gouache.settings.schedule import numbers_at

# fp16 has no numbers below 6e-8: gradients are computed this much larger and divided afterwards.
_FP16_SCALE = 1024.0


class Memory(NamedTuple):
    """All that a step of a session changes: the latent, the optimiser's moments, random streams."""

    latent: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]  # "parameter/name" -> tensor
    numbers: Mapping[str, Any]
    rngs: Tensor


class Session:
    """Paints step by step (VQGAN-CLIP, section 2).

        session = Session.build(make_config(prompt="a lighthouse at dusk"))
        for step in session:
            print(step.index, float(step.total.mean()))
        to_pil(session.picture()[0]).save("lighthouse.png")

    An iterator, so that leaving the loop leaves it where it is: another `for` goes on. Between
    steps prompts and picture may be changed, and `state_dict` taken. A step that fails or is
    interrupted leaves the session as it was before that step. Not for use by several threads at
    once.
    """

    @torch.inference_mode(False)
    def __init__(self, parts: Parts) -> None:
        parts = with_start(parts, type(self))
        self.config = parts.config
        self.models = parts.models
        self.canvas = parts.canvas
        self.edits: list[dict[str, Any]] = []  # what was changed by hand, for the record
        self._rngs = parts.rngs
        self._extra = parts.losses
        self.edit = parts.edit  # takes part where a picture is edited; None for a painting
        self.inputs = parts.inputs
        self.lineage = parts.lineage
        self._pace = parts.pace
        self._latent = latents.get(parts.config.latents.latent)(
            parts.models.generator, parts.start, parts.config.latents
        )
        self._optimizer = build_optimizer(
            parts.config.optimization.optimizer, self._latent.parameters(), lr=1.0
        )
        self._index = 0
        self._shown: Tensor | None = None  # the picture that the last step scored
        self._held: Held | None = None  # what was drawn, and stays near to it
        self._picture: Tensor | None = None  # decoded from the latent as it is now
        self._styled = parts.styled
        self._aim_at(parts.stages, parts.pull_target)

    @classmethod
    @torch.inference_mode(False)
    def build(
        cls,
        config: PaintConfig,
        *,
        generator: Generator | None = None,
        perceptor: Perceptor | Sequence[Guide] | None = None,
        init_image: Image | Tensor | None = None,
        losses: Sequence[Loss] = (),
    ) -> Session:
        """A session from settings. Models, init image and more losses may be given as objects.

        Raises `ConfigError`, `PromptError`, `ModelError` or `ImageError`, each in one line, and
        `DivergedError` where a try of a start diverges.
        """
        session = cls(
            prepare(
                config,
                generator=generator,
                perceptor=perceptor,
                init_image=init_image,
                losses=losses,
            )
        )
        if init_image is not None:  # which the settings do not tell of
            session.edits.append({"step": 0, "edit": "init_image"})
            session._aim_at(session.stages, session._objective.pull_target)
        return session

    @property
    def step_index(self) -> int:
        """Steps done, which is also the index of the next one."""
        return self._index

    @property
    def num_steps(self) -> int:
        """Steps of the whole run, all stages together."""
        return sum(stage.steps for stage in self.stages)

    @property
    def stage(self) -> int:
        """The stage of the next step; of the last one when finished."""
        return stage_at(self._index, [stage.steps for stage in self.stages])

    @property
    def finished(self) -> bool:
        return self._index >= self.num_steps

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return learning_rate(self.config.optimization, self._index, self.num_steps)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """What the current stage asks for; where pictures have their own, each one that any has."""
        return tuple(target.prompt for target in self.stages[self.stage].targets)

    def prompts_of(self, picture: int) -> tuple[Prompt, ...]:
        """What the current stage asks of one picture of the batch; `PromptError` if it has none."""
        if not 0 <= picture < self.config.count:
            raise PromptError(
                f"got index {picture}; this session paints {self.config.count} pictures"
            )
        return tuple(target.prompt for target in self.stages[self.stage].of(picture).targets)

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        """Does one step. A loss or gradient that is not finite raises `DivergedError`."""
        if self.finished:
            if self.models.device.type == "cpu":
                give_back()
            raise StopIteration
        while True:
            try:
                return self._try_step()
            except torch.OutOfMemoryError:
                num = self.config.cutouts.num_cutouts * self.config.count
                if not self.models.memory.lower(num):
                    raise
            torch.cuda.empty_cache()
            warnings.warn(
                "the memory is full; going on with less of it, a little slower", stacklevel=2
            )

    def _try_step(self) -> Step:
        before = self.memory()
        place = self._index, self._shown, self._picture
        try:
            # Whatever the caller has switched off, it is on here and off again on return.
            with torch.inference_mode(False):  # and with gradients
                return self._advance()
        except BaseException:  # Ctrl-C too: the step is done again, with the same result
            self.recall(before)
            self._index, self._shown, self._picture = place
            raise

    def _advance(self) -> Step:
        stage, objective = self.stage, self._objective
        scale = _FP16_SCALE if self.models.dtype is torch.float16 else 1.0
        found = objective.evaluate(
            self._latent, self._rngs, self._index, self.num_steps, stage, scale
        )
        image, losses = found.image, found.losses
        parameters = list(self._latent.parameters())
        gradients = [gradient / scale for gradient in found.gradients(parameters)]
        last_good = image if self._shown is None else self._shown
        objective.require_finite(losses, gradients, self._index, last_good)
        if self.edit is not None:
            gradients = [self.edit.pin_gradient(gradient) for gradient in gradients]
        largest = numbers_at(self.config.optimization, self._index, self.num_steps).clip_grad
        if largest:
            gradients = clip_per_picture(gradients, largest)
        if objective.restarts_at(self._index):
            restart(self._optimizer)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        set_learning_rate(self._optimizer, self.learning_rate)
        settled = objective.settling(stage)
        gentle = settled is not None or self._pace is not None
        before = [one.detach().clone() for one in parameters] if gentle else ()
        take_step(self._optimizer)
        if self._pace is not None:
            hasten(parameters, before, self._pace)
        if settled is not None:
            settle(parameters, before, settled)
        self._latent.after_step()
        if self.edit is not None:
            self.edit.pin_latent(self._latent)
        step = Step(
            index=self._index,
            num_steps=self.num_steps,
            stage=stage,
            image=image.detach(),
            losses={name: value.detach() for name, value in losses.items()},
        )
        self._shown, self._picture, self._index = step.image, None, self._index + 1
        return step

    @torch.inference_mode(False)
    @torch.no_grad()
    def picture(self) -> Tensor:
        """The picture as it is now, (B,3,H,W) in [0,1]: after the last step, averaged if asked for.
        At the size that is painted: what a `gouache.runs.drive.Run` finishes may be larger.

        Decoded when first asked for and kept until something changes. During a run `step.image` is
        there for free, one update older.
        """
        if self._picture is None:
            self._picture = self.models.decode(self._latent.final(), self.canvas)
        return self._picture

    @torch.inference_mode(False)
    @torch.no_grad()
    def codes(self) -> Tensor:
        """What `picture` is decoded from: (B,code_dim,h,w), float32."""
        return self._latent.final()

    @torch.inference_mode(False)
    def latent(self) -> Tensor:
        """A copy of the latent as it is now, before rounding: (B,code_dim,h,w), float32."""
        return self._latent.unrounded().detach().clone()

    def scores(self) -> Tensor:
        """How well each picture fits the current prompts, (B,) in [-1,1], higher is better."""
        return self._objective.scores(self.picture(), self.stage)

    def own_losses(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses (B,) of the last step, NaN for pictures that have no such loss (0 in the step)."""
        last = stage_at(max(0, self._index - 1), [stage.steps for stage in self.stages])
        return self._objective.own_losses(losses, last)

    def set_prompt(self, text: str, *, index: int | None = None) -> None:
        """Asks for something else from the next step on; image and noise prompts of the stage stay.

        `text` follows the grammar of `gouache.prompts` and has one stage, else `PromptError`. All
        pictures are asked it, or the one of the batch that `index` names; the others keep theirs.
        """
        asked = parse_stage(text)
        if self.config.guidance.lays_out:
            asked = laid_out(asked)
        before = self.prompts if index is None else self.prompts_of(index)
        lasting = dict.fromkeys(prompt for prompt in before if prompt.kind != "text")
        self.set_prompts([*asked, *lasting], index=index)

    @torch.inference_mode(False)
    def set_prompts(self, prompts: Sequence[Prompt], *, index: int | None = None) -> None:
        """Replaces all prompts of the current stage from the next step on; later stages stay.

        `index` as for `set_prompt`; one that the batch does not have raises `PromptError`.
        """
        stage, count = self.stage, self.config.count
        if self.edit is not None and not self.edit.follows_prompts:
            warnings.warn(
                "this edit goes from one phrase to another as it began; other prompts do not "
                "change it: begin a new one",
                stacklevel=2,
            )
        if index is not None:
            self.prompts_of(index)  # which there has to be
        asked = [prompts if index in (None, k) else self.prompts_of(k) for k in range(count)]
        targets = self.stages[stage].targets
        kept = {t.prompt: (t.prompt, t.embeddings, t.confidences) for t in targets}
        rows = encode_prompts(asked, self.config, self.models, kept)
        changed = dataclasses.replace(self.stages[stage], rows=rows)
        # What is asked anew is not held where other words began.
        self._styled = tuple(
            one and asked[k] == self.prompts_of(k) for k, one in enumerate(self._styled)
        )
        stages = (*self.stages[:stage], changed, *self.stages[stage + 1 :])
        self._aim_at(stages, self._objective.pull_target, by_hand=True)
        own, whose = (changed, {}) if index is None else (changed.of(index), {"picture": index})
        packed = state.pack_stages([own]).meta["stages"][0]["targets"]
        self.edits.append({"step": self._index, "edit": "prompts", "prompts": packed} | whose)

    @torch.inference_mode(False)
    @torch.no_grad()
    def set_image(
        self,
        image: Image | Tensor,
        changed: Tensor | Image | None = None,
        *,
        index: int | None = None,
        near: float | Tensor = 0.0,
    ) -> None:
        """Puts an edited picture in place; painting goes on from it (VQGAN-CLIP, appendix C).

        `image` is a PIL image, or a tensor (3,H,W) or (B,3,H,W) in [0,1]. `changed` says where it
        was edited: (H,W) or (B,1,H,W) true or light there. Without it the picture is compared with
        the one that was last shown. Latent cells without a change keep their latent and the
        optimiser's memory, as encoding them again would lose detail. `index` names the one picture
        of a batch that is meant. `near` says how near to the edit the colours of what changed stay
        from then on: 0 is free, 1 the most; a number, or (H,W) or (B,1,H,W). Sizes that do not fit
        raise `ImageError`.
        """
        shown = [self.picture()] if self._shown is None else [self._shown, self.picture()]
        edited, cells, pixels = edits.read_edit(image, changed, index, shown, self.canvas)
        if not bool(cells.any()):
            return
        latent = self.models.encode(edited, self.canvas)
        drawn = Drawn(edited, pixels, latent, cells)
        self._held = drawn_over(self._held, drawn, near, self.canvas)
        self._latent.set_latent(latent, None if bool(cells.all()) else cells)
        forget_cells(self._optimizer, cells)
        pull_target = self._objective.pull_target
        if pull_target is not None:
            pull_target = torch.where(cells, latent, pull_target)
        self._aim_at(self.stages, pull_target, by_hand=True)
        self._shown = self._picture = None
        done = {"step": self._index, "edit": "image", "cells": int(cells.sum())}
        told = {"near": near} if isinstance(near, (int, float)) and near else {}
        self.edits.append(done | told)

    @property
    def stages(self) -> tuple[StagePlan, ...]:
        """The plan: for how many steps what is asked."""
        return self._objective.stages

    record = picture_record
    _repr_html_ = session_html
    _repr_png_ = session_png

    def _aim_at(
        self, stages: Sequence[StagePlan], pull_target: Tensor | None, *, by_hand: bool = False
    ) -> None:
        """`by_hand`: a change that is about to be recorded; it has to do more than settle."""
        untouched = not (by_hand or self.edits) and self.edit is None
        self._objective = Objective(
            self.config,
            self.models,
            self.canvas,
            stages,
            pull_target,
            self._extra,
            self.edit,
            settling(self.config, stages, self.models, self._styled) if untouched else None,
            self._styled,
            self._held,
        )

    def memory(self) -> Memory:
        """All that a step changes, copied: small beside one decode."""
        moments, numbers = optimizer_state(self._optimizer)
        return Memory(self._latent.state_dict(), moments, numbers, rng_states(self._rngs))

    @torch.inference_mode(False)
    def recall(self, memory: Memory) -> None:
        """Puts back what `memory` gave, of this session or of one like it. Shapes that do not fit
        raise `StateError`."""
        self._latent.load_state_dict(memory.latent)
        load_optimizer_state(self._optimizer, memory.moments, memory.numbers)
        set_rng_states(self._rngs, memory.rngs)
        drop_gradients(self._optimizer)
        self._shown = self._picture = None

    def identity(self) -> dict[str, Any]:
        """What this run is, for its records and for whoever goes on with it; holds no paths."""
        source = None if self.edit is None else self.edit.identity()
        return state.identity(self.config, self.models, self.inputs, source, self.lineage)

    def state_dict(self) -> SessionState:
        """Everything that the rest of the run depends on: `tensors`, and `meta` fit for JSON.

        A session that loads it ends in the same pixels as this one. Losses given as objects are not
        part of it.
        """
        latent, moments, numbers, rngs = self.memory()
        stages = state.pack_stages(self.stages)
        tensors = {
            **state.with_prefix("latent", latent),
            **state.with_prefix("optimizer", moments),
            **state.with_prefix("stage", stages.tensors),
            "rng": rngs,
        }
        if self._objective.pull_target is not None:
            tensors["pull_target"] = self._objective.pull_target.clone()
        styled = {"styled": list(self._styled)} if any(self._styled) else {}
        if self._held is not None:
            tensors |= state.with_prefix("held", self._held.tensors())
        edit = {} if self.edit is None else state.pack_edit(self.edit, tensors)
        meta = {
            **self.identity(),
            **edit,
            "models_at": models_at(self.config),
            **stages.meta,
            **styled,
            "step": self._index,
            "num_steps": self.num_steps,
            "optimizer": numbers,
            "edits": [dict(edit) for edit in self.edits],
        }
        return SessionState(tensors, meta)

    @torch.inference_mode(False)
    def load_state_dict(self, saved: SessionState) -> None:
        """Continues a saved run. `StateError` if it is damaged or of other settings or models."""
        before = self.memory()
        try:
            mine = self.identity(), self.models, self.config.count, self.canvas.grid
            found = state.read_state(saved, *mine)
            kept = state.under("held", saved.tensors)
            held = Held.of(kept, self._latent.unrounded(), self.canvas, self.models.device)
            numbers = dict(saved.meta["optimizer"])
            latent, moments = (state.under(k, saved.tensors) for k in ("latent", "optimizer"))
            self.recall(Memory(latent, moments, numbers, saved.tensors["rng"]))
        except Exception as error:  # damage shows in many ways
            self.recall(before)
            if isinstance(error, StateError):
                raise
            raise StateError(
                f"the saved run is damaged ({one_line(error, 80)}); start the run again"
            ) from None
        self._index, self.edits, self.inputs = found.step, found.edits, found.inputs
        self.lineage, self._styled = saved.meta.get("lineage"), found.styled
        self._shown = self._picture = None
        self._held = held
        self._aim_at(found.stages, found.pull_target)


__all__ = ["Memory", "Session"]
