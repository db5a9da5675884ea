"""minDALL-E (Kakao Brain 2021): a transformer of 1.3 billion parameters writes a VQGAN's codes.

Reads the published folder: `config.yaml`, `tokenizer/`, `stage1_last.ckpt` (the VQGAN) and
`stage2_last.ckpt` (the transformer).

    painter = load_mindalle("1.3B")
    picture = painter.paint("a painting of a castle at night", seed=0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from tokenizers import CharBPETokenizer
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.generators.loading import build, read_yaml
from gouache.generators.naming import select
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.ops.allocator import give_back
from gouache.ops.images import to_pil
from gouache.perceptors.truncation import warn_truncated
from gouache.systems.choosing import Choosing
from gouache.systems.known import weights
from gouache.systems.options import MINDALLE
from gouache.systems.text_to_codes import Memory, TextToCodes, TransformerConfig
from gouache.weights.blank import blank
from gouache.weights.fingerprint import fingerprint
from gouache.weights.safe import load_state, read_checkpoint

CONFIG, VQGAN_FILE, TRANSFORMER_FILE = "config.yaml", "stage1_last.ckpt", "stage2_last.ckpt"
MERGES, VOCABULARY = "tokenizer/bpe-16k-merges.txt", "tokenizer/bpe-16k-vocab.json"
FILES = (CONFIG, MERGES, VOCABULARY, VQGAN_FILE, TRANSFORMER_FILE)
PUBLISHED = Choosing(temperature=1.0, top_k=256)  # as its authors draw
_UNKNOWN, _PADDING = "[UNK]", "[PAD]"


class Words:
    """Texts to token ids (N,length): pairs of characters, lower case, padded with `[PAD]`.

    What is longer is cut, and a `TruncationWarning` shows the rest.
    """

    def __init__(self, folder: Path, length: int) -> None:
        try:
            tokenizer = CharBPETokenizer(
                str(folder / VOCABULARY), str(folder / MERGES), unk_token=_UNKNOWN, lowercase=True
            )
        except Exception as error:  # the library raises bare Exception
            reason = " ".join(str(error).split())[:100]
            raise ModelError(
                f"{folder / VOCABULARY} and {Path(MERGES).name} are no tokenizer ({reason})"
            ) from None
        self._check_merges(folder, tokenizer)
        tokenizer.add_special_tokens([_PADDING])
        self._tokenizer, self.length = tokenizer, length
        padding = tokenizer.token_to_id(_PADDING)
        assert padding is not None
        self._padding = padding
        self.size = tokenizer.get_vocab_size()

    @staticmethod
    def _check_merges(folder: Path, tokenizer: CharBPETokenizer) -> None:
        """Every longer token comes from a pair: a file of pairs that was cut would go unnoticed."""
        lines = (folder / MERGES).read_text(encoding="utf-8").splitlines()
        made = {line.replace(" ", "") for line in lines if not line.startswith("#")}
        for token in tokenizer.get_vocab():
            longer = len(token.removesuffix("</w>")) > 1 and token not in (_UNKNOWN, _PADDING)
            if longer and token not in made:
                raise ModelError(
                    f"{folder / MERGES} lacks {token!r:.40}; it is damaged, unpack again"
                )

    def __call__(self, texts: list[str]) -> Tensor:
        tokens = torch.full((len(texts), self.length), self._padding)
        for row, text in zip(tokens, texts, strict=True):
            found = self._tokenizer.encode(text)
            if len(found.ids) > self.length:
                cut = text[found.offsets[self.length - 1][1] :]
                warn_truncated(cut, self.length, len(found.ids))
            ids = found.ids[: self.length]
            row[: len(ids)] = torch.tensor(ids)
        return tokens


class MinDalle:
    """A transformer over a VQGAN's codes.

    Attributes:
        transformer: text ids to codes.
        generator: codes to pictures.
        words: texts to ids.
        sums: sha256 of the two files of weights.
    """

    options = MINDALLE

    def __init__(
        self,
        transformer: TextToCodes,
        generator: VQGAN,
        words: Words,
        sums: Mapping[str, str],
        choosing: Choosing = PUBLISHED,
    ) -> None:
        self.transformer, self.generator, self.words = transformer, generator, words
        self.sums, self.choosing = dict(sums), choosing

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its pictures besides prompt and seed."""
        return {"model": "minDALL-E", "sums": self.sums, **asdict(self.choosing)}

    def adjusted(self, options: Mapping[str, Any]) -> MinDalle:
        """The same system, drawing otherwise."""
        choosing = replace(self.choosing, **options)
        return MinDalle(self.transformer, self.generator, self.words, self.sums, choosing)

    @property
    def side(self) -> int:
        """Cells of a picture's side."""
        return math.isqrt(self.transformer.config.image_length)

    @torch.no_grad()
    def draw_codes(self, texts: list[str], rng: torch.Generator) -> Tensor:
        """(B,image_length); `halting` ends it between two codes."""
        ids = self.words(texts).to(self.transformer.head_img.weight.device)
        memory = Memory.empty(self.transformer, len(texts))
        logits = self.transformer.read_text(ids, memory)
        return self.transformer.write(logits, memory, partial(self.choosing.draw, rng=rng))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """(B,image_length) -> pictures (B,3,H,W) in [0,1]."""
        cells = codes.view(len(codes), self.side, self.side)
        quantized = nn.functional.embedding(cells, self.generator.codebook).movedim(-1, 1)
        return self.generator.decode(quantized.contiguous()).clamp(0, 1)

    def paint(self, prompt: str, seed: int) -> Image:
        """One picture, RGB; the same for the same prompt and seed on one machine."""
        codes = self.draw_codes([prompt], torch.Generator().manual_seed(seed))
        return to_pil(self.decode(codes)[0])


