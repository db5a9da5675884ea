"""What a stage asks of each picture: a table of encoded prompts.

A row is a loss ("prompt/0", "image/0"), a column a picture of the batch, a cell the prompt that the
picture is asked under that name. What a step needs of it are numbers: weights, stops and
confidences (T,B), embeddings (T,B,D); a weight of 0 is what is not asked.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache import halting
from gouache.engine.schedule import steps_per_stage
from gouache.engine.words import CANCELS, SILENT, check_words, confidence, embed_texts, listed
from gouache.errors import PromptError
from gouache.inputs import base_name, file_sha256
from gouache.networks.models import Models
from gouache.ops.images import load_image, to_tensor
from gouache.placing import Place, nearest_place
from gouache.prompts import MAX_NUMBER, Prompt, laid_out, one_line
from gouache.protocols import Perceptor
from gouache.settings.config import PaintConfig

IMAGE_PROMPT_SIDE = 512  # longer sides are reduced first: no perceptor sees more in a whole picture
SHOWN = 3  # unknown prompts that a note tells by themselves
_NAMES = {"text": "prompt", "image": "image", "noise": "noise"}


Encoded: TypeAlias = tuple[Prompt, tuple[Tensor, ...], tuple[float, ...]]
"""A prompt as records tell it, and each guide's embedding (1,D) and confidence."""


class UnknownPromptWarning(UserWarning):
    """A guide does not know what some prompts name."""

    all_differ = True  # one tells nothing of other prompts: all are worth showing

    def __init__(
        self, message: str, roughly: Sequence[str] = (), unguided: Sequence[str] = ()
    ) -> None:
        """`roughly`: texts that another guide knows; `unguided`: those that none does."""
        super().__init__(message)
        self.details = {"roughly": list(roughly), "unguided": list(unguided)}


class LaidOutWarning(UserWarning):
    """Two things of one prompt are asked for in their halves of the picture."""

    all_differ = True

    def __init__(self, message: str, things: Sequence[str] = ()) -> None:
        """`things`: of each prompt its two, "a red apple | a green pear"."""
        super().__init__(message)
        self.details = {"things": list(things)}


class UnknownPlaceWarning(UserWarning):
    """What a prompt says of its place is none, but nearly."""

    all_differ = True

    def __init__(self, message: str, places: Mapping[str, str] | None = None) -> None:
        """`places`: what was written, "@tpo", to what may have been meant, "@top"."""
        super().__init__(message)
        self.details = {"places": dict(places or {})}


@dataclass(frozen=True, eq=False)
class Target:
    """An encoded prompt. `name` is that of its loss, numbered per kind: "prompt/0", "image/0".

    Each picture numbers its own. Pictures that are asked the same under the same name have the same
    object in their cells.
    """

    name: str
    prompt: Prompt
    embeddings: tuple[Tensor, ...] = field(repr=False)  # one (1,D) per guide
    # How much each guide knows of the prompt, in [0,1]; all there is to know where none are given.
    confidences: tuple[float, ...] = ()

    def confidence(self, guide: int) -> float:
        """What the share of the guide of that number in this prompt is multiplied by."""
        return self.confidences[guide] if self.confidences else 1.0


Rows: TypeAlias = Mapping[str, tuple[Target | None, ...]]
"""The name of a loss -> what each picture of the batch is asked by it, None for nothing."""


