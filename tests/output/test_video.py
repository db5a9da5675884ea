"""Timelapses: what was added comes back, completely or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.errors import OutputError
from gouache.output.video import check_video, timelapse

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 250, 250)]
SUFFIXES = [".gif", ".mp4"]


def frame(colour: tuple[int, int, int], size: tuple[int, int] = (32, 16)) -> Image.Image:
    return Image.new("RGB", size, colour)


def write(path: Path, frames: list[Image.Image], **options: float) -> None:
    with timelapse(path, **options) as video:
        for image in frames:
            video.add(image)
        assert video.num_frames == len(frames)


def read(path: Path) -> tuple[list[np.ndarray], float]:
    """Frames (H,W,3) and the whole duration in seconds, by independent decoders."""
    if path.suffix == ".gif":
        with Image.open(path) as image:
            frames, duration = [], 0.0
            for index in range(image.n_frames):
                image.seek(index)
                frames.append(np.asarray(image.convert("RGB")))
                duration += image.info["duration"] / 1000
        return frames, duration
    import av

    with av.open(str(path)) as container:
        frames = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        return frames, container.duration / 1e6


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_colours_and_duration(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, [frame(colour) for colour in COLOURS], fps=10, hold=0.5)
    frames, duration = read(path)
    assert duration == pytest.approx(0.8, abs=0.01)
    for image, colour in zip(frames, COLOURS, strict=False):
        assert image.shape == (16, 32, 3)
        assert np.abs(image[8, 16].astype(int) - colour).max() < 12
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("size", [(33, 17), (1, 1), (2, 31)])
def test_odd_sizes(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, [frame(colour, size) for colour in COLOURS], hold=0)
    frames, _ = read(path)
    even = 2 if suffix == ".mp4" else 1
    expected = tuple(-(-side // even) * even for side in size[::-1])
    assert len(frames) == 4
    assert {image.shape[:2] for image in frames} == {expected}
    assert np.abs(frames[0][-1, -1].astype(int) - COLOURS[0]).max() < 12  # repeated, not black


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_sizes_and_modes_join_the_first(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, [frame(COLOURS[0]), frame(COLOURS[1], (50, 90)), Image.new("L", (5, 5), 99)])
    frames, _ = read(path)
    assert {image.shape for image in frames} == {(16, 32, 3)}


def test_gif_keeps_colours_of_detailed_frames_and_repeats(tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 64))
    image = np.stack([x, y, 255 - x], -1).astype(np.uint8)
    write(tmp_path / "a.gif", [Image.fromarray(image), Image.fromarray(image[::-1].copy())])
    frames, _ = read(tmp_path / "a.gif")
    assert np.abs(frames[0].astype(int) - image).mean() < 8
    assert np.abs(frames[1].astype(int) - image[::-1]).mean() < 8
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.info["loop"] == 0


def test_gif_delays_do_not_drift(tmp_path: Path) -> None:
    """30 frames per second are 3.33 hundredths of a second."""
    write(tmp_path / "a.gif", [frame(COLOURS[k % 4]) for k in range(60)], fps=30, hold=0)
    assert read(tmp_path / "a.gif")[1] == pytest.approx(2.0, abs=0.011)
    write(tmp_path / "b.gif", [frame(COLOURS[k % 4]) for k in range(10)], fps=200, hold=0)
    assert read(tmp_path / "b.gif")[1] == pytest.approx(0.2, abs=0.011)


def test_frames_go_to_the_disk_as_they_come(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with timelapse(tmp_path / "a.gif") as video:
        for _ in range(9):
            video.add(Image.fromarray(noise))
        (temp,) = tmp_path.iterdir()
        assert temp.stat().st_size > 6 * 64 * 64  # one byte a pixel, hardly compressible


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("failure", [RuntimeError("mine"), KeyboardInterrupt(), None])
def test_a_failed_or_empty_video_leaves_the_old_one(
    tmp_path: Path, suffix: str, failure: BaseException | None
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")

    def run() -> None:
        with timelapse(path) as video:
            if failure is not None:
                for colour in COLOURS:
                    video.add(frame(colour))
                raise failure

    if failure is None:
        run()
    else:
        with pytest.raises(type(failure)):
            run()
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_real_write_failure(tmp_path: Path, suffix: str) -> None:
    import resource

    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OutputError, match=f"cannot write .*a{suffix}") as caught:
            write(path, [Image.fromarray(noise)] * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value).isprintable()
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_failing_encoder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    def fail(*_: object, **__: object) -> None:
        raise av.FFmpegError(errno.EIO, "encoder gave up")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(OutputError, match=r"a\.mp4: .*encoder gave up"):
        write(tmp_path / "a.mp4", [frame(COLOURS[0])])
    assert not [*tmp_path.iterdir()]


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(OutputError, match=r"pip install 'gouache\[video\]'"):
        write(tmp_path / "a.mp4", [frame(COLOURS[0])])
    write(tmp_path / "a.gif", [frame(COLOURS[0])])


def test_mistakes(tmp_path: Path) -> None:
    for name in ("a.avi", "a", "a.png"):
        with pytest.raises(OutputError, match=r"use \.mp4 or \.gif"):
            check_video(tmp_path / name)
    for options in ({"fps": 0}, {"fps": float("nan")}, {"hold": -1}, {"fps": 1e9}):
        with pytest.raises(OutputError, match="expected"):
            write(tmp_path / "a.gif", [], **options)
    with pytest.raises(OutputError, match="folder does not exist"):
        write(tmp_path / "no" / "a.gif", [frame(COLOURS[0])])


ENCODED = """
import hashlib, sys
import numpy as np
from PIL import Image
from gouache.output.video import timelapse

rng = np.random.default_rng(1)
small = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
large = small.resize((192, 144), Image.Resampling.BICUBIC)
with timelapse(sys.argv[1], 12, 0) as video:
    for k in range(8):
        box = (20 + 2 * k, 20 + 2 * k, 172 - 2 * k, 124 - 2 * k)
        turned = large.rotate(2 * k, Image.Resampling.BICUBIC)
        video.add(turned.resize((96, 64), Image.Resampling.BICUBIC, box=box))
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator fills memory when asked to")
@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_bytes_do_not_depend_on_what_the_memory_held(tmp_path: Path, suffix: str) -> None:
    found = set()
    for fill in ("0", "85", "170"):
        found.add(
            subprocess.run(
                [sys.executable, "-c", ENCODED, str(tmp_path / f"x.{suffix}")],
                env={**os.environ, "MALLOC_PERTURB_": fill},
                capture_output=True,
                check=True,
            ).stdout
        )
    assert len(found) == 1
