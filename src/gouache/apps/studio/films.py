"""Timelapses of runs, and films as files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gouache.apps.studio.copies import made_once
from gouache.apps.studio.runs import Run
from gouache.atomic import write_bytes
from gouache.errors import OutputError
from gouache.films.folders import film_document_of
from gouache.halting import check
from gouache.ops.images import load_image
from gouache.output.video import timelapse


def keep_frame(run: Run, index: int, frame: bytes) -> None:
    """Keeps a frame (JPEG) for the timelapse."""
    folder = run.path / "frames"
    folder.mkdir(exist_ok=True)
    write_bytes(folder / f"{index:06d}.jpg", frame)


def best_kind() -> str:
    """Of a film's file: mp4, or gif where PyAV is not installed."""
    return "gif" if find_spec("av") is None else "mp4"


def make_film(run: Run, kind: str) -> Path:
    """What was painted so far, made once: the timelapse of a picture, or a film. `kind` is mp4, gif
    or webm."""
    if run.film is None:
        frames = [*sorted(run.path.glob("frames/*.jpg")), run.picture_path]
        how: dict[str, Any] = {}
    else:
        frames = [run.frame_path(number) for number in range(run.painted)]
        how = {"fps": run.film.fps, "hold": 0.0, "description": run.config.title}
        how["metadata"] = film_document_of(run.path)

    def make(path: Path) -> None:
        with timelapse(path, **how) as film:
            for frame in frames:
                check()
                if frame.exists():
                    film.add(load_image(frame))

    path = made_once(run.path / f"timelapse.{kind}", frames, make)
    if not path.exists():
        raise OutputError("there is nothing to show yet; wait for the first step")
    return path


__all__ = ["best_kind", "keep_frame", "make_film"]