def load_mindalle(
    folder: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> MinDalle:
    """The system in a folder as it is published; nothing in it is run.

    Args:
        folder: has `FILES`.
        device: where it paints.
        dtype: of the transformer; None is float16 on graphics cards and bfloat16 elsewhere.

    Raises:
        ModelError: a file is missing, damaged or of another model.
    """
    folder, device = Path(folder), torch.device(device)
    if dtype is None:
        dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
    if missing := next((name for name in FILES if not (folder / name).is_file()), ""):
        raise ModelError(f"{folder} lacks {missing}; expected minDALL-E's folder as published")
    try:
        values = read_yaml(folder / CONFIG, "minDALL-E")
    except ModelError as error:
        raise ModelError(f"{folder / CONFIG}: {error}") from None
    shape, vqgan = _shapes(values, folder / CONFIG)
    words = Words(folder, shape.text_length)
    if words.size > shape.text_vocabulary:
        raise ModelError(
            f"{folder / VOCABULARY} has {words.size} tokens, the transformer "
            f"{shape.text_vocabulary}; they belong to two models"
        )
    # The small one first: what loading it takes for a moment is given back before the large one.
    place = folder / VQGAN_FILE
    generator = build(vqgan, read_checkpoint(place, select).tensors, place, "minDALL-E")
    generator.eval().requires_grad_(False)
    generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    give_back()
    place = folder / TRANSFORMER_FILE
    with blank():
        transformer = TextToCodes(shape).to(dtype)
    load_state(transformer, read_checkpoint(place, dtype=dtype).tensors, place, take=True)
    transformer.eval().requires_grad_(False).to(device)
    give_back()
    sums = {name: fingerprint(folder / name) for name in (VQGAN_FILE, TRANSFORMER_FILE)}
    return MinDalle(transformer, generator, words, sums)


def added(device: str) -> MinDalle:
    """The system of figure 9, with the weights that were added (`gouache models add`)."""
    return load_mindalle(weights("mindalle"), device)


def _shapes(values: Mapping[str, Any], path: Path) -> tuple[TransformerConfig, VQGANConfig]:
    """Of both networks, from the published configuration."""
    try:
        first, second = values["stage1"], values["stage2"]
        shape = second["hparams"]
        transformer = TransformerConfig(
            width=shape["embed_dim"],
            layers=shape["n_layers"],
            heads=shape["n_heads"],
            text_length=shape["ctx_len_txt"],
            image_length=shape["ctx_len_img"],
            text_vocabulary=second["vocab_size_txt"],
            image_vocabulary=second["vocab_size_img"],
            attention_bias=bool(shape.get("attn_bias", True)),
            mlp_bias=bool(shape.get("mlp_bias", True)),
            approximate_gelu=bool(shape.get("gelu_use_approx", False)),
        )
        params = {"embed_dim": first["embed_dim"], "n_embed": first["n_embed"]}
        params["ddconfig"] = {k: v for k, v in first["hparams"].items() if k != "pdrop"}
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} lacks {error!s:.60}; expected the configuration of minDALL-E"
        ) from None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    vqgan = VQGANConfig.from_taming({"target": "VQModel", "params": params})
    cells = (vqgan.resolution // vqgan.downsampling) ** 2
    if (cells, vqgan.n_embed) != (transformer.image_length, transformer.image_vocabulary):
        raise ModelError(
            f"{path}: the VQGAN has {cells} cells of {vqgan.n_embed} codes, the transformer writes "
            f"{transformer.image_length} of {transformer.image_vocabulary}"
        )
    return transformer, vqgan


__all__ = ["FILES", "PUBLISHED", "MinDalle", "Words", "added", "load_mindalle"]
