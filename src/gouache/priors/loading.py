"""The shipped token prior, with what it needs of the other shipped models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ModelError
from gouache.generators import load_generator
from gouache.perceptors.loading import TABLE, read_table
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.priors.sampling import sample
from gouache.priors.token_prior import TokenPrior, TokenPriorConfig
from gouache.protocols import Generator, with_codebook
from gouache.weights.blank import blank
from gouache.weights.safe import load_state, read_model
from gouache.weights.shipped import PERCEPTOR, PRIOR, TOKENIZER, shipped


class Proposer:
    """Texts to rough pictures, by the shipped prior and the shipped generator.

    Args:
        generator: the shipped one, where it is loaded already.
        device: where to work.
    """

    def __init__(
        self, generator: Generator | None = None, device: torch.device | str = "cpu"
    ) -> None:
        path = shipped(PRIOR)
        tensors, values = read_model(path)
        try:
            learned_on = str(values.pop("generator"))
            config = TokenPriorConfig.from_dict(values)
            with blank():
                self.prior = TokenPrior(config)
        except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            reason = " ".join(str(error).split())[:100]
            raise ModelError(f"{path} is not a token prior ({reason})") from None
        load_state(self.prior, tensors, path)
        self.prior.to(device).eval().requires_grad_(False)
        if generator is None or generator.fingerprint != learned_on:
            generator = load_generator("pocket", device)
        if generator.fingerprint != learned_on:
            raise ModelError(
                f"{path} was trained on the codes of another generator; install gouache again"
            )
        coded = with_codebook(generator)
        assert coded is not None
        self.generator = coded
        table, scale = (read_table(shipped(PERCEPTOR))[name] for name in TABLE)
        self._table = (table.float() * scale.float().unsqueeze(1)).to(device)
        self._tokenizer = PocketTokenizer(shipped(TOKENIZER), config.context)

    @torch.no_grad()
    def codes(self, texts: Sequence[str], rngs: Sequence[torch.Generator]) -> Tensor:
        """Codes (N,code_dim,grid,grid) for N texts, one generator of chance each."""
        tokens = self._tokenizer(texts, warn=False).to(self._table.device)
        indices = sample(self.prior, self._table[tokens], tokens != 0, rngs)
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


__all__ = ["Proposer"]
