"""The shipped token prior, with what it needs of the other shipped models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ModelError
from gouache.networks.pool import shared, shared_generator, version
from gouache.perceptors.loading import TABLE, read_table
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.priors.sampling import sample
from gouache.priors.token_prior import TokenPrior, TokenPriorConfig
from gouache.protocols import Generator, with_codebook
from gouache.weights.blank import shape_of
from gouache.weights.safe import load_state, read_model
from gouache.weights.shipped import PERCEPTOR, PRIOR, TOKENIZER, shipped


@dataclass(frozen=True)
class _Learned:
    """The shipped prior, what it reads words with, and the sum of the generator it goes with."""

    prior: TokenPrior
    table: Tensor  # (tokens, width), float32
    tokenizer: PocketTokenizer
    generator: str


class Proposer:
    """Texts to rough pictures, by the shipped prior and the shipped generator.

    Args:
        generator: the shipped one, where it is loaded already.
        device: where to work.
    """

    def __init__(
        self, generator: Generator | None = None, device: torch.device | str = "cpu"
    ) -> None:
        path, words = shipped(PRIOR), shipped(PERCEPTOR)
        key = ("prior", str(path), str(words), str(device))
        read = partial(_read, path, words, device)
        self._learned = shared.get(key, read, device, partial(version, path, words))
        self.prior = self._learned.prior
        if generator is None or generator.fingerprint != self._learned.generator:
            generator = shared_generator("pocket", device)
        if generator.fingerprint != self._learned.generator:
            raise ModelError(
                f"{path} was trained on the codes of another generator; install gouache again"
            )
        coded = with_codebook(generator)
        assert coded is not None
        self.generator = coded

    @torch.no_grad()
    def codes(self, texts: Sequence[str], rngs: Sequence[torch.Generator]) -> Tensor:
        """Codes (N,code_dim,grid,grid) for N texts, one generator of chance each."""
        table = self._learned.table
        tokens = self._learned.tokenizer(texts, warn=False).to(table.device)
        indices = sample(self.prior, table[tokens], tokens != 0, rngs)
        return self.generator.codebook[indices].movedim(-1, 1).contiguous().float()

    @torch.no_grad()
    def pictures(self, codes: Tensor, size: tuple[int, int]) -> Tensor:
        """Pictures (N,3,height,width) in [0,1] of codes; `size` is (height, width).

        What the prior proposes is square: it is scaled to the short side, centred, and its edge
        pixels fill the rest.
        """
        square = self.generator.decode(codes).float().clamp(0, 1)
        height, width = size
        short = min(size)
        square = F.interpolate(square, (short, short), mode="bicubic", antialias=True)
        down, across = height - short, width - short
        pads = (across // 2, across - across // 2, down // 2, down - down // 2)
        return F.pad(square.clamp(0, 1), pads, mode="replicate")

    @property
    def grid(self) -> int:
        """Cells a side of what the prior knows."""
        return self.prior.config.grid

    def read(self, pictures: Tensor) -> Tensor:
        """The reverse of `pictures`: (N,3,H,W) in [0,1] -> latent (N,code_dim,grid,grid), float32.

        Of the square in the middle, at the prior's size. With gradient.
        """
        height, width = pictures.shape[-2:]
        short = min(height, width)
        down, across = (height - short) // 2, (width - short) // 2
        square = pictures[..., down : down + short, across : across + short]
        side = self.grid * self.generator.downsampling
        if short != side:
            square = F.interpolate(square, (side, side), mode="bicubic", antialias=True)
        return self.generator.encode(square.clamp(0, 1)).float()

    @torch.no_grad()
    def expected(self, text: str, latent: Tensor, hidden: Tensor) -> Tensor:
        """Logits (M,codes) of the M cells that are hidden, given the text and all other cells.

        Args:
            text: the words.
            latent: (code_dim,grid,grid), of which the nearest codes are seen.
            hidden: (grid,grid) bool.
        """
        table = self._learned.table
        tokens = self._learned.tokenizer([text], warn=False).to(table.device)
        codes = self.generator.quantize(latent[None])[1].view(1, self.grid, self.grid)
        codes = codes.masked_fill(hidden, self.prior.mask_token)
        features = self.prior.features(codes, table[tokens], tokens != 0)
        return self.prior.logits(features[0][hidden])


def _read(path: Path, words: Path, device: torch.device | str) -> _Learned:
    tensors, values = read_model(path)
    with shape_of(path, "a token prior"):
        learned_on = str(values.pop("generator"))
        config = TokenPriorConfig.from_dict(values)
        prior = TokenPrior(config)
    load_state(prior, tensors, path)
    prior.to(device).eval().requires_grad_(False)
    table, scale = (read_table(words)[name] for name in TABLE)
    table = (table.float() * scale.float().unsqueeze(1)).to(device)
    return _Learned(prior, table, PocketTokenizer(shipped(TOKENIZER), config.context), learned_on)


__all__ = ["Proposer"]
