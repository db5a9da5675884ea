"""Pictures that are finished larger, by the command line and the studio."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gouache.apps.notebook import _Plain, live
from gouache.apps.studio.http import make_app
from gouache.apps.studio.orders import Limits, settings_table
from gouache.apps.studio.worker import Studio
from gouache.generators.drawing import FILE
from gouache.output.pictures import read_metadata
from small import SMALL
from studio_client import submit, tiny_build, wait
from tiny import save_tiny_vqgan, tiny_session

Call = Callable[..., Any]
NOTE = "has no drawing decoder; its pictures are enlarged 4 times by Lanczos"


@pytest.fixture
def paint(gouache: Call, tmp_path: Path) -> Call:
    """`paint("a cat", ...)` with a tiny generator, which has a drawing decoder, at four times."""
    place = save_tiny_vqgan(tmp_path)

    def call(*arguments: str) -> Any:
        return gouache("paint", *arguments, "-q", *SMALL, "--generator", place, "--scale", "4")

    return call


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_large_picture_is_told_and_replayed(paint: Call, gouache: Call) -> None:
    told = json.loads(paint("a fish", "--out", "a.png", "--json").out)
    assert told["size"] == [128, 128]
    assert Image.open("a.png").size == (128, 128)
    shown = gouache("info", "a.png").out
    assert "scale" in shown
    assert "drawing (scale 4, sha256 " in shown
    again = gouache("replay", "a.png", "-q", "--out", "b.png")
    assert (again.code, again.err) == (0, "")
    assert np.array_equal(pixels("a.png"), pixels("b.png"))


def test_other_weights_or_none_are_told_by_a_replay(paint: Call, gouache: Call) -> None:
    paint("a fish", "--out", "a.png")
    Path(FILE).unlink()
    again = gouache("replay", "a.png", "-q", "--out", "b.png")
    assert again.code == 0
    assert "made with another drawing decoder than the installed one" in again.err
    assert again.err.count(NOTE) == 1
    assert Image.open("b.png").size == (128, 128)


@pytest.mark.parametrize("killed_at", [0, 2])
def test_a_run_that_was_killed_ends_the_same(
    paint: Call, gouache: Call, dies_at: Call, tmp_path: Path, killed_at: int
) -> None:
    paint("a fish", "--out", "whole.png")
    options = ["-q", *SMALL, "--generator", tmp_path / "generator.safetensors", "--scale", "4"]
    run = ["--out", "a.png", "--run-dir", "run", "--save-every", "1"]
    dies_at(killed_at, "paint", "a fish", *options, *run)
    assert gouache("resume", "run", "-q").code == 0
    assert np.array_equal(pixels("a.png"), pixels("whole.png"))
    steps = sorted(Path("run/steps").glob("*.png"))
    assert {Image.open(step).size for step in steps} == {(32, 32)}


def test_what_was_lost_after_the_last_step_is_drawn_again(paint: Call, gouache: Call) -> None:
    paint("a fish", "--out", "a.png", "--run-dir", "run")
    before = pixels("a.png")
    Path("a.png").unlink()
    assert gouache("resume", "run", "-q").code == 0
    assert np.array_equal(pixels("a.png"), before)


def test_a_batch_and_its_film(paint: Call) -> None:
    told = json.loads(
        paint("a fish", "a red boat", "--out", "a.png", "--timelapse", "a.gif", "--json").out
    )
    assert told["size"] == [128, 128]
    assert Image.open("a.png").size == (268, 136)
    assert [Image.open(f"a-{k}.png").size for k in (1, 2)] == [(128, 128)] * 2
    assert Image.open("a.gif").size == (76, 40)  # at the size that is painted


def test_a_generator_without_one_says_so_in_one_line(gouache: Call, tmp_path: Path) -> None:
    place = save_tiny_vqgan(tmp_path / "plain", drawing=False)
    options = ["-q", *SMALL, "--generator", place]
    result = gouache("paint", "a fish", *options, "--scale", "4", "--out", "a.png")
    assert result.code == 0
    assert result.err.count(NOTE) == len(result.err.splitlines()) == 1
    assert Image.open("a.png").size == (128, 128)
    assert gouache("paint", "a fish", *options, "--scale", "1", "--out", "b.png").err == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--scale", "3"], "scale is 3; choose from 1, 2, 4"),
        (["--scale", "x"], "scale is 'x'; expected whole number"),
        (["--scale", "4", "--size", "1500x1500"], "at most 16,777,216 pixels"),
    ],
)
def test_mistakes_are_one_line(gouache: Call, arguments: list[str], expected: str) -> None:
    result = gouache("paint", "a fish", *arguments)
    assert result.code == 2
    assert expected in result.err
    assert len(result.err.splitlines()) == 1


def test_a_damaged_one_is_told_before_painting(paint: Call) -> None:
    Path(FILE).write_bytes(b"damaged")
    result = paint("a fish", "--out", "a.png")
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert not Path("a.png").exists()


@pytest.mark.filterwarnings("ignore::gouache.runs.finish.ScaleWarning")
def test_a_notebook_shows_it_large_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(_Plain, "picture", lambda self, image, step: shown.append(image.size))
    view = live(tiny_session(scale=4))
    assert (shown[0], shown[-1]) == ((32, 24), (128, 96))
    assert view.image.size == (128, 96)


def test_the_studio_paints_small_and_finishes_large(tmp_path: Path) -> None:
    (setting,) = [one for one in settings_table() if one["name"] == "scale"]
    assert setting["choices"] == [1, 2, 4]
    studio = Studio(tmp_path / "runs", Limits(), tiny_build)
    client = TestClient(make_app(studio))
    try:
        run = submit(client, settings={"scale": "2"})
        told = wait(client, run, "done")
        assert (told["size"], told["scale"]) == ([32, 24], 2)
        assert any("enlarged 2 times" in note["text"] for note in told["notes"])
        folder = tmp_path / "runs" / "runs" / run
        assert Image.open(folder / "picture.png").size == (64, 48)
        assert read_metadata(folder / "picture.png")["finish"][0]["scale"] == 2
        small = [*folder.glob("frames/*.jpg"), *folder.glob("steps/*.png")]
        assert small
        assert {Image.open(path).size for path in small} == {(32, 24)}
        film = client.get(f"/api/runs/{run}/timelapse.gif").content
        (tmp_path / "film.gif").write_bytes(film)
        assert Image.open(tmp_path / "film.gif").size == (32, 24)
        assert client.post("/api/runs", json={"prompt": "x", "settings": {"scale": 3}}).is_error
    finally:
        studio.close()
