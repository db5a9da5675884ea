"""Pictures by other systems than ours, behind the one driver: each step is one whole picture.

    config = system_config("mindalle", {"prompt": "a red apple", "seed": 7})
    run = drive(Run(BySystem("mindalle").prepare(config)))

A system takes the words as they are: the grammar of prompts is for our own loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gouache._version import __version__
from gouache.engine.judging import similarity
from gouache.errors import ConfigError, PromptError
from gouache.inputs import Input, portable_model
from gouache.networks.devices import resolve_device
from gouache.networks.pool import shared_perceptor
from gouache.ops.images import grid_pil, load_image, to_tensor
from gouache.ops.masks import mask_picture
from gouache.output.documents import FORMAT
from gouache.output.pictures import save_picture
from gouache.prompts import Prompt, format_prompt
from gouache.protocols import Step
from gouache.runs.drive import Done, Event, Interrupted, Run, Stepped
from gouache.runs.outputs import Outputs
from gouache.settings.config import PaintConfig, make_config
from gouache.systems.known import Adjustable, Inpainting, System, build, check, options_of
from gouache.systems.options import split_options

MAX_TRIES = 100
SEEDS = 2**63
_TAKEN = ("prompt", "prompts", "seed", "count", "device")


@dataclass(frozen=True)
class Asked:
    """A picture that is wished for: the words, and the seeds of which the best one is kept.

    `judged` is what a judge compares it with, in the grammar of prompts.
    """

    prompt: str
    seeds: tuple[int, ...]
    judged: str = ""


@dataclass(frozen=True)
class Judge:
    """Who chooses among several pictures of the same words; `about` is for records."""

    fit: Callable[[Image, str], float] = field(repr=False)
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Over:
    """A picture (RGB) of which what is light in `mask` (L, of its size) is painted anew."""

    picture: Image = field(repr=False)
    mask: Image = field(repr=False)
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True)
class _Found:
    picture: Image
    seed: int
    score: float
    tries: int


class SystemPainter:
    """A `runs.drive.Painter` of pictures by a system; `about` and `options`, those that its system
    was given, are added to every record."""

    def __init__(
        self,
        system: System,
        name: str,
        asked: Sequence[Asked],
        judge: Judge | None = None,
        over: Over | None = None,
        about: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.system, self.name, self.asked = system, name, tuple(asked)
        self._judge, self._over, self._about = judge, over, dict(about or {})
        self._options = dict(options or {})
        self._turns = [(k, seed) for k, one in enumerate(asked) for seed in one.seeds]
        self._found: list[_Found] = []
        self.step_index = 0

    @property
    def num_steps(self) -> int:
        return len(self._turns)

    @property
    def finished(self) -> bool:
        return self.step_index == self.num_steps

    @property
    def images(self) -> list[Image]:
        """The best ones so far, RGB; pictures that were not begun are missing."""
        return [one.picture for one in self._found]

    @property
    def seeds(self) -> list[int]:
        """Those of `images`."""
        return [one.seed for one in self._found]

    @property
    def num_finished(self) -> int:
        """How many of `images` are as they stay."""
        done = [one.tries == len(self.asked[k].seeds) for k, one in enumerate(self._found)]
        return sum(done)

    def __next__(self) -> Step:
        number, seed = self._turns[self.step_index]
        asked = self.asked[number]
        picture = self._painted(asked.prompt, seed).convert("RGB")
        score = 0.0 if self._judge is None else self._judge.fit(picture, asked.judged)
        before = self._found[number] if number < len(self._found) else None
        tries = 1 if before is None else before.tries + 1
        best = _Found(picture, seed, score, tries)
        if before is not None and before.score >= score:
            best = _Found(before.picture, before.seed, before.score, tries)
        self._found[number:] = [best]
        self.step_index += 1
        losses = {} if self._judge is None else {"fit": torch.tensor([score])}
        return Step(self.step_index - 1, self.num_steps, 0, to_tensor(picture), losses)

    def _painted(self, prompt: str, seed: int) -> Image:
        if self._over is None:
            return self.system.paint(prompt, seed)
        assert isinstance(self.system, Inpainting)
        return self.system.paint_over(prompt, seed, self._over.picture, self._over.mask)

    def picture(self) -> Tensor:
        """Those of `images`, (B,3,H,W) in [0,1]."""
        return torch.cat([to_tensor(picture) for picture in self.images])

    def scores(self) -> Tensor:
        """How well the judge finds that each fits, (B,); empty without one."""
        found = [] if self._judge is None else [one.score for one in self._found]
        return torch.tensor(found)

    def own_losses(self, losses: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return losses

    def record(self, losses: Mapping[str, Tensor], picture: int) -> dict[str, Any]:
        """System, settings, words and seed are all that painting it again needs."""
        found = self._found[picture]
        told: dict[str, Any] = {
            "version": __version__,
            "format": FORMAT,
            "system": self.name,
            "settings": dict(self.system.settings),
            "prompt": self.asked[picture].prompt,
            "seed": found.seed,
        }
        if self._options:
            told["options"] = self._options
        if self._judge is not None:
            told |= {"best_of": found.tries, "score": round(found.score, 4)}
            told |= {"guide": dict(self._judge.about)}
        if self._over is not None:
            told["inputs"] = [one.record() for one in self._over.inputs]
        if len(self.asked) > 1:
            told["picture"] = picture
        return told | self._about


@dataclass(frozen=True)
class BySystem:
    """A system by name as a `runs.job.System`: what it paints of settings by `system_config`.

    Attributes:
        name: of `gouache.systems.known`.
        best_of: pictures that are painted for each one that is kept: the one that the first
            perceptor of the settings likes best. Those of seed s have seeds from s * `best_of` on.
        mask: selects what of the init image is painted anew; "" where there is none.
        about: what is added to the records.
        options: as `options_and_rest` reads them.
    """

    name: str
    best_of: int = 1
    mask: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self, config: PaintConfig) -> None:
        """Raises what `prepare` would, as far as can be told without loading anything."""
        self._check_asked(config)
        check(self.name, bool(self.mask))

    def _check_asked(self, config: PaintConfig) -> None:
        if type(self.best_of) is not int or not 1 <= self.best_of <= MAX_TRIES:
            raise ConfigError(f"best_of is {self.best_of!r:.40}; expected 1 to {MAX_TRIES}")
        if bool(config.init_image) != bool(self.mask):
            missing = "mask" if config.init_image else "init_image"
            raise ConfigError(
                f"{missing} is missing: {self.name} paints over a part of a picture; give both "
                "init_image and mask, which is light where to paint"
            )
        if not config.prompt or not all(text.strip() for text in config.prompt):
            raise PromptError("there is nothing to paint; give a prompt")

    def prepare(self, config: PaintConfig) -> SystemPainter:
        """Loads the system, and the guide where one chooses; reads the pictures first."""
        self.check(config)
        device = resolve_device(config.device)
        over = self._read(config)
        system = build(self.name, str(device), over is not None)
        return self.with_system(system, config, over)

    def with_system(
        self, system: System, config: PaintConfig, over: Over | None = None
    ) -> SystemPainter:
        """The same with a system that is loaded already."""
        self._check_asked(config)
        if self.options:
            system = self._adjusted(system)
        judge = _judge(config) if self.best_of > 1 else None
        asked = asked_of(config, self.best_of)
        about = dict(self.about)
        if len(asked) > 1:
            told = {"prompts": list(config.prompt), "seed": config.seed, "count": config.count}
            about = {"batch": {**told, "best_of": self.best_of}} | about
        return SystemPainter(system, self.name, asked, judge, over, about, self.options)

    def _adjusted(self, system: System) -> System:
        has = system.options if isinstance(system, Adjustable) else ()
        if lacks := next((name for name in self.options if name not in has), ""):
            raise ConfigError(f"{self.name} has no setting {lacks}; leave it out")
        assert isinstance(system, Adjustable)
        return system.adjusted(self.options)

    def _read(self, config: PaintConfig) -> Over | None:
        if not self.mask:
            return None
        picture = load_image(config.init_image)
        mask = mask_picture(self.mask, over=picture)
        named = (("init_image", config.init_image), ("mask", self.mask))
        return Over(picture, mask, tuple(Input.of_file(*one) for one in named))


class WriteEach:
    """A listener that writes each picture as soon as it is finished, and of several a grid.

    What was begun when the run is interrupted is written as the best of what there is.
    """

    def __init__(self, outputs: Outputs, title: str) -> None:
        self._outputs, self._title = outputs, title
        self.paths: list[Path] = []
        self.grid: Path | None = None

    def __call__(self, event: Event, run: Run) -> None:
        painter = run.painter
        assert isinstance(painter, SystemPainter)
        match event:
            case Stepped():
                self._write(painter, painter.num_finished)
            case Interrupted():
                self._write(painter, len(painter.images))
            case Done() if len(painter.asked) > 1:
                record = painter.record({}, 0) | {"picture": None, "prompt": self._title}
                record = {key: record[key] for key in record if key not in ("seed", "score")}
                self.grid = self._outputs.out
                save_picture(grid_pil(painter.images), self.grid, record, self._title)

    def _write(self, painter: SystemPainter, number: int) -> None:
        paths = self._outputs.picture_paths(len(painter.asked))
        for k in range(len(self.paths), number):
            record = painter.record({}, k)
            save_picture(painter.images[k], paths[k], record, record["prompt"])
            self.paths.append(paths[k])


def asked_of(config: PaintConfig, best_of: int = 1) -> list[Asked]:
    """What settings ask for: picture k has seed + k, and of several tries those from its seed times
    their number on."""
    found = []
    for k in range(config.count):
        prompt, first = config.prompt_of(k), (config.seed + k) * best_of
        seeds = tuple((first + number) % SEEDS for number in range(best_of))
        found.append(Asked(prompt, seeds, format_prompt(Prompt(text=prompt))))
    return found


def options_and_rest(
    system: str | System, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flat names -> options of a system, read and checked, and all others (`system_config`)."""
    if isinstance(system, str):
        return split_options(given, options_of(system))
    return split_options(given, system.options if isinstance(system, Adjustable) else ())


