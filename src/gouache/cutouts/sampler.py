"""Draws what a step's cutouts show and how they are augmented (paper, appendix G.2).

Sampling is apart from applying, so that one draw can be applied to several perceptors' input sizes
and to another picture (in masked editing to the original), and can be replayed from a saved state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from gouache.errors import ConfigError, StateError
from gouache.placing import Place
from gouache.settings.config import CutoutConfig

# A cutout of fewer pixels than two cells of an f16 generator holds nothing a guide could name.
MIN_SIDE = 32
# Whole views turn, shift and shear by this share of what the others do: with 12 degrees the corners
# of the picture would leave the view, and composition is what these cutouts are there to judge.
GENTLE = 1 / 3
ERASE_SMALLEST = 0.02  # of the cutout's area
ERASE_ASPECT = 3.3  # height over width of an erased rectangle lies within 1/this and this
LUMA = (0.299, 0.587, 0.114)  # Rec. 601: how bright red, green and blue look

# One uniform number each per cutout, drawn whether or not the augmentation is on: switching one off
# leaves all others as they were.
_DRAWS = (
    *("side", "x", "y", "flip"),
    *("affine", "angle", "shift_x", "shift_y", "shear_x", "shear_y"),
    *("perspective", *(f"corner_{corner}_{axis}" for corner in range(4) for axis in "xy")),
    *("color", "brightness", "contrast", "saturation"),
    *("erase", "erase_area", "erase_aspect", "erase_x", "erase_y", "erase_grey"),
    "noise",
)


@dataclass(frozen=True)
class CutoutParams:
    """One draw of N cutouts for each of B pictures; CPU tensors, independent of the cutouts' size.

    homographies: (N,B,3,3) float32, from output to picture coordinates, as `gouache.ops.warp` has
        them: -1 to 1 between the outer edges, x right and y down, third coordinate positive.
    mean_outside: (N,B) bool, whether the picture's mean colour lies outside it, else its border.
    color: (N,B,3,4) float32, an affine map of (r,g,b,1).
    erase: (N,B,5) float32, top, bottom, left, right as shares of the cutout, and a grey in [0,1];
        all zero where nothing is erased.
    noise_scale: (N,B) float32, standard deviation of the noise.
    noise_seed: (B,) int64, seeds the noise of all N cutouts of a picture.
    picture_size: (2,) int64, the (H,W) the draw was made for; any size of that aspect will do.
    """

    homographies: Tensor
    mean_outside: Tensor
    color: Tensor
    erase: Tensor
    noise_scale: Tensor
    noise_seed: Tensor
    picture_size: Tensor

    @property
    def num_cutouts(self) -> int:
        """N."""
        return len(self.homographies)

    @property
    def batch(self) -> int:
        """B."""
        return self.homographies.shape[1]

    def at_most(self, number: int | None) -> CutoutParams:
        """`number` of the cutouts at even distances, so that whole views and details keep their
        shares; all of them where there are no more, or for None."""
        if number is None or number >= self.num_cutouts:
            return self
        chosen = torch.linspace(0, self.num_cutouts - 1, number).round().long()
        parts = ("homographies", "mean_outside", "color", "erase", "noise_scale")
        return replace(self, **{name: getattr(self, name)[chosen] for name in parts})

    def state(self) -> dict[str, Tensor]:
        """All fields as tensors, for a checkpoint; `from_state` reads them back."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> CutoutParams:
        """Inverse of `state`. Raises `StateError` if a field is missing or unknown."""
        names = {field.name for field in fields(cls)}
        if set(state) != names:
            raise StateError(
                f"cutout parameters have the fields {sorted(state)}; expected {sorted(names)}"
            )
        return cls(**state)