@dataclass(frozen=True)
class StagePlan:
    """What is asked for how many steps: T rows in the order of their losses, B columns."""

    steps: int
    rows: Rows

    @classmethod
    def of_columns(cls, steps: int, columns: Sequence[Sequence[Target]]) -> StagePlan:
        """From what each picture is asked; a name stands behind all that any asks before it."""
        places: dict[str, int] = {}
        for own in columns:
            for place, target in enumerate(own):
                places[target.name] = max(place, places.get(target.name, 0))
        named = [{target.name: target for target in own} for own in columns]
        names = sorted(places, key=places.__getitem__)
        return cls(steps, {name: tuple(own.get(name) for own in named) for name in names})

    @cached_property
    def columns(self) -> tuple[tuple[Target, ...], ...]:
        """What each picture is asked; equal columns are of the same objects."""
        return tuple(
            tuple(target for target in column if target is not None)
            for column in zip(*self.rows.values(), strict=True)
        )

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that any picture is asked, each once, row by row."""
        return tuple(dict.fromkeys(t for row in self.rows.values() for t in row if t is not None))

    def of(self, *pictures: int) -> StagePlan:
        """The columns of some pictures, as a plan for these alone."""
        own = {name: tuple(row[k] for k in pictures) for name, row in self.rows.items()}
        return StagePlan(self.steps, {name: row for name, row in own.items() if any(row)})

    def repeated(self, times: int) -> StagePlan:
        """The plan for the batch `times` over, one set after the other."""
        return StagePlan(self.steps, {name: row * times for name, row in self.rows.items()})

    def added_up(self) -> StagePlan:
        """Each picture is asked one thing: see `add_up`."""
        sums = {own: add_up(own) for own in dict.fromkeys(self.columns)}
        return StagePlan.of_columns(self.steps, [sums[own] for own in self.columns])

    @cached_property
    def weights(self) -> Tensor:
        """(T,B), float64; 0 is not asked."""
        return self.numbers(lambda target: target.prompt.weight)

    @cached_property
    def stops(self) -> Tensor:
        """(T,B), float64; -inf is none."""
        return self.numbers(lambda target: target.prompt.stop, -math.inf)

    def confidences(self, guide: int) -> Tensor:
        """(T,B) in [0,1], float64."""
        return self.numbers(lambda target: target.confidence(guide))

    def embeddings(self, guide: int) -> Tensor:
        """(T,B,D) unit vectors, zero where nothing is asked."""
        nothing = torch.zeros_like(self.targets[0].embeddings[guide])
        rows = [
            torch.cat([nothing if t is None else t.embeddings[guide] for t in row])
            for row in self.rows.values()
        ]
        return torch.stack(rows)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where anything is asked that has a place, each once."""
        found = (target.prompt.place for target in self.targets)
        return tuple(dict.fromkeys(place for place in found if place is not None))

    @cached_property
    def looks(self) -> tuple[tuple[Place | None, ...], ...]:
        """Where the cutouts of each picture look: at what it is asked, each place once; None is
        everywhere. Empty where nothing has a place."""
        if not self.places:
            return ()
        return tuple(
            tuple(dict.fromkeys(target.prompt.place for target in own if target.prompt.weight))
            for own in self.columns
        )

    def place_numbers(self, places: Sequence[Place]) -> Tensor:
        """(T,B), int64: 0 for everywhere, else the number of its place in `places`, from 1."""
        numbers: dict[Place | None, int] = {place: k for k, place in enumerate(places, 1)}
        return self.numbers(lambda target: numbers.get(target.prompt.place, 0)).long()

    def numbers(self, of: Callable[[Target], float], nothing: float = 0.0) -> Tensor:
        """(T,B), float64: one of each cell, `nothing` where nothing is asked."""
        rows = [[nothing if t is None else of(t) for t in row] for row in self.rows.values()]
        return torch.tensor(rows, dtype=torch.float64)


def plan_stages(config: PaintConfig, models: Models) -> tuple[StagePlan, ...]:
    """Encodes all that is asked.

    A number of steps per stage that does not match the stages raises `ConfigError`.
    """
    stages = config.stages
    steps = steps_per_stage(config.steps, len(stages))
    _tell_laid_out(config)
    _check(models, [prompt for stage in stages for own in stage for prompt in own])
    cache: dict[Prompt, Encoded] = {}  # what lasts is encoded once
    plans = []
    for number, stage in zip(steps, stages, strict=True):
        asked = [stage[picture % len(stage)] for picture in range(config.count)]
        plans.append(StagePlan(number, _encode_all(asked, config, models, cache)))
    _tell_unknown(cache, cache, models)
    return tuple(plans)


def encode_prompts(
    asked: Sequence[Sequence[Prompt]],
    config: PaintConfig,
    models: Models,
    cache: dict[Prompt, Encoded] | None = None,
) -> Rows:
    """The prompts of each picture of the batch -> the rows of a stage.

    `cache` keeps what is encoded from one call to the next. Of a picture's file the targets know
    name and sum. Words that the guides do not know: see `check_words`.
    """
    cache = {} if cache is None else cache
    new = [prompt for own in asked for prompt in own if prompt not in cache]
    _check(models, new)
    rows = _encode_all(asked, config, models, cache)
    _tell_unknown(new, cache, models)
    return rows


