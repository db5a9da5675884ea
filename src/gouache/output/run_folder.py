"""One folder per run: its settings, losses, saved steps and state.

run/settings.json      what was asked, as the front end passed it
run/losses.csv         step, picture, then one column per loss; one line per step and picture
run/steps/00050.png    saved steps; 00050-1.png for further pictures of a batch (a film: frames/)
run/state.safetensors  what `gouache resume` goes on from
run/.lock              held by the process that writes here; free as soon as that process ends
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gouache.atomic import output_errors, remove_leftovers, write_bytes
from gouache.errors import OutputError, StateError
from gouache.output.pictures import dump_json, save_picture
from gouache.output.state import load_state, save_state
from gouache.prompts import one_line
from gouache.reserve import LOCKED, try_lock

if TYPE_CHECKING:
    from torch import Tensor


class RunFolder(AbstractContextManager["RunFolder"]):
    """A run folder that this process holds the lock of, until `close` or the end of `with`.

    `RunFolder.create(path, settings)` starts one, `RunFolder.open(path)` goes on with one. Writing
    raises `OutputError`, reading `StateError`.
    """

    def __init__(self, path: str | Path, shelf: str = "steps") -> None:
        """Locks `path`, an existing folder; use `create` or `open`. Pictures are on its `shelf`."""
        self.path = Path(path)
        self.settings_path = self.path / "settings.json"
        self.losses_path = self.path / "losses.csv"
        self.steps_path = self.path / shelf
        self.state_path = self.path / "state.safetensors"
        self._columns: list[str] = []  # names of losses.csv after step and picture
        self._lock: int | None = _acquire_lock(self.path)

    @classmethod
    def create(
        cls, path: str | Path, settings: Mapping[str, Any], shelf: str = "steps"
    ) -> RunFolder:
        """A new run in `path`, made with its parents where missing; refuses a folder with a run."""
        with output_errors(path):
            Path(path).mkdir(parents=True, exist_ok=True)
        folder = cls(path, shelf)
        try:
            if folder.settings_path.exists():
                raise OutputError(
                    f"{one_line(path)} already holds a run; choose another folder, or go on with "
                    f"it: gouache resume {one_line(path)}"
                )
            with output_errors(folder.steps_path):
                folder.steps_path.mkdir(exist_ok=True)
            folder._write_losses([])
            write_bytes(folder.settings_path, (dump_json(settings, indent=2) + "\n").encode())
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def open(cls, path: str | Path, shelf: str = "steps") -> RunFolder:
        """The run in `path`; cleans up after a killed process. `StateError` if there is none."""
        try:
            found = (Path(path) / "settings.json").is_file()
            file = Path(path).is_file()
        except OSError:  # no access, or no possible name
            found = file = False
        if file:
            raise StateError(
                f"{one_line(path)} is a file, not the folder of a run; a picture is painted again "
                "by gouache replay"
            )
        if not found:
            raise StateError(
                f"no run at {one_line(path)}: settings.json is missing; check the path"
            )
        folder = cls(path, shelf)
        try:
            folder.read_settings()
            remove_leftovers(folder.path)
            remove_leftovers(folder.steps_path)
            with output_errors(folder.steps_path):
                folder.steps_path.mkdir(exist_ok=True)
            folder.truncate_losses(sys.maxsize)  # repairs a torn last line
        except BaseException:
            folder.close()
            raise
        return folder

    def close(self) -> None:
        """Gives the lock back. Nothing else is pending: every write is complete when it returns."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)  # nobody's any more
            os.close(self._lock)
            self._lock = None

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read_settings(self) -> dict[str, Any]:
        """The document given to `create`; `StateError` when it is damaged."""
        try:
            settings = json.loads(self.settings_path.read_bytes())
        except (OSError, ValueError, RecursionError):
            settings = None
        if not isinstance(settings, dict):
            raise StateError(
                f"{one_line(self.settings_path)} is damaged or cannot be read; start the run again"
            )
        return settings

    def record(self, step: int, losses: Mapping[str, Sequence[float]]) -> None:
        """Appends the losses of one step, each with one value per picture, to losses.csv.

        A name that was not there before (a new stage) becomes a new column. NaN stands for a
        picture without such a loss: its cell stays empty.
        """
        if new := [name for name in losses if name not in self._columns]:
            written = self.read_losses()
            self._columns += new
            self._write_losses(written)
        rows: list[dict[str, float]] = [
            {"step": step, "picture": picture, **dict(zip(losses, values, strict=True))}
            for picture, values in enumerate(zip(*losses.values(), strict=True))
        ]
        _append(self.losses_path, self._encode(rows))

    def read_losses(self) -> list[dict[str, float]]:
        """The rows of losses.csv, absent values left out. A torn last line is not read."""
        try:
            text = self.losses_path.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            shown = one_line(self.losses_path)
            raise StateError(f"{shown} cannot be read: {error.strerror}") from None
        header, *lines = text.split("\n")[:-1] or [""]
        names = next(csv.reader([header]), [])
        rows: list[dict[str, float]] = []
        for line in lines:
            with contextlib.suppress(ValueError, csv.Error):  # a damaged line
                cells = next(csv.reader([line]), [])
                row = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell}
                if all(row.get(name, math.nan).is_integer() for name in ("step", "picture")):
                    rows.append(row)
        return rows

    def truncate_losses(self, step: int) -> None:
        """Keeps the losses of the steps before `step`, which the resumed run does next."""
        rows = [row for row in self.read_losses() if row["step"] < step]
        names = dict.fromkeys(name for row in rows for name in row)
        self._columns = [name for name in names if name not in ("step", "picture")]
        self._write_losses(rows)

    def step_paths(self, step: int, num_pictures: int = 1) -> list[Path]:
        """Where `save_step` writes."""
        endings = ["", *(f"-{k}" for k in range(1, num_pictures))]
        return [self.steps_path / f"{step:05d}{ending}.png" for ending in endings]

    def save_step(
        self,
        step: int,
        images_pil: Sequence[Image.Image],
        metadata: Mapping[str, Any] | None = None,
        descriptions: Sequence[str] = (),
    ) -> list[Path]:
        """Writes the pictures of a step below steps/, with one description each or none."""
        paths = self.step_paths(step, len(images_pil))
        told = descriptions or [""] * len(paths)
        for path, image, description in zip(paths, images_pil, told, strict=True):
            save_picture(image, path, metadata, description)
        return paths

    def save_state(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Replaces the saved state; the old one stays if that fails."""
        save_state(self.state_path, tensors, meta)

    def load_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The last saved state; `StateError` if there is none or it is damaged."""
        return load_state(self.state_path)

    def _write_losses(self, rows: Sequence[Mapping[str, float]]) -> None:
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(["step", "picture", *self._columns])
        data = header.getvalue().encode() + self._encode(rows)
        with contextlib.suppress(OSError):
            if self.losses_path.read_bytes() == data:
                return
        write_bytes(self.losses_path, data)

    def _encode(self, rows: Sequence[Mapping[str, float]]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            found = [float(row.get(name, math.nan)) for name in self._columns]
            values = ["" if math.isnan(value) else repr(value) for value in found]
            writer.writerow([int(row["step"]), int(row["picture"]), *values])
        return text.getvalue().encode()


def _append(path: Path, data: bytes) -> None:
    """Appends in one call; what a full disk tears off halfway is taken back."""
    with output_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            written = 0
            try:
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _acquire_lock(folder: Path) -> int:
    """Locks `folder`/.lock and writes the process id into it; raises `OutputError` if it is taken.

    The operating system frees the lock when the process ends, however it ends, so none can be
    stale; the file stays, since removing it would race with the next process.
    """
    path = folder / ".lock"
    with output_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # A file system without locks: better to paint than to refuse.
            if try_lock(descriptor) is False:
                os.lseek(descriptor, len(LOCKED), os.SEEK_SET)
                holder = one_line(os.read(descriptor, 20).decode("ascii", "replace")) or "unknown"
                raise OutputError(
                    f"{one_line(folder)} is in use by process {holder}; wait for it or choose "
                    "another folder"
                )
            os.ftruncate(descriptor, 0)
            os.write(descriptor, LOCKED + str(os.getpid()).encode())
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


__all__ = ["RunFolder"]
