"""Scenes of a film: how long each is, what it shows from which frame on, and how it is painted.

A scene is plain values, in a film file (`gouache.apps.film_file`) or as one line of JSON:

    {"frames": 48, "prompts": {"0": "sea", "30": "storm"}, "seed": 3, "zoom": "0:(1), 47:(1.1)"}

Every numeric setting and every motion of the camera may be a curve. In a scene frames count from
its first one, for prompts and curves alike (`t`, `max_f`), so that scenes can be moved.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from gouache.errors import ConfigError, PromptError
from gouache.films.curves import MAX_FRAMES, MOTIONS, Curve
from gouache.prompts import MAX_PROMPT_CHARS, one_line, parse_stages
from gouache.registry import nearest
from gouache.settings.codec import Ranged, Setting, Whole
from gouache.settings.config import settings
from gouache.settings.expressions import NUMBER

MAX_SCENES = 1000
_FIXED = ("seed", "count", "scale", "start_tries", "start_steps")  # of a whole film
_OWN = ("frames", "seconds", "start", "prompt", "prompts", "seed", "crossfade")
_SILENCE: Mapping[str, float] = MappingProxyType({})


def numeric_settings() -> dict[str, Setting]:
    """The settings of pictures that a curve may change from frame to frame, by their names."""
    return {
        item.name: item
        for item in settings()
        if isinstance(item.codec, Ranged) and item.name not in _FIXED
    }


@dataclass(frozen=True)
class Scene:
    """prompts: frame of the scene and what is shown from there on; the first is 0, frames rise.
    seed: None is the film's. crossfade: frames from what was shown before; None is the film's.
    curves: motions and settings by name, as texts of `Curve`.
    """

    frames: int
    prompts: tuple[tuple[int, str], ...] = ()
    seed: int | None = None
    crossfade: int | None = None
    curves: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, values: Any, name: str = "the scene", fps: float = 12.0) -> Scene:
        """A scene from plain values; `ConfigError` or `PromptError` for what does not fit.

        `seconds` counts with `fps`. `start` is left to `in_order`.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"{name} is {values!r:.60}; expected names and values")
        known = [*_OWN, *MOTIONS, *numeric_settings()]
        for key in values:
            if key not in known:
                raise ConfigError(
                    f"{name} has {one_line(repr(key), 60)}, which no scene has; "
                    f"{_hint(str(key), known)}"
                )
        frames = _length(values, name, fps)
        seed, fade = (_whole(values[key], f"{name}: {key}") if key in values else None
                      for key in ("seed", "crossfade"))  # fmt: skip
        if fade is not None and fade > MAX_FRAMES:
            raise ConfigError(f"{name}: crossfade is {fade}; at most {MAX_FRAMES} are possible")
        if seed is not None and seed >= 2**63:
            raise ConfigError(f"{name}: seed is too large; at most 2**63 - 1 is possible")
        texts = _prompts(values, name, frames)
        curves = tuple(
            (key, _text(value, f"{name}: {key}"))
            for key, value in values.items()
            if key not in _OWN
        )
        found = cls(frames, texts, seed, fade, curves)
        for key, text in curves:
            for number in Curve.parse(text, f"{name}: {key}").over(frames, fps=fps, seed=seed or 0):
                if item := numeric_settings().get(key):
                    _checked(item, number, name)
        return found

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; `read` reads it back."""
        found: dict[str, Any] = {"frames": self.frames}
        if self.prompts:
            found["prompts"] = {str(frame): text for frame, text in self.prompts}
        found |= {key: getattr(self, key) for key in ("seed", "crossfade")
                  if getattr(self, key) is not None}  # fmt: skip
        return found | dict(self.curves)

    def __str__(self) -> str:
        return json.dumps(self.plain(), ensure_ascii=False)

    @cached_property
    def _read(self) -> Mapping[str, Curve]:
        return {name: Curve.parse(text, name) for name, text in self.curves}

    @property
    def read_curves(self) -> tuple[Curve, ...]:
        return tuple(self._read.values())

    def at(
        self, frame: int, *, fps: float, seed: int, sound: Mapping[str, float] = _SILENCE
    ) -> dict[str, float | int]:
        """Motions and settings that the scene changes, at one of its frames."""
        of: dict[str, Any] = {"num_frames": self.frames, "fps": fps, "seed": seed, "sound": sound}
        found: dict[str, float | int] = {}
        for name, curve in self._read.items():
            number = curve.at(frame, **of)
            item = numeric_settings().get(name)
            found[name] = number if item is None else _checked(item, number, "the scene")
        return found


def in_order(values: Any, fps: float) -> tuple[Scene, ...]:
    """The scenes of a list of plain values. Those with a `start` have to begin there, as frames
    of the film: overlaps and gaps are `ConfigError`s."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ConfigError(f"scene is {values!r:.60}; expected a list of scenes, as [[scene]] makes")
    if len(values) > MAX_SCENES:
        raise ConfigError(f"{len(values):,} scenes are given; at most {MAX_SCENES:,} are possible")
    scenes: list[Scene] = []
    end = 0
    for number, one in enumerate(values, 1):
        name = f"scene {number}"
        scene = Scene.read(one, name, fps)
        start = _whole(one.get("start", end), f"{name}: start")
        if start != end:
            kind = "they overlap" if start < end else f"nothing is from {end} to {start}"
            before = f"scene {number - 1} ends" if scenes else "a film begins"
            raise ConfigError(f"{name} starts at frame {start} and {before} at {end}: {kind}")
        scenes.append(scene)
        end += scene.frames
    if end > MAX_FRAMES:
        raise ConfigError(f"the scenes have {end:,} frames; at most {MAX_FRAMES:,} are possible")
    if not all(scene.prompts for scene in scenes[:1]):
        raise ConfigError("scene 1 has no prompt; say what it shows")
    return tuple(scenes)


