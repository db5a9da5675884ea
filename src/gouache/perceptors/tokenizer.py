"""WordPiece tokens for the pocket perceptor, with a warning that shows what did not fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors.spelling import spell, unknown_words
from gouache.perceptors.truncation import TruncationWarning, warn_truncated
from gouache.weights.gz import is_packed, unpack


class PocketTokenizer:
    """Texts to token ids (N,L), L at most `context`, padded with 0."""

    def __init__(self, path: Path, context: int) -> None:
        try:
            if is_packed(path):
                self._tokenizer = Tokenizer.from_str(unpack(path).decode())
            else:
                self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ModelError(
                f"the tokenizer {path} cannot be read ({error}); install gouache again"
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.context = context
        self._unknown = self._tokenizer.token_to_id("[UNK]") or 1
        self._characters = frozenset(t for t in self._tokenizer.get_vocab() if len(t) == 1)

    def __call__(self, texts: Sequence[str], warn: bool = True) -> Tensor:
        spelled = [spell(text, self._characters) for text in texts]
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

    def unknown_words(self, text: str) -> list[str]:
        """The words of `text` that the vocabulary does not know, as written; most are foreign."""
        return unknown_words(text, self._characters, self._has_unknown)

    def _has_unknown(self, spelled: str) -> bool:
        ids = self._tokenizer.encode(spelled, add_special_tokens=False).ids
        return self._unknown in ids


__all__ = ["PocketTokenizer", "TruncationWarning"]
