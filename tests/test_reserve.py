"""No two runs ever have a name in common, under any interleaving of threads and processes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gouache.atomic import remove_leftovers
from gouache.errors import OutputError
from gouache.output.run_folder import RunFolder
from gouache.reserve import LOCKED, PREFIX, reserve
from gouache.runs.outputs import Outputs, reserved

TITLES = ("a fish", "a fish 2", "a fish 1", "a fish!", "fish")


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def of_run(outputs: Outputs, pictures: int) -> set[str]:
    """Every name that a run may write."""
    assert outputs.rest is not None
    names = {path.name for path in [*outputs.names(pictures), outputs.rest]}
    return names | ({outputs.timelapse.name} if outputs.timelapse else set())


def test_a_name_is_reserved_until_it_is_given_back(tmp_path: Path) -> None:
    name = tmp_path / "x.png"
    with reserve([name]), pytest.raises(OutputError, match=f"by process {os.getpid()}"):
        reserve([name])
    with reserve([name]):
        pass
    assert hidden(tmp_path) == []


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to("x.png")
    for other in ("x.png", "./x.png", "link.png", "../" + tmp_path.name + "/x.png"):
        with pytest.raises(OutputError, match="two results"):
            reserve([tmp_path / "x.png", tmp_path / other])
    assert hidden(tmp_path) == []


def test_names_are_free_as_a_set(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    (tmp_path / "d").symlink_to("nowhere")  # in the way although nothing is behind it
    sets = [[tmp_path / "a", tmp_path / "b"], [tmp_path / "c", tmp_path / "d"]]
    with reserve((), [*sets, [tmp_path / "a", tmp_path / "e"]]) as held:
        assert [path.name for path in held.chosen] == ["a", "e"]


def test_a_run_folder_keeps_the_reservations_of_others(tmp_path: Path) -> None:
    with reserve([tmp_path / "x.png"]):
        remove_leftovers(tmp_path)
        with pytest.raises(OutputError):
            reserve([tmp_path / "x.png"])


def test_what_is_no_reservation_blocks_nothing(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"{", b"[]", b'{"names": null}', b'{"names": [3]}')):
        (tmp_path / f"{PREFIX}{number}.names").write_bytes(LOCKED + content)
    with reserve([tmp_path / "x.png"]):
        assert len(hidden(tmp_path)) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(TITLES),
            st.sampled_from((1, 2, 3, 9, 10, 11)),
            st.sampled_from(("end", "keep some", "go on", "go on")),
            st.integers(0, 2**16),
        ),
        min_size=2,
        max_size=9,
    )
)
@settings(max_examples=60, deadline=None)
def test_runs_one_after_another_and_at_once(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[str, int, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    kept: set[str] = set()
    going: list[set[str]] = []
    open_runs = []
    for title, pictures, end, which in runs:
        context = reserved(f"{folder}/", title, count=pictures)
        names = of_run(context.__enter__(), pictures)
        assert not names & kept, "a file that exists would be replaced"
        for others in going:
            assert not names & others
        if end == "go on":
            going.append(names)
            open_runs.append(context)
            continue
        left = sorted(names) if end == "end" else sorted(names)[which % len(names) :: 2]
        for name in left:
            (folder / name).touch()
        kept |= set(left)
        context.__exit__(None, None, None)
    for context in open_runs:
        context.__exit__(None, None, None)
    assert hidden(folder) == []


def test_threads(tmp_path: Path) -> None:
    found: list[set[str]] = []
    start, end = threading.Barrier(8), threading.Barrier(8)

    def run(number: int) -> None:
        start.wait()
        pictures = 1 + number % 3
        with reserved(f"{tmp_path}/", "a fish", count=pictures) as outputs:
            found.append(of_run(outputs, pictures))
            end.wait()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert sum(map(len, found)) == len(set().union(*found))
    assert hidden(tmp_path) == []


PROGRAM = """
import sys
from pathlib import Path
from gouache.runs.outputs import reserved
for turn in range(int(sys.argv[2])):
    with reserved(sys.argv[1] + "/", "a fish", count=1 + turn % 2) as outputs:
        for path in outputs.names(1 + turn % 2):
            with path.open("x"):  # fails if anybody has it
                pass
    print(outputs.out.name, flush=True)
if sys.argv[3:]:
    with reserved(sys.argv[1] + "/", "a fish") as outputs:
        print(outputs.out.name, flush=True)
        sys.stdin.read()
"""


def process(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes(tmp_path: Path) -> None:
    runs = [process(tmp_path, 12) for _ in range(4)]
    names = [line for run in runs for line in run.communicate(timeout=60)[0].split()]
    assert [run.returncode for run in runs] == [0] * 4
    assert len(names) == len(set(names)) == 48
    assert hidden(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_process_blocks_nothing(tmp_path: Path) -> None:
    run = process(tmp_path, 0, "wait")
    assert run.stdout is not None
    assert run.stdout.readline() == "a-fish.png\n"
    with reserved(f"{tmp_path}/", "a fish") as outputs:
        assert outputs.out.name == "a-fish-2.png"
    with (
        pytest.raises(OutputError, match=f"process {run.pid}"),
        reserved(tmp_path / "a-fish.png", "a fish"),
    ):
        pass
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert len(hidden(tmp_path)) == 1
    with reserved(f"{tmp_path}/", "a fish") as outputs:
        assert outputs.out.name == "a-fish.png"
    assert hidden(tmp_path) == []


def test_without_locks_the_process_number_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gouache.reserve.try_lock", lambda descriptor: None)
    name = tmp_path / "x.png"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with reserve([name]):
        (file,) = tmp_path.glob(f"{PREFIX}*.names")
        with pytest.raises(OutputError):
            reserve([name])
        about = json.loads(file.read_text())
        file.write_text(
            LOCKED.decode() + json.dumps(about | {"host": "another machine", "pid": gone.pid})
        )
        with pytest.raises(OutputError):
            reserve([name])
        file.write_text(LOCKED.decode() + json.dumps(about | {"pid": gone.pid}))
        with reserve([name]):
            pass


def test_nobody_reads_the_byte_that_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows would answer with an error."""
    read = os.read

    def as_windows(descriptor: int, length: int) -> bytes:
        if os.lseek(descriptor, 0, os.SEEK_CUR) == 0:
            raise PermissionError(errno.EACCES, "locked")
        return read(descriptor, length)

    name = tmp_path / "x.png"
    with reserve([name]), RunFolder.create(tmp_path / "run", {}):
        monkeypatch.setattr(os, "read", as_windows)
        for again in (lambda: reserve([name]), lambda: RunFolder.open(tmp_path / "run")):
            with pytest.raises(OutputError, match=f"by process {os.getpid()}"):
                again()


def test_numbers_have_no_end(tmp_path: Path) -> None:
    for number in count(1):
        with reserved(f"{tmp_path}/", "x", count=2) as outputs:
            outputs.out.touch()
        if number == 12:
            break
    assert outputs.out.name == "x-12.png"
