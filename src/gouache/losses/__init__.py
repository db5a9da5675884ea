"""Terms of the sum that a picture minimises: each keeps `gouache.protocols.Loss`.

They see one `LossContext` per step and return one value per picture, (B,), so that pictures painted
together stay independent of one another. Those that the setting `losses` may ask for have a name in
the registry `losses`: a builder is called as `builder(weight)` and returns a
`gouache.protocols.Loss`. What needs more than a weight, such as the prompts' own, is no choice and
has no name there.

Not here: what is asked of which picture, and by which weight (`engine.terms`).
"""

from collections.abc import Callable

from gouache.losses.contrast import ContrastLoss, rivals, shared_rivals
from gouache.losses.held import HeldColours, HeldShapes
from gouache.losses.latent import DecayingLoss, SteppedLoss
from gouache.losses.prompt import PromptLoss, spherical_distance
from gouache.losses.structure import DirectionLoss, StructureLoss
from gouache.losses.style import StyleLoss
from gouache.losses.tv import TotalVariationLoss
from gouache.protocols import Loss
from gouache.registry import Registry

LossBuilder = Callable[[float], Loss]

losses: Registry[LossBuilder] = Registry("loss", "gouache.losses")
losses.add("tv", TotalVariationLoss)

__all__ = [
    "ContrastLoss",
    "DecayingLoss",
    "DirectionLoss",
    "HeldColours",
    "HeldShapes",
    "LossBuilder",
    "PromptLoss",
    "SteppedLoss",
    "StructureLoss",
    "StyleLoss",
    "TotalVariationLoss",
    "losses",
    "rivals",
    "shared_rivals",
    "spherical_distance",
]
