"""A page about one training or several: curves, held-out measures, samples over time, settings.

One file without scripts or network. Values show under the pointer, or a finger.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from gouache.html import details, shown, table
from gouache_training.journal import Row, read_rows, samples_folder

_WIDTH, _HEIGHT = 460, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 26  # margins
_COLUMNS = 60  # places of a chart that tell their values
_SAMPLES = 12  # of a training, at most
_BYTES = 2_000_000  # of all samples; a third more as text

_STYLE = """
:root{--ground:#faf8f5;--card:#fff;--ink:#26221d;--soft:#766f66;--line:#e5dfd6;
--run0:#b8402a;--run1:#2a6fb0;--run2:#3c8a4e;--run3:#8a5bb5;--run4:#a07414;--run5:#4b8b8b}
@media(prefers-color-scheme: dark){:root{--ground:#1b1917;--card:#252220;--ink:#ece6dd;
--soft:#a59c90;--line:#3b3632;--run0:#ee8067;--run1:#74b3ef;--run2:#82cc92;--run3:#c7a0ec;
--run4:#dcb14f;--run5:#86cccc}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1480px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 10px}
.runs{display:flex;flex-wrap:wrap;gap:4px 22px;margin:8px 0;padding:0;list-style:none}
.run::before{content:"";display:inline-block;width:18px;height:4px;border-radius:2px;
background:var(--own);margin-right:8px;vertical-align:middle}
.soft{color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,380px),1fr));gap:14px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 10px 4px}
figcaption{font-weight:600;padding:0 4px 2px}figcaption span{font-weight:400;color:var(--soft)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:12px;fill:var(--soft)}
.grid{stroke:var(--line)}
.raw,.smooth,.beside{fill:none;stroke:var(--own);stroke-linejoin:round}
.raw{opacity:.45}.smooth{stroke-width:2.2}.beside{stroke-dasharray:3 4;opacity:.8}
.dot{fill:var(--own)}
.at rect{fill:transparent}.at g{visibility:hidden}.at:hover g{visibility:visible}
.at line{stroke:var(--soft);stroke-dasharray:2 2}
.at g rect{fill:var(--card);stroke:var(--line)}.at text{fill:var(--ink)}
.at text.own{fill:var(--own)}
.strip{display:flex;gap:12px;overflow-x:auto;padding-bottom:10px}
.strip figure{flex:none;padding:8px}
.strip img{display:block;height:min(62vh,560px);width:auto;border-radius:5px}
details{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 14px;margin:10px 0;overflow-x:auto}
summary{cursor:pointer;font-weight:600}
th{font-weight:400;color:var(--soft);padding:1px 20px 1px 0;vertical-align:top}
td{overflow-wrap:anywhere}
@media(max-width:600px){main{padding:16px 12px 32px}.strip img{height:auto;width:84vw}}
"""


@dataclass
class _Curve:
    """Of one training: places (step, value), the name of what it is; `beside` is compared with."""

    run: int
    points: list[tuple[float, float]] = field(default_factory=list)
    beside: str = ""


Charts = dict[str, dict[tuple[int, str], _Curve]]


def write_page(paths: Sequence[Path], out: Path) -> None:
    """Writes the page, at most 3 MB of it samples.

    Args:
        paths: checkpoints, logs or what older trainers printed (`journal.read_rows`).
        out: the file.

    Raises:
        TrainingError: one of them holds no rows.
    """
    runs = [read_rows(path) for path in paths]
    names = [path.stem.removesuffix("-log") for path in paths]
    meters, held = Charts(), Charts()
    for number, rows in enumerate(runs):
        for row in rows:
            values = dict(row.get("values", {}))
            if "rate" in row:
                values["learning rate"] = row["rate"]
            if "pictures_per_second" in row:
                values["pictures a second"] = row["pictures_per_second"]
            _collect(meters, number, row["step"], values)
            _collect(held, number, row["step"], row.get("held", {}))
    legend = "".join(
        f'<li class="run" style="--own:var(--run{k % 6})"><b>{escape(name)}</b> '
        f'<span class="soft">{escape(_summary(rows))}</span></li>'
        for k, (name, rows) in enumerate(zip(names, runs, strict=True))
    )
    told = [row["step"] for rows in runs for row in rows if "begins" not in row] or [0]
    span = min(told) - (1 if len(set(told)) == 1 else 0), max(told) + 1e-6
    body = [f'<h1>Training of {escape(", ".join(names))}</h1><ul class="runs">{legend}</ul>']
    for title, charts, smooth in (
        ("Held-out pictures", held, False),
        ("Over the training", meters, True),
    ):
        if charts:
            drawn = "".join(_chart(k, [*charts[k].values()], smooth, span) for k in charts)
            body.append(f'<h2>{title}</h2><div class="charts">{drawn}</div>')
    folders = (path.with_name(f"{path.stem.removesuffix('-log')}.pt") for path in paths)
    strips = [_chosen(samples_folder(checkpoint)) for checkpoint in folders]
    count = sum(map(len, strips))
    for name, strip in zip(names, strips, strict=True):
        if strip:
            shown_ = "".join(_sample(path, _BYTES // count) for path in strip)
            body.append(f'<h2>Samples of {escape(name)}</h2><div class="strip">{shown_}</div>')
    body.append("<h2>Settings and machines</h2>")
    body += [_settings(name, rows) for name, rows in zip(names, runs, strict=True)]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Training of {escape(', '.join(names))}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


def _collect(charts: Charts, run: int, step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        base, _, beside = name.partition(" (")
        key = run, beside.rstrip(")")
        curve = charts.setdefault(base, {}).setdefault(key, _Curve(run, beside=key[1]))
        if math.isfinite(value):
            curve.points.append((step, value))


def _summary(rows: list[Row]) -> str:
    last = rows[-1]
    kinds = [row["begins"]["machine"] for row in rows if "begins" in row]
    machines = ", then ".join(k for n, k in enumerate(kinds) if n == 0 or k != kinds[n - 1])
    parts = [f"{last['step']:,} steps", _duration(last["seconds"]), machines]
    return " · ".join(part for part in parts if part)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _smoothed(values: Sequence[float]) -> list[float]:
    """A moving average over a twentieth of them, without a bias at its beginning."""
    decay = 1 - 1 / max(1.0, len(values) / 20)
    total, weight, found = 0.0, 0.0, []
    for value in values:
        total, weight = total * decay + value, weight * decay + 1
        found.append(total / weight)
    return found


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from `low` to `high`."""
    size = 10 ** math.floor(math.log10((high - low) / count))
    size *= next((k for k in (1, 2, 5) if k * size * count >= high - low), 10)
    first = math.ceil(low / size - 1e-9)
    return [k * size for k in range(first, math.floor(high / size + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _chart(name: str, curves: list[_Curve], smooth: bool, span: tuple[float, float]) -> str:
    """A figure of one measure, of all trainings that have it; `span` of steps is all charts'."""
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return ""
    lines = [_smoothed([y for _, y in c.points]) if smooth else [] for c in curves]
    # Raw values that leap out of the picture are cut off: the curve matters.
    values = sorted(y for curve in curves for _, y in curve.points)
    cut = len(values) // 50 if smooth else 0
    seen = [*values[cut : len(values) - cut], *(y for line in lines for y in line)]
    low, high = min(seen), max(seen)
    even = high - low <= 1e-6 * max(abs(high), abs(low))  # but for rounding
    room = 0.05 * abs(high) or 1.0 if even else 0.06 * (high - low)
    low, high = (low if low == 0 else low - room), high + room
    steps = [x for curve in curves for x, _ in curve.points]
    first, last = span

    def across(x: float) -> float:
        return _LEFT + (x - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def down(y: float) -> float:
        share = (high - min(high, max(low, y))) / (high - low)
        return _TOP + share * (_HEIGHT - _TOP - _BOTTOM)

    def path(kind: str, run: int, points: Sequence[tuple[float, float]]) -> str:
        places = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        return f'<polyline class="{kind}" style="--own:var(--run{run % 6})" points="{places}"/>'

    parts = []
    for y in _ticks(low, high, 4):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" ')
        parts.append(f'y1="{down(y):.1f}" y2="{down(y):.1f}"/><text x="{_LEFT - 7}" ')
        parts.append(f'y="{down(y) + 4:.1f}" text-anchor="end">{_number(y)}</text>')
    for x in _ticks(first, last, 5):
        parts.append(f'<text x="{across(x):.1f}" y="{_HEIGHT - 7}" ')
        parts.append(f'text-anchor="middle">{_number(x)}</text>')
    for curve, line in zip(curves, lines, strict=True):
        if smooth:
            xs = [x for x, _ in curve.points]
            parts.append(path("raw", curve.run, curve.points))
            parts.append(path("smooth", curve.run, list(zip(xs, line, strict=True))))
        else:
            parts.append(path("beside" if curve.beside else "smooth", curve.run, curve.points))
        few = len(curve.points) <= (1 if smooth else _COLUMNS)
        if few and not curve.beside:
            parts += [
                f'<circle class="dot" style="--own:var(--run{curve.run % 6})" r="3.5" '
                f'cx="{across(x):.1f}" cy="{down(y):.1f}"/>'
                for x, y in curve.points
            ]
    places = sorted(set(steps))
    places = [places[k] for k in _spread(len(places), _COLUMNS)]
    edges = [across(first), *(across((a + b) / 2) for a, b in pairwise(places))]
    edges.append(across(last))
    for x, (left, right) in zip(places, pairwise(edges), strict=True):
        told = [("", f"step {x:,.0f}")]
        for curve, line in zip(curves, lines, strict=True):
            near = min(range(len(curve.points)), key=lambda k: abs(curve.points[k][0] - x))
            if abs(curve.points[near][0] - x) > (last - first) / 20 + 1:
                continue  # this training is not there
            text = _number(curve.points[near][1])
            text += f" · smoothed {_number(line[near])}" if smooth else ""
            text += f" {curve.beside}" if curve.beside else ""
            told.append((f' class="own" style="--own:var(--run{curve.run % 6})"', text))
        parts.append(_told(across(x), left, right, told))
    beside = sorted({curve.beside for curve in curves} - {""})
    note = f" <span>dashed: {escape(', '.join(beside))}</span>" if beside else ""
    return (
        f"<figure><figcaption>{escape(name)}{note}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)} by step">'
        f"{''.join(parts)}</svg></figure>"
    )


def _told(x: float, left: float, right: float, lines: Sequence[tuple[str, str]]) -> str:
    """A part of a chart that shows these lines of text while the pointer is over it."""
    wide = 7.0 * max(len(text) for _, text in lines) + 12
    start = x + 8 if x + 8 + wide < _WIDTH else max(0.0, x - 8 - wide)
    texts = "".join(
        f'<text{kind} x="{start + 6:.1f}" y="{_TOP + 18 + 16 * k}">{escape(text)}</text>'
        for k, (kind, text) in enumerate(lines)
    )
    return (
        f'<g class="at"><rect x="{left:.1f}" y="0" width="{max(1.0, right - left):.1f}" '
        f'height="{_HEIGHT}"/><g><line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" '
        f'y2="{_HEIGHT - _BOTTOM}"/><rect x="{start:.1f}" y="{_TOP + 2}" width="{wide:.0f}" '
        f'height="{16 * len(lines) + 8}" rx="5"/>{texts}</g></g>'
    )


def _spread(count: int, most: int) -> list[int]:
    """At most so many of `count` places, evenly, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [round(k * (count - 1) / (most - 1)) for k in range(most)]


def _chosen(folder: Path) -> list[Path]:
    """Some of a training's samples, in their order."""
    found = sorted(p for p in folder.glob("step-*") if p.suffix in (".png", ".jpg", ".jpeg"))
    return [found[k] for k in _spread(len(found), _SAMPLES)]


def _sample(path: Path, most: int) -> str:
    """A picture of at most so many bytes."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((1400, 1400), Image.Resampling.LANCZOS)
    while True:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=82, optimize=True)
        if buffer.tell() <= most or image.width <= 64:
            break
        scale = max(0.5, 0.95 * (most / buffer.tell()) ** 0.5)
        image = image.resize((int(image.width * scale), max(1, int(image.height * scale))))
    step = f"step {int(path.stem.removeprefix('step-')):,}"
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><figcaption>{step}</figcaption><img alt="{step}" width="{image.width}" '
        f'height="{image.height}" src="data:image/jpeg;base64,{data}"></figure>'
    )


def _settings(name: str, rows: list[Row]) -> str:
    """Of each call that differs from the one before."""
    found: list[str] = []
    before: dict[str, Any] | None = None
    for row in rows:
        begins = row.get("begins")
        if begins and begins != before:
            before = begins
            told: list[tuple[str, object]] = [
                ("from step", row["step"]),
                ("seconds trained before", row["seconds"]),
                *((key, begins[key]) for key in ("trainer", "machine", "torch") if key in begins),
                *((key, _plain(value)) for key, value in begins.get("settings", {}).items()),
            ]
            found.append(details(f"{name}, from step {row['step']:,}", table(told)))
    return "".join(found) or f"<p class='soft'>{escape(name)}: the log tells of none.</p>"


def _plain(value: object) -> str:
    """A setting, of which some are settings themselves."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return shown(value)


__all__ = ["write_page"]
