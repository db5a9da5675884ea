"""`photo`: a guide that has seen photographs, EfficientNet-Lite0 to -Lite2 by Google (Apache-2.0).

A classifier has no text tower, but a thousand words of its own: a picture is where it lies between
the classes, and so is a text, by a small network that was taught which classes a phrase means and
how much that tells. Three classifiers look together: what pleases one alone is often its own
peculiarity, and what pleases all is the thing. `gouache train photo` makes it;
`docs/models/photo.md` is its card.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.ops.precision import cast_products
from gouache.perceptors.efficientnet import EfficientNet, EfficientNetConfig
from gouache.perceptors.loading import read_table
from gouache.perceptors.own import OwnPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import WordTower
from gouache.weights.blank import shape_of
from gouache.weights.safe import read_model
from gouache.weights.shipped import PERCEPTOR, PHOTO, TOKENIZER, shipped

_DOUBT = 0.2


@dataclass(frozen=True)
class PhotoConfig:
    """Shape of a photo perceptor. `trunks` are its classifiers, all of the same classes."""

    image_size: int = 160
    most_cutouts: int = 4
    trunks: tuple[EfficientNetConfig, ...] = (EfficientNetConfig(),)
    vocabulary: int = 30522
    table_dim: int = 256
    width: int = 192
    layers: int = 2
    heads: int = 4
    context: int = 24

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PhotoConfig:
        """Reads plain values; unknown keys raise `TypeError`."""
        trunks = tuple(EfficientNetConfig.from_dict(trunk) for trunk in values["trunks"])
        if len({trunk.classes for trunk in trunks}) != 1:
            raise ValueError("its classifiers differ in their classes")
        return cls(**{**values, "trunks": trunks})

    @property
    def classes(self) -> int:
        """How many classes each classifier tells apart."""
        return self.trunks[0].classes

    @property
    def embed_dim(self) -> int:
        """The number of classes, as often as there are trunks."""
        return self.classes * len(self.trunks)


class PhraseTower(WordTower):
    """Token ids (N,L), 0 is padding -> shares of the classes (N,C), which sum to 1, and how much
    the network knows of the phrase (N,), in [0,1].

    The vectors of the tokens are the pocket perceptor's, frozen and read from its file.
    """

    def __init__(self, config: PhotoConfig) -> None:
        width, classes = config.width, config.classes
        super().__init__(
            config.vocabulary, config.table_dim, config.context,
            width, config.layers, config.heads,
        )  # fmt: skip
        self.attend = nn.Linear(width, 1)
        self.shares = nn.Linear(width, classes)
        self.knows = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the shares (N,C) and of the knowledge (N,)."""
        x, _, present = self.read(tokens)
        # Each word is asked how much it names: "a castle at night" is about the castle.
        weights = self.attend(x).squeeze(-1).masked_fill(~present, -1e4).softmax(-1)
        pooled = (x * weights.unsqueeze(-1)).sum(1)
        return self.shares(pooled), self.knows(pooled).squeeze(-1)


class PhotoPerceptor(OwnPerceptor):
    """Trunks, phrases and tokenizer behind the `gouache.protocols.Perceptor` contract.

    An embedding is each trunk's scores of the classes without their mean, of equal lengths, side by
    side, of length 1 together. That a class is not another one is in its scores already.
    """

    def __init__(
        self,
        config: PhotoConfig,
        tokenizer: PocketTokenizer,
    ) -> None:
        super().__init__(config, "photo")
        self.tokenizer = tokenizer
        self.trunks = nn.ModuleList(EfficientNet(trunk) for trunk in config.trunks)
        self.phrases = PhraseTower(config)
        self._others: dict[int, PhotoPerceptor] = {}

    @property
    def most_cutouts(self) -> int:
        """More cutouts than this teach it no more about a picture."""
        return int(self.config.most_cutouts)

    def at(self, side: int) -> PhotoPerceptor:
        """The same network, which sees pictures of `side` pixels, and about as many in all.

        Larger ones show it faces and edges; it was trained by others at 224 and 240.
        """
        own = self.config
        if side == own.image_size:
            return self
        if side not in self._others:
            most = max(1, round(own.most_cutouts * (own.image_size / side) ** 2))
            self._others[side] = copy.copy(self)
            self._others[side].config = replace(own, image_size=side, most_cutouts=most)
        return self._others[side]

    @property
    def kinds(self) -> Tensor:
        """(C,D): where a picture of each class and of nothing else would lie."""
        classes = torch.eye(self.config.classes, device=self.device)
        return self._side_by_side([classes] * len(self.config.trunks))

    @property
    def device(self) -> torch.device:
        return self.phrases.position.device

    def prepare(self, dtype: torch.dtype) -> None:
        """Keeps the convolutions' weights in `dtype`, in place; for painting only."""
        cast_products(self.trunks, dtype)

    def embed_image(self, image: Tensor) -> Tensor:
        """(N,3,S,S) in [0,1] -> (N,D) unit vectors, float32. Differentiable."""
        pictures = image.to(next(self.trunks.parameters()).dtype)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        return self._side_by_side(trunk(pictures).float() for trunk in self.trunks)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (len(texts),D) unit vectors, float32; warns when a text is cut off."""
        shares = self.phrases(self._tokens(texts, warn=True))[0].float().softmax(-1)
        return self._side_by_side([shares] * len(self.trunks))

    def unknown_words(self, text: str) -> list[str]:
        """The words of `text` that no vocabulary holds: it has learnt English only."""
        return self.tokenizer.unknown_words(text)

    def confidence(self, texts: Sequence[str]) -> Tensor:
        """How much it knows of each text: (len(texts),) in [0,1], float32."""
        sure = self.phrases(self._tokens(texts, warn=False))[1].float().sigmoid()
        # Doubt counts as ignorance, and being nearly certain as knowledge.
        share = ((sure - _DOUBT) / (1 - 2 * _DOUBT)).clamp(0, 1)
        smooth: Tensor = share * share * (3 - 2 * share)
        return smooth

    def _side_by_side(self, scores: Iterable[Tensor]) -> Tensor:
        """(N,C) from each trunk -> (N,D)."""
        centred = [one - one.mean(-1, keepdim=True) for one in scores]
        return F.normalize(torch.cat([F.normalize(one, dim=-1) for one in centred], -1), dim=-1)

    def _tokens(self, texts: Sequence[str], warn: bool) -> Tensor:
        return self.tokenizer(texts, warn=warn).to(self.device)


def load_photo(path: Path, device: torch.device | str = "cpu", name: str = "") -> PhotoPerceptor:
    """A photo perceptor as `gouache train photo` wrote it. Anything else is a `ModelError`.

    The token table and the tokenizer are those of the shipped `pocket`.
    """
    tensors, values = read_model(path)
    tensors |= {
        name.replace("text_tower", "phrases"): value
        for name, value in read_table(shipped(PERCEPTOR)).items()
    }
    with shape_of(path, "a photo perceptor"):
        config = PhotoConfig.from_dict(values)
        model = PhotoPerceptor(config, PocketTokenizer(shipped(TOKENIZER), config.context))
    model.filled(tensors, path, device, name)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def shipped_photo(device: torch.device | str = "cpu") -> PhotoPerceptor:
    """The photo perceptor that comes with the package."""
    return load_photo(shipped(PHOTO), device, "photo")
