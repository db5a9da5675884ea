"""Run-level settings: frozen dataclasses that need nothing but the standard library.

One source for name, default, range and help: the command line, configuration files, PNG metadata
and `paint(...)` all derive from these fields. A field's metadata holds `help`, and where they apply
`low`, `high` (inclusive range), `above` (exclusive lower bound) and `choices`. The defaults are
those of the shipped models, guided by `pocket` and `photo` together; `PRESETS` holds what differs
for others. Names are unique across sections: `make_config(num_cutouts=32)` needs no section's name.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gouache import html
from gouache.errors import ConfigError
from gouache.prompts import MAX_PROMPT_CHARS, Stage, parse_stages
from gouache.registry import nearest
from gouache.settings.presets import GUIDES, LATENT_DEFAULTS, PRESETS, preset_of
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


@dataclass(frozen=True)
class PaintConfig:
    """All that decides a picture; `config.updated(steps=300)` is a changed copy."""

    prompt: tuple[str, ...] = _setting(
        (),
        "what to paint: 'text:weight:stop | text ^ next stage'; several are one picture each, in "
        "turn",
    )
    image_prompts: tuple[str, ...] = _setting((), "pictures to resemble, PATH:WEIGHT:STOP")
    noise_prompts: tuple[str, ...] = _setting((), "random directions, SEED:WEIGHT:STOP")
    init_image: str = _setting("", "picture to start from")
    size: tuple[int, int] = _setting((256, 256), "width and height in pixels, WxH")
    steps: tuple[int, ...] = _setting(
        (60,), "optimisation steps; one number per stage or one for all"
    )
    seed: int = _setting(0, "seed of everything random", low=0, high=2**63 - 1)
    count: int = _setting(
        1, "pictures painted together, one per prompt or more", low=1, high=MAX_COUNT
    )
    generator: str = _setting("pocket", "picture generator (VQGAN)")
    perceptor: tuple[str, ...] = _setting(
        GUIDES,
        "joint text-image encoder, NAME or NAME:WEIGHT; several guide together",
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
        object.__setattr__(self, "prompt", _listed(self.prompt))
        for setting in settings():
            _check(setting, setting.get(self))
        width, height = self.size
        if width * height > MAX_PIXELS:
            raise ConfigError(
                f"size is {width}x{height}; at most {MAX_PIXELS:,} pixels are possible"
            )
        if self.count < len(self.prompt):
            raise ConfigError(
                f"count is {self.count} and there are {len(self.prompt)} prompts, one picture "
                "each; leave count out, or raise it"
            )

    @property
    def guides(self) -> tuple[tuple[str, float], ...]:
        """Name and weight of each perceptor."""
        return tuple(map(parse_perceptor, self.perceptor))

    @cached_property
    def stages(self) -> tuple[tuple[Stage, ...], ...]:
        """What is asked, read once: of each stage all prompts of each picture, in turn.

        `PromptError` for every mistake in them, also where there is nothing to ask for.
        """
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
            value = _coerce(setting, value)
            _check(setting, value)
            (sections.setdefault(setting.section, {}) if setting.section else top)[name] = value
        for section, changes in sections.items():
            top[section] = dataclasses.replace(getattr(self, section), **changes)
        return dataclasses.replace(self, **top)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested mapping of lists, numbers and strings; `from_dict` reads it back.

        A single prompt is a string.
        """
        found = typing.cast("dict[str, Any]", _plain(dataclasses.asdict(self)))
        return found if len(self.prompt) > 1 else found | {"prompt": self.title}

    def _repr_html_(self) -> str:
        given = [(item.name, item.get(self)) for item in settings()]
        changed = [
            (name, value)
            for item, (name, value) in zip(settings(), given, strict=True)
            if value != item.default
        ]
        return html.table(changed) + html.details("all settings", html.table(given))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PaintConfig:
        """Reads nested or flat mappings; unknown keys are errors.

        What is missing has its default. Where perceptors are named that is not `pocket` with
        `photo`, it has the value from before those two were the default: records of earlier
        versions lack what is newer than they are.
        """
        flat = flatten(values)
        missing = {}
        if "perceptor" in flat and preset_of(_names(flat["perceptor"])) != "photo":
            missing = PRESETS["pocket"]
        return cls().updated(**{**missing, **flat})


