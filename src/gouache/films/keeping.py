"""What a film leaves on the disk: its frames, the file, and what it goes on from.

    run/settings.json      what was asked, with the settings of the film
    run/frames/00000.png   each frame as it was painted, with its record
    run/losses.csv         as of other runs
    run/sound.wav          what it sounds like where --audio gave it, copied
    run/state.safetensors  the begin of the frame that is painted next

A frame is written before the state that comes after it, and the film from the frames when the last
one is there: a film that is killed anywhere, and goes on, has the same bytes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from PIL.Image import Image

from gouache.atomic import atomic_path, check_writable, output_errors
from gouache.engine import SessionState
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.films.folders import FRAMES, film_document, is_folder
from gouache.ops.images import open_image
from gouache.ops.media import has_sound
from gouache.output.run_folder import RunFolder
from gouache.output.video import check_video, timelapse
from gouache.reserve import reserve
from gouache.runs.drive import Done, Event, Interrupted, Prepared, Run, Stepped
from gouache.runs.outputs import Outputs, check_run_dir, slug
from gouache.runs.places import keep_places, run_settings
from gouache.runs.written import Written
from gouache.settings.config import PaintConfig

_SOUND = "sound"


@dataclass(frozen=True)
class FilmResult:
    """What a film wrote, as `--json` prints it. `out` is None where it was interrupted."""

    out: Path | None
    frames: int  # painted
    num_frames: int
    seconds: float
    run_dir: Path


@contextmanager
def film_outputs(out: str | Path | None, title: str, run_dir: Path | None) -> Iterator[Outputs]:
    """Where a film goes, and its run folder (`Outputs.rest` where none was asked for); all names
    are its own until the end of `with`. Raises `OutputError`."""
    film = Path(out) if out is not None else Path(f"{slug(title)}.mp4")
    if str(out or "").endswith("/") or is_folder(film):
        film, out = film / f"{slug(title)}.mp4", None
        with output_errors(film):
            film.parent.mkdir(parents=True, exist_ok=True)
    check_video(film)
    outputs = Outputs(out=film, run_dir=run_dir, fresh=out is None)
    check_writable(film)
    if run_dir is not None:
        check_run_dir(run_dir)
    named = [path for path in (run_dir, None if out is None else film) if path is not None]
    sets = outputs.sets(1) if out is None else outputs.rests()
    with reserve(named, sets) as held:
        film = held.chosen[0] if out is None else film
        yield replace(outputs, out=film, rest=held.chosen[-1])


def create_folder(
    film: Film, outputs: Outputs, source: Path | None = None, audio: Path | None = None
) -> RunFolder:
    """A new run folder of a film; one that nobody asked for goes when the film is there. `source`
    is the clip that it is painted over, `audio` what it sounds like otherwise."""
    path = outputs.run_dir or outputs.rest
    assert path is not None
    within = replace(outputs, run_dir=path)
    settings = run_settings(film.config, within, source)
    settings["film"] = film.script.film.to_dict()
    settings["outputs"] |= {"passing": outputs.run_dir is None}
    folder = RunFolder.create(path, settings, FRAMES)
    keep_places(folder, within, source)
    if audio is not None:
        copy = folder.path / f"{_SOUND}{audio.suffix}"
        with atomic_path(copy) as temp:
            shutil.copyfile(audio, temp)
    return folder


def sound_of(place: Path) -> Path | None:
    """What a film sounds like: the copy in its run folder, or its own file; None for neither."""
    if is_folder(place):
        return next(iter(sorted(place.glob(f"{_SOUND}*"))), None)
    return place if has_sound(place) else None


class KeepFrames:
    """A listener that writes each frame when it is done, then the state of the begin of the next
    one, and all losses.

    Frame and state are written by a thread of its own while the next frame is painted: who is
    killed meanwhile begins a frame earlier, and all are written when a film ends or is interrupted.
    """

    def __init__(self, folder: RunFolder, written: int = 0) -> None:
        self._folder = folder
        self._writer = ThreadPoolExecutor(1, "frames")
        self._pending: Future[None] | None = None
        self.written = written  # frames that are there, with the state after them

    def begin(self, film: Film) -> None:
        """Writes what a film goes on from that is killed during its first frame."""
        saved = film.state_dict()
        self._folder.save_state(saved.tensors, saved.meta)

    def __call__(self, event: Event, run: Run) -> None:
        if not isinstance(event, Stepped):
            self._wait()
            return
        film = cast("Film", run.painter)
        losses = {name: value.tolist() for name, value in event.losses.items()}
        self._folder.record(event.step.index, losses)
        if film.frame_done:
            self._wait()
            asked = film.frame, run.pictures(), run.record(0), film.config.title, film.state_dict()
            self._pending = self._writer.submit(self._write, *asked)

    def _write(
        self,
        frame: int,
        pictures: Sequence[Image],
        record: Mapping[str, Any],
        title: str,
        saved: SessionState,
    ) -> None:
        self._folder.save_step(frame, pictures, record, [title])
        self._folder.save_state(saved.tensors, saved.meta)
        self.written = frame + 1

    def _wait(self) -> None:
        """Raises what went wrong with the frame before: `OutputError`."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


class KeepFilm:
    """A listener that writes frames, state and losses, and in the end the film.

    `written` is of a film that goes on; `sound` the clip that it sounds like.
    """

    def __init__(
        self,
        folder: RunFolder,
        outputs: Outputs,
        written: Written | None = None,
        sound: Path | None = None,
    ) -> None:
        self._folder, self._outputs, self._written = folder, outputs, written
        self._frames, self._sound = KeepFrames(folder), sound
        self._begun = time.monotonic()
        self._result: FilmResult | None = None

    @property
    def result(self) -> FilmResult:
        """Of a film that has ended, or was interrupted."""
        assert self._result is not None
        return self._result

    def __call__(self, event: Event, run: Run) -> None:
        film = cast("Film", run.painter)
        self._frames(event, run)
        match event:
            case Prepared():
                self._begun = time.monotonic()
                if self._written is None:
                    self._written = Written.found(self._outputs, 1)
                    self._written.save(self._folder)
                    self._frames.begin(film)
            case Interrupted():
                self._end(film.frame + film.frame_done, film.num_frames)
            case Done():
                assert self._written is not None
                out = write_film(self._folder, self._outputs, self._written, self._sound)
                self._end(film.num_frames, film.num_frames, out)

    def _end(self, painted: int, num_frames: int, out: Path | None = None) -> None:
        seconds = time.monotonic() - self._begun
        self._result = FilmResult(out, painted, num_frames, seconds, self._folder.path)


def write_film(
    folder: RunFolder, outputs: Outputs, written: Written, sound: Path | None = None
) -> Path:
    """Makes the film of the frames in the folder; its path. It sounds like `sound`, or like the
    sound in the folder."""
    sound = sound or sound_of(folder.path)
    _, meta = folder.load_state()
    film, number = FilmConfig.from_dict(meta["film"]), int(meta["frame"])
    with written.names(outputs, 1) as names:
        document = film_document(meta)
        title = PaintConfig.from_dict(meta["config"]).title
        with timelapse(
            names.out, film.fps, hold=0.0, metadata=document, description=title, sound=sound
        ) as video:
            for path in (folder.step_paths(frame)[0] for frame in range(number)):
                with open_image(path) as picture:
                    video.add(picture)
        written.note(names, 1, number)
        written.save(folder)
    return names.out


__all__ = [
    "FilmResult",
    "KeepFilm",
    "KeepFrames",
    "create_folder",
    "film_outputs",
    "sound_of",
    "write_film",
]
