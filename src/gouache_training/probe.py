"""A referee for the sixty prompts on the features of a judge that has seen photographs.

One layer (logistic regression) tells the sixty prompts apart by what the judge's classes are read
from. It learns from composed icons; of every thing some icons are kept back to measure it with,
among them those that the guides were never shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError, TrainingError
from gouache.weights.safe import read_model
from gouache.weights.saving import save_model
from gouache_training.exam import QUESTIONS, Rows, real_pictures, rows_by_name
from gouache_training.fetch import sha256_of
from gouache_training.judge import Judge
from gouache_training.loop import log
from gouache_training.marks import Asked, Marks, marks_among
from gouache_training.pack import PictureSet
from gouache_training.perceptor import roughen

__all__ = ["Probe", "ProbeExaminer", "ProbeTraining", "load_probe", "train_probe", "unseen"]

_VERSION = 1  # of what is not a setting below: raised when composing changes
_HELD = 4  # every fourth icon of a thing is kept back


@dataclass(frozen=True)
class ProbeTraining:
    """Settings of the layer's training."""

    sheets: int = 60  # of the sixty questions
    held_sheets: int = 5
    size: int = 128
    decay: float = 0.003
    iterations: int = 150
    seed: int = 5


class Probe:
    """Says which of the sixty prompts pictures show.

    Attributes:
        layer: from the judge's features to the questions.
        accuracy: share of held-out composed pictures that it names right.
        total: how many those were.
    """

    def __init__(self, judge: Judge, layer: nn.Linear, accuracy: float, total: int) -> None:
        self.judge, self.layer = judge, layer.eval().requires_grad_(False)
        self.accuracy, self.total = accuracy, total

    def log_probabilities(self, pictures: Tensor) -> Tensor:
        """Pictures (N,3,H,W) in [0,1] -> (N,60), natural logarithms."""
        return self.layer(self.judge.features(pictures).cpu()).log_softmax(-1)  # type: ignore[no-any-return]


class ProbeExaminer:
    """A probe that picks one of the sixty prompts."""

    name = "probe"

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def marks(self, pictures: Tensor, asked: Sequence[Asked]) -> Marks:
        if [each.prompt for each in asked] != [each.prompt for each in QUESTIONS]:
            raise TrainingError("the probe knows the sixty prompts only; give those")
        return marks_among(self.probe.log_probabilities(pictures), sure=True)


def unseen(pictures: PictureSet) -> tuple[Rows, Rows]:
    """Numbers of the pictures to learn from and of those that are kept back, by name.

    Kept back are all that the guides were not trained on and every fourth of the others. Of a
    single picture nothing can be kept back: it stands on both sides.
    """
    learnt: dict[str, list[int]] = {}
    kept: dict[str, list[int]] = {}
    for name, rows in rows_by_name(pictures).items():
        known = [i for i in rows if pictures.entries[i].split == "train"]
        back = [i for i in rows if pictures.entries[i].split != "train"] + known[_HELD - 1 :: _HELD]
        if not back:
            back = known[1:2]
        learnt[name] = [i for i in rows if i not in back] or rows
        kept[name] = back or rows
    return learnt, kept


def train_probe(judge: Judge, pictures: PictureSet, settings: ProbeTraining) -> Probe:
    """Composes, looks and fits. Raises `TrainingError` where the set lacks a thing."""
    learnt, kept = unseen(pictures)
    rng = torch.Generator().manual_seed(settings.seed)
    rows = []
    for sheet in range(settings.sheets):
        seed = settings.seed * 1000 + sheet
        real = real_pictures(pictures, seed, settings.size, learnt, loose=True)[0]
        rows.append(judge.features(roughen(real, rng)).cpu())
        if (sheet + 1) % 10 == 0:
            log(f"probe: {sheet + 1} of {settings.sheets} sheets looked at")
    layer = fit(torch.cat(rows), settings)
    probe = Probe(judge, layer, 0.0, 0)
    right = total = 0
    for sheet in range(settings.held_sheets):
        seed = settings.seed * 1000 + 500 + sheet
        real = real_pictures(pictures, seed, settings.size, kept, loose=True)[0]
        ranks = marks_among(probe.log_probabilities(real), sure=True).ranks
        right, total = right + int((ranks == 0).sum()), total + len(ranks)
    probe.accuracy, probe.total = right / max(1, total), total
    return probe


def fit(features: Tensor, settings: ProbeTraining) -> nn.Linear:
    """Logistic regression on sheets of features (S*60,C), each of the sixty in their order."""
    target = torch.arange(len(features)) % len(QUESTIONS)
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-3)
    x = (features - mean) / deviation
    weight = torch.zeros(len(QUESTIONS), x.shape[1], requires_grad=True)
    bias = torch.zeros(len(QUESTIONS), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=settings.iterations, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(x, weight, bias), target)
        value = value + settings.decay * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    layer = nn.Linear(x.shape[1], len(QUESTIONS))
    with torch.no_grad():
        layer.weight.copy_(weight / deviation)
        layer.bias.copy_(bias - layer.weight @ mean)
    return layer


def load_probe(
    judge: Judge, data: Path, cache: Path, settings: ProbeTraining | None = None
) -> Probe:
    """The probe for a data set: from `cache`, or trained (minutes) and kept there.

    What is kept is used only if judge, data, questions and settings are the same. Raises
    `TrainingError`, and `OutputError` where it cannot be kept.
    """
    settings = settings or ProbeTraining()
    recipe = {
        "version": _VERSION,
        "settings": asdict(settings),
        "judge": [judge.fingerprint, judge.side],
        "data": sha256_of(data) if data.is_file() else "",
        "questions": [asdict(question) for question in QUESTIONS],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    path = cache / f"probe-{key[:16]}.safetensors"
    if path.is_file():
        try:
            tensors, config = read_model(path)
            if config["recipe"] != key:
                raise ModelError(f"{path.name} is of another recipe")
            layer = nn.Linear(tensors["weight"].shape[1], len(QUESTIONS))
            layer.load_state_dict(tensors)
            return Probe(judge, layer, float(config["accuracy"]), int(config["total"]))
        except (ModelError, KeyError, IndexError, RuntimeError) as error:
            log(f"the probe that was kept cannot be used ({' '.join(str(error).split())[:80]})")
    probe = train_probe(judge, PictureSet.load(data), settings)
    told = {"recipe": key, "accuracy": probe.accuracy, "total": probe.total}
    save_model(path, probe.layer.state_dict(), told)
    return probe
