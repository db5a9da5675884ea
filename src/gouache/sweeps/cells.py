"""The cells of a sweep: settings of one picture each, and a name that follows from them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.errors import ConfigError
from gouache.inputs import file_sha256, files_of, inputs_of, portable
from gouache.output.documents import dump_json
from gouache.prompts import one_line
from gouache.settings.config import PaintConfig, make_config, settings
from gouache.settings.presets import NOBODY
from gouache.sweeps.axes import PRESET, Axis, combinations
from gouache.weights import shipped

FORMAT = 1
DIGITS = 20  # of a name
# The files of models that come with the package, by the names that settings have for them.
_SHIPPED = {
    "pocket": (shipped.GENERATOR, shipped.PERCEPTOR, shipped.PRIOR, shipped.REFEREE),
    "referee": (shipped.REFEREE,),
    "photo": (shipped.PHOTO,),
}
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Cell:
    """One picture of a sweep. `varies` is what its axes say, by name, as people write it."""

    name: str
    config: PaintConfig
    varies: Mapping[str, str]

    @property
    def prompt(self) -> str:
        return self.config.title


@dataclass(frozen=True)
class Asked:
    """A sweep as it is wished for: `base` are the settings that all cells have, by flat names."""

    prompts: Sequence[str] = ()
    axes: Sequence[Axis] = ()
    seeds: Sequence[int] = ()
    base: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    preset: str = "auto"
    batched: bool = False


def make_cells(
    asked: Asked, check: Callable[[PaintConfig], object] = lambda config: None
) -> list[Cell]:
    """All cells, the last axis fastest and seeds faster than any.

    `check` is called with the settings of each combination once, before prompts and seeds. Raises
    `ConfigError` or `PromptError` for every mistake, also for cells that are the same.
    """
    base = dict(asked.base)
    if base.get("count", 1) not in (1, "1"):
        raise ConfigError(f"count is {base['count']}; a cell is one picture: give --seeds 0-7")
    base.pop("count", None)
    prompts = list(asked.prompts) or _texts(base.get("prompt"))
    base.pop("prompt", None)
    if twice := [text for k, text in enumerate(prompts) if text in prompts[:k]]:
        raise ConfigError(
            f"the prompt {one_line(repr(twice[0]), 60)} is there twice; once is enough"
        )
    axes: list[Axis] = [[{"prompt": text} for text in prompts]] if prompts else []
    axes += list(asked.axes)
    if asked.seeds:
        axes.append([{"seed": seed} for seed in asked.seeds])
    columns = dict.fromkeys(
        name for axis in asked.axes for point in axis for name in point if name not in _OWN
    )
    known: dict[str, _Alike] = {}
    found: dict[str, Cell] = {}
    for point in combinations(axes):
        own = {name: point.pop(name) for name in _OWN if name in point}
        alike_key = repr(sorted(point.items()))
        if alike_key not in known:
            known[alike_key] = _Alike.of(asked, base, point, columns)
            check(known[alike_key].config)
        cell = known[alike_key].cell(own, asked.batched)
        if cell.name in found:
            raise ConfigError(
                f"cells {list(found).index(cell.name) + 1} and {len(found) + 1} are the same "
                f"({one_line(cell.prompt, 40)!r}, seed {cell.config.seed}); take one out"
            )
        found[cell.name] = cell
    return list(found.values())


_OWN = ("prompt", "seed")


@dataclass(frozen=True)
class _Alike:
    """What cells have in common that differ in prompt and seed only."""

    config: PaintConfig
    varies: Mapping[str, str]
    told: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        asked: Asked,
        base: Mapping[str, Any],
        point: Mapping[str, Any],
        columns: Mapping[str, Any],
    ) -> _Alike:
        values = {**base, **point}
        preset = str(values.pop(PRESET, asked.preset))
        config = make_config(preset, **values)
        by_name = {setting.name: setting for setting in settings()}
        varies = {
            name: preset if name == PRESET else by_name[name].show(by_name[name].get(config))
            for name in columns
        }
        inputs = inputs_of(config)
        plain = portable(config, inputs).to_dict()
        del plain["device"]
        names = [config.generator, *_perceptors(config)]
        told = {
            "format": FORMAT,
            "settings": plain,
            "inputs": [one.record() for one in inputs],
            "weights": {name: sums for name in names if (sums := _sums(name))},
        }
        return cls(config, varies, told)

    def cell(self, own: Mapping[str, Any], batched: bool) -> Cell:
        prompt = tuple(_texts(own.get("prompt")))
        config = dataclasses.replace(
            self.config, prompt=prompt, seed=own.get("seed", self.config.seed)
        )
        config.stages  # noqa: B018  # a mistake in a prompt is told now
        settings = {**self.told["settings"], "prompt": config.title, "seed": config.seed}
        told = {**self.told, "settings": settings} | ({"batched": True} if batched else {})
        name = hashlib.sha256(dump_json(told).encode()).hexdigest()[:DIGITS]
        return Cell(name, config, self.varies)


def _texts(prompt: Any) -> list[str]:
    if prompt in (None, "", (), []):
        return []
    return [prompt] if isinstance(prompt, str) else list(prompt)


def _perceptors(config: PaintConfig) -> list[str]:
    """The names of all that look at a picture: the guides, and who judges its tries."""
    judge = config.latents.start_judge
    return [*(name for name, _ in config.guides), *([] if judge == NOBODY else [judge])]


@functools.lru_cache
def _sums(name: str) -> tuple[str, ...]:
    """Of the files that a model's name means, where they are here and nothing else says which."""
    files: Sequence[Path] = _SHIPPED.get(name, ())
    if not files:
        try:
            path = Path(name).expanduser()
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
        except (OSError, RuntimeError, ValueError):
            return ()
    return tuple(found for file in files if (found := file_sha256(file)))


def check_files(config: PaintConfig) -> None:
    """Raises `ImageError` for pictures that cannot be read."""
    from gouache.ops.images import load_image

    for _, path in files_of(config):
        load_image(path)


def check_models(config: PaintConfig) -> None:
    """Raises `ModelError` for names that no model has; what is known is not loaded."""
    from gouache.generators import generators, load_generator
    from gouache.perceptors import load_perceptor, perceptors
    from gouache.weights import catalogue

    named: list[tuple[Any, Callable[[str], object], str]] = [
        (generators, load_generator, config.generator),
        *((perceptors, load_perceptor, name) for name in _perceptors(config)),
    ]
    for registry, load, name in named:
        known = name in registry.names() or "/" in name or Path(name).expanduser().exists()
        if not known and catalogue.find(name) is None:
            load(name)


def batches(cells: Sequence[Cell], most: int) -> list[tuple[Cell, ...]]:
    """Cells that can be painted together, `most` at once: one prompt, the same settings, and seeds
    that follow one another."""
    found: list[list[Cell]] = []
    for cell in cells:
        last = found[-1] if found else []
        fits = 0 < len(last) < most and cell.config == dataclasses.replace(
            last[0].config, seed=last[0].config.seed + len(last)
        )
        if fits:
            last.append(cell)
        else:
            found.append([cell])
    return [tuple(batch) for batch in found]


__all__ = [
    "Asked",
    "Cell",
    "batches",
    "check_files",
    "check_models",
    "make_cells",
]
