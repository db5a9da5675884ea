"""`gouache four`, `vary` and `evolve`: choose one, go on from it; told in files and replayed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gouache as package
from gouache.apps.cli.main import run
from gouache.apps.runner import Stop
from gouache.errors import ConfigError
from gouache.inputs import file_sha256
from gouache.output.pictures import read_metadata, save_picture
from gouache.runs.varied import VariedWarning

TINY = [
    *("--size", "32x32", "--steps", "2", "--num-cutouts", "3"),
    *("--start-tries", "1", "--start-steps", "0", "--perceptor", "pocket"),
]
FOUR = [f"castle-{number}.png" for number in (1, 2, 3, 4)]


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """castle.png and its four pictures, seeds 5 to 8; ship.png, from other words."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for asked in (["four", "a castle", "--seed", "5"], ["a ship", "--seed", "9"]):
            out = f"{asked[-3].split()[1]}.png"
            assert run([*asked, *TINY, "-q", "--out", out]) == 0
    return folder


@pytest.fixture
def pictures(gouache, kept, tmp_path):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path


def replays(gouache, *names: str | Path) -> None:
    for name in names:
        result = gouache("replay", name, "-q", "--out", "again.png")
        assert (result.code, result.err) == (0, "")
        assert np.array_equal(pixels("again.png"), pixels(name))


def test_four_seeds_and_one_sheet_with_numbers(gouache):
    result = gouache("four", "a castle", *TINY, "--seed", "5")
    assert result.code == 0
    names = [f"a-{name}" for name in FOUR]
    assert result.out.split() == [*names, "a-castle.png"]
    assert "gouache: seeds 5, 6, 7, 8" in result.err
    assert [read_metadata(name)["seed"] for name in names] == [5, 6, 7, 8]
    sheet = pixels("a-castle.png")
    assert sheet.shape[0] > sheet.shape[1] > 2 * 32  # there are lines below the pictures
    for row in range(2):
        below = sheet[4 + row * (32 + 15 + 4) + 32 :][:15]
        assert (below[:, 4:36] < 128).any()
        assert (below[:, 40:72] < 128).any()
    replays(gouache, "a-castle.png", names[3])


def test_four_are_told_as_json_and_nothing_is_replaced(gouache, pictures):
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    told = [json.loads(gouache("four", "castle", *TINY, "--json").out) for _ in range(2)]
    assert [one["grid"] for one in told] == ["castle-5.png", "castle-6.png"]
    assert told[0]["seeds"] == [0, 1, 2, 3]
    assert len(told[0]["out"]) == 4
    assert {name: Path(name).read_bytes() for name in before} == before


def test_variations_have_the_words_and_settings_of_their_picture(gouache, pictures):
    result = gouache("vary", "castle-3.png", "--count", "2", "--strength", "0.3")
    assert result.code == 0
    names = ["castle-3-varied-1.png", "castle-3-varied-2.png"]
    assert result.out.split() == [*names, "castle-3-varied.png"]
    assert "gouache: seeds 8, 9" in result.err  # after its own
    assert "note" not in result.err
    parent = read_metadata("castle-3.png")
    for name in names:
        record = read_metadata(name)
        assert record["prompt"] == "a castle"
        assert record["lineage"] == {
            "how": "vary",
            "strength": 0.3,
            "parents": [{"name": "castle-3.png", "sha256": file_sha256("castle-3.png")}],
        }
        own = {"init_image": "castle-3.png", "seed": 8, "count": 2}
        latents = parent["config"]["latents"] | {"init_disturb": 0.3}
        assert record["config"] == parent["config"] | own | {"latents": latents}
        assert str(pictures).encode() not in Path(name).read_bytes()
    assert not np.array_equal(pixels(names[0]), pixels(names[1]))
    replays(gouache, *names, "castle-3-varied.png")


def test_options_replace_what_the_file_says(gouache, pictures):
    asked = ["--prompt", "a ruin", "--steps", "1", "--seed", "40", "--count", "1"]
    result = gouache(
        "vary", "castle-1.png", *asked, "--strength", "0", "--json", "--preset", "paper"
    )
    assert result.err == (
        "gouache: note: the preset paper is not taken: castle-1.png brings its own settings\n"
    )
    told = json.loads(result.out)
    assert (told["seeds"], told["num_steps"], told["prompt"]) == ([40], 1, "a ruin")
    assert told["out"] == ["castle-1-varied.png"]
    assert read_metadata("castle-1-varied.png")["lineage"]["strength"] == 0
    assert read_metadata("castle-1-varied.png")["config"]["size"] == [32, 32]


