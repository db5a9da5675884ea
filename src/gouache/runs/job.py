"""What is asked, as one value that can be sent anywhere: settings, and what an edit changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gouache.networks.models import Models
from gouache.runs.drive import Painter, Run
from gouache.settings.config import PaintConfig


class Source(Protocol):
    """What is changed, its pictures included (`gouache.editing.EditPlan`). Can be pickled."""

    def begin(self, config: PaintConfig, *, sized: bool, models: Models | None = None) -> Run:
        """Loads the models, and makes a run of it. `sized`: the settings' size is wished for."""
        ...


class System(Protocol):
    """Another method than ours, which paints the same settings. Can be pickled."""

    def prepare(self, config: PaintConfig) -> Painter:
        """What paints them, before its first step."""
        ...


@dataclass(frozen=True)
class Job:
    """One run that is wished for: the same job gives the same pictures, wherever it is done.

    `source` is what an edit changes, None for a painting. Files that `config` names have to be
    there where the job is done. `system` paints in the place of our own loop.
    """

    config: PaintConfig
    source: Source | None = field(default=None, repr=False)
    sized: bool = True
    system: System | None = None

    def begin(self, models: Models | None = None) -> Run:
        """Loads models, unless given, and prepares the first step. Shows starts to who watches."""
        if self.system is not None:
            return Run(self.system.prepare(self.config))
        if self.source is not None:
            return self.source.begin(self.config, sized=self.sized, models=models)
        from gouache.engine import Session
        from gouache.engine.build import prepare

        return Run(Session(prepare(self.config, models=models)))


__all__ = ["Job", "Source", "System"]