def sample(
    config: CutoutConfig,
    batch: int,
    size: tuple[int, int],
    rngs: Sequence[torch.Generator],
    places: Sequence[Sequence[Place | None]] = (),
) -> CutoutParams:
    """Draws `config.num_cutouts` cutouts for each of `batch` pictures of `size` (H,W).

    Everything about picture b comes from `rngs[b]` alone, so it gets the cutouts it would get if it
    were painted alone; each call advances every rng by the same amount, whatever is switched on.

    The first `whole_share` of the cutouts (rounded, at least one) show the whole picture with its
    aspect kept. Cutout 0 shows exactly that, perhaps mirrored, recoloured and with noise; the
    others may also be turned and shifted a little. All further cutouts are squares between
    `cut_min` of the short side (at least `MIN_SIDE` pixels) and the short side, placed uniformly,
    with every augmentation that `config.augment` names.

    `places` says where each picture's cutouts look, in equal shares; None is everywhere. In a place
    whole views are squares of its area about its centre, and the others lie within it, as far as
    their smallest side allows.

    Raises `ConfigError` if there is not one rng per picture or the size is empty.
    """
    if batch < 1 or len(rngs) != batch:
        raise ConfigError(f"got {len(rngs)} rngs for {batch} pictures; expected one per picture")
    if min(size) < 1:
        raise ConfigError(f"the picture is {size[1]}x{size[0]} pixels; expected at least 1x1")
    num = config.num_cutouts
    height, width = size
    draws = [
        torch.rand(num, len(_DRAWS), generator=rng, device=rng.device, dtype=torch.float64).cpu()
        for rng in rngs
    ]
    seeds = [
        torch.randint(2**63 - 1, (), generator=rng, device=rng.device, dtype=torch.int64).cpu()
        for rng in rngs
    ]
    u = dict(zip(_DRAWS, torch.stack(draws, 1).unbind(-1), strict=True))  # name -> (N,B) in [0,1)
    on = set(config.augment)
    kept = torch.arange(num)[:, None].expand(num, batch)
    num_whole = min(num, max(1, round(config.whole_share * num)))
    whole = kept < num_whole
    homographies = _crop(config, u, whole, (height, width))
    if any(place is not None for own in places for place in own):
        windows = _windows(places, whole)
        looking = _crop_places(config, u, whole, (height, width), windows.nan_to_num(0.5))
        homographies = torch.where(windows[..., :1, None].isnan(), homographies, looking)
    if "affine" in on:
        homographies = homographies @ _affine(config, u, torch.where(whole, GENTLE, 1.0), kept > 0)
    if "perspective" in on:
        homographies = homographies @ _perspective(config, u, ~whole)
    if "flip" in on:
        homographies[..., 0] *= torch.where(u["flip"] < config.flip_probability, -1.0, 1.0)[
            ..., None
        ]
    strength = config.noise_strength if "noise" in on else 0.0
    return CutoutParams(
        homographies=homographies.float(),
        # A whole view of a picture that is not square has bars. The mean colour reads as a mount;
        # mirrored or smeared borders would show the guide a picture that is not there, with
        # everything in it two or three times. It is a constant, or the guide would paint its bars.
        # Cutouts that merely lean out of the picture continue its border: a few smeared pixels.
        mean_outside=whole if height != width else torch.zeros_like(whole),
        color=_color(config, u, enabled="color" in on),
        erase=_erase(config, u, ~whole & ("erasing" in on)),
        noise_scale=(u["noise"] * strength).float(),
        noise_seed=torch.stack(seeds),
        picture_size=torch.tensor(size),
    )


