"""Cutouts: draw their parameters, then apply them to any picture of the same aspect.

Not here: which network looks at them, and how many at once (`engine.objective`).
"""

from gouache.cutouts.apply import apply
from gouache.cutouts.places import inside
from gouache.cutouts.sampler import CutoutParams, sample

__all__ = ["CutoutParams", "apply", "inside", "sample"]
