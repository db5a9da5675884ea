"""Run folders: losses that survive a kill, one writer at a time, clear errors."""

from __future__ import annotations

import csv
import errno
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from gouache.atomic import TEMP_PREFIX
from gouache.errors import OutputError, StateError
from gouache.output.pictures import read_metadata
from gouache.output.run_folder import RunFolder, _append

SETTINGS = {"prompt": "狐", "steps": [3]}
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and devices")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


def losses(step: int) -> dict[str, list[float]]:
    """Two pictures; a second prompt joins at step 3."""
    values = {"prompt/0": [step + 0.1, step + 0.2]}
    return values | ({"prompt/1": [0.1 * step, 1e-9]} if step >= 3 else {})


def test_what_a_run_leaves(path: Path) -> None:
    with RunFolder.create(path, SETTINGS) as run:
        run.record(0, losses(0))
        picture = Image.new("RGB", (4, 4), "red")
        assert run.save_step(50, [picture], {"seed": 1}) == [path / "steps" / "00050.png"]
        two = run.save_step(100, [picture] * 2)
        run.save_state({"latent": torch.ones(2)}, {"step": 0})
    assert [file.name for file in two] == ["00100.png", "00100-1.png"]
    assert read_metadata(path / "steps" / "00050.png") == {"seed": 1}
    names = {"settings.json", "losses.csv", "steps", "state.safetensors", ".lock"}
    assert {file.name for file in path.iterdir()} == names
    with RunFolder.open(path) as run:
        assert run.read_settings() == SETTINGS
        tensors, meta = run.load_state()
        assert (tensors["latent"].tolist(), meta) == ([1, 1], {"step": 0})


def test_losses_are_a_table_that_anything_reads(path: Path) -> None:
    with RunFolder.create(path, SETTINGS) as run:
        for step in range(5):
            run.record(step, losses(step))
        rows = run.read_losses()
    assert len(rows) == 10
    assert rows[1] == {"step": 0, "picture": 1, "prompt/0": 0.2}
    assert rows[7] == {"step": 3, "picture": 1, "prompt/0": 3.2, "prompt/1": 1e-9}
    with (path / "losses.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [*table[0]] == ["step", "picture", "prompt/0", "prompt/1"]
    assert (table[0]["prompt/1"], table[6]["step"]) == ("", "3")


@pytest.mark.parametrize("resumed_at", [0, 2, 3, 5])
def test_resumed_losses_equal_uninterrupted_ones(path: Path, resumed_at: int) -> None:
    with RunFolder.create(path.with_name("whole"), SETTINGS) as run:
        for step in range(6):
            run.record(step, losses(step))
        expected = run.losses_path.read_bytes()
    with RunFolder.create(path, SETTINGS) as run:
        for step in range(5):
            run.record(step, losses(step))
    with RunFolder.open(path) as run:
        run.truncate_losses(resumed_at)
        for step in range(resumed_at, 6):
            run.record(step, losses(step))
        assert run.losses_path.read_bytes() == expected


@pytest.mark.parametrize(
    "torn", ["3", "3,0", "3,0,3.1", "3,0,3.1,0.3\n3,1,\0", "\n", "x,y\n\n,,,\nnan,0,1\n", '"']
)
def test_torn_and_damaged_lines_are_dropped(path: Path, torn: str) -> None:
    with RunFolder.create(path, SETTINGS) as run:
        for step in range(3):
            run.record(step, losses(step))
        complete = run.read_losses()
    with (path / "losses.csv").open("a") as file:
        file.write(torn)
    with RunFolder.open(path) as run:
        assert run.read_losses()[:6] == complete
        assert len(run.read_losses()) <= 7
        run.truncate_losses(3)
        run.record(3, losses(3))
        assert run.read_losses()[:6] == complete
        assert len(run.read_losses()) == 8


def test_a_torn_number_is_not_taken_for_the_whole_one(path: Path) -> None:
    """Of "3,1,3.25" the kill may leave "3,1,3.2"; without the line's end it does not count."""
    with RunFolder.create(path, SETTINGS) as run:
        run.record(0, {"prompt/0": [0.5]})
        with run.losses_path.open("a") as file:
            file.write("3,0,3.2")
        assert [row["step"] for row in run.read_losses()] == [0]


def test_opening_repairs_a_torn_line(path: Path) -> None:
    with RunFolder.create(path, SETTINGS) as run:
        run.record(0, {"prompt/0": [0.5]})
        complete = run.losses_path.read_bytes()
        with run.losses_path.open("a") as file:
            file.write("3,0,")
    RunFolder.open(path).close()
    assert (path / "losses.csv").read_bytes() == complete


def test_a_losses_file_of_noise(path: Path) -> None:
    RunFolder.create(path, SETTINGS).close()
    for noise in (b"", os.urandom(500), b'"\n"\r\n' * 9, b"step,picture\n1e999,0\n", bytes(99)):
        (path / "losses.csv").write_bytes(noise)
        with RunFolder.open(path) as run:
            run.record(0, losses(0))
            assert len(run.read_losses()) == 2
    (path / "losses.csv").unlink()
    with RunFolder.open(path) as run:
        assert run.read_losses() == []


def test_a_full_disk_takes_back_half_a_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder.create(path, SETTINGS) as run:
        run.record(0, losses(0))
        before = run.losses_path.read_bytes()
        write, calls = os.write, []

        def half(descriptor: int, data: bytes) -> int:
            calls.append(data)
            if len(calls) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data[:4])

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(OutputError, match=r"losses\.csv: no space is left"):
            run.record(1, losses(1))
        monkeypatch.undo()
        assert run.losses_path.read_bytes() == before


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_real_full_device() -> None:
    """By the function that only appends: nothing here may ever replace a device."""
    with pytest.raises(OutputError, match=r"/dev/full: no space is left"):
        _append(Path("/dev/full"), b"0,0,0.1\n")


