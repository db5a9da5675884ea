"""Pocket perceptors from files."""

from __future__ import annotations

from pathlib import Path

import torch

from gouache.errors import ModelError
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.weights.blank import shape_of
from gouache.weights.gz import packed_or_plain
from gouache.weights.safe import read_checkpoint, read_model
from gouache.weights.shipped import PERCEPTOR, REFEREE, TOKENIZER, shipped

TABLE = ("text_tower.table", "text_tower.table_scale")
"""The token table, frozen and the same in every perceptor of ours."""


def load_pocket(path: Path, device: torch.device | str = "cpu", name: str = "") -> PocketPerceptor:
    """A perceptor as `gouache train export` wrote it; the tokenizer lies beside the file.

    A file without a token table takes the one of the perceptor beside it.
    """
    tensors, values = read_model(path)
    if TABLE[0] not in tensors:
        tensors |= read_table(packed_or_plain(path.with_name(PERCEPTOR.name)))
    with shape_of(path, "a pocket perceptor"):
        bank_size = int(values.pop("bank_size"))
        config = PocketConfig.from_dict(values)
        words = packed_or_plain(path.with_name(TOKENIZER.name))
        tokenizer = PocketTokenizer(words, config.context)
        model = PocketPerceptor(config, tokenizer, bank_size=bank_size)
    model.filled(tensors, path, device, name)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def read_table(path: Path) -> dict[str, torch.Tensor]:
    """The token table in a perceptor's file: int8 rows and the scale of each, by `TABLE`'s names.

    Nothing else of the file is read.
    """
    found = read_checkpoint(path, lambda names: {n: n for n in TABLE if n in names}).tensors
    if len(found) < len(TABLE):
        raise ModelError(f"{path} holds no token table; install gouache again")
    return found


def shipped_pocket(device: torch.device | str = "cpu") -> PocketPerceptor:
    """The perceptor that comes with the package."""
    shipped(TOKENIZER)
    return load_pocket(shipped(PERCEPTOR), device, "pocket")


def shipped_referee(device: torch.device | str = "cpu") -> PocketPerceptor:
    """The second perceptor of the package, trained apart: it judges and is never the guide."""
    shipped(TOKENIZER)
    return load_pocket(shipped(REFEREE), device, "referee")
