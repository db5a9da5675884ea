"""The drawing decoder: the same codes at four times the size, with clean edges.

It enlarges the picture that a generator decodes and adds what is missing: a residual from that
picture, from the decoder's last features and from the codes themselves (Shi et al. 2016,
arXiv 1609.05158, for the shuffled pixels). Convolutions only, and no normalisation: what it draws
at a place depends on at most `reach` cells around it, so tiles fit without seams, at any size.

Most arithmetic is done at the sides of the cells and of the small picture, where width is cheap.
Its last layer starts at zero: an untrained one enlarges smoothly. Several that were trained apart
draw as one, side by side in grouped convolutions (`blended`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ModelError
from gouache.protocols import DRAWN as SCALE
from gouache.weights.blank import blank
from gouache.weights.fingerprint import identity
from gouache.weights.safe import load_state, read_checkpoint, read_model

if TYPE_CHECKING:
    from gouache.generators.vqgan import VQGAN

FILE = "drawing.safetensors.gz"  # beside the generator's weights, packed or not
TILE = 32  # cells, of the squares that large pictures are drawn in
_UPPER = 3  # levels from half the picture's side on


@dataclass(frozen=True)
class DrawingConfig:
    """Shape of a drawing decoder.

    Attributes:
        code_dim: of the generator's codes; 0 for a network that sees the picture only.
        feature_dim: channels of the generator's last features, at half the picture's side; 0: none.
        lower: width and blocks at the side of the cells, at twice that, and so on up to a quarter
            of the picture's side.
        upper: width and blocks at half the picture's side, at that side, and at twice that.
        members: how many networks of these widths draw side by side; their residuals are added up.
    """

    code_dim: int = 16
    feature_dim: int = 48
    lower: tuple[tuple[int, int], ...] = ((192, 3), (128, 2))
    upper: tuple[tuple[int, int], ...] = ((96, 4), (64, 3), (32, 2))
    members: int = 1

    def __post_init__(self) -> None:
        if bool(self.code_dim) != bool(self.lower) or len(self.upper) != _UPPER:
            raise ModelError(
                "drawing decoder: lower levels go with codes, and there are three upper levels; "
                f"got code_dim {self.code_dim}, {len(self.lower)} and {len(self.upper)} levels"
            )
        if not (isinstance(self.members, int) and self.members >= 1):
            raise ModelError(f"drawing decoder: members is {self.members!r}; expected 1 or more")

    @property
    def downsampling(self) -> int:
        """f of the generators it fits: pixels of the small picture per cell and side."""
        return 1 << (1 + len(self.lower))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` reads them back."""
        return {
            name: [list(level) for level in value] if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DrawingConfig:
        """What `to_dict` wrote. Unknown keys and impossible values raise `ModelError`."""
        try:
            fields: dict[str, Any] = {
                name: tuple((int(width), int(blocks)) for width, blocks in value)
                if isinstance(value, list)
                else value
                for name, value in values.items()
            }
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise ModelError(f"drawing decoder's configuration: {error!s:.100}") from None


class Block(nn.Module):
    """conv, ReLU, conv, plus the input; starts as the identity. Members do not mix."""

    def __init__(self, width: int, members: int = 1) -> None:
        super().__init__()
        wide = members * width
        self.conv1 = nn.Conv2d(wide, wide, 3, padding=1, groups=members)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=members)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.relu(self.conv1(F.relu(x))))
        return out


class Up(nn.Module):
    """(B,inner,H,W) -> (B,outer,2H,2W): a mixture of channels, whose quarters become neighbours.

    Both widths are those of one member.
    """

    def __init__(self, inner: int, outer: int, members: int = 1) -> None:
        super().__init__()
        self.mix = nn.Conv2d(members * inner, 4 * members * outer, 1, groups=members)
        with torch.no_grad():  # neighbours start alike: no checkerboard (arXiv 1707.02937)
            self.mix.weight.copy_(self.mix.weight[::4].repeat_interleave(4, 0))
            assert self.mix.bias is not None
            self.mix.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.mix(x), 2)


