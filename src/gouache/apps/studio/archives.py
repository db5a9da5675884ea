"""Pictures and their settings as one ZIP file, written while it is sent."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gouache.apps.studio.orders import flat_settings
from gouache.apps.studio.runs import Run
from gouache.output.pictures import dump_json
from gouache.runs.outputs import slug


@dataclass(frozen=True)
class Entry:
    """A picture (a PNG file) of a run."""

    run: Run
    path: Path

    @property
    def name(self) -> str:
        point = f"-point-{self.path.stem}" if self.path.parent.name == "nodes" else ""
        return f"{slug(self.run.title)}{point}"

    def settings(self) -> bytes:
        """What `--config` of the command line reads."""
        config = self.run.config
        return dump_json({"prompt": config.title, **flat_settings(config)}, indent=2).encode()


def zipped(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The pieces of a ZIP file; no more than one picture is in memory. What is gone is left out."""
    sent, taken = _Pieces(), set[str]()
    with zipfile.ZipFile(sent, "w") as archive:
        for entry in entries:
            try:
                picture = entry.path.read_bytes()
            except OSError:  # deleted since
                continue
            name, number = entry.name, 1
            while name in taken:
                number += 1
                name = f"{entry.name}-{number}"
            taken.add(name)
            made = time.localtime(max(entry.run.created, 315_600_000))[:6]  # ZIP begins in 1980
            for suffix, data in ((".png", picture), (".json", entry.settings())):
                archive.writestr(zipfile.ZipInfo(f"{name}{suffix}", made), data)
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


__all__ = ["Entry", "zipped"]
