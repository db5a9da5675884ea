"""What each frame of a film is asked: its steps, settings, prompts and the camera's numbers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.targets import StagePlan, Target
from gouache.errors import ConfigError
from gouache.films.camera import check_motion
from gouache.films.config import MOTIONS, FilmConfig
from gouache.films.curves import Curve
from gouache.films.scenes import Scene
from gouache.prompts import one_line
from gouache.settings.config import PaintConfig

_STRIDE = 0x9E3779B97F4A7C15  # odd, so that frames have streams of their own
_SIMILAR = 0.9995  # cosines above it are one direction
_WHOLE = 12  # frames that are painted until prompts have changed, or as much in fewer


@dataclass(frozen=True)
class Script:
    """A film as it is asked for.

    stages: what is painted one after the other, evenly over the frames, or when the film's scenes
        say. Their own steps are not used: `steps` says how many a frame has.
    """

    config: PaintConfig
    film: FilmConfig
    stages: tuple[StagePlan, ...]

    def check(self) -> None:
        """`ConfigError` where a curve has no number in some frame, or one that leaves nothing to
        see, or hears what is not there."""
        scenes = [curve for scene in self.film.parsed_scenes for curve in scene.read_curves]
        for curve in (*self._curves.values(), *scenes):
            if curve.hears and not self.film.audio_levels:
                raise ConfigError(f"{curve.name} hears a sound and there is none; give --audio")
        for frame in range(self.num_frames + self.film.loop):  # a loop moves on to its begin
            motion = self.motion(frame)
            if frame:  # the first one comes from nowhere
                check_motion(motion, frame)

    @property
    def num_frames(self) -> int:
        return self.film.num_frames

    @property
    def num_steps(self) -> int:
        return self.steps_before(self.num_frames)

    def steps(self, frame: int) -> int:
        return self._effort(frame)[0] if frame else self.config.steps[0]

    def steps_before(self, frame: int) -> int:
        """Steps of all frames before `frame`."""
        return self._sums[frame]

    @cached_property
    def _sums(self) -> list[int]:
        return [0, *accumulate(self.steps(frame) for frame in range(self.num_frames))]

    @property
    def most_steps(self) -> int:
        """Of any frame after the first, which has as many as a picture."""
        return max((self.steps(frame) for frame in range(1, self.num_frames)), default=0)

    def share(self, frame: int) -> float:
        """Of the picture's learning rate, that of a frame."""
        return self._effort(frame)[1] if frame else 1.0

    def _effort(self, frame: int) -> tuple[int, float]:
        """Steps of a frame after the first, and its share of the learning rate."""
        film, changing = self.film, self._changing(frame)
        if not changing:
            return film.steps_per_frame, film.frame_lr
        if changing >= _WHOLE or not film.crossfade_whole:
            fading = self.changed(frame) > 0
            return film.steps_per_frame, film.crossfade_lr if fading else film.frame_lr
        wanted = film.crossfade_lr * _WHOLE / changing
        share = min(wanted, max(1.0, film.crossfade_lr))
        return math.ceil(round(film.steps_per_frame * wanted / share, 6)), share

    def _changing(self, frame: int) -> int:
        """Of a frame in which the picture goes over to other prompts, the frames that do: those of
        the fade, and the first of the new prompts. 0 for other frames."""
        number, into = self._turn(frame)
        fade = self._fade(number)
        if number and into <= fade:
            return fade + 1
        return fade if self.changed(frame) else 0  # a cycle ends before the first prompts are back

    def seed(self, frame: int) -> int:
        """What the frame's random streams begin from; the first one's is the picture's."""
        scene, into = self._scene(frame)
        if scene is not None and scene.seed is not None:
            return (scene.seed + into * _STRIDE) % 2**63
        return (self.config.seed + frame * _STRIDE) % 2**63

    def motion(self, frame: int) -> dict[str, float]:
        """The camera's numbers between the frame before and `frame`."""
        fps, seed, sound = self.film.fps, self.config.seed, self.film.heard(frame)
        found = {
            name: curve.at(frame, num_frames=self.num_frames, fps=fps, seed=seed, sound=sound)
            for name, curve in self._curves.items()
        }
        return found | {k: v for k, v in self._changed(frame).items() if k in MOTIONS}

    @cached_property
    def _curves(self) -> Mapping[str, Curve]:
        return {name: self.film.curve(name) for name in MOTIONS}

    def settings(self, frame: int) -> PaintConfig:
        """How a frame is painted: schedules of settings count frames here."""
        now = self.config.at(frame, self.num_frames)
        changed = {k: v for k, v in self._changed(frame).items() if k not in MOTIONS}
        now = now.updated(**changed) if changed else now
        if frame == 0:
            return now.updated(steps=(self.steps(0),))
        effort = self._effort(frame)
        if now is not self.config:
            return self._later(now, *effort)
        if effort not in self._usual:
            self._usual[effort] = self._later(now, *effort)
        return self._usual[effort]

    @cached_property
    def _usual(self) -> dict[tuple[int, float], PaintConfig]:
        """Of frames without anything of their own, by their efforts; checking all settings takes a
        while."""
        return {}

    def _later(self, now: PaintConfig, steps: int, share: float) -> PaintConfig:
        """The settings of a frame after the first, which has those of a picture."""
        return now.updated(
            steps=(steps,),
            learning_rate=now.optimization.learning_rate * share,
            lr_schedule="constant",
            lr_warmup=0,
            start_steps=0,  # nothing is left to settle
        )

    def asked(self, frame: int) -> StagePlan:
        """The prompts of a frame, as the only stage of its session."""
        first, second, share = self._place(frame)
        plan = self.stages[first]
        if share:
            plan = mixed(plan, self.stages[second], share)
        return replace(plan, steps=self.steps(frame))

    def closing(self, frame: int) -> float:
        """How far the frame before `frame` is led on to what the first frame of a loop comes of."""
        fade = min(self.film.crossfade, self.num_frames // 2)
        left = self.num_frames - frame
        return 1 / (left + 1) if self.film.loop and left <= fade else 0.0

    def scene(self, frame: int) -> int:
        """The stage that is painted, or that is on its way to another: what is to look alike."""
        return self._place(frame)[1]

    def changed(self, frame: int) -> float:
        """How far one stage has become another, from 0 to 1."""
        return self._place(frame)[2]

    @cached_property
    def _starts(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Frames at which scenes begin; at which stages begin, and how long each fades in."""
        scenes, stages, first = list[int](), list[tuple[int, int]](), 0
        for scene in self.film.parsed_scenes:
            scenes.append(first)
            for at, _ in scene.prompts:
                own = self.film.crossfade if at or scene.crossfade is None else scene.crossfade
                stages.append((first + at, own))
            first += scene.frames
        return scenes, stages

    def _scene(self, frame: int) -> tuple[Scene | None, int]:
        """The scene of a frame, and how many frames it is into it."""
        if not self.film.parsed_scenes:
            return None, frame
        starts = self._starts[0]
        number = bisect_right(starts, frame) - 1
        return self.film.parsed_scenes[number], frame - starts[number]

    def _changed(self, frame: int) -> dict[str, float | int]:
        """The motions and settings that a scene changes."""
        scene, into = self._scene(frame)
        if scene is None:
            return {}
        sound = self.film.heard(frame)
        return scene.at(into, fps=self.film.fps, seed=self.config.seed, sound=sound)

    def _turn(self, frame: int) -> tuple[int, float]:
        """The stage that `frame` lies in, and how many frames it is into it."""
        if self.film.parsed_scenes:
            starts = [start for start, _ in self._starts[1]]
            number = bisect_right(starts, frame) - 1
            return number, frame - starts[number]
        long = self.num_frames / self._count
        number = min(int(frame / long), self._count - 1)
        return number, frame - math.ceil(number * long)

    @property
    def _count(self) -> int:
        """Of the stages; they need not be read yet."""
        return len(self.stages) or len(self.config.stages)

    def _fade(self, number: int) -> int:
        """Frames over which the stage before becomes that one."""
        if not self.film.parsed_scenes:
            return min(self.film.crossfade, self.num_frames // self._count // 2)
        starts = self._starts[1]
        start, own = starts[number]
        ends = [*(later for later, _ in starts[1:]), self.num_frames]
        return min(own, ends[number] - start)

    def _place(self, frame: int) -> tuple[int, int, float]:
        """From which stage to which one, and how far it is from the one to the other."""
        count = self._count
        number, into = self._turn(frame)
        fade = self._fade(number)
        if number and into < fade:
            return number - 1, number, (into + 1) / (fade + 1)
        left = self.num_frames - frame
        if (self.film.cycle or self.film.loop) and count > 1 and left <= fade:
            return number, 0, (fade - left + 1) / (fade + 1)
        return number, number, 0.0


def mixed(first: StagePlan, second: StagePlan, share: float) -> StagePlan:
    """What lies between two stages: the same rows meet in the middle, on the great circle of their
    embeddings; of all others the weight fades."""
    rows: dict[str, tuple[Target | None, ...]] = {}
    for name in dict.fromkeys([*first.rows, *second.rows]):
        nothing: Sequence[Target | None] = (None,) * len(first.columns)
        pairs = zip(first.rows.get(name, nothing), second.rows.get(name, nothing), strict=True)
        rows[name] = tuple(_between(a, b, share) for a, b in pairs)
    return StagePlan(first.steps, rows)


def _between(first: Target | None, second: Target | None, share: float) -> Target | None:
    if first is None and second is None:
        return None
    if first is None or second is None:
        only, part = (second, share) if first is None else (first, 1 - share)
        assert only is not None
        return replace(only, prompt=replace(only.prompt, weight=only.prompt.weight * part))
    if first == second or first.prompt == second.prompt:
        return first
    a, b = first.prompt, second.prompt
    stop = a.stop + share * (b.stop - a.stop) if min(a.stop, b.stop) > -math.inf else -math.inf
    told = f"{one_line(a.text, 200)} -> {one_line(b.text, 200)}" if a.kind == "text" else ""
    prompt = replace(
        a if share < 0.5 else b,
        text=told,
        weight=a.weight + share * (b.weight - a.weight),
        stop=stop,
    )
    pairs = list(zip(first.embeddings, second.embeddings, strict=True))
    guides = range(len(pairs))
    sure = [
        first.confidence(g) + share * (second.confidence(g) - first.confidence(g)) for g in guides
    ]
    embeddings = tuple(slerp(x, y, share) for x, y in pairs)
    return Target(first.name, prompt, embeddings, tuple(sure))


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Unit vectors (N,D) on the way from one to the other (Shoemake 1985); opposite ones go
    straight."""
    cosine = (first * second).sum(-1, keepdim=True).double().clamp(-1, 1)
    angle = torch.acos(cosine)
    weights = torch.sin((1 - share) * angle), torch.sin(share * angle)
    curved = (weights[0] * first + weights[1] * second) / torch.sin(angle).clamp_min(1e-6)
    straight = (1 - share) * first.double() + share * second.double()
    found = torch.where(cosine.abs() > _SIMILAR, straight, curved)
    return F.normalize(found, dim=-1).to(first.dtype)


__all__ = ["Script", "mixed", "slerp"]