def test_more_strength_is_farther_from_the_picture(gouache, pictures):
    apart = []
    for strength in ("0", "0.9"):
        asked = ["--steps", "1", "--learning-rate", "0.0001", "--count", "1", "--out", "v.png"]
        assert gouache("vary", "ship.png", *asked, "--strength", strength, "-q").code == 0
        difference = pixels("v.png").astype(float) - pixels("ship.png")
        apart.append(np.abs(difference).mean())
    assert apart[0] < apart[1] / 2


def test_two_pictures_crossed_and_their_tree(gouache, pictures):
    asked = ["--count", "1", "--strength", "0.4", "-q", "--out", "v.png"]
    assert gouache("vary", "castle-2.png", *asked).code == 0
    result = gouache("evolve", "v.png", "ship.png", "--count", "2", "--out", "child.png")
    assert result.code == 0
    [note] = [line for line in result.err.splitlines() if "note" in line]
    assert "ship.png was painted from other words" in note
    assert "those of v.png are taken ('a castle')" in note
    record = read_metadata("child-1.png")
    assert record["prompt"] == "a castle"
    assert [one["name"] for one in record["lineage"]["parents"]] == ["v.png", "ship.png"]
    shown = gouache("info", "child-1.png").out.splitlines()
    [first] = [k for k, line in enumerate(shown) if line.startswith("lineage")]
    sums = {name: file_sha256(name)[:12] for name in ("v.png", "ship.png", "castle-2.png")}
    assert [line[shown[first].index("evolve") :] for line in shown[first : first + 4]] == [
        "evolve",
        f"├─ v.png (sha256 {sums['v.png']}): vary, strength 0.4",
        f"│  └─ castle-2.png (sha256 {sums['castle-2.png']})",
        f"└─ ship.png (sha256 {sums['ship.png']})",
    ]
    assert not np.array_equal(pixels("child-1.png"), pixels("child-2.png"))
    replays(gouache, "child-1.png", "child-2.png")
    # The tree needs none of them any more.
    for name in ("v.png", "ship.png"):
        Path(name).unlink()
    assert gouache("info", "child-1.png").out.splitlines() == shown


def test_a_picture_of_somebody_else_needs_words(gouache):
    Image.effect_noise((60, 30), 90).convert("RGB").save("photo.jpg")
    assert gouache("vary", "photo.jpg", *TINY).err == (
        "gouache: photo.jpg holds no gouache settings: another program made or re-saved it; give a "
        "picture as gouache wrote it, or say what to paint by a prompt (--prompt)\n"
    )
    asked = ["--prompt", "a sea", "--count", "1", "--json"]
    result = gouache("vary", "photo.jpg", *TINY, *asked)
    assert result.code == 0
    assert result.err == (
        "gouache: note: photo.jpg is 60x30; it is scaled to 32x32, the size that is painted "
        "(--size); what juts out is cut off\n"
    )
    assert json.loads(result.out)["seeds"] == [0]
    replays(gouache, "photo-varied.png")


def test_pictures_of_different_sizes_are_fitted_and_told(gouache, pictures):
    save_picture(Image.open("ship.png").resize((16, 48)), "tall.png", read_metadata("castle-1.png"))
    result = gouache("evolve", "castle-1.png", "tall.png", "--steps", "1", "--json")
    assert result.code == 0
    assert result.err == (
        "gouache: note: tall.png is 16x48; it is scaled to 32x32, the size that is painted "
        "(--size); what juts out is cut off\n"
    )
    assert json.loads(result.out)["size"] == [32, 32]


def test_a_generator_has_to_be_named_where_two_differ(gouache, pictures):
    other = read_metadata("ship.png")
    other["generator"] |= {"name": "imagenet", "fingerprint": "0" * 64}
    save_picture(Image.open("ship.png"), "other.png", other)
    asked = ["evolve", "castle-1.png", "other.png", "--steps", "1", "--prompt", "a fish"]
    result = gouache(*asked)
    assert result.code == 2
    assert result.err.startswith(
        "gouache: castle-1.png and other.png were painted with different generators (pocket, sha256"
    )
    assert result.err.count("\n") == 1
    assert "--generator NAME" in result.err
    assert gouache(*asked, "--generator", "pocket", "-q", "--out", "x.png").code == 0