class DrawingDecoder(nn.Module):
    """Codes (B,code_dim,h,w), picture (B,3,h*f,w*f) and features -> picture (B,3,4*h*f,4*w*f).

    Pictures are nominally in [0,1], not clamped.
    """

    def __init__(self, config: DrawingConfig) -> None:
        super().__init__()
        self.config = config
        first, members = config.upper[0][0], config.members
        self.read_codes: nn.Conv2d | None = None
        self.lower = nn.ModuleList()
        if config.code_dim:
            widths = [width for width, _ in config.lower] + [first]
            self.read_codes = nn.Conv2d(config.code_dim, members * widths[0], 3, padding=1)
            for number, (width, blocks) in enumerate(config.lower):
                up = Up(width, widths[number + 1], members)
                layers = [*(Block(width, members) for _ in range(blocks)), up]
                self.lower.append(nn.Sequential(*layers))
        self.read_picture = nn.Conv2d(12, members * first, 3, padding=1)
        self.read_features: nn.Conv2d | None = None
        if config.feature_dim:
            self.read_features = nn.Conv2d(config.feature_dim, members * first, 1)
        levels: list[nn.Module] = []
        for number, (width, blocks) in enumerate(config.upper):
            levels += [Block(width, members) for _ in range(blocks)]
            if number + 1 < len(config.upper):
                levels.append(Up(width, config.upper[number + 1][0], members))
        self.upper = nn.Sequential(*levels)
        self.write = nn.Conv2d(members * config.upper[-1][0], 12, 3, padding=1)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """Cells that an output pixel depends on, on each side of its own."""
        return int(self._lower_reach + self._upper_reach) + 1

    @property
    def _lower_reach(self) -> float:
        """Cells that the context depends on; parts of one, where it is less."""
        cells, scale = (1.0 if self.config.code_dim else 0.0), 1.0
        for _, blocks in self.config.lower:
            cells += 2 * blocks * scale
            scale /= 2
        return cells

    @property
    def _upper_reach(self) -> float:
        """Cells that the drawing depends on, of context, picture and features."""
        scale = 2 / self.config.downsampling
        cells = scale  # the first look at the picture
        for _, blocks in self.config.upper:
            cells += 2 * blocks * scale
            scale /= 2
        return cells + 2 * scale + 2 / self.config.downsampling

    def context(self, codes: Tensor) -> Tensor | None:
        """What the codes say, (B,C,h*f/2,w*f/2); None for a network without codes."""
        if self.read_codes is None:
            return None
        x: Tensor = self.read_codes(codes)
        for level in self.lower:
            x = level(x)
        return x

    def residual(
        self, picture: Tensor, context: Tensor | None, features: Tensor | None = None
    ) -> Tensor:
        """What is added to the enlarged picture, for the whole of it or a window of all three."""
        x: Tensor = self.read_picture(F.pixel_unshuffle(2 * picture - 1, 2))
        if context is not None:
            x = x + context
        if self.read_features is not None:
            x = x + self.read_features(features)
        return F.pixel_shuffle(self.write(F.relu(self.upper(x))), 2)

    def forward(self, codes: Tensor, picture: Tensor, features: Tensor | None = None) -> Tensor:
        drawn = self.residual(picture, self.context(codes), features)
        return enlarged(picture) + drawn.float()

    def tiled(
        self,
        codes: Tensor | None,
        picture: Tensor,
        features: Tensor | None = None,
        tile: int = TILE,
    ) -> Tensor:
        """As `forward`, in tiles of `tile` x `tile` cells and their surroundings; for large ones.

        Equal to the whole up to rounding. What is needed besides the drawing itself does not grow
        with it.
        """
        factor = self.config.downsampling
        near = int(self._upper_reach) + 1
        far = near + math.ceil(self._lower_reach)
        height, width = picture.shape[-2] // factor, picture.shape[-1] // factor
        out = picture.new_empty(
            len(picture), 3, SCALE * picture.shape[2], SCALE * picture.shape[3], dtype=torch.float32
        )
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                inside = _Cells(top, left, min(height, top + tile), min(width, left + tile))
                seen = inside.wider(near, height, width)
                around = inside.wider(far, height, width)
                context = None if codes is None else self.context(around.of(codes))
                if context is not None:
                    context = seen.within(around).of(context, factor // 2)
                small = seen.of(picture, factor)
                part = None if features is None else seen.of(features, factor // 2)
                drawn = enlarged(small) + self.residual(small, context, part).float()
                side = factor * SCALE
                inside.of(out, side).copy_(inside.within(seen).of(drawn, side))
        return out


def blended(networks: Sequence[DrawingDecoder], shares: Sequence[float]) -> DrawingDecoder:
    """One decoder that draws the weighted mean of what several draw.

    Args:
        networks: of one shape, one member each.
        shares: of each; they add up to 1.

    Raises:
        ModelError: shapes differ, or shares do not add up to 1.
    """
    config = networks[0].config
    if any(network.config != config or network.config.members != 1 for network in networks):
        raise ModelError("only drawing decoders of one shape, of one member each, can be blended")
    if len(shares) != len(networks) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ModelError(f"shares are {list(shares)}; expected one a network, adding up to 1")
    whole = DrawingDecoder(dataclasses.replace(config, members=len(networks)))
    states = [network.state_dict() for network in networks]
    state = {name: torch.cat([one[name] for one in states]) for name in states[0]}
    last = [
        (share * one["write.weight"], share * one["write.bias"])
        for share, one in zip(shares, states, strict=True)
    ]
    state["write.weight"] = torch.cat([weight for weight, _ in last], 1)
    state["write.bias"] = torch.stack([bias for _, bias in last]).sum(0)
    whole.load_state_dict(state)
    return whole.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Cells:
    """A rectangle of cells."""

    top: int
    left: int
    bottom: int
    right: int

    def wider(self, margin: int, height: int, width: int) -> _Cells:
        """With so many more on each side, as far as there are any."""
        return _Cells(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(height, self.bottom + margin),
            min(width, self.right + margin),
        )

    def within(self, other: _Cells) -> _Cells:
        """Counted from the other's first cell."""
        return _Cells(
            self.top - other.top,
            self.left - other.left,
            self.bottom - other.top,
            self.right - other.left,
        )

    def of(self, x: Tensor, times: int = 1) -> Tensor:
        """That part of a map with `times` rows and columns a cell."""
        return x[
            ...,
            self.top * times : self.bottom * times,
            self.left * times : self.right * times,
        ]


def enlarged(picture: Tensor) -> Tensor:
    """(B,3,H,W) -> (B,3,4H,4W), bicubic."""
    return F.interpolate(picture.float(), scale_factor=float(SCALE), mode="bicubic")


def small_view(generator: VQGAN, quantized: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's picture of the codes, clamped to [0,1], and the features that it came from.

    Args:
        quantized: (B,code_dim,h,w).

    Returns:
        (B,3,h*f,w*f), equal to `decode`'s up to the clamp, and (B,C,h*f/p,w*f/p) with p the
        generator's patch size; both float32.
    """
    decoder = generator.decoder
    x = decoder.begin(generator._codes(quantized), list(reversed(decoder.up)), False)  # type: ignore[arg-type]
    return generator._pixels(decoder.finish(x)).clamp(0, 1), x.float()


def drawing_sum(place: Path, generator: str) -> str:
    """sha256 of the drawing decoder in a file; "" where there is none, or it is for another one.

    `generator` is the fingerprint of that whose codes are to be drawn. Raises `ModelError` for a
    file that is no model.
    """
    if not place.is_file():
        return ""
    config = read_checkpoint(place, lambda names: {}).config or {}
    return identity(place) if config.get("generator") == generator else ""


def load_drawing(place: Path, generator: VQGAN) -> DrawingDecoder:
    """The drawing decoder in a file, frozen, on the generator's device; `ModelError` otherwise."""
    tensors, values = read_model(place)
    values.pop("generator", None)
    config = DrawingConfig.from_dict(values)
    fits = config.downsampling == generator.downsampling
    fits = fits and config.code_dim in (0, generator.code_dim)
    if config.feature_dim:  # which it reads at half the picture's side
        shape = generator.config
        fits = fits and (config.feature_dim, 2) == (shape.widths[0], shape.patch_size)
    if not fits:
        raise ModelError(f"{place} draws the codes of another generator; install gouache again")
    with blank():
        network = DrawingDecoder(config)
    load_state(network, tensors, place)
    network.eval().requires_grad_(False)
    return network.to(generator.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.no_grad()
def draw(network: DrawingDecoder, generator: VQGAN, codes: Tensor) -> Tensor:
    """Codes (B,code_dim,h,w) -> picture (B,3,4*h*f,4*w*f) in [0,1], float32; in tiles."""
    picture, features = small_view(generator, codes)
    seen = codes if network.config.code_dim else None
    return network.tiled(seen, picture, features if network.read_features else None).clamp_(0, 1)


__all__ = [
    "FILE",
    "SCALE",
    "DrawingConfig",
    "DrawingDecoder",
    "blended",
    "draw",
    "drawing_sum",
    "enlarged",
    "load_drawing",
    "small_view",
]
