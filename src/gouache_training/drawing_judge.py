"""Judges a drawing decoder on held-out pictures, beside the small decoder's enlarged picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gouache.generators.drawing import SCALE, DrawingDecoder
from gouache.generators.vqgan import VQGAN
from gouache.ops.images import grid_pil, to_pil, to_tensor
from gouache.ops.slopes import contrast
from gouache.perceptors.efficientnet import EfficientNet
from gouache_training.codebook import feature_difference, psnr
from gouache_training.compose import Composer, Shares
from gouache_training.drawing_pairs import Disturbance, Pair, Pairs
from gouache_training.pack import PictureSet

__all__ = ["Judge", "feature_distance", "fidelity", "lanczos", "lattice", "share", "steep"]

_SHOWN = 5  # pictures on a sheet


def feature_distance(trunk: EfficientNet, drawn: Tensor, real: Tensor, stages: int = 6) -> Tensor:
    """Squared differences of a frozen network's stages, each over its own variance; the mean. 0-d.

    Args:
        trunk: the network.
        drawn: (B,3,H,W) in [0,1]; the gradient goes here.
        real: likewise.
        stages: how many of the network's stages to compare.
    """
    with torch.no_grad():
        targets = trunk.stages(real, stages)
    return feature_difference(trunk.stages(drawn, stages), targets) / stages


def lanczos(picture: Tensor) -> Tensor:
    """(B,3,H,W) in [0,1] -> (B,3,4H,4W) as picture editors enlarge it."""
    size = (SCALE * picture.shape[-1], SCALE * picture.shape[-2])
    parts = [to_tensor(to_pil(one).resize(size, Image.Resampling.LANCZOS)) for one in picture.cpu()]
    return torch.cat(parts)


def lattice(image: Tensor) -> float:
    """How much a grid of 2 or 4 pixels shows in (B,3,H,W): 0 is not at all, 1 is half of all edges.

    Gradients are added up by their column and row modulo 4. Where edges lie anywhere, all sums are
    alike; a checkerboard, or seams between shuffled pixels, make them differ.
    """
    worst = 0.0
    for dim in (-1, -2):
        step = image.diff(dim=dim).abs().double().mean((0, 1)).sum(-1 if dim == -2 else -2)
        step = step[: len(step) // 4 * 4].view(-1, 4).mean(0)
        worst = max(worst, float((step.max() - step.min()) / step.sum().clamp(min=1e-9)))
    return worst


class Judge:
    """The same held-out pictures every time.

    Args:
        pictures: large renderings, some of them held out; else train pictures are shown.
        generator: the VQGAN.
        trunk: the network whose features are compared.
        count: how many pictures, clean and disturbed.
        shares: how they are composed.
    """

    def __init__(
        self,
        pictures: PictureSet,
        generator: VQGAN,
        trunk: EfficientNet,
        count: int,
        shares: Shares,
    ) -> None:
        self.pictures, self.generator, self.trunk, self.count = pictures, generator, trunk, count
        self.shares = replace(shares, pair=0.0)  # a second thing is never a held-out one
        self._seen: tuple[Pair, Pair] | None = None

    def pairs(self) -> tuple[Pair, Pair]:
        """Held-out pictures with clean codes, and the same with disturbed ones."""
        if self._seen is None:
            held = len(self.pictures.indices("held_picture")) > 0
            rng = torch.Generator().manual_seed(17)
            composer = Composer(self.pictures, np.random.default_rng(17), self.shares)
            source = Pairs(self.generator, composer, rng, Disturbance(clean=0.0))
            size = SCALE * self.generator.native_size
            split = "held_picture" if held else "train"
            target = composer.batch(self.count, size, split).image
            self._seen = source.pair(target, disturbed=False), source.pair(target)
        return self._seen

    @torch.no_grad()
    def measures(self, model: DrawingDecoder, sheet: Path) -> dict[str, float]:
        """What was measured, in brackets of plainly enlarged or of real pictures; `sheet` gets a
        picture of rows: real, enlarged, drawn, and the same two of disturbed codes.
        """
        clean, wild = self.pairs()
        found: dict[str, float] = {}
        shown = [clean.target.cpu()]
        for name, pair in (("clean", clean), ("disturbed", wild)):
            drawn = torch.cat([self._draw(model, pair, row) for row in range(self.count)])
            plain = lanczos(pair.picture)
            real = pair.target.cpu()
            for measure, of in (
                ("psnr", fidelity),
                ("features", self.away),
                ("edges", share),
                ("steep", steep),
            ):
                found[f"{name} {measure}"] = of(drawn, real)
                found[f"{name} {measure} (enlarged)"] = of(plain, real)
            found[f"{name} lattice"] = lattice(drawn)
            found[f"{name} lattice (real)"] = lattice(real)
            shown += [plain, drawn]
        tiles = [to_pil(row[k]) for row in shown for k in range(min(_SHOWN, self.count))]
        sheet.parent.mkdir(parents=True, exist_ok=True)
        grid_pil(tiles, columns=min(_SHOWN, self.count)).save(sheet)
        return found

    def _draw(self, model: DrawingDecoder, pair: Pair, row: int) -> Tensor:
        one = slice(row, row + 1)
        drawn = model(pair.codes[one], pair.picture[one], pair.features[one])
        return drawn.float().clamp(0, 1).cpu()  # type: ignore[no-any-return]

    def away(self, image: Tensor, real: Tensor) -> float:
        """Mean `feature_distance` of pictures (B,3,H,W), one at a time."""
        device = self.generator.codebook.device
        found = [
            float(feature_distance(self.trunk, a[None].to(device), b[None].to(device)))
            for a, b in zip(image, real, strict=True)
        ]
        return float(np.mean(found))


def fidelity(image: Tensor, real: Tensor) -> float:
    """Mean `psnr` of pictures (B,3,H,W)."""
    return float(psnr(image, real).mean())


def share(image: Tensor, real: Tensor) -> float:
    """Mean gradient magnitude as a share of the real pictures'."""
    return float(contrast(image).mean() / contrast(real).mean())


def steep(image: Tensor, real: Tensor) -> float:
    """Root mean square gradient as a share of the real pictures': blur lowers it."""
    both = [float(contrast(x).square().mean().sqrt()) for x in (image, real)]
    return both[0] / both[1]
