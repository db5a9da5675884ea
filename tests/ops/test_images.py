"""Pictures of every odd kind, made here; damaged ones; conversions; noise."""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gouache.errors import ConfigError, ImageError
from gouache.ops import images
from gouache.ops.images import (
    NOISE_KINDS,
    fit,
    grid_pil,
    load_image,
    noise_image,
    to_pil,
    to_tensor,
)

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def halves(left: tuple[int, ...] = RED, right: tuple[int, ...] = BLUE, mode: str = "RGB"):
    image = Image.new(mode, (8, 4), left)
    image.paste(right, (4, 0, 8, 4))
    return image


def noise_pil(width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def failure(path: Path | str) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    return message


class TestLoading:
    def saved(self, tmp_path: Path, image: Image.Image, name: str, **options) -> Image.Image:
        image.save(tmp_path / name, **options)
        loaded = load_image(tmp_path / name)
        assert loaded.mode == "RGB"
        return loaded

    def test_plain(self, tmp_path: Path) -> None:
        loaded = self.saved(tmp_path, noise_pil(), "a.png")
        assert loaded.tobytes() == noise_pil().tobytes()

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_rotation_is_applied(self, tmp_path: Path, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.new("RGB", (32, 16), BLUE)
        image.paste(RED, (0, 0, 16, 8))  # top left
        loaded = self.saved(tmp_path, image, "a.jpg", exif=exif, quality=100, subsampling=0)
        assert loaded.size == ((32, 16) if orientation < 5 else (16, 32))
        at_left, at_top = {1: (1, 1), 2: (0, 1), 3: (0, 0), 4: (1, 0), 5: (1, 1), 6: (0, 1),
                           7: (0, 0), 8: (1, 0)}[orientation]  # fmt: skip
        x = 2 if at_left else loaded.width - 3
        y = 2 if at_top else loaded.height - 3
        assert loaded.getpixel((x, y))[0] > 200

    def test_damaged_exif_is_ignored(self, tmp_path: Path, monkeypatch) -> None:
        def fail(*_: object) -> None:
            raise SyntaxError("not a TIFF file")

        monkeypatch.setattr(images.ImageOps, "exif_transpose", fail)
        assert self.saved(tmp_path, halves(), "a.png").getpixel((0, 0)) == RED

    def test_alpha_is_composited_on_white(self, tmp_path: Path) -> None:
        image = halves((255, 0, 0, 0), (0, 0, 0, 128), "RGBA")
        loaded = self.saved(tmp_path, image, "a.png")
        assert loaded.getpixel((0, 0)) == WHITE
        assert loaded.getpixel((7, 0)) == (127, 127, 127)

    def test_grey_with_alpha(self, tmp_path: Path) -> None:
        loaded = self.saved(tmp_path, halves((0, 0), (77, 255), "LA"), "a.png")
        assert loaded.getpixel((0, 0)) == WHITE
        assert loaded.getpixel((7, 0)) == (77, 77, 77)

    def test_colour_key_transparency(self, tmp_path: Path) -> None:
        loaded = self.saved(tmp_path, halves(), "a.png", transparency=RED)
        assert loaded.getpixel((0, 0)) == WHITE
        assert loaded.getpixel((7, 0)) == BLUE

    def test_transparent_palette(self, tmp_path: Path) -> None:
        image = halves().quantize(4)
        loaded = self.saved(tmp_path, image, "a.png", transparency=image.getpixel((0, 0)))
        assert loaded.getpixel((0, 0)) == WHITE
        assert loaded.getpixel((7, 0)) == BLUE

    def test_palette_and_bilevel(self, tmp_path: Path) -> None:
        assert self.saved(tmp_path, halves().quantize(4), "a.png").getpixel((7, 0)) == BLUE
        assert self.saved(tmp_path, Image.new("1", (4, 4), 1), "b.png").getpixel((0, 0)) == WHITE

    def test_grey(self, tmp_path: Path) -> None:
        assert self.saved(tmp_path, Image.new("L", (4, 4), 9), "a.png").getpixel((1, 1)) == (9,) * 3

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_16_bit_grey_is_scaled_not_cut_off(self, tmp_path: Path, name: str) -> None:
        values = np.array([[0, 257 * 100, 65535]], np.uint16)
        loaded = self.saved(tmp_path, Image.fromarray(values), name)
        assert [loaded.getpixel((x, 0))[0] for x in range(3)] == [0, 100, 255]

    def test_16_bit_colour(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(
            png_bytes(2, 1, 16, 2, b"\0" + struct.pack(">6H", 65535, 0, 0, 0, 0, 257 * 100))
        )
        loaded = load_image(tmp_path / "a.png")
        assert [loaded.getpixel((x, 0)) for x in range(2)] == [RED, (0, 0, 100)]

    def test_32_bit_and_floating_point(self, tmp_path: Path) -> None:
        whole = Image.fromarray(np.array([[0, 50_000, 100_000]], np.int32))
        assert self.saved(tmp_path, whole, "a.tif").getpixel((1, 0)) == (128,) * 3
        fractions = Image.fromarray(np.array([[-1, 0.5, np.nan, 1]], np.float32))
        loaded = self.saved(tmp_path, fractions, "b.tif")
        assert [loaded.getpixel((x, 0))[0] for x in range(4)] == [0, 128, 0, 255]

    @pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
    def test_cmyk(self, tmp_path: Path, name: str) -> None:
        image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        loaded = self.saved(tmp_path, image, name)
        assert np.abs(np.array(loaded.getpixel((8, 8))) - RED).max() <= 3

    @pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
    def test_first_frame_of_an_animation(self, tmp_path: Path, name: str) -> None:
        frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE, WHITE)]
        options = {"lossless": True} if name == "a.webp" else {}
        loaded = self.saved(
            tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options
        )
        assert loaded.getpixel((8, 8)) == RED

    def test_a_wrong_suffix_does_not_matter(self, tmp_path: Path) -> None:
        halves().save(tmp_path / "a.jpg", "PNG")
        assert load_image(tmp_path / "a.jpg").getpixel((0, 0)) == RED


class TestRefusing:
    def test_missing(self, tmp_path: Path) -> None:
        assert "no picture at" in failure(tmp_path / "a.png")
        (tmp_path / "file").write_text("x")
        assert "no picture at" in failure(tmp_path / "file" / "a.png")
        assert "name is too long" in failure("a" * 5000)
        failure("a\0b.png")
        failure("a\nb.png")

    def test_folder_and_empty(self, tmp_path: Path) -> None:
        assert "is a folder" in failure(tmp_path)
        (tmp_path / "a.png").touch()
        assert "is empty" in failure(tmp_path / "a.png")

    @pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
    def test_a_pipe_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.png")
        assert "not a regular file" in failure(tmp_path / "a.png")

    def test_unreadable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        halves().save(tmp_path / "a.png")
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # root may read everything

            def deny(*_: object, **__: object) -> None:
                raise PermissionError(13, "Permission denied")

            monkeypatch.setattr(Image, "open", deny)
        (tmp_path / "a.png").chmod(0)
        assert "permission denied" in failure(tmp_path / "a.png")

    def test_not_a_picture(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("hello, world, this is no picture")
        assert "is not a picture" in failure(tmp_path / "a.png")

    def test_postscript_is_not_run(self, tmp_path: Path) -> None:
        (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
        assert "is not a picture" in failure(tmp_path / "a.eps")

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.tif", "a.bmp"])
    def test_truncated_anywhere(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        noise_pil().save(path)
        data = path.read_bytes()
        end = len(data) - 40  # a missing end mark or checksum alone does no harm
        for length in [*range(1, 60, 7), len(data) // 4, len(data) // 2, len(data) * 3 // 4, end]:
            path.write_bytes(data[:length])
            failure(path)

    @pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 9_000), (2**31 - 1, 2**31 - 1)])
    def test_decompression_bombs(self, tmp_path: Path, size: tuple[int, int]) -> None:
        (tmp_path / "a.png").write_bytes(png_bytes(*size, 8, 2, b""))
        assert "at most 89,478,485 pixels" in failure(tmp_path / "a.png")

    def test_text_chunk_bomb(self, tmp_path: Path) -> None:
        bomb = b"Comment\0\0" + zlib.compress(bytes(1 << 24))
        data = png_bytes(1, 1, 8, 2, bytes(4), chunk(b"zTXt", bomb))
        (tmp_path / "a.png").write_bytes(data)
        failure(tmp_path / "a.png")

    @pytest.mark.parametrize("size", [(0, 4), (4, 0)])
    def test_zero_size(self, tmp_path: Path, size: tuple[int, int]) -> None:
        (tmp_path / "a.png").write_bytes(png_bytes(*size, 8, 2, b""))
        failure(tmp_path / "a.png")
        gif = b"GIF89a" + struct.pack("<HHBBB", *size, 0, 0, 0)
        frame = b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02D\x01\0;"
        (tmp_path / "a.gif").write_bytes(gif + frame)
        failure(tmp_path / "a.gif")

    def test_1000_random_files_raise_nothing_else(self, tmp_path: Path) -> None:
        """Pure noise, noise after each format's magic, and real files with damaged bytes."""
        rng = random.Random(0)
        real = [encoded(name) for name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM")]
        path = tmp_path / "a"
        refused = 0
        for trial in range(1000):
            noise = rng.randbytes(rng.randrange(1, 400))
            data = bytearray(rng.choice(real))
            if trial % 3 == 0:
                data = bytearray(noise)
            elif trial % 3 == 1:
                data = data[: rng.randrange(2, 40)] + noise
            else:
                for _ in range(rng.randrange(1, 30)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
            path.write_bytes(data)
            try:
                assert load_image(path).mode == "RGB"
            except ImageError as error:
                refused += 1
                assert str(error).isprintable()  # noqa: PT017 - both outcomes are right
        assert refused > 150


class TestConversion:
    def test_exact_round_trip(self) -> None:
        ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
        image = Image.fromarray(np.stack([ramp, ramp.T, 255 - ramp], -1))
        tensor = to_tensor(image)
        assert tensor.shape == (1, 3, 16, 16)
        assert tensor.dtype == torch.float32
        assert (tensor.min(), tensor.max()) == (0, 1)
        assert to_pil(tensor[0]).tobytes() == image.tobytes()
        assert to_pil(tensor[0].double()).tobytes() == image.tobytes()

    def test_channels_and_axes(self) -> None:
        tensor = to_tensor(halves())
        assert tensor.shape == (1, 3, 4, 8)
        assert tensor[0, :, 0, 0].tolist() == [1, 0, 0]
        assert tensor[0, :, 0, 7].tolist() == [0, 0, 1]

    def test_rounds_to_nearest_and_clamps(self) -> None:
        values = torch.tensor([100.4, 100.6, -50.0, 300.0, float("nan"), float("inf")]) / 255
        image = to_pil(values.expand(3, 1, 6).clone().requires_grad_())
        assert [image.getpixel((x, 0))[0] for x in range(6)] == [100, 101, 0, 255, 0, 255]

    @pytest.mark.parametrize("shape", [(1, 3, 4, 4), (4, 4), (1, 4, 4), (3, 0, 4)])
    def test_wrong_shapes(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ImageError, match=r"expected \(3, height, width\)"):
            to_pil(torch.zeros(shape))


class TestFit:
    def test_same_size_is_unchanged(self) -> None:
        assert fit(noise_pil(), (40, 30)).tobytes() == noise_pil().tobytes()

    @pytest.mark.parametrize("size", [(40, 30), (7, 50), (300, 3), (1, 1)])
    @pytest.mark.parametrize("source", [(40, 30), (1, 500), (500, 1)])
    def test_size(self, source: tuple[int, int], size: tuple[int, int]) -> None:
        assert fit(Image.new("RGB", source), size).size == size

    def test_covers_and_cuts_the_centre(self) -> None:
        wide = Image.new("RGB", (300, 100), BLUE)
        wide.paste(RED, (100, 0, 200, 100))
        assert np.array(fit(wide, (50, 50)))[:, 3:-3].reshape(-1, 3).tolist() == [[*RED]] * 2200
        tall = wide.rotate(90, expand=True)
        assert np.array(fit(tall, (50, 50)))[3:-3].reshape(-1, 3).tolist() == [[*RED]] * 2200

    def test_keeps_the_aspect(self) -> None:
        """A square in the middle stays as wide as it is high."""
        image = Image.new("RGB", (200, 100))
        image.paste(WHITE, (80, 30, 120, 70))
        pixels = np.asarray(fit(image, (120, 90)))[..., 0] > 127
        assert pixels.any(0).sum() == pixels.any(1).sum() == 36


class TestGrid:
    def test_layout(self) -> None:
        colours = [RED, BLUE, (0, 255, 0), (9, 9, 9), (1, 2, 3)]
        sheet = grid_pil([Image.new("RGB", (10, 6), colour) for colour in colours], gap=2)
        assert sheet.size == (3 * 12 + 2, 2 * 8 + 2)
        places = [(7, 5), (19, 5), (31, 5), (7, 13), (19, 13)]
        assert [sheet.getpixel(place) for place in places] == colours
        assert sheet.getpixel((31, 13)) == WHITE

    def test_columns_and_mixed_sizes(self) -> None:
        sheet = grid_pil([Image.new("RGB", (10, 6)), Image.new("RGB", (4, 20))], columns=1, gap=0)
        assert sheet.size == (10, 40)
        assert sheet.getpixel((0, 0)) == WHITE
        assert sheet.getpixel((5, 10)) == (0, 0, 0)
        assert grid_pil([Image.new("RGB", (10, 6))] * 2, columns=9, gap=0).size == (20, 6)

    @pytest.mark.parametrize("label", ["a fox", "long " * 40, "ünï \U0001f34e\n\0", ""])
    def test_labels(self, label: str) -> None:
        plain = grid_pil([Image.new("RGB", (40, 40), RED)])
        sheet = grid_pil([Image.new("RGB", (40, 40), RED)], labels=[label])
        assert sheet.height > plain.height
        below = np.asarray(sheet)[44:]
        assert (below.min() < 100) == bool(label)
        assert below[:, 44:].min() == 255  # cut to the cell

    def test_mistakes(self) -> None:
        with pytest.raises(ImageError, match="at least one"):
            grid_pil([])
        with pytest.raises(ImageError, match="1 labels for 2"):
            grid_pil([Image.new("RGB", (4, 4))] * 2, labels=["a"])


class TestNoise:
    @pytest.mark.parametrize("kind", NOISE_KINDS)
    @pytest.mark.parametrize("size", [(24, 16), (1, 1), (1, 7)])
    def test_shape_range_and_independence(self, kind: str, size: tuple[int, int]) -> None:
        image = noise_image(kind, size, 3, rngs(0, 1, 0))
        assert image.shape == (3, 3, size[1], size[0])
        assert image.isfinite().all()
        assert image.min() >= 0
        assert image.max() <= 1
        assert torch.equal(image[0], image[2])
        if size != (1, 1) or kind == "pixels":
            assert not torch.equal(image[0], image[1])
        assert torch.equal(image[1], noise_image(kind, size, 1, rngs(1))[0])

    def test_pixels_are_uniform_and_independent(self) -> None:
        image = noise_image("pixels", (128, 128), 1, rngs(0))
        assert image.mean() == pytest.approx(0.5, abs=0.01)
        assert image.var() == pytest.approx(1 / 12, abs=0.005)
        assert correlation(image[..., 1:], image[..., :-1]) == pytest.approx(0, abs=0.03)

    def test_gradient_is_smooth_and_not_flat(self) -> None:
        image = noise_image("gradient", (64, 64), 1, rngs(0))
        assert (image[..., 1:] - image[..., :-1]).abs().max() < 1 / 63 + 1e-6
        assert (image.amax((2, 3)) - image.amin((2, 3))).min() > 0.1

    def test_fractal_amplitude_falls_as_one_over_frequency(self) -> None:
        image = noise_image("fractal", (128, 128), 4, rngs(0, 1, 2, 3)).double()
        spectrum = torch.fft.fft2(image - image.mean((2, 3), keepdim=True)).abs().mean((0, 1))
        index = torch.fft.fftfreq(128).double() * 128
        radius = (index[:, None] ** 2 + index[None] ** 2).sqrt()
        bands = [(3, 6), (6, 12), (12, 24), (24, 48)]
        means = [spectrum[(radius >= low) & (radius < high)].mean().log2() for low, high in bands]
        slopes = torch.stack(means).diff()
        assert slopes.sub(-1).abs().max() < 0.15
        assert image.std() == pytest.approx(0.2, abs=0.02)

    def test_mistakes(self) -> None:
        with pytest.raises(ConfigError, match="plaid"):
            noise_image("plaid", (4, 4), 1, rngs(0))
        with pytest.raises(ConfigError, match="1 random generators for 2 pictures"):
            noise_image("pixels", (4, 4), 2, rngs(0))


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(
    width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b""
) -> bytes:
    """A PNG by hand: what Pillow would refuse to write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def encoded(name: str, make: Callable[[], Image.Image] = noise_pil) -> bytes:
    buffer = io.BytesIO()
    make().save(buffer, name)
    return buffer.getvalue()
