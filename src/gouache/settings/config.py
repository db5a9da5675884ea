"""Run-level settings: frozen dataclasses that need nothing but the standard library.

One source for name, default, range and help: the command line, configuration files, PNG metadata
and `paint(...)` all derive from these fields. A field's metadata holds `help`, and where they apply
`low`, `high` (inclusive range), `above` (exclusive lower bound), `choices`, `longest` and `most`
(of texts), `option` (the option's name where it repeats), `parts` (what stands between the parts of
a text) and `codec`, where its type does not say how it is read. A `Number` may be a `Schedule` over
the steps. The defaults are those of the shipped models, guided by `pocket` and `photo` together;
`PRESETS` holds what differs for others. Names are unique across sections:
`make_config(num_cutouts=32)` needs no section's name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gouache import html
from gouache.errors import ConfigError
from gouache.prompts import MAX_PROMPT_CHARS, Stage, laid_out, parse_stages
from gouache.registry import nearest
from gouache.settings.codec import (
    Counts,
    Prompts,
    Setting,
    Size,
    Texts,
    as_prompts,
    parse_weighted,
    settings_of,
)
from gouache.settings.presets import GUIDES, LATENT_DEFAULTS, PRESETS, preset_of
from gouache.settings.schedule import numbers_at
from gouache.settings.sections import (
    AUGMENTATIONS,
    CutoutConfig,
    GuidanceConfig,
    LatentConfig,
    OptimizerConfig,
)
from gouache.settings.sections import setting as _setting

MAX_SIDE = 8192
MAX_PIXELS = 4096 * 4096
MAX_COUNT = 256
COMPILE = ("auto", "on", "off")


class Guides(Texts):
    """Perceptors by name, none of them twice and at least one."""

    def check(self, setting: Setting, value: Any) -> None:
        names = [parse_perceptor(item)[0] for item in value]
        if not names:
            raise ConfigError("the list of perceptors is empty; give at least one")
        if twice := [item for item in names if names.count(item) > 1]:
            raise ConfigError(f"the perceptor {twice[0]!r:.80} is given twice; once is enough")


@dataclass(frozen=True)
class PaintConfig:
    """All that decides a picture; `config.updated(steps=300)` is a changed copy."""

    prompt: tuple[str, ...] = _setting(
        (),
        "what to paint: 'text:weight:stop @place | text ^ next stage'; several are one picture "
        "each, in turn",
        longest=MAX_PROMPT_CHARS,
        most=MAX_COUNT,
        codec=Prompts(),
    )
    image_prompts: tuple[str, ...] = _setting(
        (),
        "pictures to resemble, PATH:WEIGHT:STOP",
        most=MAX_COUNT,
        option="image_prompt",
        parts=":",
    )
    noise_prompts: tuple[str, ...] = _setting(
        (), "random directions, SEED:WEIGHT:STOP", most=MAX_COUNT, option="noise_prompt", parts=":"
    )
    init_image: str = _setting("", "picture to start from")
    cross_image: str = _setting(
        "", "picture to cross with the init image: the start has parts of both, by the seed"
    )
    size: tuple[int, int] = _setting(
        (256, 256), "width and height in pixels, WxH", low=1, high=MAX_SIDE, codec=Size()
    )
    scale: int = _setting(
        2, "how many times larger the finished picture is drawn", choices=(1, 2, 4)
    )
    smooth: float = _setting(
        0.3,
        "texture fainter than this is evened out where a picture is drawn larger; edges stay",
        low=0,
        high=1,
    )
    sharpen: float = _setting(
        0.8, "how much edges of a picture that is drawn larger are sharpened", low=0, high=5
    )
    levels: float = _setting(
        0.3,
        "how far the darkest and the brightest of it are pulled to black and white",
        low=0,
        high=1,
    )
    steps: tuple[int, ...] = _setting(
        (45,),
        "optimisation steps; one number per stage or one for all",
        low=1,
        high=1_000_000,
        codec=Counts(),
    )
    seed: int = _setting(0, "seed of everything random", low=0, high=2**63 - 1)
    count: int = _setting(
        1, "pictures painted together, one per prompt or more", low=1, high=MAX_COUNT
    )
    generator: str = _setting("pocket", "picture generator (VQGAN)")
    perceptor: tuple[str, ...] = _setting(
        GUIDES,
        "joint text-image encoder, NAME or NAME:WEIGHT; several guide together",
        parts=":",
        codec=Guides(),
    )
    device: str = _setting("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = _setting(
        "auto", "arithmetic of the frozen networks", choices=("auto", "fp32", "bf16", "fp16")
    )
    compile: str = _setting(
        "auto", "torch.compile for the networks: auto is where it pays", choices=COMPILE
    )
    cutouts: CutoutConfig = field(default_factory=CutoutConfig)
    latents: LatentConfig = field(default_factory=LatentConfig)
    optimization: OptimizerConfig = field(default_factory=OptimizerConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", as_prompts(self.prompt))
        for setting in settings():
            setting.check(setting.get(self))
        width, height = self.size
        if width * height > MAX_PIXELS:
            raise ConfigError(
                f"size is {width}x{height}; at most {MAX_PIXELS:,} pixels are possible"
            )
        if max(self.drawn_size) > MAX_SIDE or self.drawn_size[0] * self.drawn_size[1] > MAX_PIXELS:
            raise ConfigError(
                f"size is {width}x{height} and scale {self.scale}, which makes "
                f"{self.drawn_size[0]}x{self.drawn_size[1]}; at most {MAX_PIXELS:,} pixels and "
                f"{MAX_SIDE} a side are possible"
            )
        if self.count < len(self.prompt):
            raise ConfigError(
                f"count is {self.count} and there are {len(self.prompt)} prompts, one picture "
                "each; leave count out, or raise it"
            )

    @property
    def drawn_size(self) -> tuple[int, int]:
        """Width and height of the finished picture."""
        return self.size[0] * self.scale, self.size[1] * self.scale

    @property
    def guides(self) -> tuple[tuple[str, float], ...]:
        """Name and weight of each perceptor."""
        return tuple(map(parse_perceptor, self.perceptor))

    @cached_property
    def stages(self) -> tuple[tuple[Stage, ...], ...]:
        """What is asked, read once: of each stage all prompts of each picture, in turn.

        `PromptError` for every mistake in them, also where there is nothing to ask for.
        """
        if not self.guidance.lays_out:
            return self.written
        return tuple(tuple(map(laid_out, stage)) for stage in self.written)

    @cached_property
    def written(self) -> tuple[tuple[Stage, ...], ...]:
        """`stages` as they were written: two things of one prompt together."""
        return parse_stages(self.prompt, self.image_prompts, self.noise_prompts)

    @property
    def title(self) -> str:
        """What is painted, in one line: the prompt, or those of the single pictures."""
        return " / ".join(self.prompt)

    def prompt_of(self, picture: int) -> str:
        """The prompt of one picture of the batch."""
        return self.prompt[picture % len(self.prompt)] if self.prompt else ""

    def updated(self, **values: Any) -> PaintConfig:
        """A copy with settings of any section replaced by their flat names."""
        known = {setting.name: setting for setting in settings()}
        top: dict[str, Any] = {}
        sections: dict[str, dict[str, Any]] = {}
        for name, value in _one_prompt(values).items():
            if name not in known:
                raise ConfigError(f"no setting is called {name!r}; {nearest(name, sorted(known))}")
            setting = known[name]
            value = setting.read(value)
            (sections.setdefault(setting.section, {}) if setting.section else top)[name] = value
        for section, changes in sections.items():
            top[section] = dataclasses.replace(getattr(self, section), **changes)
        return dataclasses.replace(self, **top)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested mapping of lists, numbers and strings; `from_dict` reads it back.

        A single prompt is a string.
        """
        found: dict[str, Any] = {
            item.name: {} for item in dataclasses.fields(self) if item.name in _SECTIONS
        }
        for item in settings():
            owner = found[item.section] if item.section else found
            owner[item.name] = item.plain(item.get(self))
        return {item.name: found[item.name] for item in dataclasses.fields(self)}

    def at(self, step: int, num_steps: int) -> PaintConfig:
        """The settings as they are at a step (0-based, of all stages): no schedules, numbers."""
        changed = {}
        for name in _SECTIONS:
            section = getattr(self, name)
            now = numbers_at(section, step, num_steps)
            if now is not section:
                changed[name] = now
        return dataclasses.replace(self, **changed) if changed else self

    def _repr_html_(self) -> str:
        given = [(item.name, item.show(item.get(self))) for item in settings()]
        changed = [
            told
            for item, told in zip(settings(), given, strict=True)
            if item.get(self) != item.default
        ]
        return html.table(changed) + html.details("all settings", html.table(given))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PaintConfig:
        """Reads nested or flat mappings; unknown keys are errors.

        What is missing has its default. Where perceptors are named that is not `pocket` with
        `photo`, it has the value from before those two were the default: records of earlier
        versions lack what is newer than they are, and their pictures were not drawn larger, nor
        things in them laid out, nor begun in a style.
        """
        flat = flatten(values)
        missing: dict[str, Any] = {}
        if "perceptor" in flat:
            old = preset_for(flat) != "photo"
            missing = {**(PRESETS["pocket"] if old else {}), **OLDER}
        return cls().updated(**{**missing, **flat})


