"""What a run takes from the disk, as its records name it: names and sums, never places.

A picture travels, and with it what is written in it. Where something lay on the machine that
painted it is nobody else's business and of no use elsewhere, so records hold a file's own name and
the sha256 of its bytes. Standard library only.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from gouache.prompts import Prompt, format_prompt, parse_image_prompt
from gouache.settings.config import PaintConfig, parse_perceptor

if TYPE_CHECKING:
    from typing import Literal

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_OPEN_CLIP = re.compile(r"open_clip:(?:local-dir:|[^/:]+/)")
_SUM = re.compile(r"(?:[0-9a-f]{64})?")
_SHOWN = 12  # digits of a sum in messages


@dataclass(frozen=True)
class Input:
    """A picture that a run reads: `setting` is init_image, cross_image, image_prompts, source or
    mask.

    `name` is the file's own, without a folder; "" for a picture that was given as an object.
    `sha256` is of the file's bytes; of the pixels or the tensor where `of` says so; "" where it is
    not known. `weight` and `stop` are an image prompt's.
    """

    setting: str
    name: str
    sha256: str
    of: Literal["file", "pixels", "tensor"] = "file"
    weight: float = 1.0
    stop: float = -math.inf

    @classmethod
    def of_file(cls, setting: str, path: str | Path) -> Input:
        """Reads the file for its sum, which is "" where it cannot be read."""
        return cls(setting, base_name(path), file_sha256(path))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Input:
        """Reads back `record`; anything else raises `PromptError`, `KeyError`, `TypeError`,
        `ValueError` or `OverflowError`."""
        stop = record.get("stop")
        of = record.get("of", "file")
        if of not in ("file", "pixels", "tensor"):
            raise ValueError(f"a sum of {of!r:.40}")
        texts = [record["setting"], record["name"], record["sha256"]]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("an input's setting, name and sha256 are texts")
        setting, name, sha256 = texts
        if not _SUM.fullmatch(sha256):
            raise ValueError(f"a sum is {sha256!r:.40}; expected 64 hexadecimal digits")
        weight = float(record.get("weight", 1.0))
        stop = -math.inf if stop is None else float(stop)
        Prompt(weight=weight, stop=stop)  # which knows their ranges
        return cls(setting, base_name(name), sha256, of, weight, stop)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        told: dict[str, Any] = {"setting": self.setting, "name": self.name, "sha256": self.sha256}
        if self.of != "file":
            told["of"] = self.of
        if self.setting == "image_prompts":
            told["weight"] = self.weight
            told["stop"] = None if self.stop == -math.inf else self.stop
        return told

    @property
    def short(self) -> str:
        """The sum as messages show it."""
        return self.sha256[:_SHOWN]

    def at(self, path: str | Path) -> str:
        """The setting's value for the file at `path`."""
        if self.setting != "image_prompts":
            return str(path)
        prompt = Prompt(kind="image", path=str(path), weight=self.weight, stop=self.stop)
        return format_prompt(prompt)


def base_name(path: str | Path) -> str:
    """The last part of a path, also of a Windows path that is read elsewhere."""
    text = str(path)
    return PureWindowsPath(text).name if _WINDOWS.match(text) else Path(text).name


def file_sha256(path: str | Path) -> str:
    """Of the bytes, 64 hexadecimal digits; "" where there is no file that can be read."""
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            return ""
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def files_of(config: PaintConfig) -> list[tuple[Input, Path]]:
    """The picture files that the settings name, without sums; raises `PromptError`."""
    found = []
    for setting in ("init_image", "cross_image"):
        if path := getattr(config, setting):
            found.append((Input(setting, base_name(path), ""), path))
    for prompt in map(parse_image_prompt, config.image_prompts):
        name, numbers = base_name(prompt.path), (prompt.weight, prompt.stop)
        found.append((Input("image_prompts", name, "", "file", *numbers), prompt.path))
    return [(one, Path(path)) for one, path in found]


