"""A report on a packed data set: counts, credits, and a sheet of composed pictures to look at.

python -m gouache_training.report data/pocket.gpack out/report
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gouache.styles.filters import STYLES
from gouache_training.colors import COLOR_NAMES
from gouache_training.compose import Composer
from gouache_training.pack import PictureSet

__all__ = ["report", "sheet"]


def report(pictures: PictureSet, out_dir: Path, seed: int = 0, size: int = 64) -> dict[str, object]:
    """Write `report.md`, `report.json` and `sheet.png`.

    Args:
        pictures: the data set.
        out_dir: folder to write into, made if missing.
        seed: of the composed pictures on the sheet.
        size: of the composed pictures on the sheet.

    Returns:
        The figures that went into the JSON file.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    licences = {row["name"]: row["licence"] for row in pictures.credits}
    rows = pictures.entries
    concepts = defaultdict(set)
    for row in rows:
        concepts[row.source].add(row.concept)
    by_source = Counter(row.source for row in rows)
    figures: dict[str, object] = {
        "pictures": len(rows),
        "concepts": len(pictures.concepts),
        "side": pictures.side,
        "splits": dict(Counter(row.split for row in rows)),
        "kinds": dict(Counter(row.kind for row in rows)),
        "categories": dict(Counter(row.category or "other" for row in rows).most_common()),
        "colors": dict(
            Counter(COLOR_NAMES[row.color] if row.color >= 0 else "none" for row in rows)
        ),
        "licences": dict(Counter(licences.get(row.source, "unknown") for row in rows)),
        "sources": {
            name: {"pictures": count, "concepts": len(concepts[name])}
            for name, count in by_source.items()
        },
    }
    composer = Composer(pictures, np.random.default_rng(seed))
    batch = composer.batch(96, size)
    sheet(batch.image, batch.captions).save(out_dir / "sheet.png")
    figures["captions"] = batch.captions
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    (out_dir / "report.json").write_text(text + "\n", encoding="utf-8")
    lines = [
        "# The picture set",
        "",
        f"{len(rows)} pictures of {len(pictures.concepts)} concepts at {pictures.side} pixels.",
        "",
        "| source | licence | pictures | concepts |",
        "| --- | --- | --- | --- |",
    ]
    for name, count in by_source.items():
        licence = licences.get(name, "unknown")
        lines.append(f"| {name} | {licence} | {count} | {len(concepts[name])} |")
    for title in ("splits", "kinds", "categories", "colors", "licences"):
        found = figures[title]
        assert isinstance(found, dict)
        lines += ["", f"## {title.capitalize()}", ""]
        lines += [f"- {name}: {count}" for name, count in found.items()]
    lines += ["", "## Credits", ""]
    lines += [f"- {row['attribution']} ({row['licence']})" for row in pictures.credits]
    lines += ["", "## Captions", "", "![composed pictures](sheet.png)", ""]
    for number, caption in enumerate(batch.captions):
        style = int(batch.styles[number])
        note = f" ({STYLES[style].name})" if style >= 0 else ""
        lines.append(f"{number + 1}. {caption}{note}")
    (out_dir / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return figures


def sheet(image: Tensor, captions: Sequence[str], columns: int = 8, scale: int = 2) -> Image.Image:
    """Pictures in rows with their captions below.

    Args:
        image: (N,3,H,W) in [0,1].
        captions: N lines; long ones are broken.
        columns: pictures per row.
        scale: magnification.
    """
    count, _, height, width = image.shape
    cell_w, cell_h = width * scale + 8, height * scale + 40
    canvas = Image.new("RGB", (columns * cell_w, -(-count // columns) * cell_h), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(10)
    data = (image.permute(0, 2, 3, 1).clamp(0, 1) * 255).round().byte().numpy()
    for number, caption in enumerate(captions):
        left, top = number % columns * cell_w + 4, number // columns * cell_h + 4
        picture = Image.fromarray(data[number]).resize(
            (width * scale, height * scale), Image.Resampling.NEAREST
        )
        canvas.paste(picture, (left, top))
        lines = _broken(caption, cell_w // 5)
        draw.text((left, top + height * scale + 1), "\n".join(lines), "black", font, spacing=1)
    return canvas


def _broken(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:3]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m gouache_training.report PACK FOLDER")
    report(PictureSet.load(sys.argv[1]), Path(sys.argv[2]))