@dataclass(frozen=True)
class Setting:
    """One field of `PaintConfig` or of one of its sections, as front ends see it."""

    name: str
    section: str  # attribute of PaintConfig, "" at top level
    type: Any
    default: Any
    meta: Mapping[str, Any]

    @property
    def help(self) -> str:
        return str(self.meta["help"])

    def get(self, config: PaintConfig) -> Any:
        owner = getattr(config, self.section) if self.section else config
        return getattr(owner, self.name)


@lru_cache(maxsize=1)
def settings() -> tuple[Setting, ...]:
    """All settings in their order of declaration, sections flattened."""
    found: list[Setting] = []

    def visit(cls: type, section: str) -> None:
        hints = typing.get_type_hints(cls)
        for item in dataclasses.fields(cls):
            kind = hints[item.name]
            if dataclasses.is_dataclass(kind):
                visit(typing.cast(type, kind), item.name)
            else:
                found.append(Setting(item.name, section, kind, item.default, item.metadata))

    visit(PaintConfig, "")
    return tuple(found)


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
    several prompts are one picture each; `prompts` is another word for them.
    """
    values = _one_prompt(values)
    if preset == "auto":
        preset = preset_of(_names(values.get("perceptor", PaintConfig.perceptor)))
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ConfigError(
            f"no preset is called {preset!r}; {nearest(str(preset), sorted(PRESETS))}"
        )
    if isinstance(values.get("prompt"), (list, tuple)) and values["prompt"]:
        values = {**values, "count": values.get("count", len(values["prompt"]))}
    chosen = {**PRESETS[preset], **values}
    own = LATENT_DEFAULTS.get(str(chosen.get("latent", PaintConfig().latents.latent)), {})
    return PaintConfig().updated(**{**PRESETS[preset], **own, **values})


def parse_size(text: str) -> tuple[int, int]:
    """ "192x128" -> (192, 128); "192" is square."""
    width, cross, height = text.lower().replace("\N{MULTIPLICATION SIGN}", "x").partition("x")
    try:
        if not all(part.strip().isascii() for part in (width, height)):
            raise ValueError
        return int(width), int(height if cross else width)
    except ValueError:
        raise ConfigError(f"size is {text!r:.60}; write WIDTHxHEIGHT, for example 128x96") from None


def parse_perceptor(text: str) -> tuple[str, float]:
    """Name and weight of a guide: see `parse_weighted`."""
    return parse_weighted(text, "perceptor")


def parse_weighted(text: str, kind: str) -> tuple[str, float]:
    r"""Reads "NAME" or "NAME:WEIGHT"; raises `ConfigError` for a `kind` of that name.

    Names may hold colons ("open_clip:ViT-B-32/openai", `C:\clip.pt`): the weight is what follows
    the last one, if that is a number.
    """
    name, colon, number = text.rpartition(":")
    try:
        weight = float(number) if colon and "_" not in number else math.nan
    except ValueError:
        weight = math.nan
    # "nan" and "inf" are words like others; digits that are no weight are a mistake.
    if math.isfinite(weight) and not 0 < weight <= 1e6:
        raise ConfigError(
            f"the weight of the {kind} {name!r:.80} is {number.strip():.20}; expected a "
            "positive number, at most 1000000"
        )
    if not math.isfinite(weight):
        name, weight = text, 1.0
    if not name.strip():
        raise ConfigError(f"the {kind} is {text!r:.80}; expected NAME or NAME:WEIGHT")
    return name.strip(), weight


def _names(perceptor: Any) -> list[str]:
    """The perceptors' names as far as they can be read; mistakes are found later."""
    listed = perceptor if isinstance(perceptor, (list, tuple)) else [perceptor]
    return [parse_perceptor(one)[0] if isinstance(one, str) else "" for one in listed]


def check_setting(setting: Setting, value: Any) -> None:
    """Raises `ConfigError` for a value of the wrong type or out of the setting's range."""
    _check(setting, value)


def coerce_setting(setting: Setting, value: Any) -> Any:
    """What people and files write, as the setting's type."""
    return _coerce(setting, value)


