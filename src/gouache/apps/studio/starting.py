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

    def doing(self, what: str) -> None:
        self._what = what
        self._run.changed(doing=what)
        give_way()

    def sketched(self, pictures: Tensor, first: int, tries: int, step: int) -> None:
        now = time.monotonic()
        if step and now - self._sketch_at < SKETCH_SECONDS:
            return
        self._sketch_at = now
        found = {k: Sketch(step, Frame(to_pil(one)).webp) for k, one in enumerate(pictures, first)}
        last = first + len(found) - 1
        which = f"sketch {first}" if last == first else f"sketches {first} to {last}"
        begun = self._run.doing.startswith(which)  # then the step is told, too
        self._what = f"{which} of {tries}" if step else f"{tries} sketches"
        doing = self._run.doing if begun else self._what
        self._run.changed(sketches={**self._run.sketches, **found}, doing=doing)

    def choice(self) -> int | None:
        return self._run.choice

    def _shown(self, step: Step) -> None:
        if time.monotonic() - self._frame_at >= FRAME_SECONDS:
            self._frame_at = time.monotonic()
            # Steps of the start count by themselves: those that are set come after.
            doing = f"{self._what}, step {step.index + 1} of {step.num_steps}"
            self._run.changed(frame=Frame(to_pil(step.image[0])), doing=doing)
        give_way()


__all__ = ["Starting"]
