"""What differs from the default settings for other models and latents. See `gouache.config`."""

from __future__ import annotations

from typing import Any

# What differs from the defaults (those of the shipped models) for other models. "paper" follows the
# public notebooks for ImageNet VQGANs guided by CLIP (facts: sections 1 and G.2 of the appendix).
PRESETS: dict[str, dict[str, Any]] = {
    "pocket": {},
    "paper": {
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


# What a latent wants otherwise than a point does, unless it is given. Logits are not on the
# codebook's scale; see docs/paper.md for how this was chosen.
LATENT_DEFAULTS: dict[str, dict[str, Any]] = {
    "codebook-sampling": {"learning_rate": 0.2},
}

__all__ = ["LATENT_DEFAULTS", "PRESETS"]
