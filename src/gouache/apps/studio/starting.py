"""Shows the start of a run while it is being found, and hears which sketch is chosen."""

from __future__ import annotations

import time
from typing import Any

from PIL.Image import Resampling
from torch import Tensor

from gouache.apps.studio.alternating import give_way
from gouache.apps.studio.frames import FRAME_SECONDS, Frame
from gouache.apps.studio.pace import Pace
from gouache.apps.studio.runs import Run, Sketch
from gouache.engine.schedule import steps_of_run
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
        self._pace = Pace()  # of steps of the sketches
        self._rounds = 0  # of sketches that come after those that are painted now
        self._pictures: dict[int, Tensor] = {}  # of all sketches, by number: (3,h,w)
        self._leads, self._together = 0, 1  # so many are painted at once

    def doing(self, what: str) -> None:
        self._what, self._pace = what, Pace()
        self._run.changed(doing=what, seconds_left=None)
        give_way()

    def leading(self, number: int) -> None:
        self._leads = number

    def sketched(self, pictures: Tensor, first: int, tries: int, step: int) -> None:
        now = time.monotonic()
        self._pictures |= enumerate(pictures, first)
        self._together = len(pictures)
        if step and now - self._sketch_at < SKETCH_SECONDS:
            return
        self._sketch_at = now
        self._rounds = -(-(tries - first + 1) // len(pictures)) - 1
        found = {k: Sketch(step, Frame(to_pil(one)).webp) for k, one in enumerate(pictures, first)}
        what, last = (
            "a beginning" if tries == 1 else f"{tries} beginnings of one picture",
            first + len(found) - 1,
        )
        if step and len(found) < tries:  # some after the others
            what += f", {first} to {last}" if last > first else f", {first}"
        begun = self._run.doing.startswith(f"{what}, step")  # then that is told, too
        self._what = what
        told: dict[str, Any] = {} if begun else {"doing": what}
        if not step:  # nothing is painted yet: what painting begins with is there to see
            told["frame"] = self._whole(pictures[0])
        leads = self._leads or None
        self._run.changed(sketches={**self._run.sketches, **found}, leads=leads, **told)

    def choice(self) -> int | None:
        chosen = self._run.choice
        if chosen and chosen in self._pictures:
            self._run.changed(frame=self._whole(self._pictures[chosen]))
        return chosen

    def _whole(self, picture: Tensor) -> Frame:
        """A sketch at the size of the run."""
        return Frame(to_pil(picture).resize(self._run.config.size, Resampling.BILINEAR))

    def _seconds_left(self, step: Step) -> float | None:
        """Until the picture is done; None before some steps tell how long one takes.

        How long a step of the picture takes nobody knows yet: as much longer as it has more pixels
        than the sketches together. Of a film, whose frames are not like its start, None.
        """
        run, pace = self._run, self._pace.stepped(step.index)
        if run.film is not None or not self._pictures:
            return None
        if pace is None:
            return run.seconds_left
        sketching = step.num_steps * (1 + self._rounds) - step.index - 1
        width, height = run.config.size
        share = width * height / (self._together * next(iter(self._pictures.values()))[0].numel())
        return pace * (sketching + share * steps_of_run(run.config))

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
