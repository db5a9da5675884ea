"""Pictures in and out of tensors, and the noise pictures that painting may start from.

PIL pictures end in `_pil`; tensors are (B,3,H,W) or (3,H,W), float32, RGB in [0,1]. torch is
imported by the functions that need it, so that reading a picture's metadata does not wait for it.
"""

from __future__ import annotations

import errno
import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from gouache.errors import ConfigError, GouacheError, ImageError
from gouache.ops.profiles import flat, plain
from gouache.ops.regular import check_regular_file
from gouache.prompts import one_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_INPUT_PIXELS = 89_478_485  # Pillow's own warning level: about 256 MiB as RGB

# Formats with a magic number and a self-contained decoder. EPS and WMF are left out on purpose:
# they run other programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF", "QOI", "ICO")


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Opens a picture file lazily; any failure, also in the body, is a one-line `ImageError`.

    Refuses what is missing, a directory or another special file, empty, unreadable, not a picture,
    or has more than `MAX_INPUT_PIXELS`.
    """
    shown = one_line(path)
    try:
        check_regular_file(Path(path), ImageError, "picture", "a picture file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # size is checked below; odd metadata does not matter
            Image.init()
            formats = [name for name in _FORMATS if name in Image.OPEN]
            # Not by its name: Pillow maps files into memory then, and reads turned TIFFs wrongly.
            with Path(path).open("rb") as file, Image.open(file, formats=formats) as image:
                width, height = image.size
                if width < 1 or height < 1:
                    raise ImageError(f"{shown} is {width}x{height} pixels; give one with pixels")
                if width * height > MAX_INPUT_PIXELS:
                    raise _too_large(shown, f"{width}x{height}")
                yield image
    except GouacheError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{shown} is not a picture that can be read; give a PNG, JPEG, WebP, GIF, TIFF or BMP"
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(shown, "too large") from None
    except PermissionError:
        raise ImageError(f"{shown} cannot be read: permission denied; allow reading it") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageError(f"no picture at {shown}: the name is too long") from None
        raise _damaged(shown, error) from None
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        raise _damaged(shown, error) from None


def load_image(path: str | Path) -> Image.Image:
    """Any common picture file -> RGB picture in sRGB, upright. Raises `ImageError`, one line.

    EXIF rotation is applied; colours are converted by the picture's profile; transparency is
    composited on white; grey, palette, CMYK and 16-bit pictures are converted (16 bits are scaled,
    not cut off); of an animation it is the first frame.
    """
    return flat(read_picture(path), one_line(path))


def as_rgb(image_pil: Image.Image, shown: str = "the picture") -> Image.Image:
    """PIL picture of any mode -> RGB picture, as `load_image` gives it for the picture's file."""
    # A file's picture (of a class of its own) may not be read yet, and `info` not complete.
    read = type(image_pil) is Image.Image and 0 not in image_pil.size
    if read and image_pil.mode == "RGB" and not image_pil.info and not image_pil.getexif():
        return image_pil.copy()
    return flat(read_picture(image_pil, shown), shown)


def upright(source: str | Path | Image.Image, shown: str = "the picture") -> Image.Image:
    """A file or a PIL picture, loaded and turned as its EXIF data says, mode and `info` untouched.

    `info["bits"]` is 16 for a file of which Pillow keeps the upper 8 bits only. Raises
    `ImageError`: the same for a PIL picture as for its file.
    """
    if not isinstance(source, Image.Image):
        with open_image(source) as image:
            tiles = getattr(image, "tile", ())
            deep = any(";16" in str(tile) for tile in tiles) and "16" not in image.mode
            image.load()
            found = _turned(image)
            return _marked(found, 16) if deep else found
    if 0 in source.size:
        raise ImageError(f"{shown} is {source.width}x{source.height} pixels; give one with pixels")
    if source.width * source.height > MAX_INPUT_PIXELS:
        raise _too_large(shown, f"{source.width}x{source.height}")
    try:
        _load(source)
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        raise _damaged(shown, error) from None
    return _turned(source)


def read_picture(source: str | Path | Image.Image, shown: str = "the picture") -> Image.Image:
    """A file or a PIL picture -> upright, RGB or RGBA, 8 bits, in its own colours.

    Nothing that such a picture holds is changed: transparency stays, and a profile for RGB stays in
    `info["icc_profile"]`, which is all that `info` holds. Grey, palette and other pictures are
    converted without a loss where they can be; those with a profile of another kind become sRGB. A
    profile that cannot be used is left out, with a `BadProfileWarning`. Raises `ImageError`.
    """
    shown = shown if isinstance(source, Image.Image) else one_line(source)
    image = upright(source, shown)
    try:
        return plain(image, shown)
    except Exception as error:  # modes that Pillow knows and cannot convert
        raise _damaged(shown, error) from None


