"""Settings of masks and edits, beside those of `gouache.settings.config`. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gouache.protocols import DRAWN
from gouache.settings.codec import Setting, settings_of
from gouache.settings.config import PaintConfig, make_config
from gouache.settings.schedule import Number
from gouache.settings.sections import setting

# What edits want otherwise than pictures do. Coarse levels would move all of the picture.
# What is where is the source's matter, not that of words.
DEFAULTS: dict[str, Any] = {
    "latent": "quantized",
    "perceptor": ("pocket",),
    "scale": 1,
    "smooth": 0.0,
    "sharpen": 0.0,
    "levels": 0.0,
    "cut_size": 0,
    "layout": "off",
    "style_weight": 0.0,
}


@dataclass(frozen=True)
class EditConfig:
    """What is masked, what is kept, and how strongly (paper, appendix H.2)."""

    strength: Number = setting(
        1.0, "how far the picture moves towards the words", above=0.0, high=100.0
    )
    structure_weight: Number = setting(
        1.0,
        "weight of each cutout's distance to the same cutout of the source",
        low=0.0,
        high=1000.0,
    )
    focus_share: float = setting(0.75, "share of cutouts taken around the mask", low=0.0, high=1.0)
    focus_margin: float = setting(
        1.3, "side of that surrounding, in sides of the mask's box", low=1.0, high=100.0
    )
    threshold: str = setting(
        "auto",
        "where the mask ends: auto (Otsu on how much likelier the phrase is than other captions, "
        "then colours), paper (mean less deviations)",
        choices=("auto", "paper"),
    )
    deviations: float = setting(
        2.0, "standard deviations below the mean (paper)", low=-100.0, high=100.0
    )
    colors: bool = setting(True, "follow the picture's colours to the thing's outline (auto)")
    grow: int = setting(0, "pixels by which the mask grows", low=0, high=4096)
    feather: int = setting(
        4, "pixels over which a composite fades from painted to source", low=0, high=4096
    )
    invert: bool = setting(False, "mask what the phrase or the given mask leaves out")
    min_area: float = setting(
        0.002, "patches smaller than this share of the picture are left out", low=0.0, high=1.0
    )
    min_score: float = setting(
        0.02,
        "how much of the phrase, against all other captions, some crop must show",
        low=0.0,
        high=1.0,
    )
    composite: bool = setting(
        False, "lay the painted part over the source, at the source's size and untouched outside"
    )

    def __post_init__(self) -> None:
        for item in edit_settings():
            item.check(item.get(self))

    def updated(self, **values: Any) -> EditConfig:
        """A copy with other values; wrong ones raise `ConfigError`."""
        known = {item.name: item for item in edit_settings()}
        return dataclasses.replace(
            self, **{name: known[name].read(value) for name, value in values.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain names and values; `EditConfig().updated(**these)` reads them back."""
        return {item.name: item.plain(item.get(self)) for item in edit_settings()}


def edit_settings() -> tuple[Setting, ...]:
    """The fields as the command line shows them."""
    return tuple(settings_of(EditConfig, "edit"))


def painting_config(preset: str, values: Mapping[str, Any], *, drawn: bool = True) -> PaintConfig:
    """`make_config` for an edit, with `DEFAULTS`. A preset that is named brings its own guides.

    Edits are painted at the shipped generator's native size and, where neither a size nor a
    generator is given and `drawn`, drawn four times as large in the end.
    """
    own = dict(DEFAULTS)
    if drawn and preset in ("auto", "pocket") and not {"size", "generator"} & values.keys():
        own["scale"] = DRAWN
    if preset != "auto":
        del own["perceptor"]
    return make_config(preset, **{**own, **values})


MASK_SETTINGS = (
    *("threshold", "deviations", "colors", "grow", "feather", "invert", "min_area", "min_score"),
)


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flat names -> those of `EditConfig` and all others."""
    names = {item.name for item in edit_settings()}
    mine = {name: value for name, value in values.items() if name in names}
    return mine, {name: value for name, value in values.items() if name not in names}


__all__ = [
    "DEFAULTS",
    "MASK_SETTINGS",
    "EditConfig",
    "edit_settings",
    "painting_config",
    "split",
]
