"""Settings inside pictures: round trips, and clear errors for other files."""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gouache import __version__
from gouache.errors import ImageError, OutputError
from gouache.output import documents, pictures
from gouache.output.pictures import dump_json, picture_format, read_metadata, save_picture

SUFFIXES = (".png", ".jpg", ".webp")
PROMPT = "ein Füchschen \U0001f98a | 狐:0.5"
DOCUMENT = {
    "settings": {"prompt": PROMPT, "size": [8, 6], "steps": [3]},
    "seed": 2**63 - 1,
    "models": {"pocket": "a" * 64},
    "version": __version__,
    "losses": {"prompt/0": 0.1 + 0.2},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(picture(), path, DOCUMENT, PROMPT)
    assert read_metadata(path) == DOCUMENT
    with Image.open(path) as image:
        assert image.format == picture_format(path)
        if suffix != ".jpg":
            assert image.convert("RGB").tobytes() == picture().tobytes()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=20,
    deadline=None,
)
@given(st.dictionaries(st.text(), json_values), st.text(st.characters()))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_any_document_round_trips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, document: dict, text: str
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # the disk is not the point
    save_picture(picture(), tmp_path / f"a{suffix}", document, text)
    plain = documents._finite(document)
    assert read_metadata(tmp_path / f"a{suffix}") == plain


def test_standard_keys(tmp_path: Path) -> None:
    save_picture(picture(), tmp_path / "a.png", DOCUMENT, PROMPT)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["Software"] == f"gouache {__version__}"
        assert image.info["Description"] == PROMPT
        assert PROMPT in image.info["gouache"]  # readable in any viewer
    for suffix in (".jpg", ".webp"):
        save_picture(picture(), tmp_path / f"a{suffix}", DOCUMENT, PROMPT)
        with Image.open(tmp_path / f"a{suffix}") as image:
            exif = image.getexif()
        assert exif[0x0131] == f"gouache {__version__}"
        description = exif[0x010E]
        assert description in (PROMPT, PROMPT.encode().decode("latin-1"))


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
        for path in paths:
            save_picture(picture(), path, DOCUMENT, PROMPT)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_not_a_number_becomes_null_and_odd_characters_survive(tmp_path: Path) -> None:
    document = {"loss": math.nan, "stop": (-math.inf, 1.0), "path": "caf\udce9", "nul": "a\0b"}
    save_picture(picture(), tmp_path / "a.png", document, "a\0b\udce9")
    expected = {"loss": None, "stop": [None, 1.0], "path": "caf\udce9", "nul": "a\0b"}
    assert read_metadata(tmp_path / "a.png") == expected
    assert "NaN" not in dump_json(document)


def test_text_moved_behind_the_pixels_is_found(tmp_path: Path) -> None:
    save_picture(picture(), tmp_path / "a.png", DOCUMENT)
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(b"iTXtgouache") - 4
    length = struct.unpack(">I", data[start : start + 4])[0] + 12
    text, end = data[start : start + length], len(data) - 12
    moved = data[:start] + data[start + length : end] + text + data[end:]
    (tmp_path / "a.png").write_bytes(moved)
    assert read_metadata(tmp_path / "a.png") == DOCUMENT


def test_formats_by_suffix(tmp_path: Path) -> None:
    assert picture_format("A.JPEG") == "JPEG"
    save_picture(picture(), tmp_path / "plain", DOCUMENT)
    assert read_metadata(tmp_path / "plain") == DOCUMENT
    for name in ("a.bmp", "a.txt", "v1.2"):
        with pytest.raises(OutputError, match=r"use \.png, \.jpg or \.webp"):
            save_picture(picture(), tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_long_prompt_fits_into_every_format(tmp_path: Path) -> None:
    document = {"prompt": "\U0001f98a" * 20_000}
    save_picture(picture(), tmp_path / "a.png", document, document["prompt"])
    assert read_metadata(tmp_path / "a.png") == document
    for name in ("a.jpg", "a.webp"):  # in several segments, and in one
        save_picture(picture(), tmp_path / name, document, document["prompt"])
        assert read_metadata(tmp_path / name) == document


def test_a_jpeg_that_lost_a_part_of_its_document_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    save_picture(picture(), path, {"prompt": "x" * 200_000})
    path.write_bytes(path.read_bytes().replace(b"gouache\0\x01", b"another\0\x01"))
    with pytest.raises(ImageError, match="holds no gouache settings"):
        read_metadata(path)


def test_what_is_too_large_for_a_jpeg_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_MOST_SEGMENTS", 2)
    with pytest.warns(UserWarning, match=r"write a \.png"):
        save_picture(picture(), tmp_path / "a.jpg", {"prompt": "x" * 200_000})
    with pytest.raises(ImageError, match="holds no gouache settings"):
        read_metadata(tmp_path / "a.jpg")


def test_a_failure_leaves_the_old_picture(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(_: Image.Image, temp: Path, *__: object, **___: object) -> None:
        temp.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError, match="no space is left"):
        save_picture(picture(), path, DOCUMENT)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pictures_without_settings(tmp_path: Path, suffix: str) -> None:
    picture().save(tmp_path / f"a{suffix}")
    with pytest.raises(ImageError, match="holds no gouache settings"):
        read_metadata(tmp_path / f"a{suffix}")
    save_picture(picture(), tmp_path / f"b{suffix}")
    with pytest.raises(ImageError, match="holds no gouache settings"):
        read_metadata(tmp_path / f"b{suffix}")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "{'a': 1}", "[" * 50_000, "\x00"])
def test_damaged_settings(tmp_path: Path, text: str) -> None:
    chunks = PngInfo()
    chunks.add_itxt("gouache", text)
    picture().save(tmp_path / "a.png", pnginfo=chunks)
    with pytest.raises(ImageError, match="damaged") as caught:
        read_metadata(tmp_path / "a.png")
    assert str(caught.value).isprintable()


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no picture at"):
        read_metadata(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is a folder"):
        read_metadata(tmp_path)
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(ImageError, match="is not a picture"):
        read_metadata(tmp_path / "a.png")


def test_random_damage_raises_image_errors_only(tmp_path: Path) -> None:
    save_picture(picture(), tmp_path / "a.png", DOCUMENT, PROMPT)
    data = (tmp_path / "a.png").read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(data[: rng.choice([len(data), rng.randrange(1, len(data))])])
        for _ in range(rng.randrange(4)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / "b.png").write_bytes(damaged)
        try:
            read_metadata(tmp_path / "b.png")
        except ImageError:
            refused += 1
    assert refused > 50


def test_compressed_text_of_other_programs(tmp_path: Path) -> None:
    """Optimisers may turn iTXt into its compressed form."""
    chunks = PngInfo()
    chunks.add_itxt("gouache", dump_json(DOCUMENT), zip=True)
    picture().save(tmp_path / "a.png", pnginfo=chunks)
    assert read_metadata(tmp_path / "a.png") == DOCUMENT