def encode_parts(asked: Sequence[Sequence[Prompt]], config: PaintConfig, models: Models) -> Rows:
    """As `encode_prompts`, of words that were taken from prompts of which all was told before."""
    return _encode_all(asked, config, models, {})


def _encode_all(
    asked: Sequence[Sequence[Prompt]],
    config: PaintConfig,
    models: Models,
    cache: dict[Prompt, Encoded],
) -> Rows:
    targets: dict[tuple[str, Prompt], Target] = {}
    columns = []
    for prompts in asked:
        counts: Counter[str] = Counter()
        own = []
        for prompt in prompts:
            if prompt not in cache:
                halting.check()
                cache[prompt] = _encode(prompt, config, models)
            kind = _NAMES[prompt.kind]
            key = f"{kind}/{counts[kind]}", prompt
            own.append(targets.setdefault(key, Target(key[0], *cache[prompt])))
            counts[kind] += 1
        columns.append(own)
    return StagePlan.of_columns(0, columns).rows


def _check(models: Models, prompts: Sequence[Prompt]) -> None:
    """Tells once, for all of a run, which words are unknown."""
    asked = (prompt.text for prompt in prompts if prompt.kind == "text" and prompt.weight)
    check_words(asked, [guide.perceptor for guide in models.guides])
    _tell_places(prompts)


def _tell_laid_out(config: PaintConfig) -> None:
    """Says once which prompts are asked for in two halves."""
    if not config.guidance.lays_out:
        return
    written = dict.fromkeys(prompt for s in config.written for own in s for prompt in own)
    halves = [laid_out((prompt,)) for prompt in written]
    if told := [" | ".join(one_line(one, 40) for one in two) for two in halves if len(two) > 1]:
        message = (
            f"two things, each in its half: {', '.join(told[:SHOWN])}; layout off takes the words "
            "as a whole"
        )
        warnings.warn(LaidOutWarning(message, told), stacklevel=4)


def _tell_places(prompts: Sequence[Prompt]) -> None:
    """Says once which ends of prompts may have been meant as places and are none."""
    texts = dict.fromkeys(prompt.text for prompt in prompts if prompt.place is None)
    meant = {f"@{text.rpartition('@')[2]}": nearest_place(text) for text in texts}
    found = {one_line(text, 60): f"@{near}" for text, near in meant.items() if near}
    if told := [f"{text} (is it {near}?)" for text, near in found.items()]:
        message = f"no place is called {', '.join(told[:SHOWN])}; it is painted as words"
        warnings.warn(UnknownPlaceWarning(message, found), stacklevel=3)


def add_up(asked: Sequence[Target]) -> tuple[Target, ...]:
    """What one picture is asked -> one, "prompt/sum", towards the mean of the directions (paper,
    appendix H.1).

    Each direction counts by its weight, and negative weights subtract. The sum weighs as much as
    all that is wished for. Where nothing is wished for, it pushes away from the mean instead, with
    all that is unwanted. Its stop is the mean of the wished prompts' stops by weight, so that one
    prompt without a stop means none; stops of what is subtracted are not used. A lone target stays
    as it is, and those of weight 0 drop out. Raises `PromptError` where directions cancel out, and
    where they have places: the sum would have to be in all of them.
    """
    asked = [target for target in asked if target.prompt.weight]
    if len(asked) < 2:
        return tuple(asked)
    if placed := [target.prompt for target in asked if target.prompt.place is not None]:
        raise PromptError(
            f"{one_line(repr(str(placed[0])), 60)} has a place, and prompts that are added up to "
            "one cannot have several; leave the places out, or set combine to loss"
        )
    wished = [target for target in asked if target.prompt.weight > 0]
    leading = wished or asked
    weight = sum(abs(target.prompt.weight) for target in leading)
    sign = 1.0 if wished else -1.0
    stop = sum(abs(t.prompt.weight) / weight * t.prompt.stop for t in leading)
    embeddings = []
    for number in range(len(asked[0].embeddings)):
        total = torch.stack([sign * t.prompt.weight * t.embeddings[number] for t in asked]).sum(0)
        if float(total.norm()) < CANCELS * weight:
            raise PromptError(
                "the prompts cancel each other out; change a weight, or set combine to loss"
            )
        embeddings.append(F.normalize(total, dim=-1))
    kind = "text" if any(t.prompt.kind == "text" for t in leading) else leading[0].prompt.kind
    summed = Prompt(
        kind=kind,
        text=" + ".join(str(target.prompt) for target in asked),
        weight=sign * min(weight, MAX_NUMBER),
        stop=stop,
    )
    sure = tuple(
        sum(abs(t.prompt.weight) * t.confidence(number) for t in leading) / weight
        for number in range(len(embeddings))
    )
    return (Target("prompt/sum", summed, tuple(embeddings), sure),)


