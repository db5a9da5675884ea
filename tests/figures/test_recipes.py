"""What each figure consists of."""

from __future__ import annotations

from collections import Counter

import pytest

from gouache.errors import ConfigError
from gouache.figures import Order, recipes, systems
from gouache.figures.painters import Painters
from gouache.figures.recipe import OURS, Cell
from gouache.figures.words import WORDS
from gouache.prompts import parse_prompts

NUMBERS = ("9", "10", "11", "12", "13", "14", "15", "16", "17")
each_world = pytest.mark.parametrize("world", sorted(WORDS))


def cells(name: str, *, world: str = "pocket", **order: tuple[str, ...]) -> list[Cell]:
    return recipes.get(name).cells(Order(world, **order))


def test_there_is_a_recipe_for_every_figure() -> None:
    assert set(NUMBERS) <= set(recipes.names())
    with pytest.raises(ConfigError, match="no figure is called '21'"):
        recipes.get("21")


@each_world
@pytest.mark.parametrize("name", NUMBERS)
def test_every_cell_can_be_painted(name: str, world: str) -> None:
    painters = Painters(world, {})
    found = cells(name, world=world)
    assert found
    for cell in found:
        assert painters.config(cell, 3).seed == 3
        assert parse_prompts(cell.prompt)
        assert cell.system == OURS or cell.system in systems.names()
    # A picture has one place, and no place two pictures.
    if not recipes.get(name).captions:
        assert max(Counter((cell.row, cell.column) for cell in found).values()) == 1


@each_world
def test_the_paper_s_counts(world: str) -> None:
    words = WORDS[world]
    assert len(set(words.twelve)) == 12
    assert [len(set(titles)) for titles in words.artists] == [3, 3]
    assert len(set(words.latents)) == 4
    for name, system in (
        ("9", "mindalle" if world == "paper" else "pocket-ar"),
        ("10", "glide-clip" if world == "paper" else "pocket-diffusion-clip"),
        ("11", "glide-free" if world == "paper" else "pocket-diffusion-free"),
        ("12", OURS),
    ):
        found = cells(name, world=world)
        assert [cell.prompt for cell in found] == list(words.twelve)
        assert {cell.system for cell in found} == {system}


def test_figure_15_changes_the_latent_and_nothing_else() -> None:
    painters = Painters("pocket", {})
    found = cells("15")
    configs = [painters.config(cell, 0) for cell in found[::4]]
    assert [(c.latents.latent, c.latents.latent_weight) for c in configs] == [
        ("codebook-sampling", 0.1),
        ("quantized", 0.0),
        ("quantized", 0.1),
    ]
    assert len({c.updated(latent="quantized", latent_weight=0.0) for c in configs}) == 1


def test_figure_16_has_none_each_alone_and_all() -> None:
    painters = Painters("pocket", {"whole_share": 0.3})
    first = [cell for cell in cells("16") if cell.row == WORDS["pocket"].augmentations[0]]
    configs = [painters.config(cell, 0) for cell in first]
    assert configs[0].cutouts.augment == ()
    assert [c.cutouts.augment for c in configs[1:-1]] == [(n,) for n in configs[-1].cutouts.augment]
    assert {c.cutouts.whole_share for c in configs} == {0.3}
    assert Painters("pocket", {}).config(first[0], 0).cutouts.whole_share == 0.1


def test_figure_17_from_lines_of_a_file() -> None:
    found = cells("17", prompts=("a cat | an ink drawing", "a | b:2 | c"))
    assert [cell.prompt for cell in found[:5]] == [
        "a cat",
        "an ink drawing of a cat",
        "a cat | an ink drawing",
        "a cat | an ink drawing",
        "an ink drawing",
    ]
    assert [cell.settings.get("combine") for cell in found[1:4]] == [None, "loss", "embedding"]
    assert found[2].asked == "an ink drawing of a cat"
    assert found[6].prompt == "c"
    for line in ("alone", "a | ", "a|b|c|d"):
        with pytest.raises(ConfigError, match="figure 17 wants lines"):
            cells("17", prompts=(line,))


def test_figure_13_has_a_row_per_system() -> None:
    found = cells("13", systems=("glide-free", OURS), prompts=("x", "y"))
    assert [(cell.row, cell.column) for cell in found] == [
        ("glide-free", "x"),
        ("glide-free", "y"),
        (OURS, "x"),
        (OURS, "y"),
    ]
    rows = [cell.system for cell in cells("13")]
    others = ["pocket-ar", "pocket-diffusion-clip", "pocket-diffusion-free"]
    assert rows[::3] == rows[2::3] == [*others, OURS]


def test_seeds_and_prompts_belong_to_the_figure() -> None:
    for name in ("seed", "count", "prompt", "prompts"):
        with pytest.raises(ConfigError, match=f"{name} is no setting of a figure"):
            Painters("pocket", {name: 1})