# What is newer than some records that name `pocket` with `photo`: as before there were both.
OLDER: dict[str, Any] = {
    name: PRESETS["pocket"][name]
    for name in (
        "scale", "smooth", "sharpen", "levels", "layout",
        "cut_size", "style_weight", "style_share", "start_judge",
    )
}  # fmt: skip
_SECTIONS = ("cutouts", "latents", "optimization", "guidance")


@lru_cache(maxsize=1)
def settings() -> tuple[Setting, ...]:
    """All settings in their order of declaration, sections flattened."""
    return tuple(settings_of(PaintConfig))


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested section mappings -> flat names. Unknown sections or keys raise `ConfigError`."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"settings must be a mapping of names to values, got {values!r:.60}")
    sections: dict[str, set[str]] = {}
    for setting in settings():
        sections.setdefault(setting.section, set()).add(setting.name)
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key in sections and key:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{key} must be a mapping of settings, got {value!r:.60}")
            for name, inner in value.items():
                if name in flat or name in values:
                    raise ConfigError(f"{name} is given twice, once in {key}; give it once")
                if name not in sections[key]:
                    hint = nearest(str(name), sorted(sections[key]))
                    raise ConfigError(f"no setting in {key} is called {name!r}; {hint}")
                flat[name] = inner
        else:
            flat[str(key)] = value
    return _one_prompt(flat)


