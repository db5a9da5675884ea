"""The one loop: iterates whatever paints, and tells listeners what happens.

    run = Run(Session.build(config))
    drive(run, [Progress()])            # each listener is called with every event
    run.pictures()[0].save("castle.png")

A listener is any callable that takes an event and the run. What it raises ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import torch
from PIL.Image import Image
from torch import Tensor

from gouache.engine import Session
from gouache.engine.loop import Stepping, steps
from gouache.errors import ConfigError, DivergedError
from gouache.ops.images import to_pil
from gouache.protocols import Step
from gouache.runs.finish import Finishing, finished, scaled

FRAMES = 120  # a film of a run has about this many


class Painter(Stepping, Protocol):
    """Anything that paints step by step: a `Session`, or another method altogether."""

    def picture(self) -> Tensor:
        """The picture as it is now, (B,3,H,W) in [0,1]."""
        ...

    def scores(self) -> Tensor:
        """How well each picture fits what is asked, (B,); empty where nobody can tell."""
        ...

    def own_losses(self, losses: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Losses (B,) of the last step, NaN for pictures that have no such loss."""
        ...

    def record(self, losses: Mapping[str, Tensor], picture: int) -> dict[str, Any]:
        """How that picture is made, as JSON for its file; `losses` are those of the last step."""
        ...


@dataclass(frozen=True)
class Prepared:
    """Before the first step of this time: `step` steps are done already."""

    step: int
    num_steps: int


@dataclass(frozen=True)
class Stepped:
    """A step was done. `losses` (B,) are NaN for pictures that have no such loss."""

    step: Step
    losses: Mapping[str, Tensor] = field(repr=False)
    last: bool

    @property
    def filmed(self) -> bool:
        """Whether it is one of about `FRAMES` at even distances, which a film of the run shows."""
        return self.step.index % max(1, self.step.num_steps // FRAMES) == 0


@dataclass(frozen=True)
class Diverged:
    """A loss or gradient was not finite; `error.image` is the last good picture, (B,3,H,W)."""

    error: DivergedError


@dataclass(frozen=True)
class Interrupted:
    """It was wished to stop before the end."""

    step: int
    num_steps: int


@dataclass(frozen=True)
class Done:
    """No step is left."""

    step: int


Event: TypeAlias = Prepared | Stepped | Diverged | Interrupted | Done
Listener: TypeAlias = "Callable[[Event, Run], object]"


class Run:
    """What is driven: a painter, what is done to its pictures, and what its steps told.

    `finishing` comes after the `scale` of its settings and what an edit wants.
    """

    def __init__(
        self,
        painter: Painter,
        finishing: Finishing = (),
        losses: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.painter = painter
        scaling: Finishing = ()
        if isinstance(painter, Session):
            scaling = scaled(painter.config, painter.models, painter.canvas)
            if painter.edit is not None:
                finishing = (*painter.edit.finishing, *finishing)
        self.finishing = (*scaling, *finishing)
        self._not_scaled = finishing
        # (B,) of the last step, NaN where a picture has none; given for a run that goes on.
        self.losses: Mapping[str, Tensor] = losses or {}

    @property
    def session(self) -> Session:
        """The painter, where it is one of ours; else `ConfigError`."""
        if not isinstance(self.painter, Session):
            raise ConfigError("this painter keeps no state; it cannot be saved or changed")
        return self.painter

    def pictures(self, pictures: Tensor | None = None, codes: Tensor | None = None) -> list[Image]:
        """Those of the painter as they are now, finished, or others (B,3,H,W) of it.

        Others stay at the size that is painted, unless their `codes` (B,code_dim,h,w) are given.
        """
        if pictures is None:
            pictures = self.painter.picture()
            codes = self.painter.codes() if isinstance(self.painter, Session) else None
        return [
            finished(to_pil(picture), self.finishing, None if codes is None else codes[k : k + 1])
            for k, picture in enumerate(pictures)
        ]

    def scores(self) -> list[float]:
        """How well each picture fits; empty where the painter cannot tell."""
        return [float(score) for score in self.painter.scores()]

    def record(self, picture: int, *, scaled: bool = True) -> dict[str, Any]:
        """What the file of a picture carries; `scaled` is whether its codes were known."""
        record = self.painter.record(self.losses, picture)
        if finishing := self.finishing if scaled else self._not_scaled:
            record["finish"] = [step.record() for step in finishing]
        return record


def events(
    run: Run, wanted: Callable[[], bool] | None = None, *, within: bool = False
) -> Iterator[Event]:
    """Paints to the end or until `wanted` is true between two steps; with `within`, inside one too.

    Every run ends with `Interrupted`, `Diverged` or `Done`; after `Diverged` the error is raised.
    """
    painter = run.painter
    yield Prepared(painter.step_index, painter.num_steps)
    try:
        for step in steps(painter, wanted=wanted, within=within):
            run.losses = painter.own_losses(step.losses)
            yield Stepped(step, run.losses, painter.finished)
    except DivergedError as error:
        yield Diverged(error)
        raise
    if painter.finished:
        yield Done(painter.step_index)
    else:
        yield Interrupted(painter.step_index, painter.num_steps)


def drive(
    run: Run,
    listeners: Iterable[Listener] = (),
    wanted: Callable[[], bool] | None = None,
    *,
    within: bool = False,
) -> Run:
    """Paints as `events` does, and calls every listener with each event in turn."""
    told = tuple(listeners)
    for event in events(run, wanted, within=within):
        for listener in told:
            listener(event, run)
    return run


class History:
    """A listener that keeps the losses of all steps."""

    def __init__(self) -> None:
        self._steps: list[Mapping[str, Tensor]] = []

    def __call__(self, event: Event, run: Run) -> None:
        if isinstance(event, Stepped):
            self._steps.append(event.losses)

    def by_name(self, count: int) -> dict[str, Tensor]:
        """Name -> (steps,B); NaN where it did not exist."""
        names = dict.fromkeys(name for losses in self._steps for name in losses)
        absent = torch.full((count,), torch.nan)
        return {
            name: torch.stack([losses.get(name, absent).cpu() for losses in self._steps])
            for name in names
        }


__all__ = [
    "Diverged",
    "Done",
    "Event",
    "History",
    "Interrupted",
    "Listener",
    "Painter",
    "Prepared",
    "Run",
    "Stepped",
    "drive",
    "events",
]
