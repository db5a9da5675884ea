"""Films by one call in Python: `gouache.film`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from PIL.Image import Image

from gouache import html
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig, asked_film
from gouache.films.film import Film
from gouache.films.folders import film_document
from gouache.networks.models import Guide
from gouache.ops.images import encode
from gouache.output.video import timelapse
from gouache.protocols import Generator, Perceptor
from gouache.runs.drive import Event, Run, Stepped, drive
from gouache.runs.painting import by_name
from gouache.settings.config import PaintConfig


@dataclass(frozen=True)
class PaintedFilm:
    """The frames of a film, as far as it was painted; a notebook plays them."""

    frames: tuple[Image, ...] = field(repr=False)
    settings: PaintConfig = field(repr=False)
    film: FilmConfig = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)  # what its file carries

    def save(self, path: str | Path) -> Path:
        """Writes the film with all its settings in it: .mp4, .webm, .gif or frame-%04d.png.

        Existing files are replaced at once or not at all; failures raise `OutputError`.
        """
        title, fps = self.settings.title, self.film.fps
        with timelapse(path, fps, 0.0, metadata=self.document, description=title) as video:
            for frame in self.frames:
                video.add(frame)
        return Path(path)

    @property
    def gif(self) -> bytes:
        """The film as a GIF file; b"" before there is a frame."""
        with tempfile.TemporaryDirectory() as folder:
            return self.save(Path(folder) / "film.gif").read_bytes() if self.frames else b""

    def _repr_png_(self) -> bytes | None:
        return encode(self.frames[-1]) if self.frames else None

    def _repr_html_(self) -> str:
        rows = [
            ("prompt", self.settings.title),
            ("seed", self.settings.seed),
            ("frames", f"{len(self.frames)} of {self.film.num_frames}, {self.film.fps:g} a second"),
        ]
        return (html.image(self.gif) if self.frames else "") + html.table(rows)


class Frames:
    """A listener that keeps the frames of a film as they are done."""

    def __init__(self) -> None:
        self._frames: list[Image] = []

    def __call__(self, event: Event, run: Run) -> None:
        if isinstance(event, Stepped) and cast("Film", run.painter).frame_done:
            self._frames += run.pictures()

    def film(self, painter: Film) -> PaintedFilm:
        """All that were done so far."""
        told = film_document(painter.identity())
        return PaintedFilm(tuple(self._frames), painter.config, painter.script.film, told)


def make_film(
    prompt: str = "",
    *,
    morph: Sequence[str | os.PathLike[str]] | None = None,
    preset: str = "auto",
    generator: str | Generator | None = None,
    perceptor: str | Perceptor | Sequence[str] | Sequence[Guide] | None = None,
    **settings: Any,
) -> Film:
    """A film that is about to be painted: an iterator over its steps (see `Film`).

    prompt: "one ^ two" is a story.
    morph: paths of two pictures to go between.
    settings: of `FilmConfig` (frames or seconds, fps, zoom...), and those of `paint`, by their own
        names. Motions are numbers or curves, per frame: `zoom="0:(1.01), 60:(1.03)"`.

    Models may be names or objects. Everything that can be wrong raises a `GouacheError` with one
    line.
    """
    named, generator, guides = by_name(generator, perceptor)
    values = {**settings, **named, "prompt": prompt}
    if morph is not None:
        ends = [os.fspath(one) for one in morph]
        if len(ends) != 2:
            raise ConfigError(f"morph has {len(ends)} pictures; give the two to go between")
        values |= {"morph": True, "init_image": ends[0], "cross_image": ends[1]}
    config, film = asked_film(values, preset)
    return Film.build(config, film, generator=generator, perceptor=guides)


def film(prompt: str = "", **asked: Any) -> PaintedFilm:
    """Paints a film to its end: `film("a lighthouse", zoom="1.01", frames=48).save("a.mp4")`.

    What is `asked` is as for `make_film`. Frames are kept in memory; long films are for `gouache
    video --run-dir`, which can go on after anything.
    """
    painter, frames = make_film(prompt, **asked), Frames()
    drive(Run(painter), [frames])
    return frames.film(painter)


__all__ = ["Frames", "PaintedFilm", "film", "make_film"]