def make_config(preset: str = "auto", **values: Any) -> PaintConfig:
    """Settings from a preset, overridden by `values` (flat names).

    "auto" takes the preset for the perceptors (`presets.preset_of`): "photo", the defaults, where
    `photo` guides with `pocket` or comes first, "pocket" where `pocket` comes first otherwise, else
    "paper". A latent with defaults of its own (`LATENT_DEFAULTS`) brings them. Without `count`,
    several prompts are one picture each; `prompts` is another word for them. A `size` without a
    `scale` is that of the finished picture: nothing is drawn larger then.
    """
    values = _one_prompt(values)
    if "size" in values:
        values.setdefault("scale", 1)
    preset = preset_for(values, preset)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ConfigError(
            f"no preset is called {preset!r}; {nearest(str(preset), sorted(PRESETS))}"
        )
    if isinstance(values.get("prompt"), (list, tuple)) and values["prompt"]:
        values = {**values, "count": values.get("count", len(values["prompt"]))}
    chosen = {**PRESETS[preset], **values}
    own = LATENT_DEFAULTS.get(str(chosen.get("latent", PaintConfig().latents.latent)), {})
    return PaintConfig().updated(**{**PRESETS[preset], **own, **values})


def parse_perceptor(text: str) -> tuple[str, float]:
    """Name and weight of a guide: see `parse_weighted`."""
    return parse_weighted(text, "perceptor")


def preset_for(values: Mapping[str, Any], preset: str = "auto") -> str:
    """`preset`, or for "auto" that of the perceptors in `values`, of the default ones without.

    Names count as far as they can be read; mistakes are found later.
    """
    if preset != "auto":
        return preset
    perceptor = values.get("perceptor", PaintConfig.perceptor)
    listed = perceptor if isinstance(perceptor, (list, tuple)) else [perceptor]
    return preset_of([parse_perceptor(one)[0] if isinstance(one, str) else "" for one in listed])


def _one_prompt(values: Mapping[str, Any]) -> dict[str, Any]:
    """`prompts` as `prompt`: another word for several. Records of earlier versions have both, one
    of them empty."""
    found = dict(values)
    several = found.pop("prompts", ())
    if several and found.get("prompt"):
        raise ConfigError("both prompt and prompts are given; give one of them")
    return found | {"prompt": several} if several else found


__all__ = [
    "AUGMENTATIONS",
    "LATENT_DEFAULTS",
    "MAX_COUNT",
    "MAX_PIXELS",
    "MAX_SIDE",
    "PRESETS",
    "CutoutConfig",
    "GuidanceConfig",
    "LatentConfig",
    "OptimizerConfig",
    "PaintConfig",
    "flatten",
    "make_config",
    "parse_perceptor",
    "preset_for",
    "settings",
]
