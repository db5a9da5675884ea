"""Which tensors of a file are a VQGAN's, and what they are called in ours."""

from __future__ import annotations

import warnings
from collections.abc import Collection

from gouache.generators.diffusers import is_diffusers, taming_names
from gouache.weights.prefixes import find_prefix, is_average

# A transformer trained on a VQGAN carries it under this prefix (taming-transformers' Net2Net), and
# so does a latent diffusion model.
FIRST_STAGE = "first_stage_model."
_MARKS = (
    "decoder.conv_in.weight", "encoder.conv_in.weight",
    "quantize.embedding.weight", "quantize.embed.weight",
)  # fmt: skip
_PARTS = ("encoder", "decoder", "quantize", "quant_conv", "post_quant_conv", "code_prior")
# What only training needs inside of the quantiser: counts and means of codes in use.
_COUNTS = (
    "cluster_size", "embed_avg", "embedding_avg", "codebook_used", "used", "initted", "ema_count",
    "ema_weight", "embed_ind",
)  # fmt: skip
_TRAINING = ("loss", "discriminator", "model_ema", "colorize", "optimizer", "lpips", "perceptual")


class SurplusWarning(UserWarning):
    """A checkpoint holds tensors that are no part of the VQGAN."""


def select(names: Collection[str]) -> dict[str, str]:
    """The generator's own tensors by their names in taming-transformers.

    Nothing of losses, discriminators, averages or transformers is among them. What else is left out
    is said in a `SurplusWarning`; what lies inside of the network's own parts never is left out.
    """
    prefix = find_prefix(names, _MARKS, (FIRST_STAGE,))
    own, others = {}, []
    for name in names:
        short = name.removeprefix(prefix)
        first, _, rest = short.partition(".")
        if name.startswith(prefix) and first in _PARTS:
            if first != "quantize" or rest.rpartition(".")[2] not in _COUNTS:
                own[name] = short
        elif not prefix.endswith(FIRST_STAGE) and first not in _TRAINING and "ema" not in first:
            others.append(name)
    _say_surplus(names, prefix, others)
    if is_diffusers(own.values()):
        turned = taming_names(own.values())
        return {name: turned[short] for name, short in own.items()}
    return own


def _say_surplus(names: Collection[str], prefix: str, others: list[str]) -> None:
    said = []
    if others:
        said.append(f"{len(others)} tensors that are no part of it, first {min(others)!r:.60}")
    averaged = any(is_average(name) and name.endswith("weight") for name in names)
    if averaged and not is_average(prefix):
        said.append("weights averaged over training")
    if said:
        warnings.warn(
            f"beside the VQGAN the checkpoint holds {' and '.join(said)}; left out",
            SurplusWarning,
            stacklevel=3,
        )


__all__ = ["FIRST_STAGE", "SurplusWarning", "select"]
