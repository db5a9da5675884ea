"""Stands for the package open_clip: the same functions, a linear model."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIDE = 16
CONTEXT = 8


class Visual(nn.Module):
    def __init__(self, size: Any = SIDE) -> None:
        super().__init__()
        self.image_size = size
        self.preprocess_cfg = {
            "size": size,
            "mean": (0.1, 0.2, 0.3),
            "std": (0.5, 0.6, 0.7),
            "interpolation": "bilinear",
            "resize_mode": "squash",
        }
        self.proj = nn.Linear(3 * SIDE * SIDE, 12)


class Model(nn.Module):
    def __init__(self, size: Any = SIDE, loaded: bool = True, lacks: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.visual = Visual(size)
        self.words = nn.Embedding(100, 12)
        if not loaded:  # chance, as the package has it without weights
            return
        rng = np.random.default_rng(0)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name != lacks:
                    weight.copy_(torch.from_numpy(rng.normal(size=weight.shape)))

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        return self.visual.proj(image.flatten(1))  # type: ignore[no-any-return]

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        return self.words(text).mean(1)  # type: ignore[no-any-return]


class SimpleTokenizer:
    """A word is its number in `words`; start and end are 98 and 99."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def encode(self, text: str) -> list[int]:
        for word in text.split():
            if word not in self.words:
                self.words.append(word)
        return [1 + self.words.index(word) for word in text.split()]

    def decode(self, tokens: list[int]) -> str:
        return " ".join(self.words[token - 1] for token in tokens)

    def __call__(self, texts: list[str]) -> Tensor:
        rows = torch.zeros(len(texts), CONTEXT, dtype=torch.long)
        for row, text in zip(rows, texts, strict=True):
            ids = [98, *self.encode(text)[: CONTEXT - 2], 99]
            row[: len(ids)] = torch.tensor(ids)
        return rows


def make() -> Any:
    """A fresh module; `calls` has the arguments of every model that was made."""
    module: Any = ModuleType("open_clip")
    module.calls = []
    module.size = SIDE
    module.given = {}  # of a model whose weights are not to be had

    def create_model_and_transforms(model_name: str, pretrained: str | None = None) -> Any:
        module.calls.append((model_name, pretrained))
        if "offline" in model_name:
            raise OSError("cannot reach the hub\nsee the manual")
        if module.given:
            return Model(module.size, **module.given), "train", "val"
        return Model(module.size), "train", "val"

    module.create_model_and_transforms = create_model_and_transforms
    module.get_tokenizer = lambda model_name: SimpleTokenizer()
    module.list_pretrained = lambda: [
        ("ViT-B-32", "openai"), ("ViT-B-32", "laion2b_s34b_b79k"), ("RN50", "openai"),
    ]  # fmt: skip
    return module