WRONG = {
    "no picture": ["vary"],
    "missing": ["vary", "nowhere.png"],
    "missing, with words": ["vary", "nowhere.png", "--prompt", "a sea"],
    "no picture at all": ["vary", "notes.txt", "--prompt", "a sea"],
    "a folder": ["vary", ".", "--prompt", "a sea"],
    "cut off": ["vary", "cut.png"],
    "cut off, with words": ["vary", "cut.png", "--prompt", "a sea"],
    "too strong": ["vary", "castle-1.png", "--strength", "1.5"],
    "negative strength": ["vary", "castle-1.png", "--strength=-0.1"],
    "strength nan": ["vary", "castle-1.png", "--strength", "nan"],
    "strength is a word": ["vary", "castle-1.png", "--strength", "much"],
    "a sheet": ["vary", "castle.png"],
    "over the picture itself": ["vary", "castle-1.png", "--count", "1", "--out", "castle-1.png"],
    "over its numbered self": ["vary", "castle-1.png", "--out", "castle.png"],
    "starts of its own": ["vary", "castle-1.png", "--init-image", "ship.png"],
    "no count": ["vary", "castle-1.png", "--count", "0"],
    "one of two": ["evolve", "castle-1.png"],
    "second missing": ["evolve", "castle-1.png", "nowhere.png"],
    "second cut off": ["evolve", "castle-1.png", "cut.png"],
    "both foreign": ["evolve", "plain.png", "plain.png"],
    "three": ["evolve", "castle-1.png", "castle-2.png", "ship.png"],
    "strength of a crossing": ["evolve", "castle-1.png", "castle-2.png", "--strength", "0.3"],
    "four of nothing": ["four"],
    "four of another number": ["four", "a castle", "--count", "5"],
    "five of four": ["four", "a a", "b b", "c c", "d d", "e e"],
}


@pytest.mark.parametrize("asked", WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_one_line_and_cost_nothing(gouache, pictures, asked):
    Path("notes.txt").write_text("not a picture")
    data = Path("castle-2.png").read_bytes()
    Path("cut.png").write_bytes(data[: len(data) * 2 // 3])
    Image.new("RGB", (8, 8)).save("plain.png")
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    result = gouache(*asked)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1, result.err
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == before


def test_what_is_interrupted_goes_on_to_the_same_files(gouache, pictures, monkeypatch):
    asked = ["vary", "castle-1.png", "--count", "2", "-q", "--out"]
    assert gouache(*asked, "whole.png").code == 0
    wishes = iter([False])  # to stop: not before the first step

    class Stopping(Stop):
        wanted = property(lambda self: next(wishes, True), lambda self, value: None)

    with monkeypatch.context() as patch:
        patch.setattr("gouache.apps.runner.Stop", Stopping)
        assert gouache(*asked, "v.png").code == 130
    Path("castle-1.png").rename("away.png")  # all that is needed is in the folder
    assert gouache("resume", "v.run", "-q").code == 0
    for name in ("{}.png", "{}-1.png", "{}-2.png"):
        assert np.array_equal(pixels(name.format("v")), pixels(name.format("whole")))
        assert read_metadata(name.format("v")) == read_metadata(name.format("whole"))


def test_the_same_in_python(gouache, pictures):
    assert gouache("vary", "castle-1.png", "--count", "2", "-q", "--out", "v.png").code == 0
    painting = package.vary("castle-1.png", count=2)
    assert [np.array_equal(pixels(f"v-{k + 1}.png"), painting.images[k]) for k in (0, 1)] == [1, 1]
    assert painting.records[0]["lineage"] == read_metadata("v-1.png")["lineage"]
    assert np.array_equal(painting.sheet, pixels("v.png"))
    with pytest.warns(VariedWarning, match="other words"):
        child = package.evolve("castle-1.png", "ship.png", steps=1)
    assert child.records[0]["lineage"]["how"] == "evolve"
    for wrong in ({"strength": 2}, {"strength": True}, {"init_disturb": 0.1}):
        with pytest.raises(ConfigError):
            package.vary("castle-1.png", **wrong)


def test_four_in_python(kept):
    small = {"size": (32, 32), "steps": 2, "num_cutouts": 3, "start_tries": 1, "start_steps": 0}
    found = package.four("a castle", seed=5, perceptor="pocket", **small)
    assert [np.array_equal(pixels(kept / FOUR[k]), found.images[k]) for k in range(4)] == [1] * 4
    assert np.array_equal(found.sheet, pixels(kept / "castle.png"))


@pytest.mark.parametrize(("command", "count"), [("vary", 4), ("evolve", 1)])
def test_the_help_says_how_many_are_painted(command, count):
    from gouache.apps.cli.options import VARIED, VARY

    options = {"vary": VARY, "evolve": VARIED}[command]
    (found,) = (setting.explain() for setting in options if setting.name == "count")
    assert f"[default: {count}]" in found
