"""Running a recipe: files, what is used again, what is painted anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from PIL import Image, ImageOps

from gouache.errors import ConfigError, ImageError, OutputError
from gouache.figures.making import Made
from gouache.figures.painters import Painters
from gouache.figures.recipe import Cell, Order, Recipe, editing_recipe
from gouache.figures.sheet import sheet
from gouache.output.pictures import read_metadata

Make = Callable[..., Made]
CELLS = [
    Cell(prompt, row, column, {"latent": latent})
    for row, prompt in (("first", "a red apple"), ("second", "a green pear"))
    for column, latent in (("left", "quantized"), ("right", "continuous"))
]
GRID = Recipe("15", "a test", lambda order: CELLS)


def record(made: Made) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(made.record.read_text())
    return document


def stamps(made: Made) -> list[int]:
    return [path.stat().st_mtime_ns for path in made.pictures]


def test_pictures_grid_and_record(painted: Make) -> None:
    made = painted(GRID)
    assert made.painted == 4
    assert [path.name for path in made.pictures] == [
        "01-first-left-0.png",
        "02-first-right-0.png",
        "03-second-left-0.png",
        "04-second-right-0.png",
    ]
    assert Image.open(made.grid).width > 2 * 32
    document = record(made)
    assert document["figure"] == "15"
    assert document["judge"] == "other"
    for entry, cell in zip(document["pictures"], CELLS, strict=True):
        assert (entry["row"], entry["column"], entry["prompt"]) == (
            cell.row,
            cell.column,
            cell.prompt,
        )
        assert entry["tells"]["settings"]["latents"]["latent"] == cell.settings["latent"]
        assert set(entry["scores"]) == {"guide", "judge"}
        assert entry["seconds"] >= 0
    assert read_metadata(made.pictures[1])["config"]["latents"]["latent"] == "continuous"


def test_a_table_tells_scores_and_seconds(painted: Make) -> None:
    made = painted(GRID)
    lines = made.table.read_text().splitlines()
    assert lines[0] == "| row | pictures | judge | guide | seconds a picture |"
    assert [line.split(" | ")[:2] for line in lines[2:4]] == [["| first", "2"], ["| second", "2"]]
    scores = [entry["scores"]["judge"] for entry in record(made)["pictures"][:2]]
    middle, half = sum(scores) / 2, 12.706 * abs(scores[0] - scores[1]) / 2  # Student's, of two
    told = re.search(r"\| (\S+) \[(\S+), (\S+)\] \|", lines[2])
    assert told is not None
    expected = (middle, middle - half, middle + half)
    assert tuple(map(float, told.groups())) == pytest.approx(expected, abs=2e-3)
    assert lines[7].startswith(f"| first | left | 0 | {scores[0]:.3f} | ")
    assert "Other systems" not in lines[-1]
    # What somebody wrote into it is kept.
    made.table.write_text("mine")
    assert painted(GRID).table == made.table
    assert (made.table.parent / "table-2.md").read_text() == "mine"


def test_what_is_finished_is_used_again(painted: Make) -> None:
    first = painted(GRID)
    before, grid = stamps(first), first.grid.read_bytes()
    again = painted(GRID)
    assert again.painted == 0
    assert stamps(again) == before
    assert again.grid.read_bytes() == grid


@pytest.mark.parametrize(
    "change",
    [{"steps": 4}, {"learning_rate": 0.3}, {"judge": ""}, {"perceptor": "other", "judge": "tiny"}],
)
def test_other_settings_are_painted_anew(painted: Make, change: dict[str, Any]) -> None:
    painted(GRID)
    assert painted(GRID, **change).painted == 4
    assert painted(GRID, **change).painted == 0


def test_a_changed_or_missing_file_is_painted_anew(painted: Make) -> None:
    made = painted(GRID)
    original = made.pictures[0].read_bytes()
    Image.new("RGB", (32, 24)).save(made.pictures[0])
    made.pictures[2].unlink()
    again = painted(GRID)
    assert again.painted == 2
    assert made.pictures[0].read_bytes() == original


def test_nothing_that_somebody_changed_is_lost(painted: Make, tmp_path: Path) -> None:
    made = painted(GRID)
    whole = made.grid.read_bytes()
    kept = {made.pictures[1]: b"retouched", made.grid: b"framed"}
    for path, data in kept.items():
        path.write_bytes(data)
    lines: list[str] = []
    again = painted(GRID, tell=lines.append)
    assert (again.painted, again.grid, again.pictures) == (1, made.grid, made.pictures)
    assert made.grid.read_bytes() == whole
    for path, data in kept.items():
        moved = path.with_name(f"{path.stem}-2.png")
        assert moved.read_bytes() == data
        assert any(moved.name in line for line in lines)
    before = set(made.grid.parent.iterdir())
    assert painted(GRID).painted == 0
    assert set(made.grid.parent.iterdir()) == before


def test_a_damaged_record_is_no_record(painted: Make) -> None:
    made = painted(GRID)
    for text in ("{", "[]", '{"figure": "15", "pictures": [1]}'):
        made.record.write_text(text)
        assert painted(GRID).painted == 4


def test_an_interrupted_figure_goes_on_where_it_stopped(
    painted: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = painted(GRID, out=tmp_path / "whole")
    lines: list[str] = []

    def stop_at_the_third(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        painted(GRID, tell=stop_at_the_third)
    assert "2 of 4: first, right, seed 0" in lines[1]
    assert not (tmp_path / "figure" / "grid.png").exists()
    made = painted(GRID)
    assert made.painted == 2
    for mine, other in zip(made.pictures, whole.pictures, strict=True):
        assert mine.read_bytes() == other.read_bytes()
    assert made.grid.read_bytes() == whole.grid.read_bytes()


def test_an_interrupted_second_call_forgets_nothing(painted: Make) -> None:
    painted(GRID, seeds=(0, 1))

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        painted(GRID, seeds=(2, 0, 1), tell=stop)
    assert painted(GRID, seeds=(0, 1)).painted == 0


def test_seeds_are_rows_of_their_own(painted: Make) -> None:
    made = painted(GRID, seeds=(4, 2))
    assert [entry["seed"] for entry in record(made)["pictures"]] == [4, 4, 2, 2, 4, 4, 2, 2]
    assert len({path.read_bytes() for path in made.pictures}) == 8
    height = Image.open(made.grid).height
    single = painted(GRID, seeds=(4,))
    assert single.painted == 0
    assert Image.open(single.grid).height < height
    for seeds in ((), (1, 1)):
        with pytest.raises(ConfigError, match="at least one seed"):
            painted(GRID, seeds=seeds)


def test_the_same_picture_is_painted_once(painted: Make) -> None:
    cells = [Cell("a style", row, "left") for row in ("first", "second")]
    made = painted(Recipe("17", "twice", lambda order: cells))
    assert made.painted == 1
    assert made.pictures[0] == made.pictures[1]
    assert [entry["row"] for entry in record(made)["pictures"]] == ["first", "second"]
    assert painted(Recipe("17", "twice", lambda order: cells)).painted == 0


def test_captions_follow_one_another(painted: Make) -> None:
    cells = [Cell(f"a red apple {number}") for number in range(5)]
    made = painted(Recipe("12", "five", lambda order: cells, captions=True))
    assert made.painted == 5
    width, height = Image.open(made.grid).size
    assert width > 4 * 32
    assert height > 2 * 24


def test_a_folder_of_another_figure_or_process_is_refused(painted: Make, tmp_path: Path) -> None:
    painted(GRID)
    with pytest.raises(OutputError, match="holds figure 15, not 16"):
        painted(Recipe("16", "other", lambda order: CELLS))
    with FileLock(tmp_path / "figure" / ".lock"), pytest.raises(OutputError, match="another proc"):
        painted(GRID)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        painted(GRID, out=tmp_path / "file")


def test_masked_edits_change_the_picture_of_their_row(painted: Make) -> None:
    calls: list[tuple[Any, ...]] = []

    def mask(picture: Image.Image, source: str) -> Image.Image:
        calls.append(("mask", picture.size, source))
        return picture.convert("L")

    def edit(picture: Image.Image, source: str, target: str, seed: int) -> Image.Image:
        calls.append(("edit", picture.size, source, target, seed))
        return ImageOps.invert(picture)

    scenes = {"pocket": (("a house", "a door", "a hole"),)}
    made = painted(editing_recipe(scenes, mask, edit, {"strength": 1}), seeds=(5,))
    assert calls == [("mask", (32, 24), "a door"), ("edit", (32, 24), "a door", "a hole", 5)]
    picture, _, edited = (Image.open(path) for path in made.pictures)
    assert ImageOps.invert(picture).tobytes() == edited.tobytes()
    again = editing_recipe(scenes, mask, edit, {"strength": 1})
    assert painted(again, seeds=(5,)).painted == 0
    assert painted(editing_recipe(scenes, mask, edit, {"strength": 2}), seeds=(5,)).painted == 2
    # Another source picture makes other edits.
    assert painted(again, seeds=(5,)).painted == 2
    assert painted(again, seeds=(5,), steps=4).painted == 3
    order = Order(prompts=("a cat | an ear | a horn",))
    assert [cell.row for cell in again.cells(order)] == ["an ear -> a horn"] * 3
    with pytest.raises(ConfigError, match="source phrase"):
        again.cells(Order(prompts=("a cat | an ear",)))


def test_a_change_needs_its_source(painted: Make) -> None:
    lost = [Cell("x", "row", "b", source="a", change=lambda picture, seed: picture)]
    with pytest.raises(ConfigError, match="no picture called 'a'"):
        painted(Recipe("18", "t", lambda order: lost))


def test_the_judge_never_guides() -> None:
    assert Painters("pocket", {}).judge_name == "referee"
    assert Painters("pocket", {"perceptor": ("referee",)}).judge_name == ""
    assert Painters("paper", {}).judge_name == ""
    assert Painters("pocket", {}, "").judge_name == ""


def test_sheets_place_pictures_and_wrap_text() -> None:
    colors = [["red", "lime"], ["blue", None]]
    pictures = [[c and Image.new("RGB", (64, 48), c) for c in line] for line in colors]
    page = sheet(pictures, ["one", "a much longer heading of a row"], ["left", "right"], title="T")
    found = {color for _, color in page.getcolors(1 << 24) or ()}
    assert {(255, 0, 0), (0, 255, 0), (0, 0, 255)} <= found
    counts = {color: number for number, color in page.getcolors(1 << 24) or ()}
    assert counts[255, 0, 0] == 64 * 48  # nothing is covered
    long = sheet(pictures, captions=[["word " * 30] * 2] * 2)
    assert long.height > sheet(pictures, captions=[["word"] * 2] * 2).height
    with pytest.raises(ImageError, match="at least one picture"):
        sheet([[None]])
    with pytest.raises(ImageError, match="3 headings for 2 rows"):
        sheet(pictures, ["a", "b", "c"])


def test_smaller_pictures_are_brought_to_the_largest() -> None:
    """None of a row loses pixels because another row has fewer."""
    small, large = Image.new("RGB", (16, 16), "red"), Image.effect_noise((64, 64), 80)
    page = sheet([[small], [large.convert("RGB")]])
    assert page.size == (64 + 12, 2 * 64 + 18)
    assert page.crop((6, 76, 70, 140)).tobytes() == large.convert("RGB").tobytes()
    assert page.getpixel((30, 30)) == (255, 0, 0)