def parse_scenes(lines: Sequence[str], fps: float) -> tuple[Scene, ...]:
    """The scenes of a film from lines of JSON, as `str(scene)` writes them."""
    values = []
    for number, line in enumerate(lines, 1):
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError):
            raise ConfigError(
                f"scene {number} is {line!r:.60}; expected a line of JSON such as "
                '{"frames": 48, "prompts": {"0": "sea"}}'
            ) from None
    return in_order(values, fps) if values else ()


def prompts_by_frame(values: Mapping[Any, Any], name: str) -> tuple[tuple[int, str], ...]:
    """`{"0": ..., "60": ...}`, as Deforum has it: frames and texts, rising, from 0."""
    found: dict[int, str] = {}
    for key, text in values.items():
        frame = _whole(key, f"{name}: the frame")
        if frame in found:
            raise ConfigError(f"{name}: frame {frame} is given twice; give it once")
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{name}: frame {frame} is {text!r:.60}; expected a prompt")
        if frame >= MAX_FRAMES:
            raise ConfigError(f"{name}: frame {frame} is beyond {MAX_FRAMES:,}, the longest film")
        found[frame] = _prompt(text, f"{name}: frame {frame}")
    if not found:
        raise ConfigError(f"{name}: expected prompts by frame, such as {{'0': 'calm sea'}}")
    if 0 not in found:
        raise ConfigError(
            f"{name}: the first prompt is for frame {min(found)}; say what is shown from frame 0"
        )
    return tuple(sorted(found.items()))


def _length(values: Mapping[str, Any], name: str, fps: float) -> int:
    if ("frames" in values) == ("seconds" in values):
        what = "both frames and seconds" if "frames" in values else "neither frames nor seconds"
        raise ConfigError(f"{name} has {what}; give one of them")
    if "frames" in values:
        frames = _whole(values["frames"], f"{name}: frames")
    else:
        seconds = _real(values["seconds"])
        if not 0 < seconds <= MAX_FRAMES:
            raise ConfigError(
                f"{name}: seconds is {values['seconds']!r:.40}; expected a number above 0"
            )
        frames = max(1, round(seconds * fps))
    if not 0 < frames <= MAX_FRAMES:
        raise ConfigError(f"{name} has {frames} frames; expected between 1 and {MAX_FRAMES:,}")
    return frames


def _prompts(values: Mapping[str, Any], name: str, frames: int) -> tuple[tuple[int, str], ...]:
    if "prompt" in values and "prompts" in values:
        raise ConfigError(f"{name} has both prompt and prompts; give one of them")
    if "prompts" in values and not isinstance(values["prompts"], Mapping):
        raise ConfigError(
            f"{name}: prompts is {values['prompts']!r:.60}; expected prompts by frame"
        )
    given = values.get("prompts", {0: values["prompt"]} if "prompt" in values else None)
    if given is None:
        return ()
    found = prompts_by_frame(given, name)
    if found[-1][0] >= frames:
        raise ConfigError(f"{name} has {frames} frames and a prompt for frame {found[-1][0]}")
    return found


def _prompt(text: str, name: str) -> str:
    if len(text) > MAX_PROMPT_CHARS:
        raise ConfigError(f"{name} has {len(text):,} characters; at most {MAX_PROMPT_CHARS:,}")
    try:
        stages = parse_stages((text,), (), ())
    except PromptError as error:
        raise PromptError(f"{name}: {error}", error.text, error.position) from None
    if len(stages) > 1:
        raise ConfigError(f"{name} has stages (^); give each a frame of its own")
    return text


def _text(value: Any, name: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if not isinstance(value, str):
        raise ConfigError(f"{name} is {value!r:.60}; expected a number or a curve")
    return value


def _checked(item: Setting, number: float, name: str) -> float | int:
    value = round(number) if isinstance(item.codec, Whole) else number
    try:
        item.check(value)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    return value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        raise ConfigError(f"{name} is {_cut(value)}; expected a whole number from 0")
    return value


def _real(value: Any) -> float:
    """NaN for what is no number."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return float(value)
    return float(value) if type(value) in (int, float) and abs(value) < 1e300 else math.nan


def _cut(value: Any) -> str:
    return "too large" if type(value) is int and abs(value) > 10**18 else f"{value!r:.40}"


def _hint(key: str, known: Iterable[str]) -> str:
    close = nearest(key, list(known))
    return close if close.startswith("did you mean") else f"its own are {', '.join(_OWN)}"


__all__ = [
    "MAX_SCENES",
    "Scene",
    "in_order",
    "numeric_settings",
    "parse_scenes",
    "prompts_by_frame",
]
