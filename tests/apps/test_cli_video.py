"""`gouache video` as people call it."""

from __future__ import annotations

import json
import signal
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.apps import filming
from gouache.apps.progress import Silent
from gouache.output.video import read_any_metadata, timelapse
from small import SMALL

av = pytest.importorskip("av")
FILM = ["video", "a fish", *SMALL, "--zoom", "0:(1.05)", "--frames", "4", "--steps-per-frame", "2"]


@pytest.fixture
def whole(gouache):
    result = gouache(*FILM, "--run-dir", "run", "--out", "x.mp4", "--json")
    assert result.code == 0
    return json.loads(result.out)


def test_a_film_is_painted_told_of_and_painted_again(gouache, whole):
    assert (whole["out"], whole["run_dir"], whole["num_frames"]) == ("x.mp4", "run", 4)
    assert sorted(path.name for path in Path("run/frames").iterdir()) == [
        f"{frame:05}.png" for frame in range(4)
    ]
    for name in ("x.mp4", "run", "run/frames/00002.png"):
        told = gouache("info", name).out
        assert "a fish" in told
        assert "0:(1.05)" in told
    assert "already finished" in gouache("resume", "run").err
    assert gouache("replay", "x.mp4", "--out", "again.mp4", "-q").code == 0
    assert Path("again.mp4").read_bytes() == Path("x.mp4").read_bytes()
    assert not Path("again.run").exists()
    for source, options in (("run", ["--frame", "2"]), ("run/frames/00002.png", [])):
        assert gouache("replay", source, *options, "--out", "frame.png", "-q").code == 0
        found, wanted = (np.asarray(Image.open(n)) for n in ("frame.png", "run/frames/00002.png"))
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("named", [True, False])
def test_ctrl_c_saves_and_says_how_to_go_on(gouache, whole, monkeypatch, named):
    class Interrupting(Silent):
        def show(self, step):
            if step.index == 1:
                signal.raise_signal(signal.SIGINT)

    folder = ["--run-dir", "other"] if named else []
    with monkeypatch.context() as patch:
        patch.setattr(filming, "make_progress", lambda *_: Interrupting())
        stopped = gouache(*FILM, "--out", "y.mp4", *folder)
    name = "other" if named else "y.run"
    assert stopped.code == 130
    assert f"stopped after frame 2 of 4; go on with: gouache resume {name}" in stopped.err
    assert not Path("y.mp4").exists()
    assert gouache("resume", name, "-q").code == 0
    assert Path("y.mp4").read_bytes() == Path("x.mp4").read_bytes()
    assert Path(name).exists() == named


def test_ctrl_c_in_the_first_frame_says_that_it_begins_again(gouache, whole, monkeypatch):
    class Interrupting(Silent):
        def sketch(self, step):
            if Path("z.run").exists() and not told:  # the start is found
                told.append(True)
                signal.raise_signal(signal.SIGINT)

    told = []
    with monkeypatch.context() as patch:
        patch.setattr(filming, "make_progress", lambda *_: Interrupting())
        stopped = gouache(*FILM, "--out", "z.mp4")
    assert stopped.code == 130
    assert "stopped in the first frame, which begins again; go on with" in stopped.err


def click(path: Path, seconds: float = 1.0) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        noise = np.random.default_rng(1).integers(-9000, 9000, round(8000 * seconds))
        noise[2000:6000] = 0
        sound.writeframes(noise.astype("<i2").tobytes())
    return path


def samples(path: str) -> np.ndarray:
    with av.open(path) as container:
        found = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(found, axis=-1)


