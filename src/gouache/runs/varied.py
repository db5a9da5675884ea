"""From "vary this picture" and "cross these two" to settings: the one place that knows.

The pictures are started from as they are, whatever made them. One that gouache painted brings its
own words and settings; any other needs words.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.errors import ConfigError, ImageError
from gouache.prompts import one_line
from gouache.settings.config import PaintConfig, make_config

STRENGTH = 0.5  # of a variation, unless it is said
COUNT = 4  # variations, unless it is said
# What says where a picture starts: settled here.
STARTS = ("init_image", "cross_image", "init_disturb")
_ASKING = ("prompt", "image_prompts", "noise_prompts")
_SEEDS = 2**63


class VariedWarning(UserWarning):
    """Pictures that are started from are not taken as they are."""

    all_differ = True


def vary_settings(picture: str | Path, strength: float) -> dict[str, Any]:
    """What begins with one picture disturbed; `strength` in [0,1], else `ConfigError`."""
    number = isinstance(strength, (int, float)) and not isinstance(strength, bool)
    if not number or not 0 <= strength <= 1:
        raise ConfigError(f"strength is {strength!r:.40}; expected a number from 0 to 1")
    return {"init_image": str(picture), "cross_image": "", "init_disturb": float(strength)}


def evolve_settings(first: str | Path, second: str | Path) -> dict[str, Any]:
    """What begins with two pictures crossed."""
    return {"init_image": str(first), "cross_image": str(second), "init_disturb": 0.0}


def varied(
    picture: Path, given: Mapping[str, Any], *, strength: float = STRENGTH, preset: str = "auto"
) -> PaintConfig:
    """The settings that paint variations of a picture.

    Where gouache painted it, its own words and settings, with seeds after its own; `given` replace
    them. For any other picture `given` has a prompt, and `preset` the other settings. Raises
    `ImageError` for what is no picture, and a `ConfigError` without words; warns where it has
    another size than is painted.
    """
    start = vary_settings(picture, strength)
    return _config([_read(picture)], given, preset, start)


def evolved(
    first: Path, second: Path, given: Mapping[str, Any], *, preset: str = "auto"
) -> PaintConfig:
    """The settings that paint crossings of two pictures, with those of the first one that gouache
    painted; otherwise like `varied`.

    Raises `ConfigError`, too, where different generators painted the two and `given` names none;
    warns where the two were painted from different words, or have different sizes.
    """
    start = evolve_settings(first, second)
    return _config([_read(first), _read(second)], given, preset, start)


@dataclass(frozen=True)
class _Parent:
    """A picture that is started from, and what its file tells; None with the reason why not."""

    path: Path
    size: tuple[int, int]
    document: Mapping[str, Any] | None = None
    untold: str = ""

    @property
    def shown(self) -> str:
        return one_line(self.path)

    @property
    def words(self) -> str:
        """The picture's own: in the studio they may have been changed on the way."""
        return str((self.document or {}).get("prompt") or "")


def _read(path: Path) -> _Parent:
    """Reads all of it: one that is cut off is told now rather than after loading the models."""
    from gouache.ops.images import load_image
    from gouache.output.documents import check_document
    from gouache.output.pictures import read_metadata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # who paints from it is told
        size = load_image(path).size
    shown = one_line(path)
    try:
        document = read_metadata(path)
        check_document(document, path)
    except ImageError as error:
        return _Parent(path, size, None, str(error))
    if "config" not in document:
        return _Parent(path, size, None, f"{shown} holds no settings of a painting")
    if document.get("picture", 0) is None and document["config"].get("count", 1) != 1:
        raise ConfigError(f"{shown} is a sheet of several pictures; give one of them")
    return _Parent(path, size, document)


def _config(
    parents: Sequence[_Parent], given: Mapping[str, Any], preset: str, start: Mapping[str, Any]
) -> PaintConfig:
    for name in given.keys() & set(STARTS):
        raise ConfigError(f"{name} is given, which the pictures decide here; leave it out")
    known = [parent for parent in parents if parent.document is not None]
    asked = {name: value for name, value in given.items() if value or name != "prompt"}
    if not known and not asked.keys() & set(_ASKING):
        raise ConfigError(f"{parents[0].untold}, or say what to paint by a prompt (--prompt)")
    if not known:
        config = make_config(preset, **{**asked, **start})
    else:
        _compare(known, asked)
        if preset != "auto":
            warnings.warn(
                f"the preset {preset} is not taken: {known[0].shown} brings its own settings",
                VariedWarning,
                stacklevel=4,
            )
        config = _painted_like(known[0], asked).updated(**start)
    _tell_fitted(parents, config)
    return config


def _painted_like(parent: _Parent, given: Mapping[str, Any]) -> PaintConfig:
    from gouache.runs.replaying import settings_of

    assert parent.document is not None
    config, picture = settings_of(parent.document, parent.path, given.keys())
    number = picture or 0
    own: dict[str, Any] = {
        "prompt": parent.words or config.prompt_of(number),
        "seed": (config.seed + number + 1) % _SEEDS,
        "count": 1,
    }
    return config.updated(**{**own, **given})


def _compare(known: Sequence[_Parent], given: Mapping[str, Any]) -> None:
    """Whether the pictures that gouache painted agree in what the new ones take of the first."""
    if len(known) < 2:
        return
    first, second = known
    if "generator" not in given and _generator(first) != _generator(second):
        raise ConfigError(
            f"{first.shown} and {second.shown} were painted with different generators "
            f"({_generator_name(first)} and {_generator_name(second)}); say which one paints: "
            "--generator NAME"
        )
    if "prompt" not in given and first.words != second.words:
        warnings.warn(
            f"{second.shown} was painted from other words; those of {first.shown} are taken "
            f"({one_line(first.words, 80)!r}), and --prompt says others",
            VariedWarning,
            stacklevel=5,
        )


def _generator(parent: _Parent) -> Any:
    """The weights where they are known: the same may have been called otherwise."""
    told = (parent.document or {}).get("generator", {})
    return told.get("fingerprint") or told.get("name")


def _generator_name(parent: _Parent) -> str:
    told = (parent.document or {}).get("generator", {})
    return one_line(f"{told.get('name')}, sha256 {str(told.get('fingerprint'))[:12]}", 120)


def _tell_fitted(parents: Sequence[_Parent], config: PaintConfig) -> None:
    """Says which pictures are not started from at the size they have."""
    width, height = config.size
    whole = [(width * scale, height * scale) for scale in (1, 2, 4)]  # reduced as it was enlarged
    others = [one for one in parents if one.size not in whole]
    if not others:
        return
    told = " and ".join(f"{one.shown} is {one.size[0]}x{one.size[1]}" for one in others)
    it_is = "it is" if len(others) == 1 else "they are"
    cut = any(
        not math.isclose(one.size[0] * height, one.size[1] * width, rel_tol=0.01) for one in others
    )
    warnings.warn(
        f"{told}; {it_is} scaled to {width}x{height}, the size that is painted (--size)"
        f"{'; what juts out is cut off' if cut else ''}",
        VariedWarning,
        stacklevel=4,
    )


__all__ = [
    "STARTS",
    "STRENGTH",
    "VariedWarning",
    "evolve_settings",
    "evolved",
    "varied",
    "vary_settings",
]
