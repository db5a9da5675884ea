"""Settings of films, beside those of `gouache.settings.config`. Standard library only.

Curves are kept as the texts that people wrote; `FilmConfig.curve` reads them.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gouache.errors import ConfigError
from gouache.films.curves import MAX_FRAMES, MOTIONS, Curve, read_levels
from gouache.films.scenes import Scene, parse_scenes
from gouache.settings.codec import Codec, Setting, settings_of
from gouache.settings.config import PaintConfig, make_config, preset_for
from gouache.settings.expressions import NUMBER
from gouache.settings.presets import LATENT_DEFAULTS
from gouache.settings.sections import setting

MIN_FPS, MAX_FPS = 0.1, 120.0
BORDERS = ("mirror", "reflect", "replicate", "wrap", "fresh")
# What frames have where nobody says otherwise. A camera moves: halves would stay where they are,
# and so would what the first frame was begun with.
_FRAMES = {"scale": 1, "layout": "off", "style_weight": 0.0}
# Frames of `photo`'s preset keep the rate that films were tried with, half that of single pictures.
_CALM = {"learning_rate": 0.15}
_PERCENT = re.compile(rf"\s*({NUMBER.pattern})\s*%\s*")


_OF_CLIPS = ("every_nth", "strength", "structure_weight", "keep_weight")
_OF_CAMERAS = (
    "fov",
    "center_x",
    "center_y",
    "border",
    "border_lr",
    "depth",
    "color_coherence",
    "detail_coherence",
)


class FilmWarning(UserWarning):
    """What films leave out of what was asked for."""

    all_differ = True  # each is told


class CurveText(Codec):
    """A number for each frame, as text: `1.01`, `0:(1.01), 60:(1.03)`, `1+0.02*sin(t/8)`."""

    expected = "a number, or a curve such as 0:(1), 60:(1.03) or 1+0.02*sin(t/8)"
    metavar = "CURVE"

    def read(self, setting: Setting, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = repr(value)
        if isinstance(value, str) and (share := _PERCENT.fullmatch(value)):
            value = repr(float(share[1]) / 100)
        return value

    def check(self, setting: Setting, value: Any) -> None:
        Curve.parse(value, setting.name)


def _curve(default: str, help: str) -> Any:
    return setting(default, help, codec=CurveText())


@dataclass(frozen=True)
class FilmConfig:
    """How long a film is, how its camera moves, and what is kept from frame to frame.

    Motions are per frame, as Deforum and Disco Diffusion count them: x to the right and y down in
    pixels, angles in degrees, a positive one turns the picture counter-clockwise.
    """

    frames: int = setting(0, "frames of the film; 0 is seconds times fps", low=0, high=MAX_FRAMES)
    seconds: float = setting(4.0, "length where frames is 0", above=0.0, high=36_000.0)
    fps: float = setting(12.0, "frames per second", low=MIN_FPS, high=MAX_FPS)
    steps_per_frame: int = setting(
        12, "steps of each frame; of the first one steps says how many", low=1, high=100_000
    )
    frame_lr: float = setting(
        0.1,
        "learning rate of frames after the first, as a share of it; with more of it pictures are "
        "repainted rather than moved",
        above=0.0,
        high=10.0,
    )
    zoom: str = _curve("1", "how much larger the picture gets from frame to frame; 1 is no zoom")
    angle: str = _curve("0", "degrees that it turns")
    translation_x: str = _curve("0", "pixels that it moves to the right")
    translation_y: str = _curve("0", "pixels that it moves down")
    translation_z: str = _curve("0", "how far the camera goes into it; 200 is its distance")
    rotation_3d_x: str = _curve("0", "degrees that the camera tilts")
    rotation_3d_y: str = _curve("0", "degrees that the camera pans")
    rotation_3d_z: str = _curve("0", "degrees that the camera rolls")
    fov: float = setting(40.0, "field of view of the camera in degrees", low=1.0, high=170.0)
    center_x: float = setting(0.5, "what stays in place, as a share of the width", low=-9, high=9)
    center_y: float = setting(0.5, "what stays in place, as a share of the height", low=-9, high=9)
    border: str = setting(
        "mirror", "what comes in at the borders before it is painted", choices=BORDERS
    )
    border_lr: float = setting(
        1.0,
        "as frame_lr, of what comes in at the borders, which is painted first; it falls to it "
        "within 8 frames",
        above=0.0,
        high=10.0,
    )
    color_coherence: bool = setting(True, "the colours keep their mean (CIELAB) within a scene")
    detail_coherence: bool = setting(True, "the picture stays as sharp within a scene")
    crossfade: int = setting(
        12,
        "frames over which the prompts of one stage become the next's, and a loop closes",
        low=0,
        high=MAX_FRAMES,
    )
    crossfade_lr: float = setting(
        0.3,
        "as frame_lr, of frames over which the prompts change: the picture has to follow them",
        above=0.0,
        high=10.0,
    )
    crossfade_whole: bool = setting(
        True,
        "prompts that change within fewer than 12 frames get as much painting as within 12: more "
        "of the learning rate, then more steps",
    )
    cycle: bool = setting(False, "the stages of a prompt come round to the first again")
    loop: bool = setting(False, "the film ends where it begins, and its stages cycle")
    morph: bool = setting(False, "go from the init image to the cross image; --morph A B is both")
    depth: str = setting(
        "plane",
        "what translation_z and rotations move through: plane, or a model that tells how far "
        "things are, such as depth-anything-v2-small",
    )
    every_nth: int = setting(1, "of a clip only every n-th frame", low=1, high=1000)
    strength: float = setting(
        1.0, "over a clip: how far frames move towards the words", above=0.0, high=100.0
    )
    structure_weight: float = setting(
        1.0,
        "over a clip: weight of each cutout's distance to the same cutout of the clip's frame",
        low=0.0,
        high=1000.0,
    )
    keep_weight: float = setting(
        30.0,
        "over a clip: weight of each pixel's distance to what it was in the frame before",
        low=0.0,
        high=100_000.0,
    )

    scenes: tuple[str, ...] = setting(
        (),
        "a scene as a line of JSON: frames, prompts by frame, seed, crossfade, curves; in a film "
        "file [[scene]]",
        option="scene",
        most=1000,
    )

    audio_levels: str = setting("", "what curves hear in each frame, as --audio finds it")

    def __post_init__(self) -> None:
        for item in film_settings():
            item.check(item.get(self))
        read_levels(self.audio_levels)
        if self.num_frames > MAX_FRAMES:
            raise ConfigError(
                f"the film has {self.num_frames:,} frames; at most {MAX_FRAMES:,} are possible"
            )

    @property
    def num_frames(self) -> int:
        """Frames of the whole film, at least one."""
        if self.scenes:
            return sum(scene.frames for scene in self.parsed_scenes)
        return self.frames or max(1, round(self.seconds * self.fps))

    @cached_property
    def _levels(self) -> dict[str, list[float]]:
        return read_levels(self.audio_levels)

    def heard(self, frame: int) -> dict[str, float]:
        """What curves hear in a frame of the film; what is missing is silence."""
        return {name: track[frame] for name, track in self._levels.items() if frame < len(track)}

    @cached_property
    def parsed_scenes(self) -> tuple[Scene, ...]:
        """The scenes, read; none where one prompt is all. Mistakes raise `ConfigError`."""
        return parse_scenes(self.scenes, self.fps)

    def curve(self, name: str) -> Curve:
        """The curve of one of `MOTIONS`."""
        return Curve.parse(getattr(self, name), name)

    def updated(self, **values: Any) -> FilmConfig:
        """A copy with other values; wrong ones raise `ConfigError`."""
        known = {item.name: item for item in film_settings()}
        return dataclasses.replace(
            self, **{name: known[name].read(value) for name, value in values.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain names and values; `from_dict` reads them back."""
        return {item.name: item.plain(item.get(self)) for item in film_settings()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FilmConfig:
        """What is missing has its default, or the value from before there was such a setting;
        unknown names raise `ConfigError`."""
        unknown = set(values) - {item.name for item in film_settings()}
        if unknown:
            raise ConfigError(f"no setting of films is called {min(unknown)!r:.60}")
        older: dict[str, Any] = {}
        if "frame_lr" in values:  # what a film tells that was made before there was such a setting
            older = {"crossfade_lr": values["frame_lr"], "border_lr": values["frame_lr"]}
            older |= {"crossfade_whole": False}
        return cls().updated(**{**older, **values})


def film_settings() -> tuple[Setting, ...]:
    """The fields as the command line shows them."""
    return tuple(settings_of(FilmConfig, "film"))


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flat names -> those of `FilmConfig` and all others. Both lengths raise `ConfigError`."""
    names = {item.name for item in film_settings()}
    mine = {name: value for name, value in values.items() if name in names}
    if str(mine.get("frames", 0)) != "0" and "seconds" in mine:
        raise ConfigError("both frames and seconds are given; give one of them")
    return mine, {name: value for name, value in values.items() if name not in names}


def frame_settings(values: Mapping[str, Any], preset: str = "auto") -> dict[str, Any]:
    """`values` of settings over what frames want otherwise than single pictures do."""
    calm = (
        preset_for(values, preset) == "photo" and str(values.get("latent")) not in LATENT_DEFAULTS
    )
    return {**_FRAMES, **(_CALM if calm else {}), **values}


def asked_film(
    values: Mapping[str, Any], preset: str = "auto", *, over_clip: bool = False
) -> tuple[PaintConfig, FilmConfig]:
    """Flat names -> settings of the frames (`make_config`, with `frame_settings`) and the film.

    A morph without words is guided by its two pictures. What this kind of film does not use is
    told. Wrong values raise `ConfigError`.
    """
    mine, others = split(values)
    film = FilmConfig().updated(**mine)
    if over_clip:
        _tell_unused(film, (*_OF_CAMERAS, "loop"), "a film over a clip follows the clip")
    else:
        _tell_unused(film, _OF_CLIPS, "there is no clip; give one by --source")
        _tell_unused(film, _OF_CAMERAS if film.morph else (), "a morph follows no camera")
    if film.morph and not others.get("prompt"):
        ends = [others[name] for name in ("init_image", "cross_image") if others.get(name)]
        others.setdefault("image_prompts", ends)
    return unscaled(make_config(preset, **frame_settings(others, preset))), film


def _tell_unused(film: FilmConfig, names: Sequence[str], why: str) -> None:
    unused = [name for name in names if getattr(film, name) != getattr(FilmConfig, name)]
    if unused:
        warnings.warn(f"{' and '.join(unused)} left out: {why}", FilmWarning, stacklevel=3)


def unscaled(config: PaintConfig) -> PaintConfig:
    """With a `scale` of 1; what else was asked for is told."""
    if config.scale == 1:
        return config
    told = f"scale {config.scale} left out: a film is as large as size says"
    warnings.warn(told, FilmWarning, stacklevel=3)
    return config.updated(scale=1)


__all__ = [
    "BORDERS",
    "MAX_FPS",
    "MAX_FRAMES",
    "MIN_FPS",
    "MOTIONS",
    "CurveText",
    "FilmConfig",
    "FilmWarning",
    "asked_film",
    "film_settings",
    "frame_settings",
    "split",
    "unscaled",
]
