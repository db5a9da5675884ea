"""Files of films and sounds, opened by PyAV, which is imported here only when one is.

FFmpeg reads playlists and lists of other files, too, and fetches addresses. Here a file is what its
contents say, of the formats below, and nothing beside it is read.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gouache.errors import GouacheError, MediaError
from gouache.ops.regular import check_regular_file
from gouache.prompts import one_line

# FFmpeg's names of demuxers that hold all they need in the one file.
_FORMATS = (
    *("mov", "mp4", "matroska", "webm", "avi", "gif", "apng", "mpegts", "mpeg", "flv", "asf"),
    *("ogg", "wav", "w64", "aiff", "caf", "mp3", "flac", "aac", "ac3", "au", "ivf", "nut"),
)
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}


@contextmanager
def open_media(path: str | Path, kind: str = "film") -> Iterator[Any]:
    """Opens a film or a sound for reading, a PyAV container; failures are one-line `MediaError`s
    that ask for a `kind`.

    Failures of the body that are FFmpeg's or the system's, too: the file is damaged.
    """
    av = need_av(f"read {one_line(path)}")
    shown = one_line(path)
    with media_errors(path):
        try:
            check_regular_file(Path(path), MediaError, kind, f"a {kind}")
        except ValueError:
            raise MediaError(f"no {kind} at {shown}: the name holds a null character") from None
        # Absolute, so that no name can pass for another protocol's address.
        with av.open(f"file:{Path(path).resolve()}", options=dict(_OPTIONS)) as container:
            yield container


def pictures_of(container: Any) -> Any:
    """A film's stream of pictures; None where there is none, a song's cover aside."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def has_sound(path: str | Path) -> bool:
    """Whether a file holds a sound; what cannot be read holds none."""
    with suppress(MediaError), open_media(path) as container:
        return bool(container.streams.audio)
    return False


@contextmanager
def media_errors(path: str | Path) -> Iterator[None]:
    """Failures of FFmpeg or the system become one-line `MediaError`s about `path`."""
    import av

    shown = one_line(path)
    try:
        yield
    except GouacheError:
        raise
    except (av.error.InvalidDataError, av.error.EOFError, EOFError):
        raise MediaError(
            f"{shown} is damaged, or no film or sound; give an MP4, WebM, MOV, AVI or GIF"
        ) from None
    except PermissionError:
        raise MediaError(f"{shown} cannot be read: permission denied; allow reading it") from None
    except MemoryError:
        raise MediaError(f"{shown} wants more memory than there is; make it smaller") from None
    except (av.error.FFmpegError, OSError, ValueError, IndexError, OverflowError) as error:
        # PyAV raises the last three for numbers in damaged files that cannot be.
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            raise MediaError(f"no film at {shown}: the name is too long") from None
        reason = one_line(getattr(error, "strerror", "") or error, 80)
        raise MediaError(
            f"{shown} is truncated or damaged ({reason}); convert it again, to MP4 say"
        ) from None


def need_av(what: str) -> Any:
    """PyAV; `MediaError` where it is not installed. `what` could not be done without it."""
    try:
        import av
    except ImportError:
        raise MediaError(
            f"cannot {what}: PyAV is not installed; run pip install 'gouache[video]'"
        ) from None
    return av


__all__ = ["has_sound", "media_errors", "need_av", "open_media", "pictures_of"]
