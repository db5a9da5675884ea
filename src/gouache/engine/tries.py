"""The tries of a start: who watches sees them all, and may go on from one of them at once.

Which of them leads is told on the way from the losses of their steps, which cost nothing more; the
choice in the end is that of the guides, who look at all of them once again.

What was chosen is told as settings, `start_choice` and `start_steps`, which make the same start
again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gouache.errors import ConfigError
from gouache.protocols import Step
from gouache.settings.config import LatentConfig, PaintConfig
from gouache.watching import watcher

CALM = 0.8  # of what a try's losses were before: those of one step depend on where it was looked
MARGIN = 0.02  # of a leading try's mark: so much better another one has to be to lead


class Tries:
    """Of one start. Tries are painted in groups; `begin` says which is next."""

    def __init__(self, config: PaintConfig) -> None:
        """`ConfigError` where the settings choose a try that there is not."""
        latents = config.latents
        self.number = latents.start_tries
        self.choice = latents.start_choice  # from 1; 0 is the best
        if self.choice > self.number:
            raise ConfigError(
                f"start_choice is {self.choice} and there are {self.number} tries; give 0 for the "
                "best, or raise start_tries"
            )
        self._watch = watcher()
        self._asking = self._watch is not None and config.count == 1 and not self.choice
        self._by_hand = self._over = False
        self._count = config.count
        self._first, self._last = 0, 0  # of the group
        self._steps = self._full = latents.start_steps
        self._marks: dict[int, list[Tensor]] = {}  # of groups by `first`, after each step: (size,B)
        self._ahead: Tensor | None = None  # which of the group led before, from 0: (B,)

    def begin(self, first: int, size: int) -> bool:
        """Whether tries `first` (from 0) and so many more are to be painted: what may be chosen."""
        if self._over or (self.choice and not first < self.choice <= first + size):
            return False
        self._first, self._last, self._ahead = first, first + size, None
        return True

    @property
    def watched(self) -> bool:
        """Does somebody want to see all of them?"""
        return self._watch is not None and self._watch.sees_all

    def lead(self, step: Step) -> Tensor:
        """Of the group that is painted the try that leads after this step, for each picture (B,),
        from 0; or the chosen one. `step` is the group's, size*B pictures, try by try.

        Who watches is told which leads of all that were painted, each after as many steps.
        What counts is how well the words are seen, as in the choice.
        """
        asked = [values for name, values in step.losses.items() if name.startswith("prompt/")]
        sums = torch.stack(asked).sum(0) if asked else step.total
        now = sums.float().cpu().view(self._last - self._first, -1)
        before = self._marks.setdefault(self._first, [])
        marks = now.lerp(before[-1], CALM) if before else now
        before.append(marks)
        best = marks.argmin(0)
        if self._ahead is not None:  # two that are alike do not change places with each step
            ahead = marks.gather(0, self._ahead[None])[0]
            best = torch.where(marks.amin(0) < ahead - MARGIN * ahead.abs(), best, self._ahead)
        if self._first < self.choice <= self._last:
            best = torch.full_like(best, self.choice - 1 - self._first)
        self._ahead = best
        if self._watch is not None:
            self._watch.leading(self._leads(int(best[0])))
        return best

    def _leads(self, best: int) -> int:
        """Of `best`, of the group, and all tries of earlier groups after as many steps: the number
        of the one that is liked best, from 1. Of the first picture."""
        own = self._marks[self._first]
        found = {self._first + best + 1: float(own[-1][best, 0])}
        if self.choice in found:
            return self.choice
        for first, marks in self._marks.items():
            if first != self._first and len(marks) >= len(own):
                mark, which = marks[len(own) - 1][:, 0].min(0)
                found[first + int(which) + 1] = float(mark)
        return min(found, key=found.__getitem__)

    def show(self, pictures: Tensor, step: int = 0) -> None:
        """The group's pictures (size*B,3,h,w), try by try, after so many steps."""
        self._steps = step
        if self._watch is not None and self._watch.sees_all:
            self._watch.sketched(pictures[:: self._count], self._first + 1, self.number, step)

    def ask(self) -> bool:
        """Whether the group ends here, as somebody has chosen."""
        if not self._asking or self._watch is None:
            return False
        # So many steps could not be told from those that other guides do without being asked.
        if self._steps == LatentConfig().start_steps < self._full:
            return False
        wish = self._watch.choice()
        if wish is None or not 0 <= wish <= self.number:
            return False
        self.choice, self._by_hand, self._asking = wish, True, False
        self._over = wish <= self._last  # one that is not begun yet is painted first
        return True

    def changes(self, best: int) -> dict[str, int]:
        """The settings that find try `best` (from 0) again, where theirs do not."""
        if not self._by_hand:
            return {}
        cut = best >= self._first and self._steps < self._full
        return {"start_choice": best + 1} | ({"start_steps": self._steps} if cut else {})


__all__ = ["Tries"]
