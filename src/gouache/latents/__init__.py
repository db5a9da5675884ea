"""What is optimised: parameterisations of the generator's latent, by name.

A builder is called as `builder(generator, start, config)` with `start` (B,code_dim,h,w), the latent
that the picture starts from, and `config` the `LatentConfig`; it returns a
`gouache.protocols.Latent`. A builder with a false attribute `can_be_pulled` makes latents that the
pull of the settings (`latent_weight`) leaves alone.

Not here: the optimiser and its schedule (`engine`); decoding (`generators`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gouache.protocols import Generator, Latent
from gouache.registry import Registry
from gouache.settings.config import LatentConfig

if TYPE_CHECKING:
    from torch import Tensor

LatentBuilder = Callable[[Generator, "Tensor", LatentConfig], Latent]

latents: Registry[LatentBuilder] = Registry("latent", "gouache.latents")
latents.add("quantized", "gouache.latents.quantized:QuantizedLatent")
latents.add("continuous", "gouache.latents.unquantized:UnquantizedLatent")
latents.add("codebook-sampling", "gouache.latents.sampling:SamplingLatent")
latents.add("multiscale", "gouache.latents.multiscale:MultiscaleLatent")

__all__ = ["LatentBuilder", "latents"]
