"""The VQGAN: an encoder, a codebook and a decoder (Esser et al. 2021, arXiv 2012.09841).

Reads the configurations and the keys of taming-transformers' `VQModel` and `GumbelVQ`. It has three
options of its own for small networks, `patch_size`, `norm_groups` and `mid_attention`, and two for
models of diffusers, `activation` and `unit_range`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.errors import ImageError, ModelError
from gouache.generators.drawing import FILE, DrawingDecoder, draw, drawing_sum, load_drawing
from gouache.generators.vqgan_blocks import ACTIVATIONS, Decoder, Encoder, ResBlock, Shape
from gouache.generators.vqgan_tiled import decode_tiled
from gouache.ops.codes import nearest_codes, squared_norms
from gouache.ops.frozen import conv
from gouache.ops.precision import cast_products
from gouache.weights.gz import packed_or_plain

# Far beyond any published model: what exceeds these comes from a damaged file.
MAX_VALUE, MAX_CODES, MAX_LEVELS, MAX_BLOCKS = 16384, 1 << 24, 12, 64


@dataclass(frozen=True)
class VQGANConfig:
    """Shape of a VQGAN. Names are taming-transformers' own; the last five are ours.

    `resolution` is the side in pixels that the network was trained at. `attn_resolutions` are sides
    of feature maps at that size, so with `patch_size` p the first level has side `resolution / p`.
    Impossible shapes raise `ModelError`.
    """

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: int = 2
    attn_resolutions: tuple[int, ...] = (16,)
    resolution: int = 256
    z_channels: int = 256
    in_channels: int = 3
    out_ch: int = 3
    dropout: float = 0.0
    embed_dim: int = 256  # code_dim
    n_embed: int = 16384  # codebook_size
    gumbel: bool = False  # GumbelVQ: the encoder scores the codes instead of approaching one
    patch_size: int = 1  # squares of this side become channels before the first convolution
    norm_groups: int = 32
    mid_attention: bool = True
    activation: str = "silu"  # inside of residual blocks, one of `vqgan_blocks.ACTIVATIONS`
    unit_range: bool = False  # trained on pictures in [0,1]; taming's are in [-1,1]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind = type(field.default)
            fits = type(value) is kind or (kind is float and type(value) is int)
            if kind is tuple:
                fits = fits and all(type(item) is int and 0 < item <= MAX_VALUE for item in value)
            elif kind is int:
                fits = fits and 0 < value <= _LIMITS.get(field.name, MAX_VALUE)
            if not fits:
                raise ModelError(
                    f"model configuration: {field.name} is {value!r:.60}; "
                    f"expected a value like {field.default!r}"
                )
        if not 1 <= len(self.ch_mult) <= MAX_LEVELS or not 0 <= self.dropout < 1:
            raise ModelError(
                f"model configuration: ch_mult is {self.ch_mult!r:.60} and dropout {self.dropout}; "
                f"expected 1 to {MAX_LEVELS} levels and a dropout between 0 and 1"
            )
        if self.activation not in ACTIVATIONS:
            raise ModelError(
                f"model configuration: activation is {self.activation!r:.40}; "
                f"expected {', '.join(ACTIVATIONS)}"
            )
        if self.in_channels != 3 or self.out_ch != 3:
            raise ModelError(
                f"the model maps {self.in_channels} to {self.out_ch} channels; "
                "only RGB models (3 to 3) can paint pictures"
            )
        for width in (self.ch, *self.widths):
            if width % self.norm_groups:
                raise ModelError(
                    f"model configuration: {width} channels cannot be split into "
                    f"{self.norm_groups} groups; change ch or norm_groups"
                )
        if self.resolution % self.downsampling:
            raise ModelError(
                f"model configuration: resolution is {self.resolution}; "
                f"expected a multiple of {self.downsampling}"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, highest resolution first."""
        return tuple(self.ch * factor for factor in self.ch_mult)

    @property
    def downsampling(self) -> int:
        """f: one latent cell covers f x f pixels."""
        return (1 << (len(self.ch_mult) - 1)) * self.patch_size

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` reads them back."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VQGANConfig:
        """What `to_dict` wrote. Unknown keys and impossible values raise `ModelError`."""
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := [key for key in values if key not in names]:
            raise ModelError(f"model configuration: {unknown[0]!r:.60} is not a setting of a VQGAN")
        tuples = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **tuples})

    @classmethod
    def from_taming(cls, values: Mapping[str, Any]) -> VQGANConfig:
        """Reads the mapping of a taming-transformers YAML file (its root or its `model` section).

        `VQModel` and `GumbelVQ` are told apart by `target`; of a transformer or a latent diffusion
        model that was trained on a VQGAN its `first_stage_config` is read. Anything else raises
        `ModelError`.
        """
        model = _section(values, "model") if "model" in values else values
        params = _section(model, "params")
        if "first_stage_config" in params:
            model = _section(params, "first_stage_config")
            params = _section(model, "params")
        target = str(model.get("target", ""))
        kind = target.rpartition(".")[2]
        if kind not in _TAMING_MODELS:
            raise ModelError(
                f"the configuration describes {target or 'no target'!r:.80}; "
                f"expected one of {', '.join(_TAMING_MODELS)}"
            )
        shape = _section(params, "ddconfig")
        if shape.get("double_z") or not shape.get("resamp_with_conv", True):
            raise ModelError(
                "the configuration has double_z or resampling without convolutions; "
                "no VQGAN that gouache reads has either"
            )
        attention = shape.get("attn_type", "vanilla")  # latent-diffusion's addition
        if attention not in ("vanilla", "none"):
            raise ModelError(
                f"the configuration has attention of type {attention!r:.40}; "
                "expected vanilla or none"
            )
        known = {field.name for field in dataclasses.fields(cls)} - set(_OUR_OPTIONS)
        found = {key: value for key, value in {**shape, **params}.items() if key in known}
        if shape.get("tanh_out") or shape.get("use_linear_attn"):
            raise ModelError(
                "the configuration has tanh_out or use_linear_attn; no VQGAN that gouache reads has"
            )
        if attention == "none":
            found |= {"attn_resolutions": [], "mid_attention": False}
        required = known - {"gumbel", "dropout"}
        if missing := sorted(required - set(found)):
            raise ModelError(f"the configuration lacks {', '.join(missing)}; is the YAML complete?")
        return cls.from_dict({**found, "gumbel": _TAMING_MODELS[kind]})


_LIMITS = {"n_embed": MAX_CODES, "num_res_blocks": MAX_BLOCKS}
_TAMING_MODELS = {  # -> gumbel
    "VQModel": False,
    "VQNoDiscModel": False,
    "VQModelInterface": False,
    "GumbelVQ": True,
}
_OUR_OPTIONS = ("patch_size", "norm_groups", "mid_attention", "activation", "unit_range")


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    if not isinstance(section, Mapping):
        raise ModelError(f"the configuration has no section {name!r}; is it a VQGAN's YAML?")
    return section


class NearestCode(nn.Module):
    """Quantiser of `VQModel`: each latent vector becomes the nearest row of `embedding`."""

    def __init__(self, codebook_size: int, code_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, code_dim)
        nn.init.uniform_(self.embedding.weight, -1 / codebook_size, 1 / codebook_size)
        self._norms: tuple[tuple[int, int], Tensor, Tensor] | None = None

    @property
    def codebook(self) -> Tensor:
        """(codebook_size, code_dim)."""
        return self.embedding.weight

    def latent(self, features: Tensor) -> Tensor:
        """Features of the encoder (B,code_dim,h,w) -> latent of that shape: here, themselves."""
        return features

    @torch.no_grad()
    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(B,code_dim,h,w) -> nearest codes of that shape and indices (B,h,w)."""
        vectors = latent.movedim(1, -1)  # (B,h,w,code_dim)
        norms = self._squared_norms()
        indices = nearest_codes(vectors.flatten(0, -2), self.codebook, norms)
        indices = indices.view(vectors.shape[:-1])
        return F.embedding(indices, self.codebook).movedim(-1, 1), indices

    def _squared_norms(self) -> Tensor:
        """Cached until the codebook is written to, moved or replaced."""
        codes = self.codebook.detach()
        # Training may write through `.data`, which leaves the version as it was; so may inference
        # tensors, which have none. Neither is cached. Keeping `codes` keeps its address unique.
        if self.training or codes.is_inference():
            return squared_norms(codes)
        stamp = (codes.data_ptr(), codes._version)
        if self._norms is None or self._norms[0] != stamp:
            self._norms = (stamp, squared_norms(codes), codes)
        return self._norms[1]


class GumbelCode(NearestCode):
    """Quantiser of `GumbelVQ`: the encoder's features score every code (`proj`).

    Taming's encoder draws from these scores, even in eval mode, so an init image varied from run to
    run; here the latent of an image is the code with the best score.
    """

    def __init__(self, codebook_size: int, code_dim: int) -> None:
        nn.Module.__init__(self)
        self.proj = nn.Conv2d(code_dim, codebook_size, 1)
        self.embed = nn.Embedding(codebook_size, code_dim)
        self._norms = None

    @property
    def codebook(self) -> Tensor:
        return self.embed.weight

    def latent(self, features: Tensor) -> Tensor:
        indices = self.proj(features).argmax(1)  # (B,h,w)
        return F.embedding(indices, self.codebook).movedim(-1, 1)


class VQGAN(nn.Module):
    """A `gouache.protocols.CodebookGenerator`; see there for the contract of the public methods.

    `name`, `fingerprint` and `place`, the file that they are in, are set by whoever loads the
    weights. Gradients flow to the image in `encode_features`, to the latent in `decode`, and to the
    parameters wherever they require it, so the trainer uses this class too, with `encoder`,
    `quant_conv`, `post_quant_conv` and `decoder`.
    """

    code_prior: Tensor

    def __init__(self, config: VQGANConfig, name: str = "vqgan", fingerprint: str = "") -> None:
        super().__init__()
        self.config = config
        self.name = name
        self.fingerprint = fingerprint
        self.place: Path | None = None
        self.downsampling = config.downsampling
        self.code_dim = config.embed_dim
        self.native_size = config.resolution
        area = config.patch_size**2
        shape = Shape(
            channels=config.widths,
            num_res_blocks=config.num_res_blocks,
            resolution=config.resolution // config.patch_size,
            attn_resolutions=config.attn_resolutions,
            z_channels=config.z_channels,
            groups=config.norm_groups,
            dropout=config.dropout,
            mid_attention=config.mid_attention,
        )
        self.encoder = Encoder(shape, in_channels=3 * area, stem_channels=config.ch)
        self.decoder = Decoder(shape, out_channels=3 * area)
        for part in (*self.encoder.modules(), *self.decoder.modules()):
            if isinstance(part, ResBlock):
                part.activation = config.activation
        quantizer = GumbelCode if config.gumbel else NearestCode
        self.quantize = quantizer(config.n_embed, config.embed_dim)
        self.quant_conv = nn.Conv2d(config.z_channels, config.embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(config.embed_dim, config.z_channels, 1)
        self.register_buffer("code_prior", torch.full((config.n_embed,), 1 / config.n_embed))

    @property
    def codebook(self) -> Tensor:
        """(codebook_size, code_dim), float32."""
        return self.quantize.codebook

    @property
    def device(self) -> torch.device:
        return self.codebook.device

    def encode_features(self, image: Tensor) -> Tensor:
        """(B,3,H,W) in [0,1] -> features (B,code_dim,H/f,W/f) in the network's own precision.

        Sides that are not multiples of f raise `ImageError`.
        """
        shape, factor = image.shape, self.downsampling
        if len(shape) != 4 or shape[1] != 3 or shape[2] % factor or shape[3] % factor:
            raise ImageError(
                f"the picture has shape {tuple(shape)}; "
                f"expected (B,3,H,W) with sides that are multiples of {factor}"
            )
        x = image.to(self.quant_conv.weight.dtype)
        x = x if self.config.unit_range else x * 2 - 1
        features: Tensor = self.quant_conv(self.encoder(_to_patches(x, self.config.patch_size)))
        return features

    def encode(self, image: Tensor) -> Tensor:
        """(B,3,H,W) in [0,1] -> latent (B,code_dim,H/f,W/f), float32. Deterministic.

        Of a `GumbelVQ` these are codes already, those with the best scores.
        """
        return self.quantize.latent(self.encode_features(image)).float()

    def decode(self, quantized: Tensor) -> Tensor:
        """(B,code_dim,h,w) -> image (B,3,h*f,w*f) float32, nominally in [0,1] but not clamped."""
        return self._decode(quantized, recompute=False)

    def decode_checkpointed(self, quantized: Tensor) -> Tensor:
        """The same picture and gradient as `decode`, in 0.7 of the memory and 1.3 of the time.

        Each block keeps its input only and is computed again in the backward pass.
        """
        return self._decode(quantized, recompute=True)

    def decode_tiled(self, quantized: Tensor) -> Tensor:
        """The same picture in strips, for pictures beyond memory: `vqgan_tiled` has the details.

        Its gradient leaves out a pixel's part in the normalisations' statistics.
        """
        return self._pixels(decode_tiled(self.decoder, self._codes(quantized)))

    def _decode(self, quantized: Tensor, recompute: bool) -> Tensor:
        return self._pixels(self.decoder(self._codes(quantized), recompute))

    def _codes(self, quantized: Tensor) -> Tensor:
        return conv(self.post_quant_conv, quantized.to(self.post_quant_conv.weight.dtype))

    def _pixels(self, features: Tensor) -> Tensor:
        pixels = _from_patches(features, self.config.patch_size).float()
        return pixels if self.config.unit_range else (pixels + 1) / 2

    @property
    def drawing(self) -> str:
        """sha256 of the drawing decoder that lies beside the weights; "" where there is none."""
        return "" if self.place is None else drawing_sum(self._drawing, self.fingerprint)

    def load_drawing(self) -> DrawingDecoder:
        """That decoder, frozen, on this device. Damaged files raise `ModelError`."""
        return load_drawing(self._drawing, self)

    def draw(self, network: DrawingDecoder, quantized: Tensor) -> Tensor:
        """(B,code_dim,h,w) -> image (B,3,4*h*f,4*w*f) in [0,1], float32, without gradient."""
        return draw(network, self, quantized)

    @property
    def _drawing(self) -> Path:
        assert self.place is not None
        return packed_or_plain(self.place.with_name(FILE))

    def set_precision(self, dtype: torch.dtype) -> VQGAN:
        """Runs the networks in `dtype`; the codebook and its prior stay float32. Returns itself."""
        for part in (self.encoder, self.quant_conv, self.post_quant_conv, self.decoder):
            part.to(dtype)
        if isinstance(self.quantize, GumbelCode):
            self.quantize.proj.to(dtype)
        return self

    def prepare(self, dtype: torch.dtype) -> None:
        """Keeps the weights that `decode` needs at every step in `dtype`, in place."""
        cast_products(self.post_quant_conv, dtype)
        cast_products(self.decoder, dtype)


def _to_patches(x: Tensor, size: int) -> Tensor:  # (B,C,H,W) -> (B,C*size^2,H/size,W/size)
    return F.pixel_unshuffle(x, size) if size > 1 else x


def _from_patches(x: Tensor, size: int) -> Tensor:  # (B,C*size^2,h,w) -> (B,C,h*size,w*size)
    return F.pixel_shuffle(x, size) if size > 1 else x


__all__ = ["VQGAN", "GumbelCode", "NearestCode", "VQGANConfig"]
