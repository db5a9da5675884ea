"""Who paints the cells of a figure: gouache, the systems beside it, and changes of other cells."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image

from gouache.engine import Session
from gouache.engine.build import prepare
from gouache.engine.judging import similarity
from gouache.errors import ConfigError
from gouache.figures.recipe import OURS, Cell
from gouache.figures.words import WORDS
from gouache.inputs import inputs_of, portable, portable_model
from gouache.networks.devices import resolve_device
from gouache.networks.models import Models
from gouache.networks.pool import shared_perceptor
from gouache.protocols import Perceptor
from gouache.runs.by_system import Asked, Judge, SystemPainter
from gouache.runs.drive import Run, drive
from gouache.settings.config import PaintConfig, make_config
from gouache.systems.known import System, build


@dataclass(frozen=True)
class Painted:
    """A finished cell. `record` is what its file carries, `seconds` what it took."""

    picture: Image
    scores: dict[str, float]
    seconds: float
    record: dict[str, Any]


class Painters:
    """Makes the pictures of a figure; models are loaded when they are first needed, and kept.

    `given` are settings by flat names that hold for every cell, `judge` names a perceptor that
    scores and never guides ("" for none), `tries` is how many pictures another system paints for
    each one that is shown: the one that the guide likes best (appendix E and F: best of five).
    """

    def __init__(
        self, world: str, given: Mapping[str, Any], judge: str | None = None, tries: int = 5
    ) -> None:
        if bad := sorted({"prompt", "prompts", "seed", "count"} & set(given)):
            raise ConfigError(
                f"{bad[0]} is no setting of a figure: it has seeds and prompts of its own"
            )
        self.world = WORDS[world]
        self.tries = tries
        self._given = dict(given)
        own_guide = self.config(Cell("x"), 0).guides
        default = self.world.judge if self.world.judge not in dict(own_guide) else ""
        self.judge_name = default if judge is None else judge
        self._perceptors: dict[str, tuple[Perceptor, torch.dtype | None]] = {}
        self._models: dict[tuple[Any, ...], Models] = {}
        self._systems: dict[str, System] = {}

    def config(self, cell: Cell, seed: int) -> PaintConfig:
        """All settings of a cell that gouache paints."""
        settings = {**self.world.defaults, **cell.defaults, **self._given, **cell.settings}
        return make_config(self.world.preset, **settings, prompt=cell.prompt, seed=seed)

    def tells(self, cell: Cell, seed: int) -> dict[str, Any]:
        """All that decides the picture and its scores, as JSON; equal means it need not be made
        again. Loads the models, as their weights are part of it."""
        found: dict[str, Any] = {
            "system": cell.system,
            "prompt": cell.prompt,
            "asked": cell.asked or cell.prompt,
            "seed": seed,
            "judge": self.judge_name and self._perceptor(self.judge_name)[0].fingerprint,
        }
        config = self.config(cell, seed)
        if cell.change is not None:
            found |= {"change": dict(cell.tells)}
        ours = cell.system == OURS and cell.change is None
        if ours or cell.with_models:
            models = self._load(config)
            inputs = inputs_of(config)
            plain = portable(config, inputs).to_dict()
            settings = {key: value for key, value in plain.items() if key != "device"}
            if inputs:
                found |= {"inputs": [one.record() for one in inputs]}
            found |= {
                "settings": settings,
                "generator": models.generator.fingerprint,
                "guides": [guide.perceptor.fingerprint for guide in models.guides],
            }
        elif cell.change is None:
            found |= {
                "settings": dict(self._system(cell.system).settings),
                "tries": self.tries,
                "guide": self._perceptor(_guide(config))[0].fingerprint,
            }
        return found

    def paint(self, cell: Cell, seed: int, source: Image | None) -> Painted:
        """Makes the picture of a cell; `source` is the cell's that it changes, if it does."""
        begun = time.monotonic()
        if cell.change is not None:
            assert source is not None
            picture, record = self._changed(cell, seed, source), {"change": dict(cell.tells)}
        elif cell.system == OURS:
            picture, record = self._paint_ours(cell, seed)
        else:
            picture, record = self._best_of(cell, seed)
        seconds = time.monotonic() - begun
        return Painted(picture, self._scores(cell, picture), round(seconds, 2), record)

    def _changed(self, cell: Cell, seed: int, source: Image) -> Image:
        assert cell.change is not None
        if not cell.with_models:
            return cell.change(source, seed)
        config = self.config(cell, seed)
        return cell.change(source, seed, config, self._load(config))

    def _paint_ours(self, cell: Cell, seed: int) -> tuple[Image, dict[str, Any]]:
        config = self.config(cell, seed)
        session = Session(prepare(config, models=self._load(config)))
        self._models[_key(config)] = session.models  # with what is compiled
        run = drive(Run(session))
        return run.pictures()[0], run.record(0)

    def _best_of(self, cell: Cell, seed: int) -> tuple[Image, dict[str, Any]]:
        name = _guide(self.config(cell, seed))
        judge = Judge(
            lambda picture, text: self._similarity(name, picture, text),
            {"name": portable_model(name), "fingerprint": self._perceptor(name)[0].fingerprint},
        )
        seeds = tuple(seed * self.tries + number for number in range(self.tries))
        asked = Asked(cell.prompt, seeds, cell.asked or cell.prompt)
        run = Run(SystemPainter(self._system(cell.system), cell.system, [asked], judge))
        return drive(run).pictures()[0], run.record(0)

    def _scores(self, cell: Cell, picture: Image) -> dict[str, float]:
        asked = cell.asked or cell.prompt
        names = {"guide": _guide(self.config(cell, 0))}
        if self.judge_name:
            names["judge"] = self.judge_name
        return {
            who: round(self._similarity(name, picture, asked), 4) for who, name in names.items()
        }

    def _similarity(self, name: str, picture: Image, text: str) -> float:
        perceptor, dtype = self._perceptor(name)
        return similarity(perceptor, picture, text, self._device, dtype)

    @property
    def _device(self) -> torch.device:
        return resolve_device(self.config(Cell("x"), 0).device)

    def _load(self, config: PaintConfig) -> Models:
        key = _key(config)
        if key not in self._models:
            models = Models.load(config)
            self._models[key] = models
            for (name, _), guide in zip(config.guides, models.guides, strict=True):
                self._perceptors.setdefault(name, (guide.perceptor, models.dtype))
        return self._models[key]

    def _perceptor(self, name: str) -> tuple[Perceptor, torch.dtype | None]:
        """With the half precision that its weights are in; guides are those that painted."""
        if name not in self._perceptors:
            self._perceptors[name] = shared_perceptor(name, self._device), None
        return self._perceptors[name]

    def _system(self, name: str) -> System:
        if name not in self._systems:
            self._systems[name] = build(name, str(self._device))
        return self._systems[name]


def _guide(config: PaintConfig) -> str:
    """The first guide, which also chooses among other systems' pictures."""
    return config.guides[0][0]


def _key(config: PaintConfig) -> tuple[Any, ...]:
    return config.generator, config.perceptor, config.device, config.precision


__all__ = ["Painted", "Painters"]
