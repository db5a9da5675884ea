"""Where results go: names, and the checks made before anything is painted."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path


def slug(prompt: str, length: int = 48) -> str:
    """A file name from a prompt: "A red apple!" -> "a-red-apple"."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > length:
        words = words[:length].rpartition("-")[0] or words[:length]
    return words or "gouache"


def default_out(prompt: str, folder: Path = Path()) -> Path:
    """A name that no file has yet: nothing is overwritten unless `--out` says so."""
    stem, number = slug(prompt), 1
    path = folder / f"{stem}.png"
    while path.exists() or (folder / f"{path.stem}-1.png").exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path


@dataclass(frozen=True)
class Outputs:
    """What a run writes. `only` keeps one picture of a batch (a replay)."""

    out: Path
    run_dir: Path | None = None
    save_every: int = 25
    timelapse: Path | None = None
    only: int | None = None

    def check(self) -> None:
        """Raises `OutputError` for what cannot be written, before any time is spent."""
        from gouache.atomic import check_writable
        from gouache.output.png import picture_format
        from gouache.output.video import check_video

        picture_format(self.out)
        check_writable(self.out)
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
