"""Downloads as the command line shows them: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager

from gouache.apps.progress import TerminalBar
from gouache.settings.config import PaintConfig
from gouache.weights.records import Kind
from gouache.weights.watch import human_size

LINES = 10  # about so many for a file, where there is no terminal


class QuietWatch(AbstractContextManager["QuietWatch"]):
    """Says only what is about to be fetched, or that it must wait: that may take long."""

    def __exit__(self, *exception: object) -> None:
        return None

    def note(self, message: str) -> None:
        print(f"gouache: {message}", file=sys.stderr, flush=True)

    def progress(self, label: str, done: int, total: int | None) -> None:
        return None


class LineWatch(QuietWatch):
    """A line now and then, for log files."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def progress(self, label: str, done: int, total: int | None) -> None:
        step = max(1 << 20, (total or 0) // LINES)
        if done < self._next.setdefault(label, step):
            return
        self._next[label] = done + step
        print(f"{label}: {human_size(done)} of {human_size(total)}", file=sys.stderr, flush=True)


class BarWatch(TerminalBar):
    """A bar per file."""

    def __init__(self) -> None:
        from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

        super().__init__(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))

    def note(self, message: str) -> None:
        self._bar.console.print(f"gouache: {message}", markup=False, highlight=False)

    def progress(self, label: str, done: int, total: int | None) -> None:
        self.count(label, done, total)


def fetch_missing(models: Iterable[tuple[Kind, str]], quiet: bool) -> None:
    """Fetches those of `models` that are published, of that kind, and not in the cache yet.

    For what is about to paint: loading would fetch them too, but without a bar.
    """
    from gouache.generators import generators
    from gouache.perceptors import perceptors

    registered = {*generators.names(), *perceptors.names()}
    wanted = [(kind, name) for kind, name in models if name not in registered]
    if not wanted:
        return
    from gouache.weights import catalogue
    from gouache.weights.cache import cached, obtain

    for kind, name in wanted:
        entry = catalogue.find(name)
        if entry is not None and entry.kind == kind and cached(entry) is None:
            with make_watch(quiet) as watch:
                obtain(entry, watch)


def fetch_system(name: str, quiet: bool, over: bool = False) -> None:
    """The weights of a system, where they are published and not here yet; with `over` of what of it
    paints a part of a picture."""
    from gouache.systems.known import missing
    from gouache.weights.cache import obtain

    if (entry := missing(name, over)) is not None:
        with make_watch(quiet) as watch:
            obtain(entry, watch)


def make_watch(quiet: bool) -> QuietWatch | BarWatch:
    """A bar, lines or nearly nothing, as fits where stderr goes."""
    if quiet:
        return QuietWatch()
    return BarWatch() if sys.stderr.isatty() else LineWatch()


def fetch_models(config: PaintConfig, quiet: bool) -> None:
    """All models that these settings name, as `fetch_missing` does."""
    guides: list[tuple[Kind, str]] = [("perceptor", name) for name, _ in config.guides]
    fetch_missing([("generator", config.generator), *guides], quiet)


__all__ = ["fetch_missing", "fetch_models", "fetch_system", "make_watch"]