def test_a_film_that_is_painted_again_sounds_the_same(gouache):
    sound = click(Path("a.wav"))
    made = [*FILM[:-6], "--frames", "4", "--fps", "4", "--steps-per-frame", "1"]
    made += ["--zoom", "1+0.1*beat", "--audio", str(sound), "-q"]
    assert gouache(*made, "--out", "x.mp4", "--run-dir", "run").code == 0
    sound.unlink()
    for place, out in (("x.mp4", "y.mp4"), ("run", "z.mp4")):
        again = gouache("replay", place, "--out", out, "-q")
        assert (again.code, again.err) == (0, "")
        assert np.array_equal(samples(out), samples("x.mp4"))
    assert gouache("replay", "x.mp4", "--out", "x.gif", "-q").code == 0
    silent = gouache("replay", "x.gif", "--out", "w.mp4", "-q")
    assert silent.code == 0
    assert "the sound of this film is not in x.gif" in silent.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--zoom", "0:(1.01), x"], "zoom"),
        (["--zoom", "__import__('os')"], "zoom"),
        (["--angle", ""], "angle"),
        (["--frames", "0.5"], "frames"),
        (["--frames", "3", "--seconds", "2"], "frames"),
        (["--fps", "1000"], "fps"),
        (["--seconds", "30000", "--fps", "60"], "frames"),
        (["--border", "mirrors"], "border"),
        (["--steps-per-frame", "0"], "steps_per_frame"),
        (["--count", "2"], "one picture"),
        (["--steps", "3,4"], "steps_per_frame"),
        (["--audio", "nowhere.wav"], "no sound at nowhere.wav"),
        (["--audio", "."], "give a sound"),
        (["--out", "x.avi"], "x.avi"),
        (["--out", "nowhere/x.mp4"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(gouache, options, told):
    result = gouache(*FILM[:-4], *options)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert told in result.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--strength", "2", "--every-nth", "3"], "every_nth and strength left out"),
        (["--morph", "a.png", "b.png", "--border", "wrap"], "border left out: a morph"),
        (["--source", "x.mp4", "--loop", "--fov", "50"], "fov and loop left out"),
    ],
)
def test_what_a_film_does_not_use_is_told_once(gouache, options, told):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 24), "red").save(name)
    with timelapse("x.mp4", 4, 0) as clip:
        clip.add(Image.new("RGB", (32, 24), "red"))
    result = gouache("video", "a fish", *SMALL, *options, "--dry-run")
    assert (result.code, result.err.count("\n"), result.err.count(told)) == (0, 1, 1)
    result = gouache("video", "a fish", *SMALL, *options[:-2], "--dry-run")
    assert result.code == 0
    assert told not in result.err


def test_a_run_folder_that_cannot_be_is_refused_first(gouache, monkeypatch):
    monkeypatch.setattr(filming, "fetch_models", lambda *_: pytest.fail("models are asked for"))
    Path("run").touch()
    result = gouache(*FILM, "--run-dir", "run")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "in the way" in result.err


def test_a_frame_that_is_not_there(gouache, whole):
    for arguments in (["x.mp4", "--frame", "4"], ["nowhere"], ["."], ["x.mp4", "--frame", "-1"]):
        result = gouache("replay", *arguments, "-q")
        assert result.code == 2
        assert len(result.err.splitlines()) == 1


def test_dry_run_shows_all_settings(gouache):
    told = json.loads(gouache(*FILM, "--dry-run").out)
    assert told["zoom"] == "0:(1.05)"
    assert told["prompt"] == "a fish"
    Path("film.json").write_text(json.dumps(told))
    assert json.loads(gouache("video", "--config", "film.json", "--dry-run").out) == told
    assert list(Path().iterdir()) == [Path("film.json")]


def test_a_scale_is_told_to_be_left_out_and_a_layout_that_is_given_stays(gouache):
    options = [*FILM[:-4], "--frames", "1", "--out", "x.gif"]
    options[1] = "a red apple and a blue fish"
    told = gouache(*options, "--scale", "2", "--layout", "auto", "-q")
    assert told.code == 0
    assert told.err.count("\n") == told.err.count("gouache: note: ")
    assert told.err.count("scale 2 left out") == 1
    assert told.err.count("each in its half") == 1
    config = read_any_metadata("x.gif")["config"]
    assert (config["scale"], config["guidance"]["layout"]) == (1, "auto")
    told = gouache(*options, "--dry-run")
    config = json.loads(told.out)
    assert (told.err, config["scale"], config["guidance"]["layout"]) == ("", 1, "off")
