"""Small pieces of HTML for notebooks. Standard library only."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape


def table(rows: Iterable[tuple[str, object]]) -> str:
    """Two columns, name and value."""
    lines = [
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(shown(value))}</td></tr>"
        for name, value in rows
    ]
    return f"<table>{''.join(lines)}</table>"


def details(summary: str, body: str) -> str:
    """Folded away until somebody wants it."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def image(file: bytes, width: int | None = None) -> str:
    """A picture (PNG), or one that moves (GIF), inside the page."""
    kind, data = "gif" if file.startswith(b"GIF8") else "png", base64.b64encode(file).decode()
    size = "" if width is None else f" width='{width}'"
    return f"<img src='data:image/{kind};base64,{data}'{size}>"


def plot(values: Sequence[float], width: int = 320, height: int = 70) -> str:
    """A line, as SVG; values that are not finite are left out."""
    known = [(k, value) for k, value in enumerate(values) if abs(value) < float("inf")]
    if len(known) < 2:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    right, scale = known[-1][0] or 1, (high - low) or 1.0
    points = " ".join(
        f"{k / right * (width - 4) + 2:.1f},{(high - v) / scale * (height - 20) + 16:.1f}"
        for k, v in known
    )
    return (
        f"<svg width='{width}' height='{height}' role='img' aria-label='loss by step'>"
        f"<text x='2' y='11' font-size='11' fill='currentColor'>loss {known[-1][1]:.3f}</text>"
        f"<polyline points='{points}' fill='none' stroke='#c8432b' stroke-width='1.5'/></svg>"
    )


def shown(value: object) -> str:
    """A setting as a person writes it."""
    if isinstance(value, (tuple, list)):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


__all__ = ["details", "image", "plot", "shown", "table"]
