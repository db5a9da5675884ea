"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from gouache.apps.printing import describe
from gouache.protocols import Step

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, TaskID

LINES = 10  # about so many lines where there is no terminal
SECONDS = 10  # between two lines about one picture that takes long


class Shown(NamedTuple):
    """What a command tells while it paints, and of its result: as people asked for it."""

    quiet: bool = False
    json: bool = False
    preview: bool = False

    @property
    def silent(self) -> bool:
        return self.quiet or self.json


class Progress(Protocol):
    """Shows steps between `with` and its end."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *exception: object) -> None: ...

    def sketch(self, step: Step) -> None:
        """A step of a try, while a start is being found."""

    def inside(self, done: int, total: int) -> None:
        """So much of what is counted as one is done."""

    def show(self, step: Step) -> None: ...


class Silent(AbstractContextManager["Silent"]):
    """Says nothing."""

    def __exit__(self, *exception: object) -> None:
        return None

    def sketch(self, step: Step) -> None:
        return None

    def inside(self, done: int, total: int) -> None:
        return None

    def show(self, step: Step) -> None:
        return None


class Lines(Silent):
    """A line now and then, for log files."""

    def __init__(self, unit: str = "step") -> None:
        self._begun = self._told = time.monotonic()
        self._first: int | None = None
        self._unit = unit

    def inside(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= SECONDS and done < total:
            self._told = now
            print(f"{done} of {total} of this {self._unit}", file=sys.stderr, flush=True)

    def show(self, step: Step) -> None:
        if self._first is None:
            self._first = step.index
        done = step.index + 1
        if done % max(1, step.num_steps // LINES) and done != step.num_steps and done != 1:
            return
        seconds = time.monotonic() - self._begun
        rate = (done - self._first) / max(seconds, 1e-9)
        left = (step.num_steps - done) / max(rate, 1e-9)
        speed = f"{rate:.1f} {self._unit}s/s  {left:.0f} s left"
        print(
            f"{self._unit} {done}/{step.num_steps}  {describe(step)}  {speed}",
            file=sys.stderr,
            flush=True,
        )


class TerminalBar:
    """What every bar of ours is: rich's, on stderr, a row per label, gone when it ends."""

    def __init__(self, *columns: str | ProgressColumn) -> None:
        """`columns` come after the label and the bar; a text may name `task.fields`."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            *columns,
            console=Console(stderr=True),
            transient=True,
        )
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def count(self, label: str, done: int, total: int | None, **fields: Any) -> None:
        """`done` of `total` are there; the first call for a label adds its row."""
        if label not in self._rows:
            self._rows[label] = self._bar.add_task(label, total=total, **fields)
        self._bar.update(self._rows[label], completed=done, total=total, **fields)

    def drop(self, label: str) -> None:
        """Takes the row of `label` away, where there is one."""
        if label in self._rows:
            self._bar.remove_task(self._rows.pop(label))


class Bar(TerminalBar):
    """A bar of steps, or of frames, with their rate and losses."""

    def __init__(self, unit: str = "step") -> None:
        from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

        super().__init__(
            MofNCompleteColumn(),
            "{task.fields[rate]}",
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[losses]}", style="dim"),
        )
        self._losses, self._unit = "", unit
        self._begun = self._first = 0.0
        self._painting = False

    def sketch(self, step: Step) -> None:
        self.count("sketching", step.index + 1, step.num_steps, rate="", losses="")

    def inside(self, done: int, total: int) -> None:
        self.count(f"this {self._unit}", done, total, rate="", losses="")

    def show(self, step: Step) -> None:
        if not self._painting:
            self.drop("sketching")
            self._painting, self._first, self._begun = True, step.index, time.monotonic()
        if step.index % 5 == 0:  # reading losses waits for the device
            self._losses = describe(step)
        rate = (step.index - self._first) / max(time.monotonic() - self._begun, 1e-9)
        self.count(
            "painting",
            step.index + 1,
            step.num_steps,
            rate=f"{rate:.1f} {self._unit}s/s",
            losses=self._losses,
        )


def make_progress(quiet: bool, preview: bool = False, unit: str = "step") -> Progress:
    """Nothing, the picture, a bar or lines, as fits where stderr goes; `unit` is counted."""
    if preview and sys.stderr.isatty():
        from gouache.apps.preview import Preview, can_show

        if can_show(sys.stderr):
            return Preview(unit=unit)
        warnings.warn(
            f"a preview needs a terminal that takes UTF-8, this one takes {sys.stderr.encoding}; "
            "none is shown",
            stacklevel=2,
        )
    elif preview:
        warnings.warn("a preview needs a terminal; there is none, so none is shown", stacklevel=2)
    if quiet:
        return Silent()
    return Bar(unit) if sys.stderr.isatty() else Lines(unit)
