"""Pictures by other systems on the command line: painted, painted again, told of."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gouache.apps.fetching import fetch_missing, fetch_system
from gouache.apps.printing import print_json
from gouache.apps.progress import Progress, Shown, make_progress
from gouache.apps.runner import Stop
from gouache.errors import ConfigError
from gouache.prompts import one_line
from gouache.runs.by_system import BySystem, SystemPainter, WriteEach
from gouache.runs.drive import Event, Run, Stepped, drive
from gouache.runs.outputs import Outputs, reserved
from gouache.runs.replaying import Named, replay_system
from gouache.settings.config import PaintConfig
from gouache.watching import Watcher, watching


def refuse(system: str, given: Mapping[str, Any]) -> None:
    """Raises `ConfigError` for options of our own loop, which paints step by step."""
    if named := next((name for name, value in given.items() if value not in (None, False)), ""):
        raise ConfigError(f"{one_line(system, 80)} has no steps to show or keep; leave {named} out")


def system_run(
    job: BySystem,
    config: PaintConfig,
    outputs: Outputs,
    shown: Shown,
    expected: Mapping[str, Any] | None = None,
) -> int:
    """Loads the system and paints; returns the exit code. What is finished is written at once."""
    fetch_system(job.name, shown.quiet, bool(job.mask))
    if job.best_of > 1:
        fetch_missing([("perceptor", config.guides[0][0])], shown.quiet)
    painter = job.prepare(config)
    if expected is not None:
        _compare(painter, expected)
    keep, begun = WriteEach(outputs, config.title), time.monotonic()
    with make_progress(shown.silent, unit="picture") as progress, Stop().listening() as stop:

        def show(event: Event, run: Run) -> None:
            if isinstance(event, Stepped):
                progress.show(event.step)

        with watching(_Counting(progress)):
            run = drive(Run(painter), [show, keep], lambda: stop.wanted, within=True)
    return _report(run, keep, config, time.monotonic() - begun, json=shown.json)


class _Counting(Watcher):
    """Shows how much of the picture is done that a system is painting."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def counted(self, done: int, total: int) -> None:
        self._progress.inside(done, total)


def replay_by_system(
    document: Mapping[str, Any], picture: Path, named: Named, out: str | None, shown: Shown
) -> int:
    """Paints a picture by a system again from its document; returns the exit code."""
    job, config = replay_system(document, picture, named)
    job.check(config)
    with reserved(out, config.title, count=config.count) as outputs:
        return system_run(job, config, outputs, shown, document)


def _compare(painter: SystemPainter, expected: Mapping[str, Any]) -> None:
    """Warns when a picture was made with other weights or settings than it is painted with now."""
    now, told = dict(painter.system.settings), dict(expected.get("settings", {}))
    if differing := [name for name in {**told, **now} if now.get(name) != told.get(name)]:
        print(
            f"gouache: the picture was made with other {one_line(' and '.join(differing), 80)} of "
            f"{painter.name} than the installed one has; this one will differ",
            file=sys.stderr,
        )


def _report(run: Run, keep: WriteEach, config: PaintConfig, seconds: float, *, json: bool) -> int:
    """Prints where the pictures are; 0 when finished, 130 when interrupted."""
    painter = run.painter
    assert isinstance(painter, SystemPainter)
    images = painter.images
    if json:
        print_json(
            {
                "out": [str(path) for path in keep.paths],
                "grid": None if keep.grid is None else str(keep.grid),
                "size": list(images[0].size) if images else None,
                "system": painter.name,
                "prompt": config.title if len(config.prompt) < 2 else "",
                "prompts": list(config.prompt) if len(config.prompt) > 1 else [],
                "seed": config.seed,
                "seeds": painter.seeds,
                "seconds": round(seconds, 3),
                "scores": [round(score, 4) for score in run.scores()],
            }
        )
    else:
        for path in [*keep.paths, *([keep.grid] if keep.grid else [])]:
            print(path)
    if painter.finished:
        return 0
    print(
        f"gouache: stopped; {painter.num_finished} of {len(painter.asked)} pictures are finished",
        file=sys.stderr,
    )
    return 130


__all__ = ["refuse", "replay_by_system", "system_run"]