def _crop(
    config: CutoutConfig, u: Mapping[str, Tensor], whole: Tensor, picture: tuple[int, int]
) -> Tensor:
    """(N,B,3,3) float64: a square of the picture, or for whole views the square around it."""
    height, width = picture
    short, longest = min(picture), max(picture)
    smallest = min(short, max(config.cut_min * short, MIN_SIDE))
    side = u["side"] ** config.cut_pow * (short - smallest) + smallest
    side = torch.where(whole, float(longest), side)
    crop = torch.zeros(*whole.shape, 3, 3, dtype=torch.float64)
    crop[..., 0, 0] = side / width
    crop[..., 1, 1] = side / height
    crop[..., 0, 2] = torch.where(whole, 0.0, (2 * u["x"] - 1) * (1 - side / width))
    crop[..., 1, 2] = torch.where(whole, 0.0, (2 * u["y"] - 1) * (1 - side / height))
    crop[..., 2, 2] = 1
    return crop


def _windows(places: Sequence[Sequence[Place | None]], whole: Tensor) -> Tensor:
    """(N,B,4) float64: the place of each cutout, NaN for everywhere. Whole views and the others are
    dealt out by themselves, one place after the other, so that some at even distances have all."""
    windows = torch.full((*whole.shape, 4), math.nan, dtype=torch.float64)
    num_whole = int(whole[:, 0].sum())
    for picture, own in enumerate(places):
        for first, last in ((0, num_whole), (num_whole, len(whole))):
            for k in range(first, last):
                place = own[(k - first) * len(own) // (last - first)] if own else None
                if place is not None:
                    windows[k, picture] = torch.tensor(place, dtype=torch.float64)
    return windows


def _crop_places(
    config: CutoutConfig,
    u: Mapping[str, Tensor],
    whole: Tensor,
    picture: tuple[int, int],
    windows: Tensor,
) -> Tensor:
    """As `_crop`, for cutouts that look at windows (N,B,4)."""
    height, width = picture
    pixels = torch.tensor([width, height], dtype=torch.float64)
    low, high = windows[..., :2] * pixels, windows[..., 2:] * pixels  # (N,B,2), x and y
    extent = high - low
    largest = extent.amin(-1).clamp(min=float(min(MIN_SIDE, *picture)))
    smallest = (config.cut_min * largest).clamp(min=float(MIN_SIDE)).minimum(largest)
    side = u["side"] ** config.cut_pow * (largest - smallest) + smallest
    side = torch.where(whole, extent.prod(-1).sqrt().maximum(largest), side)
    free = torch.where(whole[..., None], 0.0, (extent - side[..., None]).clamp(min=0.0))
    shift = (torch.stack((u["x"], u["y"]), -1) - 0.5) * free
    crop = torch.zeros(*whole.shape, 3, 3, dtype=torch.float64)
    crop[..., 0, 0] = side / width
    crop[..., 1, 1] = side / height
    crop[..., :2, 2] = (low + high + 2 * shift) / pixels - 1
    crop[..., 2, 2] = 1
    return crop


def _affine(config: CutoutConfig, u: Mapping[str, Tensor], gain: Tensor, may: Tensor) -> Tensor:
    """(N,B,3,3): rotation, shear along both axes and shift, about the cutout's centre."""
    chosen = may & (u["affine"] < config.affine_probability)
    gain = gain * chosen
    angle = _signed(u["angle"]) * gain * math.radians(config.affine_degrees)
    shear_x = (_signed(u["shear_x"]) * gain * math.radians(config.affine_shear)).tan()
    shear_y = (_signed(u["shear_y"]) * gain * math.radians(config.affine_shear)).tan()
    cos, sin = angle.cos(), angle.sin()
    affine = torch.zeros(*chosen.shape, 3, 3, dtype=torch.float64)
    # [[1, shear_x], [shear_y, 1 + shear_x * shear_y]] keeps the area whatever the shears are.
    affine[..., 0, 0] = cos + shear_x * sin
    affine[..., 0, 1] = shear_x * cos - sin
    affine[..., 1, 0] = shear_y * affine[..., 0, 0] + sin
    affine[..., 1, 1] = shear_y * affine[..., 0, 1] + cos
    affine[..., 0, 2] = _signed(u["shift_x"]) * gain * 2 * config.affine_translate
    affine[..., 1, 2] = _signed(u["shift_y"]) * gain * 2 * config.affine_translate
    affine[..., 2, 2] = 1
    return affine


def _perspective(config: CutoutConfig, u: Mapping[str, Tensor], may: Tensor) -> Tensor:
    """(N,B,3,3): the projection that moves each corner of the square within its own small square.

    Those are `perspective_scale` half sides wide and centred on the corners: the usual augmentation
    without its zoom. Corners that move less than half a half side keep the quadrilateral convex.
    """
    chosen = may & (u["perspective"] < config.perspective_probability)
    reach = chosen * config.perspective_scale / 2
    # Corners in the order of the unit square's (0,0), (1,0), (1,1), (0,1).
    x, y = (
        [
            place + _signed(u[f"corner_{corner}_{axis}"]) * reach
            for corner, place in enumerate(places)
        ]
        for axis, places in (("x", (-1, 1, 1, -1)), ("y", (-1, -1, 1, 1)))
    )
    # Unit square to quadrilateral in closed form (Heckbert 1989, section 2.2.3).
    ax, bx, cx = x[1] - x[2], x[3] - x[2], x[0] - x[1] + x[2] - x[3]
    ay, by, cy = y[1] - y[2], y[3] - y[2], y[0] - y[1] + y[2] - y[3]
    det = ax * by - bx * ay
    g, h = (cx * by - bx * cy) / det, (ax * cy - cx * ay) / det
    quad = torch.stack(
        (
            *(x[1] - x[0] + g * x[1], x[3] - x[0] + h * x[3], x[0]),
            *(y[1] - y[0] + g * y[1], y[3] - y[0] + h * y[3], y[0]),
            *(g, h, torch.ones_like(g)),
        ),
        -1,
    ).reshape(*chosen.shape, 3, 3)
    to_unit = torch.tensor([[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
    projection = quad @ to_unit
    return projection / projection[..., 2:, 2:]  # the centre's third coordinate is 1


def _color(config: CutoutConfig, u: Mapping[str, Tensor], *, enabled: bool) -> Tensor:
    """(N,B,3,4): saturation, then brightness, then contrast about mid-grey (linear, unlike about
    the cutout's own mean, so that a matrix holds all three)."""
    chosen = (u["color"] < config.color_probability) & enabled
    brightness, contrast, saturation = (
        1 + _signed(u[name]) * chosen * config.color_strength
        for name in ("brightness", "contrast", "saturation")
    )
    grey = torch.tensor(LUMA, dtype=torch.float64).expand(3, 3)
    saturate = saturation[..., None, None]
    matrix = saturate * torch.eye(3, dtype=torch.float64) + (1 - saturate) * grey
    matrix = matrix * (brightness * contrast)[..., None, None]
    offset = ((1 - contrast) / 2)[..., None, None].expand(*chosen.shape, 3, 1)
    return torch.cat((matrix, offset), -1).float()


def _erase(config: CutoutConfig, u: Mapping[str, Tensor], may: Tensor) -> Tensor:
    """(N,B,5): a rectangle somewhere inside the cutout."""
    chosen = may & (u["erase"] < config.erase_probability) & (config.erase_scale > 0)
    smallest = min(ERASE_SMALLEST, config.erase_scale)
    area = smallest + u["erase_area"] * (config.erase_scale - smallest)
    aspect = (_signed(u["erase_aspect"]) * math.log(ERASE_ASPECT)).exp()
    height = (area * aspect).sqrt().clamp(max=1)
    width = (area / aspect).sqrt().clamp(max=1)
    top, left = u["erase_y"] * (1 - height), u["erase_x"] * (1 - width)
    rectangle = torch.stack((top, top + height, left, left + width, u["erase_grey"]), -1)
    return (rectangle * chosen[..., None]).float()


def _signed(uniform: Tensor) -> Tensor:
    return 2 * uniform - 1


__all__ = ["CutoutParams", "sample"]
