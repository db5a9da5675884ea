"""A number for each frame: keyframes, linear between them. Expressions come later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gouache.settings.schedule import NUMBER, Schedule

_SILENCE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Curve:
    """See `parse`."""

    schedule: Schedule

    @classmethod
    def parse(cls, text: str, name: str = "the curve") -> Curve:
        """Reads `1.01` or `0:(1.01), 60:(1.03)`; mistakes raise `ConfigError`."""
        if NUMBER.fullmatch(text.strip()):
            return cls(Schedule((0,), (float(text),)))
        return cls(Schedule.parse(text, name))

    def at(
        self,
        frame: int,
        *,
        num_frames: int,
        fps: float,
        seed: int,
        sound: Mapping[str, float] = _SILENCE,
    ) -> float:
        """The number at `frame` (0-based)."""
        return self.schedule.at(frame, num_frames)

    def __str__(self) -> str:
        return str(self.schedule)


__all__ = ["Curve"]
