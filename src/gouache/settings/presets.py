"""What differs from the default settings for other models and latents. See `config`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

GUIDES = ("pocket", "photo")  # that come with gouache: a name alone stands for one, everywhere

NOBODY = "off"  # instead of a judge's name: the guides choose alone

# The shipped `pocket` guide alone. Everything that a picture depends on stands here, the same as by
# default or not: defaults may be changed, and pictures of `--perceptor pocket` stay what they are.
_POCKET: dict[str, Any] = {
    "perceptor": ("pocket",),
    "size": (128, 128),
    "scale": 1,
    "smooth": 0.0,
    "sharpen": 0.0,
    "levels": 0.0,
    "steps": (80,),
    "num_cutouts": 12,
    "whole_share": 0.75,
    "cut_pow": 0.6,
    "cut_min": 0.7,
    "cut_size": 0,
    "augment": ("flip", "affine", "perspective", "color", "erasing", "noise"),
    "flip_probability": 0.5,
    "affine_degrees": 12.0,
    "affine_translate": 0.08,
    "affine_shear": 5.0,
    "affine_probability": 0.8,
    "perspective_scale": 0.2,
    "perspective_probability": 0.5,
    "color_strength": 0.08,
    "color_probability": 0.7,
    "erase_scale": 0.2,
    "erase_probability": 0.2,
    "noise_strength": 0.06,
    "latent": "multiscale",
    "start": "prior",
    "start_tries": 6,
    "start_choice": 0,
    "start_judge": NOBODY,
    "start_steps": 15,
    "start_scale": 0.5,
    "init_disturb": 0.0,
    "latent_rule": "decay",
    "latent_weight": 0.1,
    "latent_decay": 0.005,
    "latent_drop": 0.3,
    "latent_drop_every": 50,
    "latent_average": 0.0,
    "sampling_noise": "multinomial",
    "sampling_temperature": 1.0,
    "sampling_temperature_final": 0.2,
    "sampling_spread": 4.0,
    "optimizer": "Adam",
    "learning_rate": 0.2,
    "lr_schedule": "cosine",
    "lr_warmup": 5,
    "lr_final": 0.1,
    "clip_grad": 0.0,
    "combine": "loss",
    "layout": "off",
    "contrast_weight": 0.5,
    "contrast_scale": 20.0,
    "templates": True,
    "tv_weight": 0.0,
    "prior_weight": 0.0,
    "style_weight": 0.0,
    "style_share": 0.5,
    "losses": (),
}

# For pictures that are begun as its guides alone would begin them: `pocket` chooses well among what
# the prior draws, with another that was trained apart from it, and the more it paints itself, the
# less of that is left.
ALONE: dict[str, Any] = {
    "start_tries": 24, "start_steps": 0, "start_scale": 1.0, "start_judge": "referee",
}  # fmt: skip
# Of several wishes (two things, each in its half) the prior draws one: the guide has to paint.
ALONE_WITH_SEVERAL: dict[str, Any] = {"start_tries": 2, "start_steps": 60, "start_scale": 1.0}

# "photo" is `pocket` and `photo` together, which the defaults are for. "paper" follows the public
# notebooks for ImageNet VQGANs guided by CLIP (facts: sections 1 and G.2 of the appendix).
PRESETS: dict[str, dict[str, Any]] = {
    "photo": {},
    "pocket": _POCKET,
    "paper": {
        **_POCKET,
        "size": (256, 256),
        "steps": (400,),
        "num_cutouts": 32,
        "latent": "quantized",
        "start": "random",
        "start_tries": 1,
        "start_steps": 0,
        "start_scale": 1.0,
        "whole_share": 0.1,
        "cut_min": 0.45,
        "cut_pow": 1.0,
        "affine_degrees": 15.0,
        "affine_translate": 0.1,
        "perspective_scale": 0.4,
        "perspective_probability": 0.7,
        "noise_strength": 0.1,
        "erase_probability": 0.0,
        "learning_rate": 0.15,
        "lr_schedule": "constant",
        "lr_warmup": 0,
        "contrast_weight": 0.0,
        "templates": False,
        "latent_weight": 0.1,
    },
}


def preset_of(guides: Sequence[str]) -> str:
    """The preset for guides of these names: "photo" where `photo` comes first or helps `pocket`,
    else that of the first one's name, "paper" where it has none."""
    first = guides[0] if guides else ""
    if first == "photo" or (first == "pocket" and "photo" in guides):
        return "photo"
    return first if first in PRESETS else "paper"


# What a latent wants otherwise than a point does, unless it is given. Logits are not on the
# codebook's scale; see docs/paper.md for how this was chosen.
LATENT_DEFAULTS: dict[str, dict[str, Any]] = {
    "codebook-sampling": {"learning_rate": 0.2},
}

__all__ = [
    "ALONE",
    "ALONE_WITH_SEVERAL",
    "GUIDES",
    "LATENT_DEFAULTS",
    "NOBODY",
    "PRESETS",
    "preset_of",
]
