"""The published loop, written plainly, to compare with.

As the public notebooks have it: each cutout is cropped and resized by itself, then a chain of
kornia's augmentations runs over them, everything in float32 (facts: appendix G.2). The networks
have the same weights as ours; `networks.as_published` gives them the published operations too.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.words import embed_texts
from gouache.losses.prompt import spherical_distance
from gouache.ops.codes import clamp_with_grad, straight_through
from gouache.protocols import CodebookGenerator, Perceptor


class NaiveLoop:
    """One picture of (height, width), N cutouts; `step` is one whole step.

    Needs kornia; without it the constructor raises `ModelError`.
    """

    def __init__(
        self,
        generator: CodebookGenerator,
        perceptor: Perceptor,
        size: tuple[int, int],
        num_cutouts: int,
        cut_pow: float = 1.0,
    ) -> None:
        self._generator, self._perceptor = generator, perceptor
        self._num, self._pow = num_cutouts, cut_pow
        self._rng = torch.Generator().manual_seed(0)
        torch.manual_seed(0)  # kornia draws from the global state
        cells = [side // generator.downsampling for side in size]
        indices = torch.randint(len(generator.codebook), cells, generator=self._rng)
        indices = indices.to(generator.codebook.device)
        self._z = generator.codebook[indices].movedim(-1, 0)[None].clone().requires_grad_()
        self._optimizer = torch.optim.Adam([self._z], lr=0.1)
        self._augment = _chain()
        self._target = embed_texts(["a red apple"], perceptor).to(self._z.device)
        self._low = generator.codebook.amin(0).view(1, -1, 1, 1)
        self._high = generator.codebook.amax(0).view(1, -1, 1, 1)

    def step(self) -> float:
        """Quantise, decode, cut, augment, embed, back, update; the loss."""
        quantized = straight_through(self._z, self._nearest(self._z.detach()))
        image = clamp_with_grad(self._generator.decode(quantized), 0.0, 1.0)
        views = self._augment(self._cut(image))
        strength = 0.1 * torch.rand(self._num, 1, 1, 1, device=views.device)
        views = views + strength * torch.randn_like(views)
        embeddings = self._perceptor.embed_image(views)
        loss = spherical_distance(embeddings, self._target).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        with torch.no_grad():
            self._z.clamp_(self._low, self._high)
        return float(loss.detach())

    def _nearest(self, z: Tensor) -> Tensor:
        """All distances, whole, with the norms of the codes computed at every step."""
        codes = self._generator.codebook
        vectors = z.movedim(1, -1)  # (B,h,w,code_dim)
        flat = vectors.flatten(0, -2)
        apart = flat.square().sum(1, keepdim=True) + codes.square().sum(1) - 2 * flat @ codes.T
        return codes[apart.argmin(1)].view(vectors.shape).movedim(-1, 1)

    def _cut(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        size = self._perceptor.image_size
        largest, smallest = min(height, width), min(height, width, size)
        squares = []
        for _ in range(self._num):
            share, x, y = torch.rand(3, generator=self._rng).tolist()
            side = int(share**self._pow * (largest - smallest) + smallest)
            left, top = int(x * (width - side + 1)), int(y * (height - side + 1))
            square = image[:, :, top : top + side, left : left + side]
            squares.append(F.interpolate(square, (size, size), mode="bicubic", antialias=True))
        return torch.cat(squares)


def _chain() -> Any:
    from gouache.errors import ModelError

    try:
        from kornia import augmentation
    except ImportError:
        raise ModelError(
            "the published loop needs kornia; install it with: pip install 'gouache[bench]'"
        ) from None
    return torch.nn.Sequential(
        augmentation.RandomHorizontalFlip(p=0.5),
        augmentation.RandomAffine(degrees=15, translate=(0.1, 0.1), shear=5, p=0.7),
        augmentation.RandomPerspective(0.4, p=0.7),
        augmentation.ColorJitter(0.1, 0.1, 0.05, 0.05, p=0.7),
        augmentation.RandomErasing((0.1, 0.4), (0.3, 3.3), p=0.7),
    )


__all__ = ["NaiveLoop"]
