"""Terms of the sum that a picture minimises: each keeps `gouache.protocols.Loss`.

They see one `LossContext` per step and return one value per picture, (B,), so that pictures painted
together stay independent of one another.
"""

from gouache.losses.contrast import ContrastLoss, rivals, shared_rivals
from gouache.losses.latent import DecayingLoss, SteppedLoss
from gouache.losses.prompt import PromptLoss, spherical_distance
from gouache.losses.structure import DirectionLoss, StructureLoss
from gouache.losses.tv import TotalVariationLoss

__all__ = [
    "ContrastLoss",
    "DecayingLoss",
    "DirectionLoss",
    "PromptLoss",
    "SteppedLoss",
    "StructureLoss",
    "TotalVariationLoss",
    "rivals",
    "shared_rivals",
    "spherical_distance",
]
