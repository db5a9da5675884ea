"""What each frame of a film is asked: its steps, settings, prompts and the camera's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.targets import StagePlan, Target
from gouache.films.config import MOTIONS, FilmConfig
from gouache.films.curves import Curve
from gouache.prompts import one_line
from gouache.settings.config import PaintConfig

_STRIDE = 0x9E3779B97F4A7C15  # odd, so that frames have streams of their own
_SIMILAR = 0.9995  # cosines above it are one direction


@dataclass(frozen=True)
class Script:
    """A film as it is asked for.

    stages: what is painted one after the other, evenly over the frames. Their own steps are not
        used: `steps` says how many a frame has.
    """

    config: PaintConfig
    film: FilmConfig
    stages: tuple[StagePlan, ...]

    @property
    def num_frames(self) -> int:
        return self.film.num_frames

    @property
    def num_steps(self) -> int:
        return self.steps_before(self.num_frames)

    def steps(self, frame: int) -> int:
        return self.film.steps_per_frame if frame else self.config.steps[0]

    def steps_before(self, frame: int) -> int:
        """Steps of all frames before `frame`."""
        return self.config.steps[0] + (frame - 1) * self.film.steps_per_frame if frame else 0

    def seed(self, frame: int) -> int:
        """What the frame's random streams begin from; the first one's is the picture's."""
        return (self.config.seed + frame * _STRIDE) % 2**63

    def motion(self, frame: int) -> dict[str, float]:
        """The camera's numbers between the frame before and `frame`."""
        of = {"num_frames": self.num_frames, "fps": self.film.fps, "seed": self.config.seed}
        return {name: curve.at(frame, **of) for name, curve in self._curves.items()}

    @cached_property
    def _curves(self) -> Mapping[str, Curve]:
        return {name: self.film.curve(name) for name in MOTIONS}

    def settings(self, frame: int) -> PaintConfig:
        """How a frame is painted: schedules of settings count frames here."""
        now = self.config.at(frame, self.num_frames)
        if frame == 0:
            return now.updated(steps=(self.steps(0),))
        return now.updated(
            steps=(self.steps(frame),),
            learning_rate=now.optimization.learning_rate * self.film.frame_lr,
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

    def is_between(self, frame: int) -> bool:
        """Whether one stage becomes another."""
        return self._place(frame)[2] > 0

    def _turn(self, frame: int) -> tuple[int, float]:
        """The stage that `frame` lies in, and how many frames it is into it."""
        long = self.num_frames / len(self.stages)
        number = min(int(frame / long), len(self.stages) - 1)
        return number, frame - math.ceil(number * long)

    def _place(self, frame: int) -> tuple[int, int, float]:
        """From which stage to which one, and how far it is from the one to the other."""
        count = len(self.stages)
        number, into = self._turn(frame)
        fade = min(self.film.crossfade, self.num_frames // count // 2)
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
