"""Prompts after encoding: what the losses compare cutouts with."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache import halting
from gouache.engine.schedule import steps_per_stage
from gouache.engine.words import check_words, listed
from gouache.errors import PromptError
from gouache.inputs import base_name, file_sha256
from gouache.networks.models import Models
from gouache.ops.images import load_image, to_tensor
from gouache.prompts import (
    MAX_NUMBER,
    Prompt,
    Stage,
    one_line,
    parse_each,
    parse_image_prompt,
    parse_noise_prompt,
    parse_prompts,
)
from gouache.protocols import Perceptor, SelfAware
from gouache.settings.config import PaintConfig

if TYPE_CHECKING:
    from PIL.Image import Image

# Averaging over phrasings removes what a wording adds to a meaning (CLIP, section 3.1.4).
TEMPLATES = (
    "{}",
    "a picture of {}",
    "a photo of {}",
    "an image of {}",
    "a drawing of {}",
    "a painting of {}",
    "an illustration of {}",
)
IMAGE_PROMPT_SIDE = 512  # longer sides are reduced first: no perceptor sees more in a whole picture
SILENT = 0.1  # a guide that knows so little of a prompt is said not to know it
SHOWN = 3  # unknown prompts that a note tells by themselves
CANCELS = 1e-4  # a sum shorter than this share of its weights points nowhere
_NAMES = {"text": "prompt", "image": "image", "noise": "noise"}


Cache: TypeAlias = dict[Prompt, tuple[Prompt, tuple[Tensor, ...], tuple[float, ...]]]
"""A prompt as it is asked -> as it is told, each guide's embedding (1,D) and confidence."""


class UnknownPromptWarning(UserWarning):
    """A guide does not know what some prompts name."""

    all_differ = True  # one tells nothing of other prompts: all are worth showing


@dataclass(frozen=True)
class Target:
    """One encoded prompt. `name` is that of its loss, numbered per kind: "prompt/0", "image/0".

    `pictures` are those of the batch that are asked it, None for all. Each picture numbers its own:
    targets of different pictures share a name, those of one picture never do.
    """

    name: str
    prompt: Prompt
    embeddings: tuple[Tensor, ...] = field(repr=False)  # one (1,D) per guide
    pictures: tuple[int, ...] | None = None
    # How much each guide knows of the prompt, in [0,1]; all there is to know where none are given.
    confidences: tuple[float, ...] = ()

    def confidence(self, guide: int) -> float:
        """What the share of the guide of that number in this prompt is multiplied by."""
        return self.confidences[guide] if self.confidences else 1.0

    def is_for(self, picture: int) -> bool:
        return self.pictures is None or picture in self.pictures


@dataclass(frozen=True)
class StagePlan:
    """What is asked for how many steps."""

    steps: int
    targets: tuple[Target, ...]

    def of(self, picture: int) -> StagePlan:
        """What one picture of the batch is asked, as a plan for it alone."""
        own = (replace(t, pictures=None) for t in self.targets if t.is_for(picture))
        return StagePlan(self.steps, tuple(own))

    def repeated(self, count: int, times: int) -> StagePlan:
        """The plan for a batch of `count` pictures `times` over, one set after the other."""
        starts = range(0, count * times, count)
        targets = (
            t
            if t.pictures is None
            else replace(t, pictures=tuple(start + k for start in starts for k in t.pictures))
            for t in self.targets
        )
        return StagePlan(self.steps, tuple(targets))


def parse_stages(config: PaintConfig) -> tuple[tuple[Stage, ...], ...]:
    """Of each stage all prompts of each picture; where those are fewer they are taken in turn.

    Image and noise prompts hold for every picture in every stage. Nothing to ask for, and every
    mistake in a prompt, raise `PromptError`.
    """
    lasting = (
        *map(parse_image_prompt, config.image_prompts),
        *map(parse_noise_prompt, config.noise_prompts),
    )
    if config.prompts:
        each = parse_each(config.prompts)
    elif lasting and not config.prompt.strip():
        return ((lasting,),)
    else:
        each = (parse_prompts(config.prompt),)
    return tuple(tuple((*own, *lasting) for own in stage) for stage in zip(*each, strict=True))


def plan_stages(config: PaintConfig, models: Models) -> tuple[StagePlan, ...]:
    """Parses and encodes all that is asked.

    A number of steps per stage that does not match the stages raises `ConfigError`.
    """
    stages = parse_stages(config)
    steps = steps_per_stage(config.steps, len(stages))
    _check(models, [prompt for stage in stages for own in stage for prompt in own])
    cache: Cache = {}  # what lasts is encoded once
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
    cache: Cache | None = None,
) -> tuple[Target, ...]:
    """The prompts of each picture of the batch -> targets, the first of every picture first.

    What pictures are asked by the same words under the same name is one target. `cache` keeps
    embeddings from one call to the next. Of a picture's file the targets know name and sum. Words
    that the guides do not know: see `check_words`.
    """
    cache = {} if cache is None else cache
    new = [prompt for own in asked for prompt in own if prompt not in cache]
    _check(models, new)
    targets = _encode_all(asked, config, models, cache)
    _tell_unknown(new, cache, models)
    return targets