def _encode(prompt: Prompt, config: PaintConfig, models: Models) -> Encoded:
    guides = [guide.perceptor for guide in models.guides]
    sure = (1.0,) * len(guides)
    if prompt.kind == "image":
        small = load_image(Path(prompt.path))
        prompt = replace(prompt, path=base_name(prompt.path), sha256=file_sha256(prompt.path))
        small.thumbnail((IMAGE_PROMPT_SIDE, IMAGE_PROMPT_SIDE))
        pixels = to_tensor(small)
        found = [_mean(models.embed_calm(guide, pixels, config.cutouts)[:, 0]) for guide in guides]
    elif prompt.kind == "noise":
        found = [_noise(prompt.seed, guide) for guide in guides]
    else:
        if not prompt.text.strip():
            raise PromptError("a prompt has no words; write what to paint", prompt.text)
        many = config.guidance.templates
        found = [embed_texts([prompt.text], guide, templates=many) for guide in guides]
        sure = tuple(confidence(prompt.text, guide, templates=many) for guide in guides)
    return prompt, tuple(embedding.to(models.device) for embedding in found), sure


def _mean(embeddings: Tensor) -> Tensor:  # (N,D) -> (1,D)
    return F.normalize(embeddings.float().mean(0, keepdim=True), dim=-1)


def _noise(seed: int, perceptor: Perceptor) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(1, perceptor.embed_dim, generator=rng), dim=-1)


def _tell_unknown(
    prompts: Iterable[Prompt], cache: Mapping[Prompt, Encoded], models: Models
) -> None:
    """Says once for all of them on which prompts a guide keeps silent, and who is left to guide."""
    names = [one_line(guide.perceptor.name, 60) for guide in models.guides]
    found: dict[tuple[bool, ...], dict[str, None]] = {}
    for prompt in prompts:
        silent = tuple(sure < SILENT for sure in cache[prompt][2])
        if prompt.kind == "text" and prompt.weight > 0 and any(silent):
            found.setdefault(silent, {})[prompt.text] = None
    told: list[str] = []
    lost: dict[bool, list[str]] = {True: [], False: []}  # whether another guide knows them
    for silent, texts in found.items():
        who, rest = (
            [name for name, quiet in zip(names, silent, strict=True) if quiet is wanted]
            for wanted in (True, False)
        )
        left = "nothing guides there"
        if rest:
            left = f"{' and '.join(rest)} {'guides' if len(rest) == 1 else 'guide'} there alone"
        do = "does" if len(who) == 1 else "do"
        asked = listed(list(texts), "prompts", SHOWN, 62)
        told.append(f"{' and '.join(who)} {do} not know {asked}; {left}")
        lost[bool(rest)] += texts
    if told:
        message = "; ".join(told)
        warnings.warn(UnknownPromptWarning(message, lost[True], lost[False]), stacklevel=3)


def asked_for(stage: StagePlan) -> str:
    """The words of a picture's text prompts that are wished for, heaviest first."""
    wished = [
        target.prompt
        for target in stage.targets
        if target.prompt.kind == "text" and target.prompt.weight > 0
    ]
    wished.sort(key=lambda prompt: -prompt.weight)
    return ", ".join(prompt.text for prompt in wished)


__all__ = [
    "Encoded",
    "LaidOutWarning",
    "Rows",
    "StagePlan",
    "Target",
    "UnknownPlaceWarning",
    "UnknownPromptWarning",
    "add_up",
    "asked_for",
    "encode_parts",
    "encode_prompts",
    "plan_stages",
]
