"""The log of a training: a row each interval, each judgement and each beginning, as JSON lines.

It lies beside the checkpoint as `NAME-log.jsonl`, and a checkpoint carries its rows, so that one
file is all that must be moved to another machine.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from gouache.errors import TrainingError

Row = dict[str, Any]
"""Always `step` and `seconds` (trained until then); and one of

- `begins`: trainer, settings, machine, torch; a training begins here or goes on,
- `values`: means of the meters over the interval, with `rate` (of learning) and `machine`,
- `held`: measures of held-out pictures; a name in brackets is what they are compared with.
"""


def log_path(checkpoint: Path) -> Path:
    """Where the log of a checkpoint lies."""
    return checkpoint.with_name(f"{checkpoint.stem}-log.jsonl")


def samples_folder(checkpoint: Path) -> Path:
    """Where the samples of a checkpoint's training lie, as `step-000100.png`."""
    return checkpoint.with_name(f"{checkpoint.stem}-samples")


def machine(device: torch.device) -> str:
    """The kind of machine: neither names nor paths."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine() or 'unknown'} CPU, {torch.get_num_threads()} threads"


def to_lines(rows: Iterable[Row]) -> str:
    """One line a row."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def from_lines(text: str) -> list[Row]:
    """What `to_lines` wrote; a line that was cut off, as at a power cut, is left out."""
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "step" in row:
            rows.append(row)
    return rows


class Journal:
    """Appends rows to the log beside a checkpoint.

    Args:
        checkpoint: of the training.
        step: where it goes on; 0 begins a new log.
        rows: those of the checkpoint that it goes on from. None: it carries none (of an older
            edition), and those of the file until `step` stay.

    Attributes:
        rows: all until now.
        replaced: how many rows of the file are gone, as they tell of steps that are done again.
    """

    def __init__(self, checkpoint: Path, step: int, rows: list[Row] | None = None) -> None:
        self.path = log_path(checkpoint)
        found = from_lines(self.path.read_text("utf-8")) if self.path.exists() else []
        if rows is None:
            rows = [row for row in found if row["step"] <= step] if step > 0 else []
        self.rows = list(rows)
        self.replaced = sum(row["step"] > step for row in found) if step > 0 else 0
        if found != self.rows or not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(self.path.name + ".partial")
            temporary.write_text(to_lines(self.rows), "utf-8")
            temporary.replace(self.path)

    def add(self, row: Row) -> None:
        """Writes it at once."""
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_lines([row]))


def read_rows(path: Path) -> list[Row]:
    """The rows of a training, of its checkpoint, its log or what an older trainer printed (.log).

    Beside a checkpoint the log is read, which may have got further.

    Raises:
        TrainingError: there are none.
    """
    beside = log_path(path)
    if path.suffix == ".pt" and not beside.exists():
        from gouache_training.loop import load_checkpoint

        rows = from_lines(load_checkpoint(path).get("log", ""))
    else:
        source = beside if path.suffix == ".pt" else path
        try:
            text = source.read_text("utf-8", errors="replace")
        except OSError:
            raise TrainingError(f"no log at {source}; name a checkpoint or its log") from None
        rows = from_printed(text) if path.suffix == ".log" else from_lines(text)
    if not rows:
        raise TrainingError(f"{path} holds no rows; expected a checkpoint, .jsonl or printed .log")
    return rows


_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
_PRINTED = re.compile(rf"step (\d+) {_NUMBER}% (\d+)s (.*)")
_PAIR = re.compile(rf"([a-z]\w*) ({_NUMBER})(?: \((?:([a-z]+) )?({_NUMBER})\))?")


def from_printed(text: str) -> list[Row]:
    """Rows of the lines that trainers print. A step that comes again replaces what followed it."""
    rows: list[Row] = []
    for line in text.splitlines():
        if found := _PRINTED.fullmatch(line.strip()):
            told = re.sub(rf"{_NUMBER} pictures/s", "", found[3])
            values = {pair[1]: float(pair[2]) for pair in _PAIR.finditer(told)}
            step = int(found[1])
            rows = [row for row in rows if row["step"] < step]
            rows.append({"step": step, "seconds": float(found[2]), "values": values})
        elif found := re.fullmatch(r"held out at step (\d+): (.*)", line.strip()):
            held: dict[str, float] = {}
            for part in found[2].split("; "):  # "clean psnr 24.32 (enlarged 23.93) features ..."
                group, _, told = part.partition(" ")
                for pair in _PAIR.finditer(told):
                    held[f"{group} {pair[1]}"] = float(pair[2])
                    if pair[4]:
                        other = pair[3] or ("real" if pair[1] == "lattice" else "enlarged")
                        held[f"{group} {pair[1]} ({other})"] = float(pair[4])
            seconds = rows[-1]["seconds"] if rows else 0.0
            rows.append({"step": int(found[1]), "seconds": seconds, "held": held})
    return rows


__all__ = [
    "Journal",
    "Row",
    "from_lines",
    "from_printed",
    "log_path",
    "machine",
    "read_rows",
    "samples_folder",
    "to_lines",
]
