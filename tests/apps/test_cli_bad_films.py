"""Schedules, film files and clips that are none, through the command line: one line, exit code 2,
and nothing is left of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apps.test_film_file import LISTED
from films.malformed import hopeless
from films.test_curves import MALFORMED
from small import SMALL

SHORT = [*SMALL, "--frames", "120", "--steps-per-frame", "1"]


def refused(result, told: str, here: list[Path]) -> None:
    assert result.code == 2, told
    assert result.out == "", told
    lines = result.err.splitlines()
    if lines[-1].strip() == "^":  # a prompt is shown, with its mistake
        lines = lines[:-2]
    assert len(lines) == 1, (told, lines)
    assert lines[0].isprintable(), told
    assert not re.search(r"Traceback|Error\b.*:|File \"", lines[0]), (told, lines)
    assert list(Path().iterdir()) == here, told


@pytest.mark.parametrize("motion", ["zoom", "rotation-3d-y"])
def test_schedules(gouache, motion):
    texts = list(dict.fromkeys(MALFORMED))
    assert len(texts) > 190
    for text in texts[:: 1 if motion == "zoom" else 9]:
        result = gouache("video", "a fish", *SHORT, f"--{motion}={text}")
        refused(result, repr(text), [])
        assert motion.replace("-", "_") in result.err, text


def test_film_files(gouache):
    assert len(LISTED) > 100
    for number, (suffix, text) in enumerate(LISTED):
        path = Path(f"film-{number}.{suffix}")
        path.write_text(text, encoding="utf-8")
        refused(gouache("video", "--config", path, *SMALL), text, [path])
        path.unlink()


def test_clips_and_sounds(gouache, tmp_path_factory):
    table = list(hopeless(tmp_path_factory.mktemp("clips")))
    for name, path in table:
        refused(gouache("video", "a fish", *SMALL, "--source", path, "--out", "x.mp4"), name, [])
    silent = [(name, path) for name, path in table if not name.startswith(("sound", "cut-"))]
    for name, path in silent[::3]:
        sound = ["--audio", path, "--zoom", "1+0.1*beat"]
        refused(gouache("video", "a fish", *SHORT, *sound), name, [])
