"""Nothing that exists is replaced unless it was named, and no run takes another's names."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.apps import runner
from gouache.apps.progress import Silent
from gouache.output.pictures import read_metadata
from gouache.runs import keep
from gouache.runs.outputs import reserved
from small import SMALL

QUICK = ["-q", *SMALL, "--steps", "2"]


def content(folder: str | Path = ".") -> dict[str, bytes]:
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files}


def unchanged(before: dict[str, bytes]) -> bool:
    now = content()
    return all(now.get(name) == data for name, data in before.items())


class During(Silent):
    """Progress that does something at a step."""

    def __init__(self, action, at=1):
        self.action, self.at = action, at

    def __call__(self, quiet, preview=False):
        return self

    def show(self, step):
        if step.index == self.at:
            self.action()


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("kept", ["a-fish-1.png", "a-fish-2.png", "a-fish.png"])
def test_a_kept_picture_of_a_batch_stays(gouache, kept):
    first = gouache("a fish", *QUICK, "--count", "2").out.split()
    assert first == ["a-fish-1.png", "a-fish-2.png", "a-fish.png"]
    for name in set(first) - {kept}:
        Path(name).unlink()
    before = content()
    second = gouache("a fish", *QUICK, "--count", "2", "--seed", "7").out.split()
    assert kept not in second
    assert len(second) == 3
    assert unchanged(before)


def test_two_runs_at_once_have_names_of_their_own(gouache, monkeypatch):
    make, inner = runner.make_progress, []

    def second():
        with monkeypatch.context() as patch:
            patch.setattr(runner, "make_progress", make)
            inner.append(gouache("a fish", *QUICK, "--count", "2", "--seed", "7"))
            inner.append(gouache("a fish", *QUICK, "--out", "a-fish.png"))

    monkeypatch.setattr(runner, "make_progress", During(second))
    gouache("a fish", *QUICK)
    assert inner[0].out.split() == ["a-fish-2-1.png", "a-fish-2-2.png", "a-fish-2.png"]
    assert inner[1].code == 2
    assert "about to be written" in inner[1].err
    assert read_metadata("a-fish.png")["seed"] == 0
    assert [path.name for path in Path().glob(".*")] == []


def test_a_file_that_appears_while_painting_stays(gouache, monkeypatch):
    appear = During(lambda: Path("a-fish-2.png").write_bytes(b"mine"))
    monkeypatch.setattr(runner, "make_progress", appear)
    result = gouache("a fish", *QUICK, "--count", "2")
    assert Path("a-fish-2.png").read_bytes() == b"mine"
    assert result.out.split()[-1] == "a-fish-3.png"
    assert "a-fish-2.png" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("place", ["fish-1.png", "fish-2.png"])
@pytest.mark.parametrize("kind", ["folder", "photo", "of another run"])
def test_all_names_are_checked_before_painting(gouache, monkeypatch, place, kind):
    if kind == "of another run":
        gouache("a bird", *QUICK, "--out", place)
    elif kind == "folder":
        Path(place).mkdir()
    else:
        Image.new("RGB", (8, 8)).save(place)
    before = content()
    monkeypatch.setattr(runner, "drive", None)  # painting would fail otherwise
    result = gouache("a fish", *QUICK, "--count", "2", "--out", "fish.png")
    assert result.code == 2
    assert place in result.err
    assert len(result.err.splitlines()) == 1
    assert content() == before


def test_a_named_batch_replaces_itself_and_says_so(gouache):
    for seed in ("0", "4"):
        result = gouache("a fish", *QUICK, "--count", "2", "--out", "f.png", "--seed", seed)
        assert result.code == 0
    assert "f-1.png, f-2.png" in result.err
    assert read_metadata("f-1.png")["seed"] == 4
    Image.open("f-2.png").save("f-2.png")  # retouched elsewhere: no part of the batch any more
    before = content()
    assert gouache("a fish", *QUICK, "--count", "2", "--out", "f.png").code == 2
    assert content() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["edit", "a.png", "a bird", "--replace", "a fish", "--out", "x.png", "--overlay", "x.png"],
        ["edit", "a.png", "--replace", "x", "--with", "y", "--out", "x.png", "--overlay", "x.png"],
        ["edit", "a.png", "--mask", "m.png", "y", "--count", "2", "--out", "x.png",
         "--overlay", "./x-1.png"],
        ["mask", "a.png", "a fish", "--out", "x.png", "--overlay", "./x.png"],
    ],
)  # fmt: skip
def test_one_name_for_two_results_is_refused(gouache, arguments):
    Image.new("RGB", (32, 32), "red").save("a.png")
    Image.linear_gradient("L").resize((32, 32)).save("m.png")
    before = content()
    result = gouache(*arguments)
    assert result.code == 2, result.err
    assert "two results" in result.err
    assert content() == before


@pytest.mark.parametrize("out", ["new/", "new/deep/", "there", "there/", "called.png/"])
def test_a_folder_gets_the_default_name(gouache, out):
    Path("there").mkdir()
    assert gouache("a fish", *QUICK, "--out", out).out.split() == [str(Path(out) / "a-fish.png")]
    again = gouache("a fish", *QUICK, "--out", out, "--count", "2").out.split()
    assert again == [str(Path(out) / f"a-fish-2{end}.png") for end in ("-1", "-2", "")]
    again = gouache("replay", again[0], "-q", "--out", out)
    assert again.out.split() == [str(Path(out) / "a-fish-3.png")]


def test_edits_take_folders_too(gouache):
    Image.new("RGB", (32, 32), "red").save("a.png")
    edited = gouache("edit", "a.png", "a fish", "--out", "new/", "-q", "--steps", "2")
    assert edited.out.split() == [str(Path("new/a-fish.png"))]


def test_interrupted_runs_have_names_of_their_own(gouache, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "make_progress", During(interrupt, at=0))
        first = gouache("a fish", *QUICK, "--timelapse", "f.gif")
        assert gouache("a fish", *QUICK, "--out", "a-fish.jpg").code == 130
    assert first.code == 130
    assert Path("a-fish.run").is_dir()
    assert Path("a-fish-2.run").is_dir()
    Path("a-fish.png").unlink()  # the run may still go on: its name is not free
    assert gouache("a fish", *QUICK, "--seed", "7").out.split() == ["a-fish-3.png"]
    film = Path("f.gif").read_bytes()
    result = gouache("resume", "a-fish.run", "-q")
    assert result.out.split() == ["a-fish.png"] or Path(result.out.strip()).name == "a-fish.png"
    assert Path("f.gif").read_bytes() == film
    assert Path("f-2.gif").exists()


@pytest.mark.parametrize("how", ["retouched", "painted again"])
def test_going_on_replaces_only_what_the_run_left(gouache, monkeypatch, how):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "make_progress", During(interrupt, at=0))
        assert gouache("a fish", *QUICK, "--run-dir", "run").code == 130
    if how == "retouched":
        Image.new("RGB", (8, 8)).save("a-fish.png")
    else:
        Path("a-fish.png").unlink()
        assert gouache("a fish", *QUICK).out.split() == ["a-fish.png"]
    before = {"a-fish.png": Path("a-fish.png").read_bytes()}
    result = gouache("resume", "run", "-q")
    assert result.code == 0
    assert unchanged(before)
    assert Path(result.out.strip()).name == "a-fish-2.png"
    assert "a-fish-2.png" in result.err
    again = gouache("resume", "run")
    assert "already finished" in again.err
    assert Path(again.out.strip()).name == "a-fish-2.png"
    assert unchanged(before)


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_finished_run_is_left_as_it_is(gouache, monkeypatch, count):
    arguments = [*QUICK, "--run-dir", "run", "--out", "x.png", "--count", count]
    painted = gouache("a fish", *arguments)
    Image.new("RGB", (8, 8), "red").save("x.png")  # retouched
    before = content()
    monkeypatch.setattr(runner, "resume_session", None)  # no model is needed either
    for more in ([], ["-q"], ["--json"]):
        result = gouache("resume", "run", *more)
        assert result.code == 0
        assert "already finished" in result.err
        assert "x.png" in result.err
        assert len(result.err.splitlines()) == 1
        assert content() == before
        if more != ["--json"]:
            assert [Path(name).name for name in result.out.split()] == painted.out.split()
    document = json.loads(result.out)
    assert document["step"] == document["num_steps"] == 2
    assert set(document["losses"]) >= {"prompt/0", "latent"}


def test_a_lost_picture_of_a_finished_run_is_written_again_with_its_losses(gouache):
    gouache("a fish", *QUICK, "--run-dir", "run", "--out", "x.png", "--count", "2")
    lost, told = np.asarray(Image.open("x-2.png")), read_metadata("x-2.png")
    Path("x-2.png").unlink()
    Image.new("RGB", (8, 8), "red").save("x-1.png")  # retouched
    before = content()
    assert gouache("resume", "run", "-q").code == 0
    assert unchanged({name: data for name, data in before.items() if name.endswith("png")})
    assert np.array_equal(np.asarray(Image.open("x-2.png")), lost)
    found = read_metadata("x-2.png")
    assert found.pop("losses") == pytest.approx(told.pop("losses"))
    assert found == told


def test_killed_between_the_last_step_and_its_picture(gouache, monkeypatch):
    Image.new("RGB", (8, 8), "red").save("x.png")
    old = Path("x.png").read_bytes()

    class Killed(BaseException):
        pass

    def dying(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(keep, "write_pictures", dying)
        with pytest.raises(Killed):
            gouache("a fish", *QUICK, "--run-dir", "run", "--out", "x.png")
    assert Path("x.png").read_bytes() == old
    assert gouache("resume", "run", "-q").code == 0
    assert Image.open("x.png").size == (32, 32)  # it was named: to be replaced


@pytest.mark.parametrize("failure", ["bad prompt", "diverged", "disk"])
def test_no_reservation_outlives_a_run(gouache, monkeypatch, failure):
    def fails(*_, **__):
        raise OSError(28, "full")

    if failure == "disk":
        monkeypatch.setattr(Image.Image, "save", fails)
    words = "a fish" if failure != "bad prompt" else "a fish ^ b"
    more = ["--learning-rate", "inf"] if failure == "diverged" else []
    steps = ["--steps", "1,2,3"] if failure == "bad prompt" else []
    assert gouache(words, *QUICK, *more, *steps).code == 2
    assert list(Path().iterdir()) == []


def test_a_run_folder_in_the_way_is_found_before_painting(gouache, monkeypatch):
    gouache("a fish", *QUICK, "--run-dir", "run")
    Path("file").touch()
    monkeypatch.setattr(runner, "Session", None)
    for name in ("run", "file"):
        result = gouache("a fish", *QUICK, "--run-dir", name)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1


def test_a_name_reserved_elsewhere_is_not_taken(gouache, tmp_path):
    with reserved(None, "a fish", count=3):
        assert gouache("a fish", *QUICK).out.split() == ["a-fish-4.png"]
        refused = gouache("a fish", *QUICK, "--out", "a-fish-3.png")
    assert refused.code == 2
