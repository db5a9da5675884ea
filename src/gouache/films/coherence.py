"""What stays the same from frame to frame: the mean colour (CIELAB), and how sharp a picture is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 0.03  # of the energy: within it a picture is as sharp as wished
MOST = 2.0  # times that fine detail is raised at most
_ROUNDS = 3  # clipping takes a little of each correction back
_WHITE = (0.95047, 1.0, 1.08883)  # D65
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


def to_lab(picture: Tensor) -> Tensor:
    """sRGB (B,3,H,W) in [0,1] -> CIELAB (B,3,H,W): L in [0,100], a and b about ±100. float64."""
    rgb = picture.double().clamp(0, 1)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = _mixed(linear, _TO_XYZ) / rgb.new_tensor(_WHITE).view(3, 1, 1)
    root = torch.where(
        xyz > (6 / 29) ** 3, xyz.clamp_min(1e-9) ** (1 / 3), xyz * 841 / 108 + 4 / 29
    )
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def from_lab(lab: Tensor) -> Tensor:
    """CIELAB (B,3,H,W) -> sRGB (B,3,H,W), clipped to [0,1]. float64."""
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    root = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(root > 6 / 29, root**3, (root - 4 / 29) * 108 / 841)
    back = torch.tensor(_TO_XYZ, dtype=torch.float64).inverse().tolist()
    linear = _mixed(xyz * lab.new_tensor(_WHITE).view(3, 1, 1), back).clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _mixed(channels: Tensor, matrix: object) -> Tensor:
    return torch.einsum("dc,bchw->bdhw", channels.new_tensor(matrix), channels)


def mean_color(picture: Tensor) -> Tensor:
    """Mean in CIELAB of (B,3,H,W) in [0,1]: (B,3), float64 on the CPU."""
    return to_lab(picture.cpu()).mean((2, 3))


def energy(picture: Tensor) -> Tensor:
    """Mean square of the Laplacian of the luma of (B,3,H,W): (B,), float64 on the CPU. How sharp a
    picture is."""
    return _laplacian(picture.cpu()).square().mean((1, 2))


def _laplacian(picture: Tensor) -> Tensor:  # (B,3,H,W) -> (B,H,W) float64
    luma = picture.double().mul(picture.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    padded = F.pad(luma[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return around - 4 * luma


def _detail(picture: Tensor) -> Tensor:
    """What a blur of 3 x 3 pixels takes away."""
    weights = torch.tensor([1.0, 2.0, 1.0], dtype=picture.dtype, device=picture.device)
    kernel = (weights[:, None] * weights / 16).expand(3, 1, 3, 3)
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    return picture - F.conv2d(padded, kernel, groups=3)


@dataclass(frozen=True)
class Look:
    """How the pictures of a scene look: mean colours (B,3) and energies (B,)."""

    color: Tensor
    energy: Tensor

    @classmethod
    def of(cls, picture: Tensor) -> Look:
        return cls(mean_color(picture), energy(picture))

    def given(self, picture: Tensor, *, color: float = 1.0, detail: bool = True) -> Tensor:
        """(B,3,H,W) in [0,1] about as sharp as this, its mean colours a share `color` of the way to
        these."""
        found = picture.cpu().double()  # not every device has float64
        wanted = self.color
        if 0 < color < 1:
            wanted = torch.lerp(mean_color(found), wanted, color)
        for _ in range(_ROUNDS):
            if detail:
                found = _sharpened(found, self.energy)
            if color:
                lab = to_lab(found)
                found = from_lab(lab + (wanted - lab.mean((2, 3)))[..., None, None])
        return found.to(picture)


def _sharpened(picture: Tensor, wanted: Tensor) -> Tensor:
    """Fine detail raised or lowered until the energy is within the tolerance of `wanted` (B,)."""
    detail = _detail(picture)
    plain, fine = _laplacian(picture), _laplacian(detail)
    now, both, more = (
        (a * b).mean((1, 2)) for a, b in ((plain, plain), (plain, fine), (fine, fine))
    )
    target = now.clamp(min=wanted * (1 - TOLERANCE), max=wanted * (1 + TOLERANCE))
    # now + 2 g both + g^2 more = target, for the gain that is nearest to none.
    root = (both.square() - more * (now - target)).clamp_min(0).sqrt()
    gain = ((root - both) / more.clamp_min(1e-12)).clamp(-0.8, MOST)
    return (picture + gain.view(-1, 1, 1, 1) * detail).clamp(0, 1)


__all__ = ["Look", "energy", "from_lab", "mean_color", "to_lab"]
