"""Pictures, films and their settings as one ZIP file, written while it is sent."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gouache.apps.studio.films import best_kind, make_film
from gouache.apps.studio.orders import flat_settings
from gouache.apps.studio.runs import Run
from gouache.output.pictures import dump_json
from gouache.runs.outputs import slug

_PIECE = 2**20  # bytes of a file that are in memory


@dataclass(frozen=True)
class Entry:
    """A picture (a PNG file) of a run, or all of a film."""

    run: Run
    path: Path

    @property
    def is_film(self) -> bool:
        """Whether all of a film is meant, of which at least a frame is painted."""
        return self.run.painted > 0 and not self._is_point

    @property
    def _is_point(self) -> bool:
        return self.path.parent.name == "nodes"

    @property
    def name(self) -> str:
        return f"{slug(self.run.title)}{f'-point-{self.path.stem}' if self._is_point else ''}"

    @cached_property
    def files(self) -> list[tuple[str, Path]]:
        """What its name goes on with, and the file; of a film as far as it is painted, whose own
        file is made when this is first asked for: `OutputError` where that fails."""
        if not self.is_film:
            return [(".png", self.path)]
        frames = [self.run.frame_path(number) for number in range(self.run.painted)]
        film = make_film(self.run, best_kind())
        return [(film.suffix, film), *((f"-frames/{frame.name}", frame) for frame in frames)]


def settings_document(run: Run) -> dict[str, Any]:
    """What `--config` of the command line reads."""
    document = {"prompt": run.config.title, **flat_settings(run.config)}
    if run.film is not None:
        document |= run.film.to_dict()
        del document["seconds" if run.film.frames else "frames"]
    return document


def zipped(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The pieces of a ZIP file, which is never in memory as a whole. What is gone is left out."""
    sent, taken = _Pieces(), set[str]()
    with zipfile.ZipFile(sent, "w") as archive:
        for entry in entries:
            name, number = entry.name, 1
            while name in taken:
                number += 1
                name = f"{entry.name}-{number}"
            made = time.localtime(max(entry.run.created, 315_600_000))[:6]  # ZIP begins in 1980
            for ending, path in entry.files:
                info = zipfile.ZipInfo(f"{name}{ending}", made)
                try:
                    source = path.open("rb")
                    info.file_size = path.stat().st_size
                except OSError:  # deleted since
                    continue
                with source, archive.open(info, "w") as target:
                    while piece := source.read(_PIECE):
                        target.write(piece)
                        yield sent.taken()
                if name not in taken:
                    taken.add(name)
                    settings = dump_json(settings_document(entry.run), indent=2).encode()
                    archive.writestr(zipfile.ZipInfo(f"{name}.json", made), settings)
            yield sent.taken()
    yield sent.taken()


class _Pieces(io.RawIOBase):
    """Holds what was written until it is taken; a ZIP file needs no way back."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._written)
        self._written.clear()
        return data


__all__ = ["Entry", "settings_document", "zipped"]
