"""GLIDE (filtered) (Nichol et al. 2021, arXiv 2112.10741), a network of ours, guided in two ways.

The published weights are those that were added (`gouache models add`).
"""

from __future__ import annotations

from gouache.figures.systems import weights
from gouache.systems.glide import Glide, load_glide


def clip_guided(device: str) -> Glide:
    """The system of figure 10."""
    return load_glide(weights("glide-clip"), device, guided_by="clip")


def classifier_free(device: str) -> Glide:
    """The system of figure 11."""
    return load_glide(weights("glide-free"), device, guided_by="free")


__all__ = ["classifier_free", "clip_guided"]
