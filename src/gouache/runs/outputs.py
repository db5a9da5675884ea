"""Where results go: names, and the checks made before anything is painted.

A run without `--out` gets names that are free as a whole set: the picture, the numbered pictures of
a batch, the folder for going on after an interruption. A run with `--out` may replace what it
names, and numbered pictures beside it only where they belong to the picture that it names. In both
cases all names are its own until it ends (`reserve`), so that no other run gets them.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gouache.errors import GouacheError, OutputError
from gouache.prompts import one_line


def slug(prompt: str, length: int = 48) -> str:
    """A file name from a prompt: "A red apple!" -> "a-red-apple"."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > length:
        words = words[:length].rpartition("-")[0] or words[:length]
    return words or "gouache"


@dataclass(frozen=True)
class Outputs:
    """What a run writes. `only` keeps one picture of a batch (a replay)."""

    out: Path
    run_dir: Path | None = None
    save_every: int = 25
    timelapse: Path | None = None
    only: int | None = None
    sources: tuple[Path, ...] = ()  # files that are started from and stay
    labels: bool = False  # 1, 2, 3... below the pictures of the grid
    overlay: Path | None = None
    rest: Path | None = None  # the run folder for going on, should the run be interrupted
    fresh: bool = False  # names that nothing had when they were chosen

    def check(self, count: int = 1) -> None:
        """Raises `OutputError` for what cannot be written, before any time is spent."""
        from gouache.atomic import check_writable
        from gouache.output.pictures import picture_format
        from gouache.output.video import check_video

        picture_format(self.out)
        for path in self.names(count):
            if any(_same_file(path, source) for source in self.sources):
                raise OutputError(
                    f"{one_line(path)} is what the new pictures start from; choose another --out"
                )
        check_writable(self.out)
        for path in self.picture_paths(count):
            check_writable(path, probe=False)
        if self.overlay is not None:
            picture_format(self.overlay)
            check_writable(self.overlay)
        if self.timelapse is not None:
            check_video(self.timelapse)
            check_writable(self.timelapse)

    def picture_paths(self, count: int) -> list[Path]:
        """One path per picture: `out` itself, or numbered beside it when there are several."""
        if count == 1 or self.only is not None:
            return [self.out]
        width = len(str(count))
        return [
            self.out.with_name(f"{self.out.stem}-{k + 1:0{width}}{self.out.suffix}")
            for k in range(count)
        ]

    def seeds(self, first: int, count: int) -> list[int]:
        """Those of `picture_paths`, of a run whose pictures have seeds from `first` on."""
        return [first + k for k in (range(count) if self.only is None else [self.only])]

    def names(self, count: int) -> list[Path]:
        """The pictures and their grid."""
        return list(dict.fromkeys([*self.picture_paths(count), self.out]))

    def sets(self, count: int) -> Iterator[list[Path]]:
        """Names of a run that is not told where to write: `fish`, then `fish-2`, `fish-3`..."""
        for stem in _numbered(self.out.stem):
            one = replace(self, out=self.out.with_name(f"{stem}{self.out.suffix}"))
            # A batch of any size begins with -1: a single picture would pass for its grid.
            first = replace(one, only=None).picture_paths(max(2, count))[:1]
            yield list(dict.fromkeys([one.out, *one.picture_paths(count), *first, one._rest]))

    def rests(self) -> Iterator[list[Path]]:
        """Names for the run folder of an interrupted run."""
        for stem in _numbered(self.out.stem):
            yield [self.out.with_name(f"{stem}.run")]

    @property
    def _rest(self) -> Path:
        return self.out.with_suffix(".run")


def _numbered(stem: str) -> Iterator[str]:
    from gouache.reserve import endings

    return (stem + ending for ending in endings())


