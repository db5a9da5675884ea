"""`gouache figures` on the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.systems.known import systems
from small import SMALL


def test_list_names_every_figure(gouache):
    result = gouache("figures", "list")
    assert result.code == 0
    names = [line.split()[0] for line in result.out.splitlines()]
    assert names[:3] == ["9", "10", "11"]
    assert names[-2:] == ["cutouts", "vote"]
    assert {"12", "13", "14", "15", "16", "17"} <= set(names)


def test_a_figure_of_ones_own_prompts(gouache):
    Path("lines.txt").write_text("a fish | a mosaic\n\n")
    result = gouache("figures", "17", "--prompts", "lines.txt", "--out", "f", *SMALL)
    assert result.code == 0
    assert result.out.strip() == str(Path("f/grid.png"))
    assert "5 of 5" in result.err
    document = json.loads(Path("f/figure.json").read_text())
    assert document["pictures"][0]["column"] == "content"
    assert all(set(entry["scores"]) == {"guide", "judge"} for entry in document["pictures"])
    again = gouache("figures", "17", "--prompts", "lines.txt", "--out", "f", *SMALL)
    assert again.err == ""


def test_a_picture_of_a_figure_can_be_replayed(gouache):
    Path("lines.txt").write_text("a fish\n")
    gouache("figures", "12", "--prompts", "lines.txt", "--out", "f", "-q", "--judge", "", *SMALL)
    (picture,) = Path("f").glob("01-*.png")
    assert gouache("replay", picture, "--out", "again.png", "-q").code == 0
    assert Image.open(picture).tobytes() == Image.open("again.png").tobytes()


def test_cutouts_of_a_picture(gouache):
    Image.effect_noise((60, 40), 80).convert("RGB").save("p.png")
    result = gouache("figures", "cutouts", "--image", "p.png", "--out", "c", "--num-cutouts", "3")
    assert result.code == 0
    assert sorted(path.name for path in Path("c").iterdir()) == [
        "figure.json",
        "grid.png",
        "picture.png",
    ]
    document = json.loads(Path("c/figure.json").read_text())
    assert document["config"]["cutouts"]["num_cutouts"] == 3
    assert Image.open("c/grid.png").height > 8 * 96


def test_cutouts_replace_nothing(gouache):
    Image.effect_noise((60, 40), 80).convert("RGB").save("p.png")
    for end in ("", "-2", "-3"):
        before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
        result = gouache("figures", "cutouts", "--image", "p.png", "--num-cutouts", "3")
        assert result.out.strip() == str(Path(f"figures/cutouts-pocket/grid{end}.png"))
        assert {path: path.read_bytes() for path in before} == before


def test_cutouts_of_a_prompt(gouache):
    result = gouache("figures", "cutouts", "a", "red", "fish", "--out", "c", *SMALL)
    assert result.code == 0
    assert json.loads(Path("c/figure.json").read_text())["prompt"] == "a red fish"
    assert Image.open("c/picture.png").size == (32, 32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["21"], "no figure is called '21'"),
        (["15", "--world", "moon"], "no world is called 'moon'"),
        (["15", "--seed", "3"], "seed is no setting of a figure"),
        (["15", "--count", "3"], "count is no setting of a figure"),
        (["15", "--seeds", "1,x"], "write whole numbers"),
        (["15", "--seeds", "1,1"], "each once"),
        (["15", "--seeds", "-1"], "numbers from 0"),
        (["15", "a", "fish"], "takes no prompt"),
        (["15", "--prompts", "none.txt"], "cannot be read"),
        (["15", "--prompts", "empty.txt"], "holds 0 prompts"),
        (["15", "--prompts", "twice.txt"], "twice"),
        (["15", "--prompts", "bad.txt"], "a part of the prompt is empty"),
        (["15", "--learning-rate", "-1"], "learning_rate is -1"),
        (["12", "--systems", "gluide"], "no system is called 'gluide'"),
        (["12", "--systems", "gouache,gouache"], "twice"),
        (["9", "--world", "paper"], "mindalle could not be fetched"),
        (["9", "--count", "2"], "count is no setting of a figure"),
        (["cutouts", "x", "--image", "p.png"], "not both"),
        (["cutouts", "--image", "none.png"], "no picture at none.png"),
    ],
)
def test_mistakes_are_one_line(gouache, arguments, message):
    Path("empty.txt").write_text("\n")
    Path("twice.txt").write_text("a\na\n")
    Path("bad.txt").write_text("a |\n")
    Image.new("RGB", (8, 8)).save("p.png")
    result = gouache("figures", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1 or "15" in arguments
    assert "Traceback" not in result.err
    assert not Path("figures/15-pocket/grid.png").exists()


def test_systems_that_are_left_out_are_told(gouache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    quick = ["--generator", "pocket", *SMALL, "--tries", "1"]
    result = gouache("figures", "13", "--world", "paper", *quick)
    assert result.code == 0
    assert "left out, as their weights are not here: mindalle, glide-clip, glide-free" in result.err
    assert "gouache models fetch mindalle glide\n" in result.err
    named = gouache("figures", "13", "--world", "paper", "--systems", "gouache")
    assert "left out" not in named.err + gouache("figures", "15", "--world", "paper").err


class Plain:
    """Paints white."""

    settings: Mapping[str, Any] = {}

    def paint(self, prompt: str, seed: int) -> Image.Image:
        return Image.new("RGB", (8, 8), "white")


def test_settings_that_nobody_who_paints_has_are_told(gouache, monkeypatch):
    systems.names()
    monkeypatch.setitem(systems._references, "plain", lambda device: Plain())
    Path("lines.txt").write_text("a fish\n")
    once = ["9", "--prompts", "lines.txt", "--tries", "1", "--perceptor", "pocket"]
    asked = [*once, "--systems", "plain", "--size", "64x64", "--steps", "3", "--out"]
    result = gouache("figures", *asked, "f")
    told = "gouache: --size and --steps change nothing here: plain paints in its own way"
    assert result.code == 0
    assert result.err.splitlines()[0] == told
    assert gouache("figures", *asked, "g", "--quiet").err == told + "\n"
    assert "nothing here" not in gouache("figures", *once, "--systems", "plain", "--out", "h").err
    beside = gouache("figures", *once, "--systems", "plain,gouache", *SMALL, "--out", "i")
    assert "nothing here" not in beside.err
