"""Pairs for the drawing decoder: codes as painting has them, and the picture they should become.

Pictures are composed once, large. The generator's encoder sees them reduced by blocks of 4 x 4, so
both sizes show the same down to fractions of a pixel. The codes are then disturbed, as painting
disturbs them: what the generator's own decoder makes of them is smeared, what is asked for is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import TrainingError
from gouache.generators.drawing import SCALE, small_view
from gouache.generators.vqgan import VQGAN
from gouache.ops.slopes import contrast
from gouache_training.compose import Composer

__all__ = ["Disturbance", "Pair", "Pairs", "Window"]


@dataclass(frozen=True)
class Disturbance:
    """How codes are disturbed; amounts are drawn for each picture, from nothing to these, little
    more often than much.

    Attributes:
        clean: share of pictures whose codes stay as encoded.
        noise: deviation of the noise on latents before quantising, in distances to the next code.
        replaced: share of cells whose code is replaced by one of its nearest neighbours.
        neighbours: how many neighbours of a code are near.
    """

    clean: float = 0.3
    noise: float = 1.5
    replaced: float = 0.5
    neighbours: int = 16


@dataclass(frozen=True)
class Pair:
    """Codes of B pictures, what the generator makes of them, and what they should look like.

    Attributes:
        codes: (B,code_dim,h,w).
        picture: (B,3,h*f,w*f) in [0,1], the generator's own.
        features: (B,C,h*f/2,w*f/2), the last of its decoder.
        target: (B,3,t*h*f,t*w*f) in [0,1]; t is `times`.
    """

    codes: Tensor
    picture: Tensor
    features: Tensor
    target: Tensor

    @property
    def times(self) -> int:
        """Pixels of the target per pixel of the picture: those of a drawing, or half of that."""
        return self.target.shape[-1] // self.picture.shape[-1]


@dataclass(frozen=True)
class Window:
    """Squares of a batch's maps, one a row: `owner` (K,), `top` and `left` in half-size pixels."""

    owner: Tensor
    top: Tensor
    left: Tensor
    side: int

    def cut(self, maps: Tensor, times: int) -> Tensor:
        """(B,C,H,W) with `times` rows a half-size pixel -> (K,C,side*times,side*times)."""
        side = self.side * times
        rows = zip(self.owner.tolist(), self.top.tolist(), self.left.tolist(), strict=True)
        parts = [maps[b, :, t * times : t * times + side, s * times : s * times + side]
                 for b, t, s in rows]  # fmt: skip
        return torch.stack(parts).contiguous(memory_format=torch.channels_last)


class Pairs:
    """Draws pairs.

    Args:
        generator: the VQGAN whose codes these are; frozen.
        composer: of pictures that are stored at `SCALE` times the generator's size, or near it.
        rng: source of the disturbances' chance.
        disturbance: how codes are disturbed.
    """

    def __init__(
        self,
        generator: VQGAN,
        composer: Composer,
        rng: torch.Generator,
        disturbance: Disturbance | None = None,
    ) -> None:
        if generator.config.patch_size != 2:
            raise TrainingError(
                f"the generator's last features are 1/{generator.config.patch_size} of its "
                "picture's side; a drawing decoder expects 1/2"
            )
        self.generator, self.composer, self.rng = generator, composer, rng
        self.disturbance = disturbance or Disturbance()
        codes = generator.codebook.detach().float()
        away = torch.cdist(codes, codes)
        away.fill_diagonal_(torch.inf)
        near = min(self.disturbance.neighbours, len(codes) - 1)
        found = away.topk(near, largest=False)
        self._near = found.indices  # (N,near)
        # Deviation per channel of a noise as long as the usual way to the next code.
        self._spacing = float(found.values[:, 0].median()) / codes.shape[1] ** 0.5

    @torch.no_grad()
    def pair(self, target: Tensor, disturbed: bool = True, times: int = SCALE) -> Pair:
        """The pair of pictures (B,3,H,W) in [0,1] whose sides are multiples of `times` f."""
        generator = self.generator
        device = generator.codebook.device
        target = target.to(device)
        image = F.avg_pool2d(target, times).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            latent = generator.encode_features(image)
        codes = self._codes(latent.float(), disturbed)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            picture, features = small_view(generator, codes)
        return Pair(codes, picture, features, target)

    def _codes(self, latent: Tensor, disturbed: bool) -> Tensor:
        """Quantised codes of a latent (B,code_dim,h,w), disturbed or not."""
        how, rng, count = self.disturbance, self.rng, len(latent)
        if not disturbed:
            codes: Tensor = self.generator.quantize(latent)[0]
            return codes

        def draw(*shape: int) -> Tensor:
            return torch.rand(shape, generator=rng)

        wild = (draw(count, 1, 1, 1) >= how.clean).float()
        amount = wild * draw(count, 1, 1, 1).square() * how.noise * self._spacing
        noise = amount * torch.randn(latent.shape, generator=rng)
        _, indices = self.generator.quantize(latent + noise.to(latent.device))
        share = (wild * draw(count, 1, 1, 1).square() * how.replaced).view(-1, 1, 1)
        swap = draw(*indices.shape) < share
        which = torch.randint(self._near.shape[1], indices.shape, generator=rng)
        other = self._near[indices, which.to(indices.device)]
        indices = torch.where(swap.to(indices.device), other, indices)
        return F.embedding(indices, self.generator.codebook).movedim(-1, 1).contiguous()

    def windows(self, pair: Pair, each: int, side: int) -> Window:
        """`each` squares of `side` half-size pixels per picture, rather where there are edges.

        Even ground is learned from few; the amount of edges is that of the target.
        """
        step = 2 * pair.times  # pixels of the target per half-size pixel
        edges = F.avg_pool2d(contrast(pair.target), step)
        count, _, height, width = edges.shape
        side = min(side, height, width)
        inside = F.avg_pool2d(edges, side, 1).flatten(1).cpu()
        weight = inside + 0.2 * inside.mean() + 1e-6
        chosen = torch.multinomial(weight, each, replacement=True, generator=self.rng).flatten()
        across = width - side + 1
        owner = torch.arange(count).repeat_interleave(each)
        return Window(owner, chosen // across, chosen % across, side)