@contextmanager
def reserved(
    out: str | Path | None, title: str, *, count: int = 1, **others: Any
) -> Iterator[Outputs]:
    """All names of one run, its own until the end of `with`; checked, nothing is written yet.

    `out` is what was asked for: a file, a folder (ends in a slash, or exists and is not called like
    a picture) that gets the default name, or None. `title` makes the default name; `count` pictures
    are written; `others` are the other attributes of `Outputs`. Raises `OutputError`.
    """
    from gouache.reserve import reserve

    wanted, free = _wanted(out, title)
    outputs = Outputs(out=wanted, fresh=free, **others)
    outputs.check(1 if free else count)
    if outputs.run_dir is not None:
        check_run_dir(outputs.run_dir)
    extra = [p for p in (outputs.overlay, outputs.timelapse, outputs.run_dir) if p is not None]
    if free:
        with reserve(extra, outputs.sets(count)) as held:
            yield replace(outputs, out=held.chosen[0], rest=held.chosen[-1])
        return
    with reserve([*outputs.names(count), *extra], outputs.rests()) as held:
        _tell_replaced(outputs, count)
        yield replace(outputs, rest=held.chosen[0])


@contextmanager
def claimed(outputs: Outputs, count: int) -> Iterator[Outputs]:
    """As `reserved`, for a run that goes on: its names are decided; only its film is a new one."""
    from gouache.reserve import reserve

    outputs.check(count)
    film = outputs.timelapse
    if film is None:
        with reserve(outputs.names(count)):
            yield outputs
        return
    films = ([film.with_name(f"{stem}{film.suffix}")] for stem in _numbered(film.stem))
    with reserve(outputs.names(count), films) as held:
        if held.chosen[0] != film:
            print(
                f"gouache: {one_line(film)} stays; the film goes on in {one_line(held.chosen[0])}",
                file=sys.stderr,
            )
        yield replace(outputs, timelapse=held.chosen[0])


def _wanted(out: str | Path | None, title: str) -> tuple[Path, bool]:
    """The path that is meant, and whether it must not exist yet."""
    name = f"{slug(title)}.png"
    if out is None:
        return Path(name), True
    from gouache.atomic import output_errors
    from gouache.output.pictures import FORMATS

    folder = str(out).endswith(("/", os.sep))
    # A folder called fish.png is in the way of a picture rather than meant.
    if not folder and (Path(out).suffix.lower() in FORMATS.keys() - {""} or not _is_dir(out)):
        return Path(out), False
    with output_errors(out):
        Path(out).mkdir(parents=True, exist_ok=True)
    return Path(out) / name, True


def _is_dir(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # no possible name: checking it says so
        return False


def _same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them is not there
        return False


def check_run_dir(path: Path) -> None:
    """Refuses what `RunFolder.create` will refuse, before any time is spent."""
    from gouache.atomic import output_errors

    shown = one_line(path)
    with output_errors(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.EEXIST, "a file is in the way")
        path.parent.mkdir(parents=True, exist_ok=True)
        if (path / "settings.json").exists():
            raise OutputError(
                f"{shown} already holds a run; choose another folder, or go on with it: "
                f"gouache resume {shown}"
            )


def _tell_replaced(outputs: Outputs, count: int) -> None:
    """Says which numbered pictures are replaced; refuses to replace what was not named."""
    others = [path for path in outputs.picture_paths(count) if path != outputs.out]
    existing = [path for path in others if os.path.lexists(path)]
    if not existing:
        return
    if foreign := [path for path in existing if not _same_batch(outputs.out, path)]:
        raise OutputError(
            f"{one_line(foreign[0])} exists and is no part of {one_line(outputs.out)}; move it "
            "away or choose another --out"
        )
    print(f"gouache: replacing {_listed(existing)} too", file=sys.stderr)


def _same_batch(grid: Path, picture: Path) -> bool:
    """Whether `picture` is one of those that `grid` shows: painted by the same run."""
    from gouache.output.pictures import read_metadata

    try:
        of_all, own = read_metadata(grid), read_metadata(picture)
    except GouacheError:
        return False
    told = of_all.get("picture", 0) is None and own.get("picture") is not None
    return told and all(of_all.get(key) == own.get(key) for key in ("config", "step", "batch"))


def _listed(paths: Sequence[Path]) -> str:
    shown = [one_line(path) for path in paths[:4]]
    return ", ".join(shown) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")


__all__ = ["Outputs", "check_run_dir", "claimed", "reserved", "slug"]
