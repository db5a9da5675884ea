"""pocket-ar: a small transformer of ours writes the codes of the shipped VQGAN, in minDALL-E's way.

Words enter through the guide's frozen token table, of which it holds no copy. It was trained with
the text left out now and then, so that guidance is offered: how far beyond the answer without words
to go (classifier-free guidance, Ho and Salimans 2022, arXiv 2207.12598).

    painter = load_pocket_ar()
    picture = painter.paint("a red apple", seed=0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor, nn

from gouache.errors import ConfigError, ModelError
from gouache.generators.loading import load_pocket
from gouache.generators.vqgan import VQGAN
from gouache.ops.images import to_pil
from gouache.ops.threads import one_thread
from gouache.perceptors.loading import TABLE, read_table
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.systems.choosing import Choosing
from gouache.systems.options import POCKET_AR
from gouache.systems.text_to_codes import CodeWriter, Memory, TransformerConfig
from gouache.weights.blank import shape_of
from gouache.weights.fingerprint import identity
from gouache.weights.safe import load_state, read_model
from gouache.weights.saving import PlainConfig
from gouache.weights.shipped import AUTOREGRESSIVE, PERCEPTOR, TOKENIZER, shipped

CHOOSING = Choosing(top_p=0.9)  # by eye and by the referee, of thirty-six prompts of their own
GUIDANCE = 4.0


@dataclass(frozen=True)
class WordsToCodesConfig(TransformerConfig, PlainConfig):
    """Shape of the transformer; the vocabulary of its texts is that of the table."""

    table_dim: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("table_dim")
        if math.isqrt(self.image_length) ** 2 != self.image_length:
            raise ModelError(f"image_length is {self.image_length}; expected a square")

    @property
    def grid(self) -> int:
        """Cells of a picture's side."""
        return math.isqrt(self.image_length)


class WordsToCodes(CodeWriter):
    """Vectors of a text's tokens and the codes so far -> logits of the next code.

    Where a text has no token a vector of its own is read; a text without tokens stands for
    "anything".
    """

    def __init__(self, config: WordsToCodesConfig) -> None:
        super().__init__(config)
        self.word = nn.Linear(config.table_dim, config.width)
        self.padding = nn.Parameter(torch.empty(config.width))
        self.pos_emb_txt = nn.Embedding(config.text_length, config.width)
        vectors = (self.tok_emb_img, self.pos_emb_img, self.pos_emb_txt, self.head_img)
        for weight in (*(module.weight for module in vectors), self.padding):
            nn.init.normal_(weight, std=0.02)
        for block in self.blocks:  # each begins as the identity
            for last in (block.attn.proj, block.mlp[2]):  # type: ignore[index, union-attr]
                nn.init.zeros_(last.weight)  # type: ignore[union-attr, arg-type]

    def place_words(self, words: Tensor, present: Tensor) -> Tensor:
        """The arguments of `forward` -> (B,text_length,width), as they are read."""
        missing = self.config.text_length - words.shape[1]
        words, present = F.pad(words, (0, 0, 0, missing)), F.pad(present, (0, missing))
        read = torch.where(present.unsqueeze(-1), self.word(words), self.padding)
        return read + self.pos_emb_txt.weight

    def forward(self, words: Tensor, present: Tensor, codes: Tensor) -> Tensor:
        """Logits of every code from the text and the codes before it, (B,N,image_vocabulary).

        Args:
            words: (B,L,table_dim) vectors of the text's tokens, L at most `text_length`.
            present: (B,L) true where there is a token.
            codes: (B,N) of the picture, row by row.
        """
        before = self.place_codes(codes[:, :-1])  # nothing follows from the last one
        x = self._read(torch.cat([self.place_words(words, present), before], 1))
        logits: Tensor = self.head_img(x[:, self.config.text_length - 1 :])
        return logits


