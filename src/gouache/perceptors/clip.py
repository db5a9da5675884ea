"""CLIP by itself, from OpenAI's weights and those in the same format; no other package is needed.

`clip_loading` reads the files, `clip_towers` has the layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.perceptors.clip_towers import (
    ClipConfig,
    ModifiedResNet,
    Transformer,
    VisionTransformer,
    weight,
)
from gouache.perceptors.own import OwnPerceptor
from gouache.perceptors.preprocessing import Preprocessing

HEAD_WIDTH = 64
Tokenize = Callable[[Sequence[str]], Tensor]


class ClipPerceptor(OwnPerceptor):
    """Towers, preprocessing and tokenizer behind the `gouache.protocols.Perceptor` contract."""

    def __init__(
        self, config: ClipConfig, preprocessing: Preprocessing, tokenize: Tokenize | None = None
    ) -> None:
        super().__init__(config, "clip")
        self.preprocessing = preprocessing
        self.tokenize = tokenize
        tower = ModifiedResNet if config.is_resnet else VisionTransformer
        self.visual = tower(config)
        self.transformer = Transformer(
            config.text_width,
            config.text_layers,
            config.text_heads,
            config.activation,
            causal=True,
        )
        self.token_embedding = nn.Embedding(config.vocabulary, config.text_width)
        self.positional_embedding = weight(config.context, config.text_width)
        self.ln_final = nn.LayerNorm(config.text_width)
        self.text_projection = weight(config.text_width, config.embed_dim)
        self.logit_scale = weight()

    @property
    def device(self) -> torch.device:
        return self.positional_embedding.device

    def prepare(self, dtype: torch.dtype) -> None:
        """Keeps the image tower's weights, folded, in `dtype`, in place; for painting only."""
        self.visual.prepare(dtype)

    def image_features(self, pixels: Tensor) -> Tensor:
        """Normalised pictures (N,3,S,S) -> (N,D), not of unit length. Differentiable."""
        return self.visual(pixels)  # type: ignore[no-any-return]

    def text_features(self, tokens: Tensor) -> Tensor:
        """Token ids (N,L), L at most the context -> (N,D), not of unit length.

        The end token has the highest number; what comes after its first place does not matter.
        """
        ends = tokens.argmax(1)
        tokens = tokens[:, : int(ends.max()) + 1]  # later ones are padding, seen by no other
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        x = self.ln_final(self.transformer(x))
        rows = torch.arange(len(tokens), device=tokens.device)
        return x[rows, ends] @ self.text_projection  # type: ignore[no-any-return]

    def embed_image(self, image: Tensor) -> Tensor:
        """(N,3,S,S) in [0,1] -> (N,D) unit vectors, float32. Differentiable."""
        return F.normalize(self.image_features(self.preprocessing(image)).float(), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (len(texts),D) unit vectors, float32; warns when a text is cut off."""
        assert self.tokenize is not None
        tokens = self.tokenize(texts).to(self.device)
        return F.normalize(self.text_features(tokens).float(), dim=-1)


def infer_config(state: Mapping[str, Tensor], head_width: int = HEAD_WIDTH) -> ClipConfig:
    """The shape of the CLIP whose tensors, by OpenAI's names, these are.

    `head_width` is that of the vision transformer's attention heads, which no tensor tells.
    `ModelError` (without the file's name) where they are not a CLIP's.
    """
    try:
        return _infer(state, head_width)
    except KeyError as error:
        raise ModelError(f"lacks the tensor {error!s:.80}; expected a CLIP") from None
    except (ValueError, IndexError):
        raise ModelError("has tensors of impossible shapes; expected a CLIP") from None


def _infer(state: Mapping[str, Tensor], head_width: int) -> ClipConfig:
    context, text_width = state["positional_embedding"].shape
    if "visual.proj" in state:
        width, _, patch_size, _ = state["visual.conv1.weight"].shape
        layers: tuple[int, ...] = (_count(state, r"visual\.transformer\.resblocks\.(\d+)\."),)
        image_size = patch_size * _side(state["visual.positional_embedding"])
        heads = _heads(width, head_width)
    else:
        width, patch_size = 2 * state["visual.conv1.weight"].shape[0], 0
        layers = tuple(_count(state, rf"visual\.layer{k}\.(\d+)\.") for k in range(1, 5))
        image_size = 32 * _side(state["visual.attnpool.positional_embedding"])
        heads = _heads(32 * width)
    return ClipConfig(
        embed_dim=state["text_projection"].shape[1],
        image_size=image_size,
        vision_layers=layers,
        vision_width=width,
        vision_heads=heads,
        patch_size=patch_size,
        context=context,
        vocabulary=state["token_embedding.weight"].shape[0],
        text_width=text_width,
        text_layers=_count(state, r"transformer\.resblocks\.(\d+)\."),
        text_heads=_heads(text_width),
    )


def _side(positions: Tensor) -> int:
    """Cells per side of a square grid with one more position, that of the whole."""
    cells = positions.shape[0] - 1
    side = int(cells**0.5 + 0.5)
    if side < 1 or side * side != cells:
        raise ValueError
    return side


def _heads(width: int, head_width: int = HEAD_WIDTH) -> int:
    if width < head_width or width % head_width:
        raise ValueError
    return width // head_width


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    numbers = {int(found[1]) for name in state if (found := re.match(pattern, name))}
    # A gap in the numbers would make a few tensors claim a model of any depth.
    if not numbers or len(numbers) != max(numbers) + 1:
        raise ValueError
    return len(numbers)


__all__ = ["ClipConfig", "ClipPerceptor", "infer_config"]
