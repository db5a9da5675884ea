"""Models small enough to paint with in milliseconds: random weights, the same on every machine."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.session import Session
from gouache.generators.drawing import FILE, DrawingConfig, DrawingDecoder
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.settings.config import PaintConfig
from gouache.weights.fingerprint import fingerprint
from gouache.weights.saving import save_model

CELL = 4
CODE_DIM = 6
EMBED_DIM = 12
# A real VQGAN, of the shipped one's kind.
TINY_VQGAN = VQGANConfig(
    ch=8,
    ch_mult=(1, 1, 1),
    num_res_blocks=1,
    attn_resolutions=(),
    resolution=32,
    z_channels=8,
    embed_dim=4,
    n_embed=24,
    patch_size=2,
    norm_groups=4,
)


TINY_DRAWING = DrawingConfig(4, 8, ((6, 1), (6, 1)), ((6, 1), (6, 1), (4, 1)))


def _weights(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TinyGenerator:
    """A smooth decoder: each 4 x 4 cell's colour is a linear map of its code, softly squashed."""

    name = "tiny"
    fingerprint = "f" * 64
    downsampling = CELL
    code_dim = CODE_DIM
    native_size = 16
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.codebook = _weights(1, 40, CODE_DIM)
        self.code_prior = torch.full((40,), 1 / 40)
        self._color = _weights(2, 3, CODE_DIM, 1, 1) / 3
        self._blur = torch.ones(3, 1, 3, 3) / 9
        self.decodes = 0

    def encode(self, image: Tensor) -> Tensor:
        mean = F.avg_pool2d(image, CELL)
        return torch.einsum("dc,bchw->bdhw", self._color[..., 0, 0].pinverse(), mean * 2 - 1)

    def quantize(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        flat = latent.movedim(1, -1).reshape(-1, CODE_DIM)
        indices = torch.cdist(flat, self.codebook).argmin(1)
        codes = self.codebook[indices].view(latent.movedim(1, -1).shape).movedim(-1, 1)
        return codes, indices.view(latent.shape[0], *latent.shape[2:])

    def decode(self, quantized: Tensor) -> Tensor:
        self.decodes += 1
        pixels = F.interpolate(F.conv2d(quantized, self._color), scale_factor=float(CELL))
        return F.conv2d(pixels, self._blur, padding=1, groups=3) / 2 + 0.5


class TinyPerceptor:
    """One random layer; a text's embedding follows from its letters."""

    name = "tiny"
    fingerprint = "e" * 64
    image_size = 8
    embed_dim = EMBED_DIM
    device = torch.device("cpu")

    def __init__(self, bank_size: int = 0, seed: int = 3) -> None:
        self._layer = _weights(seed, 3 * 8 * 8, EMBED_DIM) / 8
        bank = F.normalize(_weights(4, max(bank_size, 1), EMBED_DIM), dim=-1)
        self.bank: Tensor | None = bank if bank_size else None

    def embed_image(self, image: Tensor) -> Tensor:
        return F.normalize(torch.tanh((image.flatten(1) - 0.5) @ self._layer), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        rows = [_weights(zlib.crc32(text.encode()), EMBED_DIM) for text in texts]
        return F.normalize(torch.stack(rows), dim=-1)


def save_tiny_vqgan(folder: Path, drawing: bool = True) -> Path:
    """The file of a random VQGAN; beside it its drawing decoder, packed, every layer of which
    speaks."""
    rng = torch.Generator().manual_seed(5)
    folder.mkdir(parents=True, exist_ok=True)
    models: list[VQGAN | DrawingDecoder] = [VQGAN(TINY_VQGAN), DrawingDecoder(TINY_DRAWING)]
    for model in models:
        for parameter in model.parameters():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    path = folder / "generator.safetensors"
    save_model(path, models[0].state_dict(), TINY_VQGAN.to_dict())
    if drawing:
        config = TINY_DRAWING.to_dict() | {"generator": fingerprint(path)}
        save_model(folder / FILE, models[1].state_dict(), config, packed=True)
    return path


def tiny_config(**settings: Any) -> PaintConfig:
    """Settings of a short run of 32 x 24 pixels on the tiny models, in float32."""
    defaults: dict[str, Any] = {
        "prompt": "a red apple",
        "perceptor": ("pocket",),
        "size": (32, 24),
        "scale": 1,
        "steps": (6,),
        "num_cutouts": 4,
        "whole_share": 0.35,
        "cut_min": 0.45,
        "latent": "quantized",
        "start": "random",
        "start_tries": 1,
        "start_steps": 0,
        "start_scale": 1.0,
        "templates": False,
        "learning_rate": 0.2,
        "device": "cpu",
        "precision": "fp32",
    }
    return PaintConfig().updated(**{**defaults, **settings})


def tiny_session(*, bank_size: int = 0, **settings: Any) -> Session:
    """A session on fresh tiny models."""
    return Session.build(
        tiny_config(**settings), generator=TinyGenerator(), perceptor=TinyPerceptor(bank_size)
    )
