"""Films: frames go to the disk as they come, the file appears when the last one is in."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from gouache.atomic import atomic_path
from gouache.errors import MediaError, OutputError
from gouache.ops.images import fit, open_image
from gouache.ops.media import has_sound, need_av, open_media
from gouache.output.documents import dump_json
from gouache.output.gif import GifWriter
from gouache.output.muxing import AvWriter, SoundWarning
from gouache.output.pictures import read_metadata, save_picture
from gouache.prompts import one_line

MAX_GIF_FPS = 50.0  # players slow faster ones down
_KINDS = {".mp4": "mp4", ".webm": "webm", ".gif": "gif", ".png": "png"}
_NUMBER = re.compile(r"%0?[1-9]?d")  # where the name of one picture of a sequence has its number
_MARK = '{"gouache": '  # how a comment begins that is ours


class Timelapse:
    """Takes the frames of a video; made by `timelapse`."""

    def __init__(self, start: Callable[[tuple[int, int]], _Writer], fps: float, hold: float):
        self._start, self._fps, self._hold = start, fps, hold
        self._writer: _Writer | None = None
        self._newest: Image.Image | None = None  # waits: it may be the last, which is held
        self.num_frames = 0

    def add(self, image_pil: Image.Image) -> None:
        """Appends a picture of any mode; the first decides the size, others are fitted to it."""
        frame = image_pil.convert("RGB")
        if self._newest is None or self._writer is None:
            self._writer = self._start(frame.size)
        else:
            self._writer.write(self._newest, 1 / self._fps)
            frame = frame if frame.size == self._newest.size else fit(frame, self._newest.size)
        self._newest = frame
        self.num_frames += 1

    def _finish(self) -> None:
        if self._newest is None or self._writer is None:
            raise _NoFrames
        self._writer.write(self._newest, max(1 / self._fps, self._hold))
        self._writer.finish()

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.release()


@contextmanager
def timelapse(
    path: str | Path,
    fps: float = 20.0,
    hold: float = 1.0,
    *,
    metadata: Mapping[str, Any] | None = None,
    description: str = "",
    sound: str | Path | None = None,
) -> Iterator[Timelapse]:
    """Writes a film atomically, frame by frame, in the format that the name's ending asks for.

        with timelapse("painting.mp4") as video:
            video.add(image_pil)

    `.mp4` (H.264) and `.webm` (VP9) by PyAV, `.gif` by Pillow, and pictures one by one where the
    name is like `frame-%04d.png`, from 0 on. The same frames give the same bytes.

    The last frame is held for `hold` seconds. If the body fails, or adds no frame, nothing is
    written and what was at `path` stays. A `.gif` has at most `MAX_GIF_FPS`; sides that are odd are
    made even in `.mp4` and `.webm`, whose last row or column is repeated.

    metadata, description: what `read_film_metadata` finds again, as in pictures (`save_picture`).
    sound: a film or sound file that it sounds like, from its begin to the film's end. Copied where
        the container may hold it, else encoded anew; that, and that a format has no sound, is told
        by a `SoundWarning`.

    Raises `OutputError`: see `check_video`; unwritable place; failure of the encoder. A `sound`
    that cannot be read raises `MediaError`.
    """
    kind = check_video(path)
    if not (0.1 <= fps <= 240 and 0 <= hold <= 600):
        raise OutputError(
            f"cannot write {one_line(path)}: got {fps:g} frames per second, the last held for "
            f"{hold:g} s; expected 0.1 to 240, and 0 to 600 s"
        )
    if kind == "gif":
        fps = min(fps, MAX_GIF_FPS)
    if sound is not None and kind in ("gif", "png") and has_sound(sound):
        what = "a GIF has" if kind == "gif" else "pictures have"
        told = f"{what} no sound: that of {one_line(sound)} is left out; write an .mp4 to keep it"
        warnings.warn(told, SoundWarning, stacklevel=3)

    def start(place: Path | None, size: tuple[int, int]) -> _Writer:
        if place is None:
            return _PngWriter(path, metadata, description)
        document = "" if metadata is None else f"{_MARK}{dump_json(metadata)}}}"
        if kind == "gif":
            return GifWriter(place, size, document.encode())
        tags = {"title": one_line(description, 1000), "comment": document}
        tags = {name: text for name, text in tags.items() if text}
        return AvWriter(place, size, fps, kind, tags, None if sound is None else Path(sound))

    encoder_errors = _ffmpeg_errors(path) if kind in ("mp4", "webm") else nullcontext()
    one_file = atomic_path(path) if kind != "png" else nullcontext()
    with suppress(_NoFrames), encoder_errors, one_file as temp:
        video = Timelapse(lambda size: start(temp, size), fps, hold)
        try:
            yield video
            video._finish()
        finally:
            video._release()


def check_video(path: str | Path) -> str:
    """What a film of this name is here: mp4, webm, gif or png (pictures one by one).

    Raises `OutputError`: another ending, PyAV missing, no place for the numbers of pictures.
    """
    suffix = Path(path).suffix.lower()
    kind = _KINDS.get(suffix)
    if kind is None:
        raise OutputError(
            f"cannot write {one_line(path)}: no video format is called "
            f"{one_line(suffix, 20) or 'nothing'}; use .mp4 or .gif, .webm or frame-%04d.png"
        )
    numbers = Path(path).name.count("%")
    if kind == "png" and not (numbers == 1 and _NUMBER.search(Path(path).name)):
        raise OutputError(
            f"cannot write {one_line(path)}: a film in pictures needs a name for each, such as "
            "frame-%04d.png; or use .mp4 or .gif"
        )
    if kind in ("mp4", "webm"):
        try:
            need_av(f"write {one_line(path)}")
        except MediaError as error:
            raise OutputError(f"{error}, or write a .gif") from None
    return kind


def read_film_metadata(path: str | Path) -> dict[str, Any]:
    """The document that `timelapse` put into an MP4, WebM or GIF.

    Raises `MediaError`: no film, or one without (or with a damaged) document.
    """
    if _begins(path, b"GIF8"):
        with open_image(path) as image:
            text = image.info.get("comment", b"").decode("utf-8", "replace")
    else:
        with open_media(path) as container:
            tags = {name.lower(): text for name, text in container.metadata.items()}
            text = tags.get("comment", "")
    shown = one_line(path)
    if not text.startswith(_MARK):
        raise MediaError(
            f"{shown} holds no gouache settings: another program made or re-saved it; give a film "
            "as gouache wrote it"
        )
    try:
        document = json.loads(text)["gouache"]
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise MediaError(f"the gouache settings in {shown} are damaged; give the original film")
    return document


def read_any_metadata(path: str | Path) -> dict[str, Any]:
    """The document of a picture (`read_metadata`) or of a film (`read_film_metadata`), whichever
    the file's contents are."""
    film = any(_begins(path, mark, at) for mark, at in _FILM_MARKS)
    return read_film_metadata(path) if film else read_metadata(path)


