"""Masks as people give them: every mode, transparency, numbers; files and PIL pictures agree."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gouache.apps.cli.main import run
from gouache.editing import EditConfig
from gouache.editing.editor import find, make_plan
from gouache.editing.mask import given_mask
from gouache.errors import ImageError
from gouache.ops.masks import read_mask

SIZE = (40, 30)
INSIDE = np.zeros((30, 40), bool)
INSIDE[8:20, 10:24] = True
NOISE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


def of(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values)


def levels(low: float, high: float, dtype: type) -> Image.Image:
    return of(np.where(INSIDE, high, low).astype(dtype))


def layer(color: tuple[int, int, int], opacity: int = 255) -> Image.Image:
    """Strokes of a colour on a transparent layer."""
    alpha = np.where(INSIDE, opacity, 0)[..., None]
    return of(np.concatenate([np.full((30, 40, 3), color), alpha], 2).astype(np.uint8))


def hole(colors: np.ndarray) -> Image.Image:
    alpha = np.where(INSIDE, 0, 255)[..., None]
    return of(np.concatenate([colors, alpha], 2).astype(np.uint8))


def palette(colors: list[int]) -> Image.Image:
    image = of(INSIDE.astype(np.uint8))
    image.putpalette(colors)
    return image


def scene() -> np.ndarray:
    """A picture of three flat colours."""
    image = Image.new("RGB", SIZE, (40, 120, 200))
    image.paste((220, 30, 30), (2, 2, 12, 12))
    image.paste((250, 240, 10), (26, 16, 36, 28))
    return np.asarray(image)


def keyed() -> Image.Image:
    image = palette([9, 9, 9, 200, 0, 0])
    image.info["transparency"] = 0
    return image


UNDERSTOOD: dict[str, Callable[[], Image.Image]] = {
    "plain": lambda: levels(0, 255, np.uint8),
    "white strokes": lambda: layer((255, 255, 255)),
    "red strokes": lambda: layer((255, 0, 0)),
    "black strokes": lambda: layer((0, 0, 0)),
    "faint strokes": lambda: layer((255, 0, 0), 80),
    "strokes in grey": lambda: layer((255, 255, 255)).convert("LA"),
    "hole in a photo": lambda: hole(NOISE),
    "hole in a drawing": lambda: hole(scene()),
    "hole in black": lambda: hole(np.zeros((30, 40, 3))),
    "hole in grey": lambda: hole(NOISE).convert("LA"),
    "transparent colour": keyed,
    "0 and 1": lambda: levels(0, 1, np.uint8),
    "0 and 1 of 16 bits": lambda: levels(0, 1, np.uint16),
    "0 and 255 of 16 bits": lambda: levels(0, 255, np.uint16),
    "16 bits": lambda: levels(0, 65535, np.uint16),
    "0 and 1000": lambda: levels(0, 1000, np.uint16),
    "32 bits": lambda: levels(0, 2**30, np.int32),
    "fractions": lambda: levels(0, 1, np.float32),
    "floats to 255": lambda: levels(0, 255, np.float32),
    "minus and plus": lambda: levels(-1, 1, np.float32),
    "not a number": lambda: levels(float("nan"), 1, np.float32),
    "bilevel": lambda: levels(0, 255, np.uint8).convert("1"),
    "black and red": lambda: palette([0, 0, 0, 128, 0, 0]),
    "palette of 0 and 1": lambda: palette([0, 0, 0, 1, 1, 1]),
    "two greys": lambda: levels(20, 90, np.uint8),
    "two light greys": lambda: levels(200, 255, np.uint8),
    "RGB": lambda: levels(0, 255, np.uint8).convert("RGB"),
    "CMYK": lambda: levels(0, 255, np.uint8).convert("CMYK"),
}
PLAIN = ("plain", "16 bits", "fractions", "bilevel", "RGB", "CMYK", "not a number")


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_is_understood(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mask = given_mask(UNDERSTOOD[name](), SIZE, EditConfig())
    assert np.array_equal(mask.selected.numpy(), INSIDE)
    assert len(caught) == (0 if name in PLAIN else 1), [str(each.message) for each in caught]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = given_mask(UNDERSTOOD[name](), SIZE, EditConfig(invert=True))
    assert np.array_equal(other.selected.numpy(), ~INSIDE)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_plan_and_a_session_read_it_the_same(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = make_plan(of(NOISE), EditConfig(), mask=UNDERSTOOD[name]())
        mask = find(plan, None)  # type: ignore[arg-type]
        assert mask is not None
        assert np.array_equal(mask.selected.numpy(), INSIDE)
        by_hand = read_mask(UNDERSTOOD[name](), SIZE)
        assert torch.equal(by_hand[0, 0] > 0.5, torch.from_numpy(INSIDE))


def test_the_picture_itself_with_most_of_it_erased() -> None:
    """Which convention it is, the picture tells that the mask is for."""
    most = of(np.concatenate([NOISE, np.where(INSIDE, 255, 0)[..., None]], 2).astype(np.uint8))
    with pytest.warns(UserWarning, match="painted on a transparent layer"):
        assert np.array_equal(given_mask(most, SIZE, EditConfig()).selected.numpy(), INSIDE)
    with pytest.warns(UserWarning, match="with a hole"):
        found = given_mask(most, SIZE, EditConfig(), over=of(NOISE))
    assert np.array_equal(found.selected.numpy(), ~INSIDE)


def test_a_ground_painted_in_one_light_colour_is_selected() -> None:
    with pytest.warns(UserWarning, match="painted on a transparent layer"):
        found = given_mask(hole(np.full((30, 40, 3), (255, 40, 120))), SIZE, EditConfig())
    assert np.array_equal(found.selected.numpy(), ~INSIDE)


RAMP = np.arange(1200).reshape(30, 40) / 1200


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (Image.new("L", SIZE), r"is empty: it is dark everywhere; make .* white"),
        (Image.new("L", SIZE, 255), r"covers the whole picture; make what is to stay black"),
        (Image.new("RGBA", SIZE), r"transparent everywhere"),
        (of((RAMP * 100).astype(np.uint8)), r"dark everywhere \(at most 99 of 255\)"),
        (of((RAMP * 9 - 4).astype(np.float32)), r"numbers from -4 to 4\.99"),
        (of(np.full((30, 40), np.nan, np.float32)), r"holds no number"),
    ],
)
def test_what_is_refused_with_advice_for_a_given_mask(image: Image.Image, told: str) -> None:
    with pytest.raises(ImageError, match=told) as caught:
        given_mask(image, SIZE, EditConfig())
    message = str(caught.value)
    assert message.isprintable()
    assert "words" not in message
    assert "min_area" not in message


def test_advice_follows_invert_and_grow() -> None:
    white = Image.new("L", SIZE, 255)
    with pytest.raises(ImageError, match=r"light everywhere and inverted; make .* black"):
        given_mask(white, SIZE, EditConfig(invert=True))
    with pytest.raises(ImageError, match="use a smaller grow"):
        given_mask(levels(0, 255, np.uint8), SIZE, EditConfig(grow=40))


FORMATS = {
    "1": ("png", "tiff", "bmp"),
    "L": ("png", "tiff", "jpeg", "webp", "bmp"),
    "LA": ("png", "tiff"),
    "P": ("png", "gif", "tiff", "bmp"),
    "RGB": ("png", "tiff", "jpeg", "webp"),
    "RGBA": ("png", "tiff", "webp"),
    "CMYK": ("tiff", "jpeg"),
    "I;16": ("png", "tiff"),
    "I": ("tiff",),
    "F": ("tiff",),
}


@st.composite
def masks(draw: st.DrawFn) -> tuple[Image.Image, str, int]:
    mode = draw(st.sampled_from(sorted(FORMATS)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    high = draw(st.sampled_from([1, 2, 80, 255, 4095, 65535]))
    few = draw(st.booleans())  # two values, or any
    shape, inside = (30, 30), INSIDE[:, :30]  # square: it may be turned
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        values = np.where(inside, high, 0) if few else rng.integers(0, high + 1, shape)
        image = of(values.astype(dtype))
    else:
        high = min(high, 255)
        bands = np.where(inside, high, 0) if few else rng.integers(0, high + 1, shape)
        grey = of(bands.astype(np.uint8))
        image = grey.convert("L" if mode == "1" else mode if mode != "RGBA" else "RGB")
        if mode in ("RGBA", "LA"):
            alpha = np.where(inside, draw(st.integers(0, 255)), draw(st.integers(0, 255)))
            image.putalpha(of(alpha.astype(np.uint8)))
        image = image.convert(mode)
        if mode == "P" and draw(st.booleans()):
            image.info["transparency"] = draw(st.sampled_from([0, high]))
    return image, draw(st.sampled_from(FORMATS[mode])), draw(st.integers(1, 8))


def outcome(source: Image.Image | Path, config: EditConfig) -> tuple[str, bytes, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            told, data = "", given_mask(source, (30, 30), config).selected.numpy().tobytes()
        except ImageError as error:
            told, data = str(error), b""
            assert told.isprintable()
    name = "the mask" if isinstance(source, Image.Image) else str(source)
    notes = [str(w.message).replace(name, "X") for w in caught if w.category is not ResourceWarning]
    return told.replace(name, "X"), data, notes


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(masks())
def test_a_file_and_its_pil_picture_agree(
    tmp_path: Path, made: tuple[Image.Image, str, int]
) -> None:
    image, kind, orientation = made
    path = tmp_path / f"mask.{kind}"
    options = {}
    if kind in ("jpeg", "png", "webp", "tiff"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    image.save(path, **options)
    for config in (EditConfig(), EditConfig(invert=True)):
        by_file = outcome(path, config)
        assert outcome(Image.open(path), config) == by_file
        assert outcome(Image.open(io.BytesIO(path.read_bytes())), config) == by_file
        told, data, notes = by_file
        assert bool(told) != bool(data)
        assert len(notes) <= 1


def test_the_command_line_reads_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, strokes, out = (tmp_path / name for name in ("a.png", "strokes.png", "out.png"))
    of(NOISE).save(source)
    layer((255, 0, 0)).save(strokes)
    asked = ["edit", str(source), "--mask", str(strokes), "--with", "a cat", "--composite"]
    few = ["--steps", "1", "--num-cutouts", "2", "--size", "32x24", "--feather", "0"]
    assert run([*asked, "-o", str(out), *few, "--json"]) == 0
    error = capsys.readouterr().err
    assert error.count("transparent layer; what is covered is selected") == 1
    made = np.asarray(Image.open(out))
    assert (made[~INSIDE] == NOISE[~INSIDE]).all()
    assert (made[INSIDE] != NOISE[INSIDE]).any()
