"""Shows the start of a run while it is being found, and hears which sketch is chosen."""

from __future__ import annotations

import time

from torch import Tensor

from gouache.apps.studio.alternating import give_way
from gouache.apps.studio.frames import FRAME_SECONDS, Frame
from gouache.apps.studio.runs import Run, Sketch
from gouache.ops.images import to_pil
from gouache.protocols import Step
from gouache.watching import Watcher

SKETCH_SECONDS = 0.25  # all tries are encoded


class Starting(Watcher):
    """Of one run, in the thread that paints it."""

    sees_all = True

    def __init__(self, run: Run) -> None:
        super().__init__(self._shown)
        self._run = run
        self._frame_at = self._sketch_at = 0.0
        self._what = ""
        self._begun: tuple[float, int] | None = None  # when a step of the sketches was done: which
        self._rounds = 0  # of sketches that come after those that are painted now

    def doing(self, what: str) -> None:
        self._what, self._begun = what, None
        self._run.changed(doing=what, seconds_left=None)
        give_way()

    def sketched(self, pictures: Tensor, first: int, tries: int, step: int) -> None:
        now = time.monotonic()
        if step and now - self._sketch_at < SKETCH_SECONDS:
            return
        self._sketch_at = now
        self._rounds = -(-(tries - first + 1) // len(pictures)) - 1
        found = {k: Sketch(step, Frame(to_pil(one)).webp) for k, one in enumerate(pictures, first)}
        last = first + len(found) - 1
        which = f"sketch {first}" if last == first else f"sketches {first} to {last}"
        begun = self._run.doing.startswith(which)  # then the step is told, too
        self._what = f"{which} of {tries}" if step else f"{tries} sketches"
        doing = self._run.doing if begun else self._what
        self._run.changed(sketches={**self._run.sketches, **found}, doing=doing)

    def choice(self) -> int | None:
        return self._run.choice

    def _seconds_left(self, step: Step) -> float | None:
        """Until the last sketch is there; None before a second step tells how long one takes."""
        now = time.monotonic()
        if self._begun is None or step.index <= self._begun[1]:
            self._begun = now, step.index
            return self._run.seconds_left
        pace = (now - self._begun[0]) / (step.index - self._begun[1])
        return pace * (step.num_steps * (1 + self._rounds) - step.index - 1)

    def _shown(self, step: Step) -> None:
        left = self._seconds_left(step)
        if time.monotonic() - self._frame_at >= FRAME_SECONDS:
            self._frame_at = time.monotonic()
            # Steps of the start count by themselves: those that are set come after.
            doing = f"{self._what}, step {step.index + 1} of {step.num_steps}"
            frame = Frame(to_pil(step.image[0]))
            self._run.changed(frame=frame, doing=doing, seconds_left=left)
        give_way()


__all__ = ["Starting"]
