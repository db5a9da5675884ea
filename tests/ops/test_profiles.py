"""Pictures with colour profiles become sRGB, once said; unusable profiles are left out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import icc
from gouache.errors import ImageError
from gouache.ops.images import encode, grid_pil, load_image, to_tensor

COLORS = [(220, 30, 30), (40, 120, 200), (250, 240, 10)]


def picture(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (24, 16))
    for k, color in enumerate(COLORS):
        image.paste(color, (8 * k, 0, 8 * k + 8, 16))
    return image.convert(mode)


def both(path: Path) -> Image.Image:
    """A file as it is loaded, which has to be what its PIL picture gives; one note each."""
    told = []
    for read in (lambda: load_image(path), lambda: Image.open(path)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = to_tensor(read())
        told.append((found, [str(each.message) for each in caught]))
    (one, first), (two, second) = told
    assert (one == two).all()
    assert len(first) == len(second) <= 1
    return load_image(path)


def test_a_profile_is_applied_and_told(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png", icc_profile=icc.swapped())
    with pytest.warns(UserWarning, match=r"a\.png are converted to sRGB"):
        found = both(tmp_path / "a.png")
    swapped = np.asarray(picture())[:, :, [1, 0, 2]].astype(int)
    assert np.abs(np.asarray(found).astype(int) - swapped).max() <= 2
    assert found.info == {}


def test_transparency_and_profile_together(tmp_path: Path) -> None:
    image = picture("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 4, 16))
    image.save(tmp_path / "a.png", icc_profile=icc.swapped())
    with pytest.warns(UserWarning, match="converted to sRGB"):
        found = both(tmp_path / "a.png")
    assert found.getpixel((1, 1)) == (255, 255, 255)
    assert np.abs(np.subtract(found.getpixel((6, 1)), (30, 220, 30))).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_srgb_by_any_name_changes_and_tells_nothing(tmp_path: Path, mode: str) -> None:
    picture(mode).save(tmp_path / "a.png", icc_profile=icc.srgb())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(tmp_path / "a.png").tobytes() == picture(mode).convert("RGB").tobytes()


def test_grey_with_a_profile_for_grey(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 64).save(tmp_path / "a.png", icc_profile=icc.grey(1.0))
    with pytest.warns(UserWarning, match="converted to sRGB"):
        found = both(tmp_path / "a.png")
    assert abs(found.getpixel((0, 0))[0] - 137) <= 3  # a quarter of the light, in sRGB


def test_cmyk_with_a_profile(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    ink.paste((0, 0, 0, 0), (8, 0, 16, 16))
    ink.save(tmp_path / "a.jpg", icc_profile=icc.cmyk(), quality=100)
    with pytest.warns(UserWarning, match=r"converted to sRGB.*made by hand"):
        found = both(tmp_path / "a.jpg")
    assert max(found.getpixel((2, 2))) < 20  # any ink is black, by this profile
    assert min(found.getpixel((13, 2))) > 235


@pytest.mark.parametrize(
    ("mode", "profile", "told"),
    [
        ("RGB", b"nonsense", "cannot be used"),
        ("RGB", icc.swapped()[:200], "cannot be used"),
        ("RGB", icc.grey(), "for L pictures and it is RGB"),
        ("CMYK", icc.srgb(), "for RGB pictures and it is CMYK"),
    ],
)
def test_unusable_profiles_are_left_out(
    tmp_path: Path, mode: str, profile: bytes, told: str
) -> None:
    path = tmp_path / "a.jpg"
    picture(mode).save(path, quality=100, subsampling=0)
    plain = load_image(path)
    picture(mode).save(path, quality=100, subsampling=0, icc_profile=profile)
    with pytest.warns(UserWarning, match=told):
        assert both(path).tobytes() == plain.tobytes()


def test_damaged_profiles_never_stop_a_picture() -> None:
    rng = np.random.default_rng(0)
    for profile in (icc.swapped(), icc.cmyk(), icc.grey(2.2), icc.one_way()):
        for _ in range(40):
            data = bytearray(profile)
            for place in rng.integers(0, len(data), 6):
                data[place] = rng.integers(0, 256)
            image = picture()
            image.info["icc_profile"] = bytes(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert to_tensor(image).shape == (1, 3, 16, 24)


def test_pil_pictures_are_turned_as_their_files_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(tmp_path / "a.jpg", exif=exif)
    opened = Image.open(tmp_path / "a.jpg")
    assert to_tensor(opened).shape == (1, 3, 24, 16)
    assert to_tensor(opened)[0].shape[1:] == load_image(tmp_path / "a.jpg").size[::-1]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB", "I;16"])
def test_turned_tiffs(tmp_path: Path, mode: str) -> None:
    ramp = np.arange(12).reshape(3, 4) * 20
    image = Image.fromarray(ramp.astype(np.uint16 if mode == "I;16" else np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    if mode != "I;16":
        image = image.convert(mode)
    image.save(tmp_path / "a.tif", exif=exif)
    wanted = to_tensor(image.transpose(Image.Transpose.ROTATE_270))
    assert (to_tensor(load_image(tmp_path / "a.tif")) == wanted).all()
    assert (to_tensor(Image.open(tmp_path / "a.tif")) == wanted).all()


def test_damaged_pil_pictures_are_told_in_one_line(tmp_path: Path) -> None:
    whole = encode(Image.effect_noise((64, 64), 50))
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="the picture is truncated or damaged"):
        to_tensor(Image.open(tmp_path / "a.png"))
    with pytest.raises(ImageError, match="0x4"):
        to_tensor(Image.new("RGB", (0, 4)))


def test_what_is_shown_is_srgb_on_white() -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert encode(image, "JPEG")
    assert grid_pil([image, image]).getcolors() == [
        (grid_pil([image, image]).width * 16, (255,) * 3)
    ]