def to_tensor(image_pil: Image.Image) -> Tensor:
    """PIL picture of any mode -> (1,3,H,W) float32 in [0,1], upright and in sRGB."""
    import torch

    pixels = np.array(as_rgb(image_pil))  # (H,W,3) uint8, writable copy
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().float() / 255


def to_pil(image: Tensor) -> Image.Image:
    """(3,H,W), any float type, nominally in [0,1] -> RGB picture, rounded to nearest.

    Values outside are clamped and NaN is black. `to_pil(to_tensor(p)[0])` equals `p` exactly.
    """
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ImageError(
            f"got a picture of shape {tuple(image.shape)}; expected (3, height, width)"
        )
    pixels = image.detach().float().nan_to_num(0.0).clamp(0, 1).mul(255).round()
    return Image.fromarray(pixels.byte().permute(1, 2, 0).cpu().numpy())


def fit(image_pil: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scales a picture to cover `size` (width, height) and cuts off equally what juts out.

    Nothing is squashed: the aspect is kept, so either the sides or top and bottom lose a margin.
    LANCZOS, in one pass from the exact fractional box; a picture of that size stays as it is.
    """
    box = fitted_box(image_pil.size, size)
    return image_pil.resize(size, Image.Resampling.LANCZOS, box=box)


def fitted_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what `fit` takes of a picture of `size` for `target`."""
    (width, height), (target_width, target_height) = size, target
    scale = max(target_width / width, target_height / height)
    box_width, box_height = min(width, target_width / scale), min(height, target_height / scale)
    left, top = (width - box_width) / 2, (height - box_height) / 2
    return left, top, left + box_width, top + box_height


def grid_pil(
    images_pil: Sequence[Image.Image],
    columns: int | None = None,
    labels: Sequence[str] | None = None,
    gap: int = 4,
) -> Image.Image:
    """Contact sheet on white, row by row; cells as large as the largest picture, others centred.

    `columns` defaults to the most square sheet. `labels`, one per picture, go below them and are
    cut to the cell's width. Raises `ImageError` without pictures or with a wrong number of labels.
    """
    if not images_pil:
        raise ImageError("a grid needs at least one picture, got none")
    if labels is not None and len(labels) != len(images_pil):
        raise ImageError(f"got {len(labels)} labels for {len(images_pil)} pictures; give one each")
    images_pil = [_shown(image) for image in images_pil]
    columns = min(len(images_pil), columns or math.ceil(math.sqrt(len(images_pil))))
    rows = math.ceil(len(images_pil) / columns)
    cell_width = max(image.width for image in images_pil)
    cell_height = max(image.height for image in images_pil)
    text_size = max(10, min(24, cell_width // 16))
    text_height = text_size * 3 // 2 if labels is not None else 0
    step_x, step_y = cell_width + gap, cell_height + text_height + gap
    sheet = Image.new("RGB", (columns * step_x + gap, rows * step_y + gap), "white")
    for index, image in enumerate(images_pil):
        x, y = gap + index % columns * step_x, gap + index // columns * step_y
        offset = ((cell_width - image.width) // 2, (cell_height - image.height) // 2)
        sheet.paste(image, (x + offset[0], y + offset[1]))
        if labels is not None:
            _draw_label(sheet, (x, y + cell_height), labels[index], cell_width, text_size)
    return sheet


def numbered_pil(images_pil: Sequence[Image.Image]) -> Image.Image:
    """`grid_pil` with 1, 2, 3... below the pictures."""
    return grid_pil(images_pil, labels=[str(number + 1) for number in range(len(images_pil))])


def together(images_pil: Sequence[Image.Image]) -> Image.Image:
    """One picture as it is, several as a grid."""
    return images_pil[0] if len(images_pil) == 1 else grid_pil(images_pil)


def encode(image_pil: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file, PNG, JPEG (fine: quality 92, colours at full size) or WEBP (small and
    quick: quality 80); for showing.

    JPEG and WEBP hold no transparency here: they show the picture in sRGB on white.
    """
    if kind in ("JPEG", "WEBP"):
        image_pil = _shown(image_pil)
        fine, quick = {"quality": 92, "subsampling": 0}, {"quality": 80, "method": 0}
        options = {**(fine if kind == "JPEG" else quick), **options}
    file = io.BytesIO()
    image_pil.save(file, kind, **options)
    return file.getvalue()


def noise_image(
    kind: str, size: tuple[int, int], batch: int, rngs: Sequence[torch.Generator]
) -> Tensor:
    """Noise pictures to start from: (batch,3,H,W) in [0,1]; `size` is (width, height).

    "pixels": uniform noise; "gradient": four random corner colours, blended; "fractal": noise whose
    amplitude falls as 1/frequency, as in photographs. Picture b depends on `rngs[b]` only, so it
    is the same in every batch. Raises `ConfigError` for an unknown kind or a wrong number of rngs.
    """
    import torch

    if kind not in NOISE_KINDS:
        raise ConfigError(f"no noise is called {kind!r}; choose from {', '.join(NOISE_KINDS)}")
    if len(rngs) != batch:
        raise ConfigError(f"got {len(rngs)} random generators for {batch} pictures; give one each")
    width, height = size
    draw = _NOISES[kind]
    return torch.stack([draw(height, width, rng) for rng in rngs])


def _pixel_noise(height: int, width: int, rng: torch.Generator) -> Tensor:
    import torch

    return torch.rand(3, height, width, generator=rng, device=rng.device)


def _gradient_noise(height: int, width: int, rng: torch.Generator) -> Tensor:
    import torch

    corners = torch.rand(1, 3, 2, 2, generator=rng, device=rng.device)
    return torch.nn.functional.interpolate(
        corners, (height, width), mode="bilinear", align_corners=True
    )[0].clamp(0, 1)


def _fractal_noise(height: int, width: int, rng: torch.Generator) -> Tensor:
    """Mean 0.5, standard deviation 0.2; the channels share most of their structure."""
    import torch

    white = torch.randn(4, height, width, generator=rng, device=rng.device)
    rows = torch.fft.fftfreq(height, device=rng.device)[:, None]
    cols = torch.fft.rfftfreq(width, device=rng.device)[None]
    frequency = (rows**2 + cols**2).sqrt()  # (H,W//2+1), cycles per pixel
    amplitude = torch.where(frequency > 0, 1 / frequency.clamp_min(1e-6), 0.0)
    waves = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(height, width))
    waves = waves / waves.std(dim=(1, 2), keepdim=True, correction=0).clamp_min(1e-6)
    brightness, colour = waves[:1], waves[1:]
    image: Tensor = 0.5 + 0.2 * (0.8 * brightness + 0.6 * colour)
    return image.clamp(0, 1)


_NOISES: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "pixels": _pixel_noise,
    "gradient": _gradient_noise,
    "fractal": _fractal_noise,
}
NOISE_KINDS = tuple(_NOISES)


def _too_large(shown: str, size: str) -> ImageError:
    return ImageError(
        f"{shown} is {size}; at most {MAX_INPUT_PIXELS:,} pixels are read; shrink the picture first"
    )


def _damaged(shown: str, error: Exception) -> ImageError:
    reason = one_line(error, 80) or type(error).__name__
    return ImageError(f"{shown} is truncated or damaged ({reason}); save the picture again")


def _shown(image: Image.Image) -> Image.Image:
    """RGB in sRGB on white, without a note: for looking at."""
    if image.mode == "RGB" and "icc_profile" not in image.info:
        return image
    return flat(read_picture(image), "")


def _load(image: Image.Image) -> None:
    """PIL reads files lazily. Turned TIFFs are read wrongly if they are mapped by their name."""
    name = getattr(image, "filename", "") if image.format == "TIFF" else ""
    if not name:
        image.load()
        return
    image.filename = ""  # type: ignore[attr-defined]
    try:
        image.load()
    finally:
        image.filename = name  # type: ignore[attr-defined]


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data; the pixels are what was asked for
        return image.copy()


def _marked(image: Image.Image, bits: int) -> Image.Image:
    image.info["bits"] = bits
    return image


def _draw_label(
    sheet: Image.Image, corner: tuple[int, int], label: str, width: int, text_size: int
) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(text_size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # built without FreeType: Latin letters only
        label = label.encode("latin-1", "replace").decode("latin-1")
    label = one_line(label)
    while label and draw.textlength(label, font) > width:
        label = label.removesuffix("\N{HORIZONTAL ELLIPSIS}")[:-1]
        label = label and label + "\N{HORIZONTAL ELLIPSIS}"
    draw.text((corner[0], corner[1] + 1), label, "black", font)


__all__ = [
    "MAX_INPUT_PIXELS",
    "NOISE_KINDS",
    "as_rgb",
    "encode",
    "fit",
    "fitted_box",
    "grid_pil",
    "load_image",
    "noise_image",
    "open_image",
    "read_picture",
    "to_pil",
    "to_tensor",
    "together",
    "upright",
]