_FILM_MARKS = ((b"ftyp", 4), (b"moov", 4), (b"\x1aE\xdf\xa3", 0), (b"GIF8", 0))


def _begins(path: str | Path, mark: bytes, at: int = 0) -> bool:
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return file.read(at + len(mark))[at:] == mark
    except (OSError, ValueError):  # reading it says why
        return False


class _NoFrames(Exception):
    """Leaves `atomic_path` without replacing the file."""


class _Writer(Protocol):
    def write(self, frame: Image.Image, seconds: float) -> None:
        """Appends an RGB frame, all of one size, shown for so long."""

    def finish(self) -> None:
        """Completes the file."""

    def release(self) -> None:
        """Closes the file, complete or not; raises nothing."""


class _PngWriter:
    """One picture a frame, each with the settings in it; all take their places in the end."""

    def __init__(
        self, pattern: str | Path, metadata: Mapping[str, Any] | None, description: str
    ) -> None:
        self._pattern, self._metadata = Path(pattern), metadata
        self._description, self._num = description, 0
        self._waiting = ExitStack()
        self._done = False

    def write(self, frame: Image.Image, seconds: float) -> None:
        path = self._pattern.with_name(self._pattern.name % self._num)
        temp = self._waiting.enter_context(atomic_path(path))
        save_picture(frame, temp, self._metadata, self._description)
        self._num += 1

    def finish(self) -> None:
        self._waiting.close()

    def release(self) -> None:
        with suppress(_NoFrames):  # what has not taken its place by now never does
            self._waiting.__exit__(_NoFrames, _NoFrames(), None)


@contextmanager
def _ffmpeg_errors(path: str | Path) -> Iterator[None]:
    """Failures of FFmpeg that are no `OSError` (those `atomic_path` already reports)."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {one_line(path)}: {one_line(error, 80)}") from error


__all__ = [
    "MAX_GIF_FPS",
    "Timelapse",
    "check_video",
    "read_any_metadata",
    "read_film_metadata",
    "timelapse",
]
