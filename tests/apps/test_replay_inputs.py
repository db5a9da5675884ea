"""Pictures that a picture was painted from: told by name and sum, found again, never mistaken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.inputs import (
    Input,
    base_name,
    below_home,
    from_home,
    models_at,
    portable,
    with_models_at,
)
from gouache.output.pictures import dump_json, read_metadata, save_picture
from gouache.weights.fingerprint import fingerprint
from small import SMALL
from tiny import tiny_config

FAST = ["-q", *SMALL, "--steps", "2"]


def pixels(name: str | Path) -> np.ndarray:
    return np.asarray(Image.open(name))


@pytest.fixture
def painted(gouache, tmp_path):
    """x.png, painted from two pictures in a folder that is not this one."""
    far = tmp_path / "far"
    far.mkdir()
    Image.new("RGB", (40, 30), (20, 90, 200)).save(far / "sea.png")
    Image.new("RGB", (30, 30), (220, 60, 30)).save(far / "sun.png")
    asked = [*FAST, "a fish", "--init-image", far / "sea.png", "--out", "x.png"]
    assert gouache(*asked, "--image-prompt", f"{far / 'sun.png'}:0.5").code == 0
    return far


def test_a_picture_tells_names_and_sums_and_no_paths(painted):
    data = Path("x.png").read_bytes()
    for secret in (str(painted), str(Path.cwd()), "far"):
        assert secret.encode() not in data
    record = read_metadata(Path("x.png"))
    assert record["config"]["init_image"] == "sea.png"
    assert record["config"]["image_prompts"] == ["sun.png:0.5"]
    sea, sun = record["inputs"]
    assert sea == {
        "setting": "init_image",
        "name": "sea.png",
        "sha256": fingerprint(painted / "sea.png"),
    }
    assert (sun["name"], sun["sha256"]) == ("sun.png", fingerprint(painted / "sun.png"))
    assert (sun["weight"], sun["stop"]) == (0.5, None)


def test_info_shows_them(gouache, painted):
    told = gouache("info", "x.png").out
    assert f"sea.png as init_image (sha256 {fingerprint(painted / 'sea.png')[:12]})" in told
    assert str(painted) not in told


@pytest.mark.parametrize("place", ["here", "beside", "named"])
def test_replay_finds_them_again(gouache, painted, place, monkeypatch):
    options = []
    if place == "here":
        for name in ("sea.png", "sun.png"):
            (painted / name).rename(name)
    elif place == "beside":
        Path("x.png").rename(painted / "x.png")
    else:
        (painted / "sun.png").rename("renamed.png")
        options = ["--init-image", painted / "sea.png", "--image-prompt", "renamed.png"]
    picture = painted / "x.png" if place == "beside" else Path("x.png")
    result = gouache("replay", picture, "-q", "--out", "again.png", *options)
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels(picture))


def test_replay_says_which_file_is_missing(gouache, painted):
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 2
    assert result.err == (
        "gouache: x.png was painted from the init image sea.png (sha256 "
        f"{fingerprint(painted / 'sea.png')[:12]}), which is neither beside it nor in this folder; "
        "name it: --init-image PATH\n"
    )
    assert not Path("again.png").exists()
    result = gouache("replay", "x.png", "-q", "--init-image", painted / "sea.png")
    assert result.code == 2
    assert "sun.png" in result.err
    assert "--image-prompt PATH" in result.err


def test_replay_notices_another_picture_of_that_name(gouache, painted):
    Image.new("RGB", (40, 30), "black").save("sea.png")
    (painted / "sun.png").rename("sun.png")
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 2
    known, now = fingerprint(painted / "sea.png"), fingerprint(Path("sea.png"))
    assert "sea.png was changed" in result.err
    assert known[:12] in result.err
    assert now[:12] in result.err
    assert "--init-image PATH" in result.err
    assert not Path("again.png").exists()
    # Named on purpose it is taken, and told.
    result = gouache("replay", "x.png", "-q", "--out", "again.png", "--init-image", "sea.png")
    assert result.code == 0
    assert "this picture will differ" in result.err
    assert result.err.count("\n") == 1


def test_a_changed_image_prompt_is_noticed_too(gouache, painted):
    (painted / "sea.png").rename("sea.png")
    Image.new("RGB", (30, 30), "black").save("sun.png")
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 2
    assert "sun.png was changed" in result.err


def test_naming_what_was_not_read_is_a_mistake(gouache):
    Image.new("RGB", (30, 30)).save("a.png")
    assert gouache("a fish", *FAST, "--out", "x.png").code == 0
    for option in ("--init-image", "--image-prompt"):
        result = gouache("replay", "x.png", "-q", option, "a.png")
        assert result.code == 2
        assert f"leave {option} out" in result.err


def rewritten(**changes) -> None:
    """x.png as an earlier version wrote it."""
    record = read_metadata(Path("x.png"))
    del record["inputs"]
    record["config"] |= changes
    save_picture(Image.open("x.png"), "x.png", record)


def test_older_pictures_replay_from_their_paths_and_say_that_the_sum_is_not_known(gouache, painted):
    rewritten(init_image=str(painted / "sea.png"), image_prompts=[f"{painted / 'sun.png'}:0.5"])
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert "does not tell the sum" in result.err
    assert np.array_equal(pixels("again.png"), pixels("x.png"))
    assert str(painted).encode() not in Path("again.png").read_bytes()
    for name in ("sea.png", "sun.png"):
        (painted / name).rename(name)
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 0
    assert np.array_equal(pixels("again.png"), pixels("x.png"))
    Path("sea.png").unlink()
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 2
    assert "init image sea.png, which is neither" in result.err


def test_two_image_prompts_of_the_same_name(gouache, tmp_path):
    for name, color in (("a", "red"), ("b", "blue")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), color).save(tmp_path / name / "p.png")
    paths = [f"{tmp_path / name / 'p.png'}" for name in "ab"]
    asked = ["--image-prompt", paths[0], "--image-prompt", f"{paths[1]}:-0.5"]
    assert gouache(*FAST, "a fish", *asked, "--out", "x.png").code == 0
    # In the wrong order: the sums tell which is which.
    named = ["--image-prompt", paths[1], "--image-prompt", paths[0]]
    result = gouache("replay", "x.png", "-q", "--out", "again.png", *named)
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels("x.png"))


def test_a_name_that_looks_like_a_weight(gouache, tmp_path):
    Image.new("RGB", (20, 20), "red").save(tmp_path / "p:2", "PNG")
    asked = ["--image-prompt", f"{tmp_path / 'p:2'}"]
    assert gouache(*FAST, "a fish", *asked, "--out", "x.png").code == 0
    assert read_metadata(Path("x.png"))["inputs"][0]["name"] == "p:2"
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels("x.png"))


def test_pictures_given_as_objects(gouache):
    from gouache import paint

    sea = Image.effect_noise((40, 30), 60).convert("RGB")
    small = {"size": (32, 32), "steps": 2, "num_cutouts": 3, "start_tries": 1}
    paint("a fish", init_image=sea, **small).save("x.png")
    assert read_metadata(Path("x.png"))["inputs"][0]["of"] == "pixels"
    result = gouache("replay", "x.png", "-q")
    assert result.code == 2
    assert "--init-image PATH" in result.err
    sea.save("any.png")
    result = gouache("replay", "x.png", "-q", "--init-image", "any.png", "--out", "again.png")
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels("x.png"))


def test_a_model_of_ones_own_is_told_by_name(gouache, tmp_path, monkeypatch):
    """It is found beside the picture, or named."""
    from gouache.weights import shipped

    own = tmp_path / "far" / "mine.safetensors"
    own.parent.mkdir()
    own.write_bytes(Path(shipped.shipped(shipped.GENERATOR)).read_bytes())
    asked = [*FAST, "a fish", "--generator", own, "--run-dir", "run", "--out", "x.png"]
    assert gouache(*asked, "--preset", "pocket").code == 0
    assert read_metadata(Path("x.png"))["config"]["generator"] == "./mine.safetensors"
    for file in ("x.png", "run/settings.json", "run/losses.csv"):
        assert str(own.parent).encode() not in Path(file).read_bytes()
    Path("x.png").rename("y.png")
    assert gouache("replay", "y.png", "-q", "--out", "again.png", "--generator", own).code == 0
    assert np.array_equal(pixels("again.png"), pixels("y.png"))
    result = gouache("replay", "y.png", "-q", "--out", "again.png")
    assert result.code == 2
    assert "with the generator mine.safetensors (sha256" in result.err
    assert "--generator PATH" in result.err
    own.rename("mine.safetensors")
    assert gouache("replay", "y.png", "-q", "--out", "again.png").code == 0
    assert np.array_equal(pixels("again.png"), pixels("y.png"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/sea.png", "sea.png"),
        ("sea.png", "sea.png"),
        (r"C:\Users\me\sea.png", "sea.png"),
        (r"\\server\share\sea.png", "sea.png"),
        (r"back\slash.png", r"back\slash.png"),
        ("~/sea.png", "sea.png"),
    ],
)
def test_base_names(path, name):
    assert base_name(path) == name


def test_portable_settings_are_their_own_portable_form():
    config = tiny_config(
        init_image="/a/b.png",
        image_prompts=("/a/c.png:2:0.5", r"D:\x\d.png"),
        generator="~/models/g.ckpt",
        perceptor=(
            "/m/clip.pt:2",
            "pocket",
            "models/rel.pt",
            "open_clip:local-dir:/m/a",
            "open_clip:ViT-B-32//m/b.pt:0.5",
            "open_clip:ViT-B-32/openai",
            "owner/repository",
        ),
    )
    once = portable(config)
    assert once.init_image == "b.png"
    assert once.image_prompts == ("c.png:2:0.5", "d.png")
    assert once.generator == "./g.ckpt"
    assert once.perceptor == (
        "./clip.pt:2.0",
        "pocket",
        "models/rel.pt",
        "open_clip:local-dir:./a:1.0",
        "open_clip:ViT-B-32/./b.pt:0.5",
        "open_clip:ViT-B-32/openai",
        "owner/repository",
    )
    assert with_models_at(once, models_at(config)).guides == tuple(
        (name.replace("~", str(Path.home())), weight) for name, weight in config.guides
    )
    assert portable(once) == once


def test_homes(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert below_home(tmp_path / "a" / "b.png") == os.path.join("~", "a", "b.png")  # noqa: PTH118
    assert from_home("~/a/b.png") == str(tmp_path / "a" / "b.png")
    assert below_home("/elsewhere/x") == "/elsewhere/x"


def test_records_of_inputs_round_trip():
    for one in (
        Input("init_image", "a.png", "0" * 64),
        Input("image_prompts", "a:2", "1" * 64, "file", -0.5, 0.1),
        Input("init_image", "", "2" * 64, "pixels"),
    ):
        assert Input.from_record(json.loads(dump_json(one.record()))) == one
