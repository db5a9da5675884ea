"""A composite is the source outside the mask to the byte: colours, transparency and profile."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import icc
from gouache.apps.cli.main import run
from gouache.editing import EditConfig, EditResult, edit
from gouache.editing.composite import composite
from gouache.editing.editor import make_plan
from gouache.editing.mask import given_mask
from gouache.ops.images import load_image
from tiny import TinyGenerator, TinyPerceptor

FEW: dict[str, Any] = {
    "steps": 1, "num_cutouts": 2, "size": (32, 24), "templates": False, "feather": 2,
    "composite": True, "device": "cpu", "precision": "fp32",
}  # fmt: skip
SIZE = (64, 48)
INSIDE = np.zeros((48, 64), bool)
INSIDE[12:36, 20:44] = True
MASK = Image.fromarray(INSIDE.astype(np.uint8) * 255)
AWAY = np.ones((48, 64), bool)
AWAY[8:40, 16:48] = False


def source(mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = Image.fromarray(rng.integers(0, 256, (48, 64, 4), np.uint8), "RGBA")
    return pixels.convert("RGB").convert(mode) if "A" not in mode else pixels.convert(mode)


def made(image: Image.Image | Path, **settings: Any) -> EditResult:
    return edit(
        image, "a cat", mask=MASK, generator=TinyGenerator(), perceptor=TinyPerceptor(),
        **{**FEW, **settings},
    )  # fmt: skip


def saved(result: EditResult, path: Path) -> Image.Image:
    result.save(path)
    found = Image.open(path)
    found.load()
    return found


@pytest.mark.parametrize("name", ["out.png", "out.webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_file_is_the_source_outside(tmp_path: Path, mode: str, name: str) -> None:
    picture = source(mode)
    picture.save(tmp_path / "in.png", icc_profile=icc.swapped())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = saved(made(tmp_path / "in.png"), tmp_path / name)
    assert found.mode == mode
    assert found.info["icc_profile"] == icc.swapped()
    before, after = np.asarray(picture), np.asarray(found)
    assert (after[AWAY] == before[AWAY]).all()
    assert (after[INSIDE] != before[INSIDE]).any()
    if mode == "RGBA":
        assert (after[..., 3] == before[..., 3]).all()


@pytest.mark.parametrize(
    ("mode", "kept"),
    [("L", "RGB"), ("LA", "RGBA"), ("P", "RGB"), ("1", "RGB"), ("RGBa", "RGBA")],
)
def test_other_modes_lose_nothing(mode: str, kept: str) -> None:
    picture = source("RGBA").convert("RGBa") if mode == "RGBa" else source(mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = made(picture).image
    assert found.mode == kept
    wanted = picture.convert(kept)
    assert (np.asarray(found)[AWAY] == np.asarray(wanted)[AWAY]).all()


def test_transparent_colours_stay() -> None:
    picture = source("P")
    key = picture.getpixel((0, 0))
    picture.info["transparency"] = key
    found = made(picture).image
    assert (np.asarray(found)[AWAY] == np.asarray(picture.convert("RGBA"))[AWAY]).all()
    assert found.getpixel((0, 0))[3] == 0


def test_painted_colours_are_put_into_the_sources_profile() -> None:
    """What is painted looks the same with the profile as it did without."""
    flat = Image.new("RGB", SIZE, (180, 90, 60))
    tagged = Image.new("RGB", SIZE, (90, 180, 60))
    tagged.info["icc_profile"] = icc.swapped()
    plain = np.asarray(made(flat).image).astype(int)
    with pytest.warns(UserWarning, match="converted to sRGB"):
        other = np.asarray(made(tagged).image).astype(int)
    assert np.abs(plain[INSIDE] - other[INSIDE][:, [1, 0, 2]]).mean() < 4


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (source("CMYK"), "is CMYK, and the composite is RGB"),
        (Image.fromarray(np.full((48, 64), 30_000, np.uint16)), "more than 8 bits"),
        (Image.fromarray(np.full((48, 64), 0.5, np.float32)), "more than 8 bits"),
    ],
)
def test_what_cannot_be_kept_is_told(picture: Image.Image, told: str) -> None:
    with pytest.warns(UserWarning, match=told):
        assert made(picture).image.mode == "RGB"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made(picture, composite=False)


def test_16_bit_colours_in_a_file_are_told(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = zlib.compress((b"\0" + bytes(range(6)) * 64) * 48)
    head = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(data)
    with pytest.warns(UserWarning, match="more than 8 bits a channel"):
        make_plan(tmp_path / "deep.png", EditConfig(composite=True), mask=MASK)


def test_a_profile_that_leads_one_way_only_is_told() -> None:
    picture = source()
    picture.info["icc_profile"] = icc.one_way()
    with pytest.warns(UserWarning, match="cannot be painted in; the composite is in sRGB"):
        found = made(picture).image
    assert found.info == {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gouache.ops.images import as_rgb

        shown = np.asarray(as_rgb(picture))
    assert (np.asarray(found)[AWAY] == shown[AWAY]).all()


def test_a_grey_profile_is_told() -> None:
    picture = source("L")
    picture.info["icc_profile"] = icc.grey()
    with pytest.warns(UserWarning, match="a profile for grey, and the composite is in sRGB"):
        assert "icc_profile" not in made(picture).image.info


def test_painting_where_nothing_is_seen_is_told() -> None:
    picture = source("RGBA")
    picture.putalpha(Image.fromarray(np.where(INSIDE, 0, 255).astype(np.uint8)))
    with pytest.warns(UserWarning, match=r"\d+% of what is painted lies where .* transparent"):
        made(picture)


def test_jpeg_is_told(tmp_path: Path) -> None:
    result = made(source("RGBA"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result.save(tmp_path / "out.jpg")
    told = " ".join(str(each.message) for each in caught)
    assert "on white" in told
    assert "JPEG changes every pixel" in told
    assert Image.open(tmp_path / "out.jpg").mode == "RGB"


def test_turned_pictures_and_their_files(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = source().transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "in.png", exif=exif)
    by_file = made(tmp_path / "in.png").image
    opened = made(Image.open(tmp_path / "in.png")).image
    assert opened.tobytes() == by_file.tobytes()
    assert (np.asarray(by_file)[AWAY] == np.asarray(source())[AWAY]).all()
    again = Image.open(io.BytesIO((tmp_path / "in.png").read_bytes()))
    assert load_image(tmp_path / "in.png").tobytes() == source().tobytes()
    assert made(again).image.tobytes() == by_file.tobytes()


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source("RGBA").save(tmp_path / "in.png", icc_profile=icc.swapped())
    MASK.save(tmp_path / "mask.png")
    asked = ["edit", str(tmp_path / "in.png"), "--mask", str(tmp_path / "mask.png")]
    few = ["--with", "a cat", "--composite", "--steps", "1", "--num-cutouts", "2", "--quiet"]
    for name, count in (("a.png", "1"), ("b.jpg", "2")):
        out = tmp_path / name
        assert run([*asked, *few, "--size", "32x24", "--count", count, "-o", str(out)]) == 0
        error = capsys.readouterr().err
        assert error.count("converted to sRGB") == 1
        assert ("on white" in error) == ("JPEG changes" in error) == (name == "b.jpg")
    found = Image.open(tmp_path / "a.png")
    assert (np.asarray(found)[AWAY] == np.asarray(source("RGBA"))[AWAY]).all()
    assert found.info["icc_profile"] == icc.swapped()


def test_a_canvas_of_another_aspect_lies_where_it_was_cut_from() -> None:
    """Nothing is squashed: the middle square of the source was painted, and goes back there."""
    picture, mask = Image.new("RGB", (64, 48), "white"), np.ones((48, 64), bool)
    mask[:4] = False
    config = EditConfig(composite=True, feather=0)
    chosen = given_mask(Image.fromarray(mask), picture.size, config)
    painted = Image.new("RGB", (24, 24), "red")
    painted.paste("blue", (0, 0, 12, 24))
    found = np.asarray(composite(picture, painted, chosen))
    expected = np.full((48, 64, 3), 255, np.uint8)
    expected[4:, 8:32], expected[4:, 32:56] = (0, 0, 255), (255, 0, 0)
    away = np.ones(64, bool)
    away[24:40] = False  # where the colours meet
    assert (found[:, away] == expected[:, away]).all()
