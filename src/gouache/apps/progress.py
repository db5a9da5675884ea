"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from types import TracebackType
from typing import Any, Protocol

from gouache.protocols import Step

LINES = 10  # about so many lines where there is no terminal


class Progress(Protocol):
    """Shows steps between `with` and its end."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def sketch(self, step: Step) -> None:
        """A step of a try, while a start is being found."""

    def show(self, step: Step) -> None: ...


class Silent:
    """Says nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def sketch(self, step: Step) -> None:
        return None

    def show(self, step: Step) -> None:
        return None


def describe(step: Step) -> str:
    """The losses, averaged over the batch: "prompt/0 0.812 latent 0.031"."""
    return " ".join(f"{name} {float(value.mean()):.3f}" for name, value in step.losses.items())


class Lines(Silent):
    """A line now and then, for log files."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._first: int | None = None

    def show(self, step: Step) -> None:
        if self._first is None:
            self._first = step.index
        done = step.index + 1
        if done % max(1, step.num_steps // LINES) and done != step.num_steps and done != 1:
            return
        seconds = time.monotonic() - self._begun
        rate = (done - self._first) / max(seconds, 1e-9)
        left = (step.num_steps - done) / max(rate, 1e-9)
        speed = f"{rate:.1f} steps/s  {left:.0f} s left"
        print(
            f"step {done}/{step.num_steps}  {describe(step)}  {speed}", file=sys.stderr, flush=True
        )


class Bar(Silent):
    """A rich progress bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[losses]}", style="dim"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None
        self._sketch: Any = None
        self._begun = time.monotonic()
        self._first = 0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def sketch(self, step: Step) -> None:
        if self._sketch is None:
            total = step.num_steps
            self._sketch = self._bar.add_task("sketching", total=total, rate="", losses="")
        self._bar.update(self._sketch, completed=step.index + 1)

    def show(self, step: Step) -> None:
        if self._task is None:
            if self._sketch is not None:
                self._bar.remove_task(self._sketch)
            self._first, self._begun = step.index, time.monotonic()
            self._task = self._bar.add_task("painting", total=step.num_steps, rate="", losses="")
        rate = (step.index - self._first) / max(time.monotonic() - self._begun, 1e-9)
        # Reading losses waits for the device, so only some steps do it.
        shown: dict[str, Any] = {"losses": describe(step)} if step.index % 5 == 0 else {}
        self._bar.update(self._task, completed=step.index + 1, rate=f"{rate:.1f} steps/s", **shown)


def make_progress(quiet: bool, preview: bool = False) -> Progress:
    """Nothing, the picture, a bar or lines, as fits where stderr goes."""
    if preview and sys.stderr.isatty():
        from gouache.apps.preview import Preview, can_show

        if can_show(sys.stderr):
            return Preview()
        warnings.warn(
            f"a preview needs a terminal that takes UTF-8, this one takes {sys.stderr.encoding}; "
            "none is shown",
            stacklevel=2,
        )
    elif preview:
        warnings.warn("a preview needs a terminal; there is none, so none is shown", stacklevel=2)
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()