def system_config(
    name: str, given: Mapping[str, Any], *, best_of: int = 1, over: bool = False
) -> PaintConfig:
    """The settings that a system knows, by flat names; any other is a `ConfigError`."""
    taken = [*_TAKEN, *(["perceptor"] if best_of != 1 else []), *(["init_image"] if over else [])]
    for setting in given:
        if setting == "perceptor" and best_of == 1:
            raise ConfigError(f"perceptor is given, and {name} has no guide; add best_of to choose")
        if setting not in (*taken, "init_image"):
            offered = [one for one in (*taken, *(options_of(name) or ())) if one != "prompts"]
            raise ConfigError(
                f"{name} has no setting {setting}: it paints in its own way; it takes "
                f"{', '.join(offered)} and best_of"
            )
    return make_config("auto", **given)


def _judge(config: PaintConfig) -> Judge:
    """The first guide of the settings."""
    name, device = config.guides[0][0], resolve_device(config.device)
    perceptor = shared_perceptor(name, device)
    return Judge(
        lambda picture, text: similarity(perceptor, picture, text, device),
        {"name": portable_model(name), "fingerprint": perceptor.fingerprint},
    )


__all__ = [
    "Asked",
    "BySystem",
    "Judge",
    "Over",
    "SystemPainter",
    "WriteEach",
    "asked_of",
    "options_and_rest",
    "system_config",
]
