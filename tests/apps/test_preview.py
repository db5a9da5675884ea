"""The picture in the terminal: half blocks, kitty's and iTerm2's protocols, and places without."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gouache.apps.preview import Preview, cells, half_blocks, iterm, kitty, protocol
from small import SMALL
from tiny import tiny_session

ESCAPE = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m")


def quarters() -> Image.Image:
    """Red and green above, blue and white below."""
    picture = Image.new("RGB", (2, 2))
    for place, color in zip(
        [(0, 0), (1, 0), (0, 1), (1, 1)],
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)],
        strict=True,
    ):
        picture.putpixel(place, color)
    return picture


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"KITTY_WINDOW_ID": "1", "TERM": "xterm-256color"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "x", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "screen", "KITTY_WINDOW_ID": "1"}, "blocks256"),
        ({"COLORTERM": "24bit"}, "blocks"),
        ({"TERM": "xterm-256color"}, "blocks256"),
        ({}, "blocks256"),
    ],
)
def test_the_protocol_follows_the_terminal(environment: dict[str, str], expected: str) -> None:
    assert protocol(environment) == expected


@pytest.mark.parametrize(
    "size", [(128, 128), (64, 256), (256, 64), (1, 500), (500, 1), (2048, 2048)]
)
@pytest.mark.parametrize("terminal", [(80, 24), (200, 60), (20, 5), (1, 1)])
def test_a_picture_fits_and_keeps_its_shape(
    size: tuple[int, int], terminal: tuple[int, int]
) -> None:
    columns, rows = cells(size, *terminal)
    assert 2 <= columns <= max(2, min(96, terminal[0] - 1))
    assert 1 <= rows <= max(1, terminal[1] - 2)
    if min(columns, rows) > 8:
        assert columns / (2 * rows) == pytest.approx(size[0] / size[1], rel=0.1)


def test_half_blocks_hold_two_pixels_a_character() -> None:
    (line,) = half_blocks(quarters(), 2, 1, full=True)
    colors = [tuple(map(int, found)) for found in ESCAPE.findall(line)]
    assert colors == [(255, 0, 0, 0, 0, 255), (0, 255, 0, 255, 255, 255)]
    assert line.count("\u2580") == 2
    assert line.endswith("\x1b[0m")


def test_256_colours_are_the_nearest() -> None:
    (line,) = half_blocks(quarters(), 2, 1, full=False)
    assert "38;5;196;48;5;21m" in line
    assert "38;5;46;48;5;231m" in line
    (grey,) = half_blocks(Image.new("RGB", (2, 2), (118, 118, 118)), 2, 1, full=False)
    assert "38;5;243;48;5;243m" in grey


def test_pictures_travel_whole() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    picture = Image.fromarray(noise)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(picture, 20, 10))
    assert len(pieces) > 1
    assert all(len(data) <= 4096 for _, data in pieces)
    assert [keys.rpartition("m=")[2] for keys, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    sent = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in pieces))))
    assert np.array_equal(np.asarray(sent), noise)
    inline = re.fullmatch(
        r"\x1b7\x1b\]1337;File=([^:]*):([^\x07]*)\x07\x1b8", iterm(picture, 20, 10)
    )
    assert inline is not None
    assert "width=20;height=10" in inline[1]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(inline[2])))), noise)


@pytest.mark.parametrize("term", ["xterm-kitty", "xterm-256color"])
def test_frames_replace_each_other(term: str) -> None:
    stream = io.StringIO()
    session = tiny_session()
    with Preview(stream, {"TERM": term}, (80, 24)) as preview:
        first = next(session)
        preview.show(first)
        begin = stream.tell()
        for step in session:
            preview.show(step)
    text = stream.getvalue()
    rows = cells((32, 24), 80, 24)[1]
    assert text[begin:].startswith(f"\r\x1b[{rows}A")
    assert "step 6/6" in text
    assert text.endswith("\n")


def test_a_run_in_a_terminal_of_its_own(tmp_path: object) -> None:
    parent, child = pty.openpty()
    code = "from gouache.apps.cli.main import entry; entry()"
    out = f"{tmp_path}/x.png"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "paint", "a red sun", "--preview", "--out", out, *SMALL],
        stderr=child,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )
    os.close(child)
    seen = b""
    try:
        while piece := os.read(parent, 65536):
            seen += piece
    except OSError:  # Linux says so when the other end is closed
        pass
    assert process.wait(120) == 0, seen[-500:]
    assert "\u2580".encode() in seen
    assert b"step 4/4" in seen
    assert Image.open(out).size == (32, 32)


def test_without_a_terminal_it_says_so(gouache: object) -> None:
    outcome = gouache("paint", "a red sun", "--preview", *SMALL)  # type: ignore[operator]
    assert outcome.code == 0
    assert "a preview needs a terminal" in outcome.err
    assert "\u2580" not in outcome.err
