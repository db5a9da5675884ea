"""The painter of a film: one session after the other, each a frame, painted through the camera.

A frame is painted in the latent of the last *key picture*, seen through the way that the camera
went since then (`view`). Between two keys nothing is encoded or resampled again. Where the way gets
long (the picture too much magnified, too much of it beyond the borders) the frame that was last
painted becomes the next key picture: encoded once, with what the latent cannot hold of it kept
beside it (`View.rest`) and fading, so that nothing jumps.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.build import Parts, prepare, prepare_blank
from gouache.engine.hook import Hook
from gouache.engine.session import Memory, Session
from gouache.engine.state import (
    SessionState,
    check_identity,
    identity,
    pack_stages,
    saved_inputs,
    under,
    unpack_stages,
    with_prefix,
)
from gouache.errors import ConfigError, GouacheError, StateError
from gouache.films import camera
from gouache.films.camera import Window
from gouache.films.coherence import Look, energy
from gouache.films.config import MOTIONS, FilmConfig, FilmWarning, unscaled
from gouache.films.depth import PLANE, load_depth
from gouache.films.guide import Guide
from gouache.films.key import Key, mirrored
from gouache.films.morph import Morph, rest, room, way
from gouache.films.script import Script
from gouache.films.view import Decoder, View
from gouache.inputs import inputs_of, models_at, with_models_at
from gouache.networks.models import Guide as Judge
from gouache.ops.images import load_image
from gouache.ops.seeding import picture_rngs
from gouache.prompts import one_line
from gouache.protocols import Generator, Perceptor, Step, with_codebook
from gouache.settings.config import PaintConfig

MAGNIFIED = 1.08  # a key picture is shown at most so much larger or smaller
BEYOND = 0.06  # share of a frame that may lie outside of its key picture
_POINTS = ("quantized", "multiscale", "continuous")  # latents that are what is decoded


@dataclass(frozen=True)
class _Shot:
    """A frame that is being painted, or about to be."""

    frame: int
    key: Key
    session: Session
    painted: Mapping[int, Tensor] = field(default_factory=dict)  # what a guide went on from


class Film:
    """A `gouache.runs.drive.Painter`: paints frame after frame.

        film = Film.build(*asked_film({"prompt": "a lighthouse", "zoom": "1.01", "frames": 24}))
        for step in film:
            if film.frame_done:
                to_pil(film.picture()[0]).save(f"{film.frame:05}.png")

    `step_index` counts the steps of all frames. A step that fails or is interrupted leaves the film
    as it was before it. Its state is that of the begin of a frame.
    """

    def __init__(
        self, script: Script, parts: Parts, guide: Guide | None = None, *, blank: bool = False
    ) -> None:
        """`parts` are those of the first frame; `blank`: a state is about to be loaded."""
        canvas, film = parts.canvas, script.film
        self.script, self.guide = script, guide
        self.models, self.canvas, self.inputs = parts.models, canvas, parts.inputs
        left, _, top, _ = canvas.margins
        height, width = (side * canvas.cell for side in canvas.grid)
        center = left + film.center_x * canvas.width, top + film.center_y * canvas.height
        self._window = Window((height, width), center)
        name = script.film.depth
        self._depth = None if name == PLANE else load_depth(name, self.models.device)
        # A clip's frames, and those of a morph, have a latent each.
        own = guide is not None or film.morph
        self._decode = self.models.generator.decode if own else Decoder(self.models.generator)
        self._look: Look | None = None
        self._scene = script.scene(0)
        self._morph: Morph | None = None
        self._first: Tensor | None = None  # of a loop: the first frame, once it is painted
        self._picture: Tensor | None = None  # the frame, once its last step is done
        self._next: _Shot | None = None
        if not blank:
            self._shot = _Shot(0, Key(0, camera.still()), Session(parts))

    @classmethod
    def build(
        cls,
        config: PaintConfig,
        film: FilmConfig,
        *,
        generator: Generator | None = None,
        perceptor: Perceptor | Sequence[Judge] | None = None,
        guide: Guide | None = None,
    ) -> Film:
        """Loads models and finds the start. Errors as of `Session.build`."""
        config = unscaled(config)
        check(config, film)
        first = config.updated(steps=film.steps_per_frame if film.morph else config.steps[0])
        Script(first, film, ()).check()
        alone = first.updated(cross_image="") if film.morph else first
        parts = prepare(alone, generator=generator, perceptor=perceptor)
        script = Script(first, film, parts.stages)
        _tell_longer(script)
        parts = replace(parts, config=script.settings(0), stages=(script.asked(0),))
        if guide is not None:
            begun = guide.begin(0, {}, parts.models, parts.canvas)
            inputs = (*parts.inputs, *guide.inputs)
            parts = replace(parts, start=begun.latent, edit=begun.hook, inputs=inputs)
        if not film.morph:
            return cls(script, parts, guide)
        self = cls(script, replace(parts, inputs=inputs_of(first)), guide, blank=True)
        paths = first.init_image, first.cross_image
        ends = [self.canvas.read(load_image(Path(path))) for path in paths]
        self._morph = Morph.between(ends, self.models, self.canvas)
        latent, kept = self._morph.at(0.0, torch.zeros(()).to(self._morph.latents))
        key = Key(0, camera.still(), kept)
        self._shot = _Shot(0, key, self._session(0, key, latent))
        return self

    @property
    def config(self) -> PaintConfig:
        return self.script.config

    @property
    def frame(self) -> int:
        """Number of the frame that is painted, from 0."""
        return self._shot.frame

    @property
    def num_frames(self) -> int:
        return self.script.num_frames

    @property
    def frame_done(self) -> bool:
        """Whether no step of the frame is left."""
        return self._shot.session.finished

    @property
    def step_index(self) -> int:
        return self.script.steps_before(self.frame) + self._shot.session.step_index

    @property
    def num_steps(self) -> int:
        return self.script.num_steps

    @property
    def finished(self) -> bool:
        return self.frame_done and self.frame == self.num_frames - 1

    def __iter__(self) -> Film:
        return self

    def __next__(self) -> Step:
        if self.frame_done and not self.finished:
            self._shot, self._next = self._following(), None
        step = next(self._shot.session)
        self._picture = None
        return dataclasses.replace(
            step, index=self.step_index - 1, num_steps=self.num_steps, stage=self.frame
        )

    @torch.no_grad()
    def picture(self) -> Tensor:
        """The frame as it is now, (1,3,H,W) in [0,1], its look as that of its scene."""
        if self._picture is None:
            found = self._shot.session.picture().clamp(0, 1)
            self._picture = self._alike(found) if self.frame_done else found
        return self._picture

    def _alike(self, picture: Tensor) -> Tensor:
        """With the look of its scene, where that is known."""
        film = self.script.film
        if self._look is None or self._is_new() or self.guide is not None or film.morph:
            return picture
        color = 0.0
        if film.color_coherence:  # on the way to another scene they are let go, bit by bit
            left = self.script.scene(self.frame) != self._scene
            color = 1 - self.script.changed(self.frame) if left else 1.0
        return self._look.given(picture, color=color, detail=film.detail_coherence)

    def _is_new(self) -> bool:
        """Whether a scene begins with this frame; its look is that of this frame."""
        scene = self.script.scene(self.frame)
        return scene != self._scene and not self.script.changed(self.frame)

    def _following(self) -> _Shot:
        """The next frame, before its first step."""
        if self._next is not None:
            return self._next
        if self._morph is not None:
            self._next = self._morphed(self._morph)
            return self._next
        if self.guide is not None:
            painted = {**self._shot.painted, self.frame: self.picture()}
            self._next = self._led(self.frame + 1, painted)
            return self._next
        picture, scene = self.picture(), self.script.scene(self.frame)
        if self._look is None or self._is_new():
            self._look, self._scene = Look.of(picture), scene
        elif scene != self._scene:  # on the way to another: as sharp as the frame before
            self._look = replace(self._look, energy=energy(picture))
        if self.script.film.loop and self._first is None:
            self._first = picture
        frame, memory = self.frame + 1, self._shot.session.memory()
        motion, far = self._motion(frame)
        closing, last = self.script.closing(frame), self._shot.key
        if self._depth is not None and last.distances is None:  # the first
            last = self._with_depth(last, picture)
        key = last.moved(motion, far)
        if closing or self._is_far(key):
            if closing:
                picture = torch.lerp(picture, self._before_first(frame - 1), closing)
            cells = [int(pixels / self.canvas.cell) for pixels in self._pan(key) or ()]
            if any(cells) and not closing:
                latent, memory, key = self._shifted_key(memory, *cells)
            else:
                latent, memory, key = self._new_key(picture, memory)
            key = key.moved(motion, far)
            self._next = self._begin(frame, key, memory, latent)
        else:
            self._next = self._begin(frame, key, memory)
        return self._next

    def _motion(self, frame: int) -> tuple[Tensor, Tensor]:
        """The move from the frame before to this one, of what is near and of what is far away."""
        height, fov, told = self.canvas.height, self.script.film.fov, self.script.motion(frame)
        far = camera.move({**told, "translation_z": 0.0}, height, fov)
        return camera.move(told, height, fov), far

    def _before_first(self, frame: int) -> Tensor:
        """How a frame at the end of a loop has to look, so that the first one comes of it."""
        assert self._first is not None
        on = camera.still()
        for later in range(frame + 1, self.num_frames + 1):
            on = self._motion(later)[0] @ on
        grid = camera.places(on.inverse(), self._window)
        whole = camera.sample(self.canvas.pad(self._first), grid, self.script.film.border)
        return self.canvas.crop(whole).clamp(0, 1)

    def _morphed(self, morph: Morph) -> _Shot:
        """The next frame, on the way to the other picture with what was painted so far."""
        frame, number, back = self.frame + 1, self.num_frames, self.script.film.loop
        before, now = (way(one, number, back=back) for one in (self.frame, frame))
        session = self._shot.session
        added = session.latent() - morph.at(before, torch.zeros(()).to(morph.latents))[0]
        grown = min(1.0, room(now) / room(before)) if room(before) else min(1.0, room(now))
        latent, kept = morph.at(now, grown * added)
        return self._begin(frame, Key(frame, camera.still(), kept), session.memory(), latent)

    def _led(self, frame: int, painted: Mapping[int, Tensor]) -> _Shot:
        """A frame that begins as the guide says. All have the same random streams: what chance
        does to one it does to the next, so that it does not flicker."""
        assert self.guide is not None
        painted = {number: painted[number] for number in self.guide.wants(frame)}
        begun = self.guide.begin(frame, painted, self.models, self.canvas)
        key = Key(frame, camera.still(), begun.rest)
        session = self._session(frame, key, begun.latent, begun.hook, seed=self.script.seed(0))
        return _Shot(frame, key, session, painted)

    def _is_far(self, key: Key) -> bool:
        """Whether a frame at the end of this way wants another key picture."""
        if camera.is_still(key.way):
            return False
        if pan := self._pan(key):
            return max(map(abs, pan)) > max(self.canvas.cell, BEYOND * min(self._window.size))
        larger = camera.magnified(key.way)
        beyond = camera.outside(camera.places(key.way, self._window)).double().mean()
        return not 1 / MAGNIFIED < larger < MAGNIFIED or float(beyond) > BEYOND

    def _pan(self, key: Key) -> tuple[float, float] | None:
        """Pixels (x,y) from the key picture where the camera only went along it, and the latent can
        be shifted; else None."""
        points = self.config.latents.latent in _POINTS
        return camera.shift_of(key.way) if points and self._depth is None else None

    @torch.no_grad()
    def _new_key(self, picture: Tensor, memory: Memory) -> tuple[Tensor, Memory, Key]:
        """The frame that was painted, (1,3,H,W), as a key picture: its latent, and the optimiser's
        memory in its place."""
        border = self.script.film.border
        latent = self.models.encode(picture, self.canvas)
        come = self._shot.key.way
        kept = rest(picture, latent, self.models, self.canvas)
        if border == "fresh":
            beyond = camera.outside(camera.places(come, self._window)).to(kept.device)
            latent, kept = self._fresh(latent, beyond), kept * ~beyond
        young = self._young(come, camera.outside(camera.places(come, self._window)))
        key = self._with_depth(Key(self.frame, camera.still(), kept, young=young), picture)
        return latent, self._moved(memory, come), key

    def _moved(self, memory: Memory, way: Tensor) -> Memory:
        """The optimiser's memory, moved along."""
        border = self.script.film.border
        moments = {
            name: camera.move_cells(value, way, self._window, border) if value.ndim == 4 else value
            for name, value in memory.moments.items()
        }
        return memory._replace(moments=moments)

    @torch.no_grad()
    def _shifted_key(self, memory: Memory, x: int, y: int) -> tuple[Tensor, Memory, Key]:
        """As `_new_key` where the camera only went along: the key picture is shifted by whole
        cells, and keeps its latent; only what came in is encoded. That continues the frame as it
        was painted, as the latent does: its look would be given to it again and again."""
        picture = self._shot.session.picture().clamp(0, 1)
        canvas, border, last = self.canvas, self.script.film.border, self._shot.key
        shift = camera.move({"translation_x": x * canvas.cell, "translation_y": y * canvas.cell}, 1)
        left = last.way @ shift.inverse()
        seen = camera.sample(
            canvas.pad(picture), camera.places(left.inverse(), self._window), border
        ).clamp(0, 1)
        came = camera.outside(camera.places(shift, self._window)).to(seen.device)
        new = F.max_pool2d(came[None, None].float(), canvas.cell) > 0
        latent = self._shot.session.latent().roll((y, x), (2, 3))
        come, seam = seen, last.seam
        if border == "mirror":
            come, along = mirrored(seen, x * canvas.cell, seam[0], 3)
            come, down = mirrored(come, y * canvas.cell, seam[1], 2)
            seam = along, down
        latent = torch.where(new, self.models.encode(canvas.crop(come), canvas), latent)
        strength = last.strength(self.frame)
        kept = torch.zeros_like(seen) if last.rest is None else strength * last.rest
        kept = kept.roll((y * canvas.cell, x * canvas.cell), (2, 3))
        kept = torch.where(came, rest(canvas.crop(seen), latent, self.models, canvas), kept)
        if border == "fresh":
            latent, kept = self._fresh(latent, came), kept * ~came
        young = self._young(shift, came)
        return (
            latent,
            self._moved(memory, shift),
            Key(self.frame, left, kept, young=young, seam=seam),
        )

    def _young(self, way: Tensor, came: Tensor) -> Tensor:
        """`Key.young` of the next key picture, which the last one goes `way` to and of which `came`
        (h*f,w*f) is new."""
        new = F.avg_pool2d(came[None, None].float(), self.canvas.cell).cpu()
        before = self._shot.key.youth(self.frame)
        if before is None:
            return new
        return new.maximum(camera.move_cells(before, way, self._window, "replicate"))

    def _fresh(self, latent: Tensor, beyond: Tensor) -> Tensor:
        """A latent (1,code_dim,h,w) with something new in the cells that lie `beyond` (h*f,w*f),
        drawn by the frame's number."""
        rng = torch.Generator().manual_seed(self.script.seed(self.frame))
        coded = with_codebook(self.models.generator)
        if coded is None:
            drawn = torch.randn(latent.shape, generator=rng).to(latent) * latent.std()
        else:
            number = latent[0, 0].numel()
            drawn = coded.codebook[
                torch.multinomial(coded.code_prior.cpu(), number, True, generator=rng)
            ]
            drawn = drawn.T.reshape(latent.shape).to(latent)
        cells = F.max_pool2d(beyond[None, None].float(), self.canvas.cell) > 0
        return torch.where(cells, drawn, latent)

    def _with_depth(self, key: Key, picture: Tensor) -> Key:
        """The key picture (1,3,H,W) with how far away it is, where a network says so."""
        if self._depth is None:
            return key
        whole = self.canvas.pad(picture)[0]
        return replace(key, far=camera.still(), distances=self._depth(whole))

    def _begin(self, frame: int, key: Key, memory: Memory, latent: Tensor | None = None) -> _Shot:
        """A frame that goes on with `memory`, in another latent (1,code_dim,h,w) if one is given,
        with random streams of its own."""
        session = self._session(frame, key, latent)
        own = session.memory()
        kept = memory.latent if latent is None else own.latent
        session.recall(memory._replace(latent=kept, rngs=own.rngs))
        return _Shot(frame, key, session)

    def _session(
        self,
        frame: int,
        key: Key,
        latent: Tensor | None = None,
        hook: Hook | None = None,
        seed: int | None = None,
    ) -> Session:
        script, strength = self.script, key.strength(frame)
        view = View(
            self.models.generator,
            key.places(self._window),
            strength * key.rest if key.rest is not None and strength else None,
            script.film.border,
            self._decode,
        )
        if latent is None:
            grid = (1, self.models.generator.code_dim, *self.canvas.grid)
            latent = torch.zeros(grid, device=self.models.device)
        return Session(
            Parts(
                config=script.settings(frame),
                models=replace(self.models, generator=view),
                canvas=self.canvas,
                stages=(script.asked(frame),),
                rngs=picture_rngs(script.seed(frame) if seed is None else seed, 1),
                start=latent,
                pull_target=None,
                edit=hook,
                inputs=self.inputs,
                pace=key.pace(frame, script.share(frame), script.film.border_lr),
            )
        )

    def scores(self) -> Tensor:
        return self._shot.session.scores()

    def own_losses(self, losses: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return self._shot.session.own_losses(losses)

    def record(self, losses: Mapping[str, Tensor], picture: int) -> dict[str, Any]:
        """How the frame is made, as JSON for its file."""
        own = {"frame": self.frame, "step": self.step_index, "num_steps": self.num_steps}
        whole = {"seed": self.config.seed, "prompt": self.config.title}
        session = self._shot.session
        known = None if session.edit or session.lineage else self._told
        return session.record(losses, picture, known) | self.identity() | own | whole

    def identity(self) -> dict[str, Any]:
        """What decides the film, as JSON without paths."""
        return {**self._told, "film": self._film_told}

    @cached_property
    def _told(self) -> Mapping[str, Any]:  # no frame changes it
        return identity(self.config, self.models, self.inputs)

    @cached_property
    def _film_told(self) -> Mapping[str, Any]:
        return self.script.film.to_dict()

    def state_dict(self) -> SessionState:
        """All that the rest of the film depends on, from the begin of a frame: of the next one
        where this one is painted, else of this one, whose steps are done again.

        Fit for `output.state`. Of a film without a next frame only what it is.
        """
        meta = {**self.identity(), "models_at": models_at(self.config), "frame": self.num_frames}
        if self.finished:
            return SessionState({}, meta)
        shot = self._following() if self.frame_done else self._shot
        if not self.frame_done and shot.session.step_index:
            raise StateError("a film is saved between two frames")
        memory, stages = shot.session.memory(), pack_stages(self.script.stages)
        tensors = {
            **with_prefix("latent", memory.latent),
            **with_prefix("optimizer", memory.moments),
            **with_prefix("stage", stages.tensors),
            "rng": memory.rngs,
            "way": shot.key.way,
        }
        if shot.key.rest is not None:
            tensors["rest"] = shot.key.rest
        if shot.key.young is not None:
            tensors["young"] = shot.key.young
        if self._morph is not None:
            tensors |= with_prefix("morph", self._morph.tensors())
        if self._first is not None:
            tensors["first"] = self._first
        if shot.key.far is not None and shot.key.distances is not None:
            tensors |= {"far": shot.key.far, "distances": shot.key.distances}
        tensors |= with_prefix("painted", {str(n): one for n, one in shot.painted.items()})
        if self._look is not None:
            tensors |= {"color": self._look.color, "energy": self._look.energy}
        meta |= {
            **stages.meta,
            "frame": shot.frame,
            "key": shot.key.number,
            "seam": list(shot.key.seam),
            "scene": self._scene,
            "edits": [],
            "optimizer": dict(memory.numbers),
        }
        return SessionState(tensors, meta)

    @classmethod
    def from_state(
        cls,
        saved: SessionState,
        *,
        generator: Generator | None = None,
        perceptor: Perceptor | Sequence[Judge] | None = None,
        guide: Guide | None = None,
        **changes: Any,
    ) -> Film:
        """The film that `state_dict` told of, before the first step of a frame: it ends in the same
        pixels. `changes` are of device, precision and compile. Raises `StateError`.

        A film without a next frame raises `StateError`, too.
        """
        tensors, meta = saved
        try:
            config = with_models_at(PaintConfig.from_dict(meta["config"]), meta["models_at"])
            film = FilmConfig.from_dict(meta["film"])
            frame = int(meta["frame"])
        except (GouacheError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise _damaged(error) from None
        parts = prepare_blank(config.updated(**changes), generator=generator, perceptor=perceptor)
        try:
            packed = SessionState(under("stage", tensors), meta)
            stages = unpack_stages(packed, parts.models, config.count)
            parts = replace(parts, inputs=saved_inputs(meta))
            script = Script(parts.config, film, stages)
            self = cls(script, parts, guide, blank=True)
            check_identity(meta, self.identity())
            if not stages or not 0 <= frame < self.num_frames:
                raise StateError(f"the saved film is at frame {frame} of {self.num_frames}")
            kept = tensors.get("rest")
            kept = None if kept is None else kept.to(self.models.device)
            far, distances = tensors.get("far"), tensors.get("distances")
            way, young = tensors["way"].double(), tensors.get("young")
            x, y = meta.get("seam", (0, 0))
            key = Key(int(meta["key"]), way, kept, far, distances, young, (int(x), int(y)))
            latent, moments = (under(name, tensors) for name in ("latent", "optimizer"))
            led = any(one.setting == "source" for one in self.inputs)
            if led != (guide is not None):
                raise StateError("the saved film needs the clip that it is painted over; give it")
            if guide is not None:
                before = under("painted", tensors).items()
                painted = {int(name): one.to(self.models.device) for name, one in before}
                shot = self._led(frame, painted)
            else:
                session = self._session(frame, key)
                session.recall(Memory(latent, moments, meta["optimizer"], tensors["rng"]))
                shot = _Shot(frame, key, session)
            if film.morph:
                self._morph = Morph.of(under("morph", tensors), self.models.device)
            if "first" in tensors:
                self._first = tensors["first"].to(self.models.device)
            if "color" in tensors:
                self._look = Look(tensors["color"], tensors["energy"])
            self._scene, self._shot = int(meta["scene"]), shot
        except StateError:
            raise
        except Exception as error:  # damage shows in many ways
            raise _damaged(error) from None
        return self


def check(config: PaintConfig, film: FilmConfig) -> None:
    """Raises `ConfigError` for settings that pictures may have and films may not."""
    if config.count != 1:
        raise ConfigError(
            f"a film is of one picture, and {config.count} are asked for; prompts that follow each "
            "other are written 'one ^ two'"
        )
    if film.morph and not (config.init_image and config.cross_image):
        raise ConfigError("morph goes from the init image to the cross image; give both pictures")
    if film.morph and any(getattr(film, name) != getattr(FilmConfig, name) for name in MOTIONS):
        raise ConfigError("a morph follows no camera; leave out its motions, or morph")
    if len(config.steps) > 1:
        raise ConfigError(
            "steps has several numbers; in a film it says how many the first frame has, and "
            "steps_per_frame how many the others"
        )


def _tell_longer(script: Script) -> None:
    usual, most = script.film.steps_per_frame, script.most_steps
    if most > usual:
        warnings.warn(
            f"prompts change within few frames: these have up to {most} steps, others {usual} "
            "(crossfade_whole false leaves them alike)",
            FilmWarning,
            stacklevel=3,
        )


def _damaged(error: Exception) -> StateError:
    return StateError(f"the saved film is damaged ({one_line(error, 80)}); start the film again")


__all__ = ["Film", "check"]