def _one_prompt(values: Mapping[str, Any]) -> dict[str, Any]:
    """`prompts` as `prompt`: another word for several. Records of earlier versions have both, one
    of them empty."""
    found = dict(values)
    several = found.pop("prompts", ())
    if several and found.get("prompt"):
        raise ConfigError("both prompt and prompts are given; give one of them")
    return found | {"prompt": several} if several else found


def _listed(prompt: Any) -> Any:
    """One text is one prompt, and an empty one is none."""
    if isinstance(prompt, list):
        prompt = tuple(prompt)
    one = (prompt,) if isinstance(prompt, str) else prompt
    return () if one == ("",) else one


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _coerce(setting: Setting, value: Any) -> Any:
    """Accepts what files and people write: lists for tuples, "128x96", one number of steps."""
    if setting.name == "prompt":
        return _listed(value)
    if setting.name == "size" and isinstance(value, (str, int)) and not isinstance(value, bool):
        return parse_size(str(value))
    if setting.name == "augment" and isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        return () if parts == ["none"] else tuple(part for part in parts if part)
    if typing.get_origin(setting.type) is tuple:
        if setting.name == "steps" and isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        if isinstance(value, str) and setting.name != "steps":
            return (value,)
        if isinstance(value, str):
            try:
                return tuple(int(part) for part in value.split(","))
            except ValueError:
                raise ConfigError(
                    f"steps is {value!r:.60}; write a whole number, or one per stage: 150,80"
                ) from None
        if isinstance(value, list):
            return tuple(value)
    if setting.type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1000 else math.inf
    return value


def _check(setting: Setting, value: Any) -> None:
    name, meta = setting.name, setting.meta
    if not _is_type(value, setting.type):
        raise ConfigError(f"{name} is {value!r:.60}; expected {_type_name(setting.type)}")
    if name == "size" and not all(1 <= side <= MAX_SIDE for side in value):
        raise ConfigError(
            f"size is {value[0]}x{value[1]}; width and height must lie between 1 and {MAX_SIDE}"
        )
    if name == "steps" and (not value or not all(1 <= number <= 1_000_000 for number in value)):
        got = ",".join(map(str, value)) or "empty"
        raise ConfigError(f"steps is {got}; every stage needs between 1 and 1000000 steps")
    for item in value if name == "losses" else ():
        parse_weighted(item, "loss")
    if name == "perceptor":
        names = [parse_perceptor(item)[0] for item in value]
        if not names:
            raise ConfigError("the list of perceptors is empty; give at least one")
        if twice := [item for item in names if names.count(item) > 1]:
            raise ConfigError(f"the perceptor {twice[0]!r:.80} is given twice; once is enough")
    if name.removesuffix("s").endswith("prompt") and len(value) > MAX_COUNT:
        kind = name.removesuffix("s").replace("_", " ") + "s"
        raise ConfigError(f"{len(value)} {kind} are given; at most {MAX_COUNT} are possible")
    for number, text in enumerate(value if name == "prompt" else (), 1):
        if len(text) > MAX_PROMPT_CHARS:
            which = "the prompt" if len(value) == 1 else f"prompt {number}"
            raise ConfigError(
                f"{which} has {len(text):,} characters; at most {MAX_PROMPT_CHARS:,} are possible"
            )
    if choices := meta.get("choices"):
        for item in value if isinstance(value, tuple) else (value,):
            if item not in choices:
                raise ConfigError(f"{name} is {item!r:.60}; {nearest(item, list(choices))}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{name} is {value}; expected a finite number")
        low, high, above = meta.get("low"), meta.get("high"), meta.get("above")
        if above is not None and value <= above:
            raise ConfigError(f"{name} is {value!r:.40}; expected more than {above:g}")
        if (low is not None and value < low) or (high is not None and value > high):
            bound = above if low is None else low
            raise ConfigError(f"{name} is {value!r:.40}; expected between {bound:g} and {high:g}")


def _is_type(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            return all(_is_type(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_is_type, value, parts))
    if isinstance(kind, types.UnionType):
        return any(_is_type(value, part) for part in typing.get_args(kind))
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, kind)


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        inner = _type_name(parts[0])
        return f"a list of {inner}s" if parts[-1] is Ellipsis else f"{len(parts)} times {inner}"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


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
    "Setting",
    "check_setting",
    "coerce_setting",
    "flatten",
    "make_config",
    "parse_perceptor",
    "parse_size",
    "parse_weighted",
    "settings",
]
