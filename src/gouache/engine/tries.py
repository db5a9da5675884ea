"""The tries of a start: who watches sees them all, and may go on from one of them at once.

What was chosen is told as settings, `start_choice` and `start_steps`, which make the same start
again.
"""

from __future__ import annotations

from torch import Tensor

from gouache.errors import ConfigError
from gouache.settings.config import LatentConfig, PaintConfig
from gouache.watching import watcher


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

    def begin(self, first: int, size: int) -> bool:
        """Whether tries `first` (from 0) and so many more are to be painted: what may be chosen."""
        if self._over or (self.choice and not first < self.choice <= first + size):
            return False
        self._first, self._last = first, first + size
        return True

    @property
    def watched(self) -> bool:
        """Does somebody want to see all of them?"""
        return self._watch is not None and self._watch.sees_all

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
