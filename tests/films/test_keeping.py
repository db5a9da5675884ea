"""A film on the disk: killed anywhere it goes on to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from gouache.errors import OutputError
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.films.folders import film_document_of, is_film
from gouache.films.keeping import KeepFilm, create_folder, film_outputs
from gouache.output.run_folder import RunFolder
from gouache.output.video import read_any_metadata
from gouache.runs.drive import Run, Stepped, drive
from gouache.runs.written import Written
from tiny import TinyGenerator, TinyPerceptor, tiny_config

MODELS = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}
FRAMES = 11

# Paints a film in processes that are killed at frames, one after another, before or after the
# frame's last step is recorded; the last one may finish.
PROGRAM = """
import os, random, signal, sys
import torch
torch.set_num_threads(1)  # so that processes may be forked
from films.test_keeping import begin, go_on
deaths = [(frame, random.Random(7).random() < 0.5) for frame in map(int, sys.argv[1:])]
for number, death in enumerate([*deaths, None]):
    child = os.fork()
    if child == 0:
        begin(death) if number == 0 else go_on(death)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == (0 if death is None else -signal.SIGKILL), status
"""


def dying(death):
    frame, early = death or (-1, False)

    def die(event, run):
        there = isinstance(event, Stepped) and run.painter.frame == frame
        if there and (early or run.painter.frame_done):
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def begin(death=None, name="x.gif"):
    film = FilmConfig(frames=FRAMES, zoom="1.02", translation_x="1", steps_per_frame=2)
    painter = Film.build(tiny_config(steps=4), film, **MODELS)
    place = Path(name).with_suffix("")
    with film_outputs(name, "t", place) as outputs, create_folder(painter, outputs) as folder:
        keep = KeepFilm(folder, outputs)
        drive(Run(painter), [dying(death), keep])
    return keep.result


def go_on(death=None, name="x.gif"):
    from gouache.engine import SessionState
    from gouache.runs.places import stored_outputs

    with RunFolder.open(Path(name).with_suffix(""), "frames") as folder:
        painter = Film.from_state(SessionState(*folder.load_state()), **MODELS)
        folder.truncate_losses(painter.step_index)
        keep = KeepFilm(folder, stored_outputs(folder), Written.read(folder))
        drive(Run(painter), [dying(death), keep])


def written(folder: Path, film: Path) -> dict[str, bytes]:
    files = [film, folder / "losses.csv", *folder.glob("frames/*")]
    return {path.name.replace(folder.name, ""): path.read_bytes() for path in files}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_five_frames_it_has_the_same_bytes(here):
    begin(name="whole.gif")
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    program = [sys.executable, "-c", PROGRAM, "0", "2", "5", "9", "10"]
    subprocess.run(program, cwd=here, env=environment, check=True)
    assert written(here / "x", here / "x.gif") == written(here / "whole", here / "whole.gif")


def test_what_cannot_be_written_ends_the_film_and_it_goes_on(here, monkeypatch):
    begin(name="whole.gif")
    save, frames = RunFolder.save_step, []

    def full(self, step, *more):
        frames.append(step)
        if step == 3:
            raise OutputError("no space is left on the disk")
        return save(self, step, *more)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_step", full)
        with pytest.raises(OutputError, match="no space"):
            begin()
    assert frames == [0, 1, 2, 3]
    go_on()
    assert written(here / "x", here / "x.gif") == written(here / "whole", here / "whole.gif")


def test_a_frame_is_written_before_the_state_after_it(here, monkeypatch):
    told = []
    for name in ("save_step", "save_state"):
        real = getattr(RunFolder, name)

        def noted(self, *asked, real=real, name=name):
            told.append(name)
            return real(self, *asked)

        monkeypatch.setattr(RunFolder, name, noted)
    begin()
    assert told == ["save_state", *["save_step", "save_state"] * FRAMES]


def test_a_film_is_known_by_its_folder_and_its_file(here):
    result = begin(name="x.mp4")
    assert (result.frames, result.num_frames) == (FRAMES, FRAMES)
    assert is_film(here / "x")
    assert not is_film(here)
    told, inside = film_document_of(here / "x"), read_any_metadata(here / "x.mp4")
    assert told.pop("painted") == FRAMES
    assert told == inside
    assert inside["film"]["zoom"] == "1.02"
    frame = read_any_metadata(here / "x" / "frames" / "00003.png")
    assert (frame["frame"], frame["step"]) == (3, 4 + 3 * 2)
    assert str(here) not in repr((told, frame))


def test_names_are_checked_before_anything_is_painted(here):
    for wrong in ("x.avi", "nowhere/x.mp4", "frame.png"):
        with pytest.raises(OutputError), film_outputs(wrong, "title", None):
            pass
    (here / "run").mkdir()
    (here / "run" / "settings.json").write_text("{}")
    told = pytest.raises(OutputError, match="already holds a run")
    with told, film_outputs(None, "title", here / "run"):
        pass
    (here / "title.mp4").write_bytes(b"mine")
    with film_outputs(None, "title", None) as outputs:
        assert (outputs.out.name, outputs.rest.name) == ("title-2.mp4", "title-2.run")
    assert sorted(path.name for path in here.iterdir()) == ["run", "title.mp4"]


def test_a_film_sounds_like_the_file_that_it_was_given_once(here):
    av = pytest.importorskip("av")
    with wave.open("a.wav", "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    film = FilmConfig(frames=4, fps=4.0, steps_per_frame=1)
    painter = Film.build(tiny_config(steps=1), film, **MODELS)
    with film_outputs("x.mp4", "t", Path("run")) as outputs:
        create_folder(painter, outputs, None, Path("a.wav")).close()
        Path("a.wav").unlink()
        with RunFolder.open("run", "frames") as folder:
            drive(Run(painter), [KeepFilm(folder, outputs)])
    with av.open("x.mp4") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
