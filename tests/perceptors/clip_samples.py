"""Small CLIPs for the tests: the fixtures of the original implementation, and a vocabulary."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from gouache.perceptors.clip_tokenizer import MERGES, byte_letters

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
VOCABULARY = 600  # of the fixtures
TEXT = "red apple on white background lighthouse at dusk painting picture photo drawing"
WORDS = TEXT.split()


def archive(kind: str) -> Path:
    """The TorchScript archive of a random CLIP, "vit" or "resnet"."""
    return GOLDEN / f"openai_clip_{kind}.pt"


def expected(kind: str) -> dict[str, Tensor]:
    """What the original implementation makes of it: inputs and outputs."""
    return load_file(GOLDEN / f"openai_clip_{kind}_io.safetensors")


def merges(count: int = VOCABULARY - 514) -> list[tuple[str, str]]:
    """The first `count` merges that build `WORDS` from letters, in the order of need."""
    found: list[tuple[str, str]] = []
    letters = byte_letters()
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            if pair not in found:
                found.append(pair)
            pieces = ["".join(pair), *pieces[2:]]
    found += [(left, right) for left, right in pairwise(letters) if (left, right) not in found]
    return found[:count]


def write_merges(folder: Path, count: int = VOCABULARY - 514) -> Path:
    """`bpe_simple_vocab_16e6.txt.gz` as OpenAI publishes it, with few merges."""
    lines = ['"bpe_simple_vocab_16e6.txt#version: 0.2', *map(" ".join, merges(count))]
    path = folder / MERGES
    if count >= VOCABULARY - 514:
        lines.append("un used")  # the file goes on behind what CLIP uses
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    return path


def assert_features(model: Any, kind: str) -> None:
    """Features within 1e-4 relative of the original implementation's."""
    io = expected(kind)
    for found, name in (
        (model.image_features(io["pixels_normalised"]), "image_features"),
        (model.text_features(io["tokens"]), "text_features"),
    ):
        error = (found - io[name]).norm(dim=1) / io[name].norm(dim=1)
        assert error.max() < 1e-4, (kind, name, error)
        torch.testing.assert_close(found, io[name], rtol=1e-3, atol=1e-5)