@dataclass(frozen=True)
class Vocabulary:
    """Texts to vectors, by the guide's frozen table.

    Attributes:
        table: (tokens,width) int8, and `scale`, (tokens,), by which to multiply its rows.
        tokenizer: texts to rows.
    """

    table: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)
    tokenizer: PocketTokenizer = field(repr=False)

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(B,L,width) float32 and where there is a token, (B,L)."""
        tokens = self.tokenizer(texts).to(self.table.device)
        return self.table[tokens].float() * self.scale[tokens].float()[..., None], tokens != 0


@dataclass(frozen=True)
class PocketAr:
    """A small transformer over the shipped VQGAN's codes.

    Attributes:
        network: words to codes.
        generator: codes to pictures.
        words: texts to vectors.
        sums: sha256 of the two files of weights.
        choosing: how codes are drawn.
        guidance: 1 follows the text as trained, more follows it more closely.
    """

    options: ClassVar = POCKET_AR

    network: WordsToCodes = field(repr=False)
    generator: VQGAN = field(repr=False)
    words: Vocabulary = field(repr=False)
    sums: Mapping[str, str]
    choosing: Choosing = CHOOSING
    guidance: float = GUIDANCE

    def __post_init__(self) -> None:
        if not 0 <= self.guidance < math.inf:
            raise ConfigError(f"guidance is {self.guidance}; expected a number from 0")

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its pictures besides prompt and seed."""
        return {
            "model": "pocket-ar",
            "guidance": self.guidance,
            "sums": dict(self.sums),
            **asdict(self.choosing),
        }

    def adjusted(self, options: Mapping[str, Any]) -> PocketAr:
        """The same system, drawing otherwise."""
        told = dict(options)
        guidance = told.pop("guidance_scale", self.guidance)
        return replace(self, guidance=guidance, choosing=replace(self.choosing, **told))

    @torch.no_grad()
    def draw_codes(self, texts: Sequence[str], rngs: Sequence[torch.Generator]) -> Tensor:
        """Codes (B,image_length) for B texts, one generator of chance each, on the CPU: a picture's
        codes do not depend on its neighbours. `halting` ends it between two codes."""
        words, present = self.words(texts)
        guided = self.guidance != 1
        if guided:
            words = torch.cat([words, words])
            present = torch.cat([present, torch.zeros_like(present)])

        def choose(logits: Tensor) -> Tensor:
            if guided:
                told, free = logits.chunk(2)
                logits = free + self.guidance * (told - free)
            chosen = [
                self.choosing.draw(row, rng) for row, rng in zip(logits[:, None], rngs, strict=True)
            ]
            return torch.cat(chosen * 2 if guided else chosen)

        memory = Memory.empty(self.network, len(words))
        with one_thread():
            logits = self.network.read_first(self.network.place_words(words, present), memory)
            return self.network.write(logits, memory, choose)[: len(texts)]

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """(B,image_length) -> pictures (B,3,H,W) in [0,1]."""
        side = math.isqrt(codes.shape[1])
        quantized = F.embedding(codes.view(-1, side, side), self.generator.codebook).movedim(-1, 1)
        return self.generator.decode(quantized.contiguous().float()).float().clamp(0, 1)

    def paint(self, prompt: str, seed: int) -> Image:
        """One picture, RGB; the same for the same prompt and seed on one machine."""
        codes = self.draw_codes([prompt], [torch.Generator().manual_seed(seed)])
        return to_pil(self.decode(codes)[0])


def load_pocket_ar(device: torch.device | str = "cpu", path: Path | None = None) -> PocketAr:
    """The system as it is shipped; `path` names another file of `gouache train export`.

    Raises:
        ModelError: a file is missing, damaged, or goes with another generator or another table.
    """
    path = shipped(AUTOREGRESSIVE) if path is None else path
    tensors, values = read_model(path)
    with shape_of(path, "a transformer that writes codes"):
        learned_on = str(values.pop("generator"))
        try:
            config = WordsToCodesConfig.from_dict(values)
        except ModelError as error:
            raise ValueError(error) from None
        network = WordsToCodes(config)
    load_state(network, tensors, path)
    network.to(device).eval().requires_grad_(False)
    generator = load_pocket(device)
    shape = (config.image_length, config.image_vocabulary)
    own = ((generator.native_size // generator.downsampling) ** 2, len(generator.codebook))
    if generator.fingerprint != learned_on or shape != own:
        raise ModelError(
            f"{path} was trained on the codes of another generator; install gouache again"
        )
    words = shipped(PERCEPTOR)
    table, scale = (read_table(words)[name].to(device) for name in TABLE)
    if table.shape != (config.text_vocabulary, config.table_dim):
        raise ModelError(f"{path} reads another table of words than {words}; install gouache again")
    vocabulary = Vocabulary(table, scale, PocketTokenizer(shipped(TOKENIZER), config.text_length))
    sums = {path.name: identity(path), "generator": learned_on}
    return PocketAr(network, generator, vocabulary, sums)


__all__ = [
    "CHOOSING",
    "GUIDANCE",
    "PocketAr",
    "Vocabulary",
    "WordsToCodes",
    "WordsToCodesConfig",
    "load_pocket_ar",
]
