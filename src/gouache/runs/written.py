"""What a run found and left at its names, so that it never replaces anything else there.

run/written.json    the picture's name, and the sha256 of each file as the run found or left it

A picture that somebody retouched, or that another run painted there since, stays: the run then
writes under the next free name and says so.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gouache.atomic import write_bytes
from gouache.inputs import file_sha256
from gouache.output.run_folder import RunFolder
from gouache.prompts import one_line
from gouache.reserve import reserve
from gouache.runs.outputs import Outputs

FILE = "written.json"


@dataclass
class Written:
    """Sums by name, of the files beside `outputs.out`; `all` allows to replace whatever is."""

    sums: dict[str, str] = field(default_factory=dict)
    out: str | None = None  # the picture's name, once one was written
    step: int = -1  # of what was written; -1: the sums are of what the run found
    all: bool = False

    @classmethod
    def found(cls, outputs: Outputs, count: int) -> Written:
        """At the beginning of a run: what it was told to replace."""
        return cls(_sums(outputs.names(count)), all=not outputs.fresh)

    @classmethod
    def read(cls, folder: RunFolder) -> Written:
        """Of a run that goes on; earlier versions did not write it down and replaced everything."""
        try:
            document = json.loads((folder.path / FILE).read_bytes())
            sums = {str(name): str(value) for name, value in document["sums"].items()}
            out = document["out"]
            name = None if out is None else Path(str(out)).name
            return cls(sums, name, int(document["step"]))
        except FileNotFoundError:
            return cls(all=True)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()  # damaged: nothing that exists is known to be the run's own

    def save(self, folder: RunFolder) -> None:
        """Writes it into the run folder; `OutputError` where that fails."""
        document = {"out": self.out, "step": self.step, "sums": self.sums}
        write_bytes(folder.path / FILE, (json.dumps(document, indent=1) + "\n").encode())

    def note(self, outputs: Outputs, count: int, step: int) -> None:
        """The run has written its pictures, as they are after `step` steps."""
        self.sums, self.out, self.step = _sums(outputs.names(count)), outputs.out.name, step

    def missing(self, outputs: Outputs, count: int, step: int) -> list[Path]:
        """Pictures of `step` that the run has not written: nothing, or something older, is there.

        A picture that is no longer as the run left it counts as written.
        """
        now = _sums(outputs.names(count))
        return [
            path
            for path in outputs.names(count)
            if path.name not in now
            or (self.step < step and now[path.name] == self.sums.get(path.name))
        ]

    @contextmanager
    def names(self, outputs: Outputs, count: int) -> Iterator[Outputs]:
        """Where the pictures go: as planned, or where nothing is that is not the run's own."""
        files = outputs.names(count)
        now = {} if self.all else _sums(files)
        foreign = [
            path for path in files if now.get(path.name) not in (None, self.sums.get(path.name))
        ]
        if not foreign:
            yield outputs
            return
        with reserve((), outputs.sets(count)) as held:
            other = replace(outputs, out=held.chosen[0])
            print(
                f"gouache: {one_line(foreign[0])} is not as this run left it and stays; writing "
                f"{one_line(other.out)} instead",
                file=sys.stderr,
            )
            yield other


def _sums(paths: Sequence[Path]) -> dict[str, str]:
    """Of those that exist; of what cannot be read (a folder) something that equals no sum."""
    there = [path for path in paths if os.path.lexists(path)]
    return {path.name: file_sha256(path) or "unknown" for path in there}


__all__ = ["FILE", "Written"]
