"""The shipped perceptor: small, trained by this project, usable offline.

`gouache train perceptor` trains it; `docs/models/pocket.md` says from what and how well it sees.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gouache.ops.precision import cast_products
from gouache.perceptors.own import OwnPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import ImageTower, PocketConfig, TextTower


class PocketPerceptor(OwnPerceptor):
    """Both towers and the tokenizer behind the `gouache.protocols.Perceptor` contract."""

    bank_embeddings: Tensor

    def __init__(
        self,
        config: PocketConfig,
        tokenizer: PocketTokenizer,
        *,
        bank_size: int = 0,
    ) -> None:
        super().__init__(config, "pocket")
        self.tokenizer = tokenizer
        self.image_tower = ImageTower(config)
        self.text_tower = TextTower(config)
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.register_buffer("bank_embeddings", torch.zeros(bank_size, config.embed_dim))

    @property
    def bank(self) -> Tensor | None:
        """(K,D) unit embeddings of other captions, rivals in the contrast loss."""
        return self.bank_embeddings if len(self.bank_embeddings) else None

    @property
    def device(self) -> torch.device:
        return self.text_tower.position.device

    def prepare(self, dtype: torch.dtype) -> None:
        """Keeps the image tower's weights in `dtype`, in place; for painting only."""
        cast_products(self.image_tower, dtype)

    def embed_image(self, image: Tensor) -> Tensor:
        """(N,3,S,S) in [0,1] -> (N,D) unit vectors, float32. Differentiable."""
        layout = image.contiguous(memory_format=torch.channels_last)
        return self.image_tower(layout)  # type: ignore[no-any-return]

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (len(texts),D) unit vectors, float32; warns when a text is cut off."""
        return self.text_tower(self.tokenizer(texts).to(self.device))  # type: ignore[no-any-return]

    def unknown_words(self, text: str) -> list[str]:
        """The words of `text` that it does not know: it has learnt English only."""
        return self.tokenizer.unknown_words(text)
