"""Cells: their settings, and names that follow from what decides their pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gouache.errors import ConfigError, PromptError
from gouache.sweeps.axes import make_axis, read_rows
from gouache.sweeps.cells import Asked, batches, make_cells

RATES = make_axis("learning_rate", ["0.1", "0.2"])


def test_a_cell_for_each_combination_in_order() -> None:
    cells = make_cells(Asked(["a star", "a ship"], [RATES], [3, 4], {"steps": "5"}))
    told = [(c.prompt, c.varies["learning_rate"], c.config.seed, c.config.steps) for c in cells]
    assert told[:3] == [
        ("a star", "0.1", 3, (5,)),
        ("a star", "0.1", 4, (5,)),
        ("a star", "0.2", 3, (5,)),
    ]
    assert len({cell.name for cell in cells}) == 8
    assert {cell.config.count for cell in cells} == {1}


def test_names_follow_from_what_decides_and_nothing_else(tmp_path: Path) -> None:
    def name(**base: object) -> str:
        return make_cells(Asked(["a star"], [], [], base))[0].name

    assert name() == name(device="cpu") == name(seed=0)
    assert len({name(), name(seed=1), name(steps=5), name(learning_rate=0.25)}) == 4
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    before = name(init_image=str(picture))
    moved = tmp_path / "else" / "a.png"
    moved.parent.mkdir()
    picture.rename(moved)
    assert name(init_image=str(moved)) == before
    Image.new("RGB", (8, 8), "blue").save(moved)
    assert name(init_image=str(moved)) != before


def test_a_latent_brings_its_own_defaults_as_in_paint() -> None:
    from gouache.settings.config import make_config

    cells = make_cells(Asked(["x"], [make_axis("latent", ["quantized", "multiscale"])]))
    assert [cell.config for cell in cells] == [
        make_config(prompt="x", latent=latent) for latent in ("quantized", "multiscale")
    ]


def test_what_cannot_be_a_sweep_is_refused() -> None:
    for wrong in (
        Asked(["a", "a"]),
        Asked(["a"], [], [], {"count": 4}),
        Asked(["a"], [[{"seed": 1}]], [1, 2]),
        Asked(["a"], [[{"steps": (7,)}, {"steps": (7,), "seed": 0}]]),
    ):
        with pytest.raises(ConfigError):
            make_cells(wrong)
    for empty in (Asked(), Asked(["a star:nan"]), Asked([""])):
        with pytest.raises(PromptError):
            make_cells(empty)


def test_cells_that_fit_make_batches_of_following_seeds() -> None:
    cells = make_cells(Asked(["a", "b"], [RATES], [0, 1, 2, 7]))
    assert [len(batch) for batch in batches(cells, 2)] == [2, 1, 1] * 4
    assert [len(batch) for batch in batches(cells, 8)] == [3, 1] * 4
    assert [cell for batch in batches(cells, 8) for cell in batch] == cells
    assert all(len(batch) == 1 for batch in batches(cells, 1))
    alone = {cell.name for cell in cells}
    assert not alone & {c.name for c in make_cells(Asked(["a"], [RATES], [0], batched=True))}


def test_what_a_row_leaves_open_is_as_for_all_cells() -> None:
    rows = read_rows([{"steps": 3}, {"learning_rate": 0.3}])
    cells = make_cells(Asked(["a star"], [rows], (), {"steps": "2", "learning_rate": "0.1"}))
    found = [(cell.config.steps, cell.config.optimization.learning_rate) for cell in cells]
    assert found == [((3,), 0.1), ((2,), 0.3)]