def inputs_of(config: PaintConfig) -> tuple[Input, ...]:
    """Like `files_of`, with sums."""
    return tuple(replace(one, sha256=file_sha256(path)) for one, path in files_of(config))


def portable(config: PaintConfig, inputs: Sequence[Input] | None = None) -> PaintConfig:
    """The settings as files hold them: pictures by name, and models of one's own as `./NAME`.

    `inputs` are those of the run where they are known: files may have moved since.
    """
    if inputs is None:
        prompts = [_prompt_by_name(text) for text in config.image_prompts]
    else:
        prompts = [one.at(one.name) for one in inputs if one.setting == "image_prompts"]
    return config.updated(
        init_image=base_name(config.init_image) if config.init_image else "",
        cross_image=base_name(config.cross_image) if config.cross_image else "",
        image_prompts=tuple(prompts),
        generator=portable_model(config.generator),
        perceptor=tuple(map(_portable_guide, config.perceptor)),
    )


def portable_model(name: str) -> str:
    """A model's name as files hold it: one that is a path out of here becomes `./NAME`."""
    family, path = split_model(name)
    return f"{family}./{base_name(path)}" if _leads_out(name) else name


def split_model(name: str) -> tuple[str, str]:
    """A model's name as what open_clip wants to hear first, and the rest, which may be a path."""
    found = _OPEN_CLIP.match(name)
    return (found[0], name[found.end() :]) if found else ("", name)


def models_at(config: PaintConfig) -> dict[str, Any]:
    """Where models of one's own lie, for the state that a run goes on from; mostly empty.

    A home folder is written as `~`.
    """
    found: dict[str, Any] = {}
    if _leads_out(config.generator):
        found["generator"] = _model_below_home(config.generator)
    if any(_leads_out(name) for name, _ in config.guides):
        found["perceptor"] = [
            f"{_model_below_home(name) if _leads_out(name) else name}:{weight!r}"
            for name, weight in config.guides
        ]
    return found


def with_models_at(config: PaintConfig, found: Mapping[str, Any]) -> PaintConfig:
    """Puts back what `models_at` found."""
    changes: dict[str, Any] = {}
    if "generator" in found:
        changes["generator"] = _model_from_home(str(found["generator"]))
    if "perceptor" in found:
        guides = [parse_perceptor(str(one)) for one in found["perceptor"]]
        changes["perceptor"] = tuple(
            _guide(_model_from_home(name), weight) for name, weight in guides
        )
    return config.updated(**changes)


def below_home(path: str | Path) -> str:
    """An absolute path, `~` for the home folder."""
    try:
        whole = Path(path).expanduser().absolute()
        return str(Path("~") / whole.relative_to(Path.home().absolute()))
    except ValueError:
        return str(whole)
    except RuntimeError:  # nobody's home
        return str(Path(path).absolute())


def from_home(path: str) -> str:
    """The inverse of `below_home`."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return path


def _leads_out(name: str) -> bool:
    """Whether a model's name is a path that starts elsewhere than in the current folder."""
    _, path = split_model(name)
    return Path(path).is_absolute() or path.startswith(("~", "..")) or bool(_WINDOWS.match(path))


def _model_below_home(name: str) -> str:
    family, path = split_model(name)
    return family + below_home(path)


def _model_from_home(name: str) -> str:
    family, path = split_model(name)
    return family + from_home(path)


def _portable_guide(text: str) -> str:
    name, weight = parse_perceptor(text)
    return _guide(portable_model(name), weight) if _leads_out(name) else text


def _guide(name: str, weight: float) -> str:
    # What follows a colon in a name could be read as its weight.
    return name if weight == 1.0 and ":" not in name else f"{name}:{weight!r}"


def _prompt_by_name(text: str) -> str:
    prompt = parse_image_prompt(text)
    return format_prompt(replace(prompt, path=base_name(prompt.path)))


__all__ = [
    "Input",
    "base_name",
    "below_home",
    "file_sha256",
    "files_of",
    "from_home",
    "inputs_of",
    "models_at",
    "portable",
    "portable_model",
    "split_model",
    "with_models_at",
]
