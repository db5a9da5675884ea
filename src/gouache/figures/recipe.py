"""What a figure consists of: pictures in rows and columns, each with what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

OURS = "gouache"
Change = Callable[..., "Image"]
"""(picture, seed) -> another picture; of a cell `with_models` (picture, seed, config, models), the
settings of the cell as a `PaintConfig` and the `Models` of the figure."""


@dataclass(frozen=True)
class Cell:
    """One picture of a figure.

    Attributes:
        prompt: what is painted.
        row: heading of its row, "" without one.
        column: heading of its column.
        settings: what makes this cell what it is, by flat names; nobody can change it.
        defaults: what suits the figure, unless it is given.
        system: who paints: `OURS` or a name of `gouache.systems.known`.
        asked: what judges compare the picture with, the prompt where it is "".
        source: column of the same row whose picture is handed to `change`.
        change: what makes this picture from that one; nothing is painted then.
        with_models: `change` paints with the figure's settings and models, and gets them.
        tells: what decides `change`'s result besides picture and seed, for the record.
    """

    prompt: str
    row: str = ""
    column: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    system: str = OURS
    asked: str = ""
    source: str = ""
    change: Change | None = None
    tells: Mapping[str, Any] = field(default_factory=dict)
    with_models: bool = False


@dataclass(frozen=True)
class Order:
    """What is asked of a recipe.

    `world` is a name of `gouache.figures.words.WORDS`; empty `prompts` are the recipe's own of that
    world; empty `systems` those that it compares by default.
    """

    world: str = "pocket"
    prompts: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A figure. `cells` come row by row; with `captions` they follow one another, each with its
    prompt below, in as many `columns`. `left_out` names systems that belong into it and whose
    weights are not here."""

    name: str
    title: str
    cells: Callable[[Order], list[Cell]]
    captions: bool = False
    columns: int = 4
    left_out: Callable[[Order], tuple[str, ...]] = lambda order: ()


def editing_recipe(
    scenes: Mapping[str, tuple[tuple[str, str, str], ...]],
    mask: Callable[..., Image],
    edit: Callable[..., Image],
    tells: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    with_models: bool = False,
) -> Recipe:
    """Figure 18 (appendix H.2): a picture, where the source phrase is in it, and the edit.

    Args:
        scenes: per world (prompt of the picture, source phrase, target phrase).
        mask: (picture, source phrase) -> a grey picture, light where the phrase is seen.
        edit: (picture, source phrase, target phrase, seed) -> the edited picture.
        tells: settings of both, for the record: a change of them makes the cells anew.
        defaults: settings of painting that suit the edit, unless they are given.
        with_models: mask and edit also get the cell's `PaintConfig` and the figure's `Models`.
    """

    def cells(order: Order) -> list[Cell]:
        found = []
        asked = scenes[order.world]
        if order.prompts:
            asked = tuple(_three_parts(line) for line in order.prompts)
        for prompt, source, target in asked:
            row = f"{source} -> {target}"
            found += [
                Cell(prompt, row, "picture"),
                Cell(
                    prompt,
                    row,
                    f"mask of {source}" if len(asked) == 1 else "mask",
                    asked=source,
                    source="picture",
                    change=_mask_of(mask, source),
                    with_models=with_models,
                    tells={**tells, "mask": source},
                ),
                Cell(
                    target,
                    row,
                    "edited",
                    defaults=defaults or {},
                    source="picture",
                    change=_edit_of(edit, source, target),
                    with_models=with_models,
                    tells={**tells, "source": source, "target": target},
                ),
            ]
        return found

    return Recipe("18", "masked editing: picture, mask, edit", cells)


def _mask_of(mask: Callable[..., Image], source: str) -> Change:
    return lambda picture, seed, *tools: mask(picture, source, *tools).convert("RGB")


def _edit_of(edit: Callable[..., Image], source: str, target: str) -> Change:
    return lambda picture, seed, *tools: edit(picture, source, target, seed, *tools)


def parts_of(line: str) -> list[str]:
    """ "a farm | a charcoal drawing" -> its parts, without spaces around them."""
    return [part.strip() for part in line.split("|")]


def _three_parts(line: str) -> tuple[str, str, str]:
    from gouache.errors import ConfigError

    parts = parts_of(line)
    if len(parts) != 3 or not all(parts):
        raise ConfigError(
            f"figure 18 wants lines 'picture | source phrase | target phrase', got {line!r:.80}"
        )
    return parts[0], parts[1], parts[2]


__all__ = ["OURS", "Cell", "Change", "Order", "Recipe", "editing_recipe", "parts_of"]
