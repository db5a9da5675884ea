"""What a worker does: paints cells, and gives back the files of their pictures."""

from __future__ import annotations

import dataclasses
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch

from gouache.atomic import write_bytes
from gouache.errors import GouacheError
from gouache.inputs import files_of
from gouache.output.pictures import save_picture
from gouache.runs.executors import do
from gouache.runs.job import Job
from gouache.settings.config import PaintConfig
from gouache.sweeps.cells import Cell

KEY = "sweep"  # of what a picture's record tells of its cell


@dataclass(frozen=True)
class Painted:
    """A cell that was painted, or could not be: then `error` says why, and there is no file."""

    name: str
    data: bytes = field(default=b"", repr=False)  # of the PNG, unless the worker has written it
    told: Mapping[str, Any] = field(default_factory=dict)  # what the file tells of the cell
    error: str = ""
    notes: tuple[tuple[type[Warning], str], ...] = ()


@dataclass(frozen=True)
class Manner:
    """How all cells are painted.

    Attributes:
        threads: of the processor, for each cell.
        collect: notes come back with the pictures, as nobody sees them where they are painted.
        into: folder where workers write the pictures themselves, on a disk that is shared.
    """

    threads: int = 1
    collect: bool = True
    into: str = ""


Batch: TypeAlias = Sequence[Cell]
Files: TypeAlias = Mapping[str, bytes]  # path -> contents


def paint_cells(
    batches: Sequence[Batch], manner: Manner, files: Files | None = None
) -> list[Painted]:
    """Paints batches (`cells.batches`) one after the other, the cells of each together.

    `files` are what the settings name, for a machine that has not got them. What makes painting
    impossible comes back as `Painted.error`; anything else is raised.
    """
    torch.set_num_threads(manner.threads)
    found: list[Painted] = []
    for batch in batches:
        if not manner.collect:
            found += _paint(batch, batch[0].config, manner, files, [])
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            found += _paint(batch, batch[0].config, manner, files, caught)
    return found


def _paint(
    batch: Sequence[Cell],
    config: PaintConfig,
    manner: Manner,
    files: Files | None,
    caught: Sequence[warnings.WarningMessage],
) -> list[Painted]:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gouache-") as folder:
        try:
            if files is not None:
                config = _at(config, files, Path(folder))
            outcome = do(Job(dataclasses.replace(config, count=len(batch))))
        except GouacheError as error:
            return [Painted(cell.name, error=str(error)) for cell in batch]
        seconds = (time.monotonic() - begun) / len(batch)
        found = []
        for number, cell in enumerate(batch):
            told: dict[str, Any] = {
                "cell": cell.name,
                "varies": dict(cell.varies),
                "seconds": round(seconds, 3),
                "threads": manner.threads,
            }
            if outcome.scores:
                told["score"] = round(outcome.scores[number], 4)
            if len(batch) > 1:
                told["together"] = len(batch)
            place = Path(folder) / f"{cell.name}.png"
            record = {**outcome.records[number], KEY: told}
            save_picture(outcome.pictures[number], place, record, cell.prompt)
            data = place.read_bytes()
            if manner.into:
                write_bytes(Path(manner.into) / place.name, data)
                data = b""
            found.append(Painted(cell.name, data, told | _prompt_and_seed(record)))
    notes = tuple((one.category, str(one.message)) for one in caught)
    return [dataclasses.replace(found[0], notes=notes), *found[1:]]


def _prompt_and_seed(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt": record["prompt"], "seed": record["seed"]}


def _at(config: PaintConfig, files: Files, folder: Path) -> PaintConfig:
    """The settings with their pictures written below `folder`, under the same names."""
    changes: dict[str, Any] = {}
    for number, (one, path) in enumerate(files_of(config)):
        place = folder / str(number) / one.name
        place.parent.mkdir()
        place.write_bytes(files[str(path)])
        if one.setting == "image_prompts":
            changes.setdefault(one.setting, []).append(one.at(place))
        else:
            changes[one.setting] = one.at(place)
    return config.updated(**changes)


def files_for(configs: Sequence[PaintConfig]) -> dict[str, bytes]:
    """The files that some settings name, by their paths."""
    found: dict[str, bytes] = {}
    for config in configs:
        for _, path in files_of(config):
            if str(path) not in found:
                found[str(path)] = path.read_bytes()
    return found


__all__ = ["KEY", "Batch", "Files", "Manner", "Painted", "files_for", "paint_cells"]
