"""Films from files: TOML, YAML or JSON with `[[scene]]`, or JSON with prompts by frame.

Whatever is not in a scene is a setting of the whole film or of its pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gouache.apps.settings_file import read_document
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig, film_settings
from gouache.films.scenes import Scene, in_order, prompts_by_frame
from gouache.prompts import one_line
from gouache.registry import nearest
from gouache.settings.config import flatten, settings

_SECTIONS = ("cutouts", "latents", "optimization", "guidance")
_OTHERS = ("scene", "prompts", "preset")
_LENGTHS = ("frames", "seconds")


def read_film(
    path: Path, given: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], tuple[Scene, ...]]:
    """The settings of the whole film, flat, and its scenes, none where one prompt is all.

    given: settings that go before those of the file, as the command line's; a length that is given
        is that of a film without scenes of its own.

    Unknown names, what does not fit together and files that are none raise `ConfigError`, all of
    them before anything is painted.
    """
    shown = one_line(path)
    values = read_document(path, "film file")
    if not isinstance(values, Mapping) or not values:
        raise ConfigError(f"the film file {shown} is {values!r:.40}; expected names and values")
    if any(str(key).strip().lstrip("-+").isdecimal() for key in values):
        values = {"prompts": values}
    values = dict(values)
    _known(values, shown)
    film = {item.name for item in film_settings()}
    has_scenes, scenes = "scene" in values, values.pop("scene", None)
    prompts = values.pop("prompts", None)
    flat = flatten(values)
    chosen = {**flat, **(given or {})}
    if "frames" in chosen and "seconds" in chosen:
        flat = {key: value for key, value in flat.items() if key not in _LENGTHS or not given}
        chosen = {**flat, **(given or {})}
    length = FilmConfig().updated(**{key: chosen[key] for key in film & set(chosen)})
    if has_scenes:
        if twice := next((key for key in (*_LENGTHS, "prompt") if key in flat), ""):
            raise ConfigError(f"{shown} has scenes and {twice}; write {twice} into the scenes")
        if prompts is not None:
            raise ConfigError(f"{shown} has scenes and prompts by frame; write these into a scene")
        return flat, in_order(scenes, length.fps)
    if prompts is None:
        return flat, ()
    if not isinstance(prompts, Mapping):  # as in every file of settings: one picture each
        return {**flat, "prompt": prompts}, ()
    if "prompt" in flat:
        raise ConfigError(f"{shown} has prompt and prompts by frame; give one of them")
    texts = prompts_by_frame(prompts, shown)
    if texts[-1][0] >= length.num_frames:
        raise ConfigError(
            f"{shown} has a prompt for frame {texts[-1][0]} and the film {length.num_frames} "
            "frames; give frames, or seconds"
        )
    return flat, (Scene(length.num_frames, texts),)


def _known(values: Mapping[Any, Any], shown: str) -> None:
    names = [*(item.name for item in (*settings(), *film_settings())), *_SECTIONS, *_OTHERS]
    for key in values:
        if key not in names:
            hint = nearest(str(key), names)
            if not hint.startswith("did you mean"):
                hint = "gouache video --help lists what there is"
            raise ConfigError(f"{shown} has {one_line(repr(key), 60)}, which no film has; {hint}")


__all__ = ["read_film"]
