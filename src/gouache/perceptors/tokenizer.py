"""WordPiece tokens for the pocket perceptor, with a warning that shows what did not fit."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors.truncation import TruncationWarning, warn_truncated


def spell_symbols(text: str) -> str:
    """Replaces emoji and other pictographs by their Unicode names: "\N{RED APPLE}" -> "red apple".

    The vocabulary has no pictographs; their official names are plain English.
    """
    parts = []
    for character in text:
        category = unicodedata.category(character)
        if category == "So":
            parts.append(f" {unicodedata.name(character, '').lower()} ")
        elif category in ("Cf", "Mn", "Sk", "Co", "Cs", "Cn") and not character.isascii():
            parts.append(" ")  # joiners, variation selectors and skin tones carry no word
        else:
            parts.append(character)
    return " ".join("".join(parts).split())


class PocketTokenizer:
    """Texts to token ids (N,L), L at most `context`, padded with 0."""

    def __init__(self, path: Path, context: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ModelError(
                f"the tokenizer {path} cannot be read ({error}); install gouache again"
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.context = context
        self._unknown = self._tokenizer.token_to_id("[UNK]") or 1

    def __call__(self, texts: Sequence[str], warn: bool = True) -> Tensor:
        spelled = [spell_symbols(text) for text in texts]
        rows = []
        for text, encoding in zip(
            spelled, self._tokenizer.encode_batch(spelled, add_special_tokens=False), strict=True
        ):
            if len(encoding.ids) > self.context and warn:
                cut = text[encoding.offsets[self.context - 1][1] :]
                warn_truncated(cut, self.context, len(encoding.ids))
            # A text of symbols without a name still needs one token to attend to.
            rows.append(encoding.ids[: self.context] or [self._unknown])
        tokens = torch.zeros(len(rows), max(1, *map(len, rows)), dtype=torch.long)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row, dtype=torch.long)
        return tokens


__all__ = ["PocketTokenizer", "TruncationWarning", "spell_symbols"]
