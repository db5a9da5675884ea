"""Orders of films: a picture's order, and how its camera moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gouache.apps.studio.orders import Limits, Order, mapping, read_order
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig, film_settings, frame_settings
from gouache.films.film import check
from gouache.films.script import Script

# What needs a clip or a sound, may download a model, or is said otherwise here.
_NOT_SET = {
    *("depth", "every_nth", "strength", "structure_weight", "keep_weight"),
    *("scenes", "audio_levels", "morph"),
}


def read_any_order(
    document: Any,
    limits: Limits,
    find_image: Callable[[str], Path],
    models: Mapping[str, Sequence[str]],
) -> Order:
    """As `read_order`; with `film`, the settings of one, the order of a film.

    It begins with `image`, if that is given; `morph`, a list of two pictures (uploads or RUN/NODE),
    makes it go from one to the other, and needs no words. `ConfigError` for anything that cannot
    be, as a curve that has no number in some frame.
    """
    if not isinstance(document, Mapping) or document.get("film") is None:
        return read_order(document, limits, find_image, models)
    given = dict(document)
    asked = mapping(given.pop("film"), "film", [item.name for item in _settings()])
    morph = given.pop("morph", None)
    for name in ("edit", "vary", "evolve", "extend", "near"):
        if given.get(name) is not None:
            raise ConfigError(f"a film cannot be asked for with {name}; leave it out")
    if morph is not None:
        if not isinstance(morph, list) or len(morph) != 2 or given.get("image") is not None:
            raise ConfigError("morph must be a list of two pictures, and image be left out")
        given["image"] = morph[0]
        if not given.get("prompt") and not given.get("image_prompts"):
            given["image_prompts"] = [{"image": one, "weight": 1.0} for one in morph]  # who guides
    settings = mapping(given.get("settings", {}), "settings", None)
    given["settings"] = frame_settings(settings)
    order = read_order(given, limits, find_image, models)
    if order.count != 1:
        raise ConfigError(f"count is {order.count}; a film is of one picture")
    film = FilmConfig().updated(**asked, morph=morph is not None)
    other = None if morph is None else find_image(str(morph[1]))
    paths = {"init_image": str(order.image or ""), "cross_image": str(other or "")}
    check(order.config.updated(**paths), film)
    script = Script(order.config, film, ())
    _check_limits(script, limits)
    script.check()
    ends = morph or [given.get("image")]
    parents = tuple(one for one in ends if isinstance(one, str) and "/" in one)
    return replace(
        order,
        film=film,
        other=other,
        how="film" if parents else "",
        parents=parents,
        parent=parents[0] if parents else "",
    )


def film_table() -> list[dict[str, Any]]:
    """Name, help, default and range of each setting of films, as `settings_table` has them."""
    return [item.document() for item in _settings()]


def _settings() -> list[Any]:
    return [item for item in film_settings() if item.name not in _NOT_SET]


def _check_limits(script: Script, limits: Limits) -> None:
    if script.num_frames > limits.frames:
        raise ConfigError(
            f"the film has {script.num_frames:,} frames; this studio paints at most {limits.frames}"
        )
    if script.num_steps > limits.film_steps:
        raise ConfigError(
            f"the film has {script.num_steps:,} steps; this studio does at most "
            f"{limits.film_steps:,}: make it shorter, or give frames fewer steps"
        )


__all__ = ["film_table", "read_any_order"]
