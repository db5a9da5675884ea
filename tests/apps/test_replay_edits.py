"""Edits of the command line: made again from their file and the source, and gone on with."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gouache.engine import Session
from gouache.ops.images import load_image
from gouache.ops.sums import pixels_sha256
from gouache.output.pictures import read_metadata, save_picture

FAST = ["--steps", "4", "--num-cutouts", "3", "--size", "32x24", "-q"]
INSIDE = np.zeros((48, 64), bool)
INSIDE[12:36, 20:44] = True
KINDS: dict[str, list[str]] = {
    "whole": ["a green hill"],
    "relative": ["--from", "a red ball", "--to", "a green ball"],
    "mask": ["--mask", "far/mask.png", "--with", "a sun", "--composite", "--grow", "1"],
    "phrase": ["--replace", "a red ball", "--with", "a sun", "--min-score", "0"],
}


def pixels(name: str | Path) -> Any:
    return np.asarray(Image.open(name))


@pytest.fixture
def far(gouache: Any) -> Path:
    """A folder that is not this one, with a picture of a red ball and a mask of it."""
    Path("far").mkdir()
    picture = np.full((48, 64, 3), (150, 190, 230), np.uint8)
    picture[INSIDE] = (200, 40, 30)
    Image.fromarray(picture).save("far/ball.png")
    Image.fromarray(INSIDE.astype(np.uint8) * 255).save("far/mask.png")
    return Path("far")


def edited(gouache: Any, kind: str, *more: str) -> None:
    result = gouache("edit", "far/ball.png", *KINDS[kind], *FAST, "--out", "x.png", *more)
    assert result.code == 0, result.err


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_made_again(gouache: Any, far: Path, kind: str) -> None:
    edited(gouache, kind, "--seed", "3")
    named = ["--source", "far/ball.png"]
    if kind == "mask":
        named += ["--mask", "far/mask.png"]
    result = gouache("replay", "x.png", *named, "-q", "--out", "again.png")
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels("x.png"))
    old, new = read_metadata(Path("x.png")), read_metadata(Path("again.png"))
    assert new["source"] == old["source"]
    assert new["edits"] == old["edits"]


@pytest.mark.parametrize("place", ["beside", "here"])
def test_the_source_is_found_by_its_name(gouache: Any, far: Path, place: str) -> None:
    edited(gouache, "mask")
    picture = Path("x.png")
    if place == "beside":
        picture = picture.rename(far / "x.png")
    else:
        for name in ("ball.png", "mask.png"):
            (far / name).rename(name)
    result = gouache("replay", picture, "-q", "--out", "again.png")
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels(picture))


def test_one_of_a_batch(gouache: Any, far: Path) -> None:
    edited(gouache, "mask", "--count", "2")
    named = ["--source", "far/ball.png", "--mask", "far/mask.png"]
    assert gouache("replay", "x-2.png", *named, "-q", "--out", "again.png").code == 0
    assert np.array_equal(pixels("again.png"), pixels("x-2.png"))
    assert sorted(path.name for path in Path().glob("again*")) == ["again.png"]


def test_what_is_missing_or_was_changed_is_told_in_one_line(gouache: Any, far: Path) -> None:
    edited(gouache, "mask")
    known = pixels_sha256(load_image(far / "ball.png"))[:12]
    result = gouache("replay", "x.png", "-q", "--out", "again.png")
    assert result.code == 2
    assert result.err == (
        f"gouache: x.png was painted from the source ball.png (sha256 {known}), which is neither "
        "beside it nor in this folder; name it: --source PATH\n"
    )
    result = gouache("replay", "x.png", "-q", "--source", "far/ball.png", "--out", "again.png")
    assert result.code == 2
    assert "from the mask mask.png (sha256" in result.err
    assert result.err.endswith("name it: --mask PATH\n")
    Image.new("RGB", (64, 48), "black").save("ball.png")
    result = gouache("replay", "x.png", "-q", "--mask", "far/mask.png", "--out", "again.png")
    assert result.code == 2
    assert "ball.png was changed: the source of x.png had sha256" in result.err
    assert not Path("again.png").exists()


def test_another_source_or_mask_is_taken_and_told(gouache: Any, far: Path) -> None:
    edited(gouache, "mask")
    Image.new("RGB", (64, 48), "black").save("other.png")
    Image.fromarray(~INSIDE).save("inverted.png")
    named = ["--source", "other.png", "--mask", "far/mask.png"]
    result = gouache("replay", "x.png", *named, "-q", "--out", "again.png")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert "is not the source that x.png was painted from" in result.err
    named = ["--source", "far/ball.png", "--mask", "inverted.png"]
    result = gouache("replay", "x.png", *named, "-q", "--out", "again.png")
    assert result.code == 0
    assert result.err == (
        "gouache: the picture was made with another mask than this one; it will differ\n"
    )


def test_the_same_pixels_in_another_file_are_the_same_source(gouache: Any, far: Path) -> None:
    edited(gouache, "whole")
    Image.open(far / "ball.png").save("other.bmp")
    result = gouache("replay", "x.png", "--source", "other.bmp", "-q", "--out", "again.png")
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("again.png"), pixels("x.png"))


def test_a_painting_has_no_source(gouache: Any, far: Path) -> None:
    assert gouache("a fish", *FAST, "--start-tries", "1", "--out", "x.png").code == 0
    for option in ("--source", "--mask"):
        result = gouache("replay", "x.png", option, "far/ball.png", "-q")
        assert result.code == 2
        assert f"leave {option} out" in result.err


@pytest.mark.parametrize("changes", [{"settings": {"grow": -3}}, {"settings": {"x": 1}}, {}])
def test_a_damaged_record_of_an_edit_is_told(gouache: Any, far: Path, changes: Any) -> None:
    edited(gouache, "whole")
    record = read_metadata(Path("x.png"))
    record["edits"][0] |= changes
    if not changes:
        del record["edits"][0]["source_sha256"]
    save_picture(Image.open("x.png"), "x.png", record)
    result = gouache("replay", "x.png", "--source", "far/ball.png", "-q")
    assert result.code == 2
    assert "the gouache settings in x.png are damaged" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["relative", "mask"])
def test_an_edit_that_was_interrupted_is_gone_on_with(
    gouache: Any, far: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(gouache, kind)
    advance = Session._advance

    def interrupted(session: Session) -> Any:
        step = advance(session)
        if step.index == 1:
            signal.raise_signal(signal.SIGINT)
        return step

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_advance", interrupted)
        asked = ["edit", "far/ball.png", *KINDS[kind], *FAST, "--out", "y.png"]
        stopped = gouache(*asked)
    assert stopped.code == 130
    for path in far.iterdir():
        path.unlink()
    folder = stopped.err.split("gouache resume ")[1].strip()
    result = gouache("resume", folder, "-q")
    assert (result.code, result.err) == (0, "")
    assert np.array_equal(pixels("y.png"), pixels("x.png"))
    assert b"far" not in Path("y.png").read_bytes()