def test_a_second_writer_is_refused(path: Path) -> None:
    with RunFolder.create(path, SETTINGS):
        with pytest.raises(OutputError, match=f"in use by process {os.getpid()}"):
            RunFolder.open(path)
        with pytest.raises(OutputError, match="in use"):
            RunFolder.create(path, SETTINGS)
    RunFolder.open(path).close()


@posix
def test_the_lock_of_a_killed_process_is_free(path: Path) -> None:
    """A child holds the lock until SIGKILL; its lock file with its process id stays behind."""
    code = (
        "import sys, time; from gouache.output.run_folder import RunFolder\n"
        "run = RunFolder.create(sys.argv[1], {}); print('locked', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(OutputError, match=f"in use by process {child.pid};"):
            RunFolder.open(path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert int((path / ".lock").read_text()) == child.pid
    (path / f"{TEMP_PREFIX}abc.png").touch()
    (path / "steps" / f"{TEMP_PREFIX}abc.png").touch()
    RunFolder.open(path).close()
    assert not [*path.rglob(f"{TEMP_PREFIX}*")]


def test_create_refuses(path: Path, tmp_path: Path) -> None:
    RunFolder.create(path, SETTINGS).close()
    before = (path / "settings.json").read_bytes()
    with pytest.raises(OutputError, match="already holds a run"):
        RunFolder.create(path, {})
    assert (path / "settings.json").read_bytes() == before
    RunFolder.open(path).close()  # the refusal gave the lock back
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "run", "a\0b", "a" * 300):
        with pytest.raises(OutputError) as caught:
            RunFolder.create(wrong, SETTINGS)
        assert str(caught.value).isprintable()


def test_open_refuses(tmp_path: Path, path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "missing", tmp_path / ("a" * 300), tmp_path / "a\0b"):
        with pytest.raises(StateError, match="no run at") as caught:
            RunFolder.open(wrong)
        assert str(caught.value).isprintable()
    RunFolder.create(path, SETTINGS).close()
    for damaged in (b"", b"{", b"[]", b"\xff", b"[" * 9999):
        (path / "settings.json").write_bytes(damaged)
        with pytest.raises(StateError, match="damaged"):
            RunFolder.open(path)
    with pytest.raises(StateError, match="damaged"):
        RunFolder.open(path)  # and not "in use"


def test_a_state_that_was_never_saved(path: Path) -> None:
    with RunFolder.create(path, SETTINGS) as run, pytest.raises(StateError, match="no saved state"):
        run.load_state()


def test_settings_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="no space is left"):
        RunFolder.create(path, SETTINGS)
    monkeypatch.undo()
    RunFolder.create(path, SETTINGS).close()  # nothing half-made is in the way


def test_a_loss_that_a_picture_does_not_have_is_an_empty_cell(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", SETTINGS) as run:
        run.record(0, {"prompt/0": [0.5, 0.25], "prompt/1": [math.nan, 0.125]})
        lines = run.losses_path.read_text().splitlines()
        assert lines == ["step,picture,prompt/0,prompt/1", "0,0,0.5,", "0,1,0.25,0.125"]
        assert [row.get("prompt/1") for row in run.read_losses()] == [None, 0.125]


def test_each_saved_picture_has_its_own_description(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", SETTINGS) as run:
        pictures = [Image.new("RGB", (4, 4))] * 2
        paths = run.save_step(5, pictures, None, ["an apple", "a boat"])
    assert [Image.open(path).info["Description"] for path in paths] == ["an apple", "a boat"]