def _encode_all(
    asked: Sequence[Sequence[Prompt]],
    config: PaintConfig,
    models: Models,
    cache: Cache,
) -> tuple[Target, ...]:
    askers: dict[tuple[str, Prompt], list[int]] = {}
    places: Counter[tuple[str, Prompt]] = Counter()
    for picture, prompts in enumerate(asked):
        counts: Counter[str] = Counter()
        for place, prompt in enumerate(prompts):
            kind = _NAMES[prompt.kind]
            key = f"{kind}/{counts[kind]}", prompt
            askers.setdefault(key, []).append(picture)
            places[key] = max(places[key], place)  # what lasts stays behind each picture's own
            counts[kind] += 1
    targets = []
    for key in sorted(askers, key=places.__getitem__):
        (name, prompt), pictures = key, askers[key]
        if prompt not in cache:
            halting.check()
            image, named = None, prompt
            if prompt.kind == "image":
                image = load_image(Path(prompt.path))
                sha256 = file_sha256(prompt.path)
                named = replace(prompt, path=base_name(prompt.path), sha256=sha256)
            found = [
                _encode(prompt, guide.perceptor, image, config, models) for guide in models.guides
            ]
            sure = tuple(confidence for _, confidence in found)
            cache[prompt] = named, tuple(embedding for embedding, _ in found), sure
        whose = None if len(pictures) == len(asked) else tuple(pictures)
        named, embeddings, sure = cache[prompt]
        targets.append(Target(name, named, embeddings, whose, sure))
    return tuple(targets)


def _check(models: Models, prompts: Sequence[Prompt]) -> None:
    """Tells once, for all of a run, which words are unknown."""
    asked = (prompt.text for prompt in prompts if prompt.kind == "text" and prompt.weight)
    check_words(asked, [guide.perceptor for guide in models.guides])


def groups(
    targets: Sequence[Target], count: int
) -> list[tuple[tuple[int, ...] | None, tuple[Target, ...]]]:
    """Which of `count` pictures are asked the same, and what that is; None for all pictures."""
    if all(target.pictures is None for target in targets):
        return [(None, tuple(targets))]
    found: dict[tuple[int, ...], list[int]] = {}
    for picture in range(count):
        own = tuple(n for n, target in enumerate(targets) if target.is_for(picture))
        found.setdefault(own, []).append(picture)
    return [(tuple(whose), tuple(targets[n] for n in own)) for own, whose in found.items()]


def unasked(stages: Sequence[StagePlan], count: int) -> list[int]:
    """Pictures that are asked nothing in some stage, where others are."""
    return [
        picture
        for stage in stages
        for whose, own in groups(stage.targets, count)
        for picture in whose or ()
        if not any(target.prompt.weight for target in own)
    ]


def add_up(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Targets -> one, "prompt/sum", towards the mean of their directions (paper, appendix H.1).

    Each direction counts by its weight, and negative weights subtract. The sum weighs as much as
    all that is wished for. Where nothing is wished for, it pushes away from the mean instead, with
    all that is unwanted. Its stop is the mean of the wished prompts' stops by weight, so that one
    prompt without a stop means none; stops of what is subtracted are not used. A lone target stays
    as it is, and those of weight 0 drop out. Raises `PromptError` where directions cancel out.
    """
    asked = [target for target in targets if target.prompt.weight]
    if len(asked) < 2:
        return tuple(asked)
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
    return (Target("prompt/sum", summed, tuple(embeddings), None, sure),)


@torch.no_grad()
def _encode(
    prompt: Prompt, perceptor: Perceptor, image: Image | None, config: PaintConfig, models: Models
) -> tuple[Tensor, float]:  # (1,D), and the confidence in it
    sure = 1.0
    if image is not None:
        small = image.copy()
        small.thumbnail((IMAGE_PROMPT_SIDE, IMAGE_PROMPT_SIDE))
        pixels = to_tensor(small)
        embeddings = models.embed_calm(perceptor, pixels, config.cutouts)[:, 0]
    elif prompt.kind == "noise":
        rng = torch.Generator().manual_seed(prompt.seed)
        embeddings = torch.randn(1, perceptor.embed_dim, generator=rng)
    else:
        if not prompt.text.strip():
            raise PromptError("a prompt has no words; write what to paint", prompt.text)
        told = phrasings(prompt.text) if config.guidance.templates else [prompt.text]
        embeddings = perceptor.embed_text(told)
        sure = confidence(told, perceptor)
    return F.normalize(embeddings.float().mean(0, keepdim=True), dim=-1).to(models.device), sure


def phrasings(text: str) -> list[str]:
    """The ways in which a perceptor is told a text."""
    return [template.replace("{}", text) for template in TEMPLATES]


@torch.no_grad()
def confidence(told: Sequence[str], perceptor: Perceptor) -> float:
    """How much a perceptor knows of what is said in these ways, in [0,1]; 1 if it cannot tell."""
    if not isinstance(perceptor, SelfAware):
        return 1.0
    return float(perceptor.confidence(told).float().mean())


def _tell_unknown(prompts: Iterable[Prompt], cache: Cache, models: Models) -> None:
    """Says once for all of them on which prompts a guide keeps silent, and who is left to guide."""
    names = [one_line(guide.perceptor.name, 60) for guide in models.guides]
    found: dict[tuple[bool, ...], dict[str, None]] = {}
    for prompt in prompts:
        silent = tuple(sure < SILENT for sure in cache[prompt][2])
        if prompt.kind == "text" and prompt.weight > 0 and any(silent):
            found.setdefault(silent, {})[prompt.text] = None
    told = []
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
    if told:
        warnings.warn("; ".join(told), UnknownPromptWarning, stacklevel=3)


__all__ = [
    "TEMPLATES",
    "Cache",
    "StagePlan",
    "Target",
    "UnknownPromptWarning",
    "add_up",
    "confidence",
    "encode_prompts",
    "groups",
    "parse_stages",
    "phrasings",
    "plan_stages",
    "unasked",
]
