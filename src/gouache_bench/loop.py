"""The loop beside the published one: tables and a plot into docs/performance.md.

    python -m gouache_bench.loop [--device cuda]

Shipped and full-size networks, `gouache bench`'s measurements. Replaces its own part of the page;
`commands.py` writes the part before it. On a graphics card, full-size networks at 256, 512 and
1024 go into a part of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
HEADING = "## The loop"
CARD = "## The loop on a graphics card"
NOTES = "## Beyond memory"  # written by hand, and kept
STAGES = {"decode": "#2c5aa0", "embed": "#c8432b", "cutouts": "#3d8a4a", "rest": "#a89e90"}


def bench(*options: str) -> str:
    command = [sys.executable, "-m", "gouache", "bench", "--device", "cpu", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def rows(text: str) -> list[list[str]]:
    """The cells of all lines of all tables."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def plot(text: str) -> str:
    """Bars of a step's seconds; ours in stages."""
    table = {cells[0]: cells[1:] for cells in rows(text)}
    loops = [name for name in table if name.startswith(("naive", "gouache"))]
    seconds = {name: float(table[name][0]) for name in loops}
    ours = [name for name in loops if name.startswith("gouache")]
    scale, parts = 400 / max(seconds.values()), []
    for number, name in enumerate(loops):
        y, x = 8 + 34 * number, 150.0
        parts.append(f"<text x='0' y='{y + 16}'>{name}</text>")
        pieces = {"rest": seconds[name]}
        if name in ours:
            column = ours.index(name)
            stages = {
                stage: float(cells[column]) / 1000
                for stage, cells in table.items()
                if stage
                in ("decode", "decode, back", "embed", "embed, back", "cutouts", "cutouts, back")
            }
            share = {
                kind: sum(v for k, v in stages.items() if k.startswith(kind))
                for kind in ("decode", "embed", "cutouts")
            }
            pieces = {**share, "rest": max(0.0, seconds[name] - sum(share.values()))}
        for kind, value in pieces.items():
            parts.append(
                f"<rect x='{x:.1f}' y='{y}' width='{value * scale:.1f}' height='22' "
                f"fill='{STAGES[kind]}'><title>{kind} {value:.3f} s</title></rect>"
            )
            x += value * scale
        parts.append(f"<text x='{x + 6:.1f}' y='{y + 16}'>{seconds[name]:.3f} s</text>")
    legend = 22 + 34 * len(loops)
    for number, (kind, color) in enumerate(STAGES.items()):
        x = 120 + 95 * number
        parts.append(f"<rect x='{x}' y='{legend - 10}' width='12' height='12' fill='{color}'/>")
        parts.append(f"<text x='{x + 16}' y='{legend}'>{kind}</text>")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 {legend + 10}' "
        f"font-family='sans-serif' font-size='13' fill='#555'>{''.join(parts)}</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    page = DOCS / "performance.md"
    before, _, after = page.read_text(encoding="utf-8").partition(f"{HEADING}\n")
    old, _, notes = after.partition(f"{NOTES}\n")
    own, _, card = old.partition(f"{CARD}\n")
    if device == "cpu":
        own = part(
            "Ours beside the published loop written plainly: crops one by one, a chain of kornia's "
            "augmentations, the networks by the published operations and in their memory layout, "
            "float32. *naive, our networks* is the same loop with our networks in its place. "
            "Each loop runs in a process of its own; they step in turns of half a second or one "
            "step. The floor is a step's arithmetic at the rate of matrix products measured in "
            "the same run. `python -m gouache_bench.loop`",
            {
                "Shipped models": ("pocket", ["--rounds", "9"]),
                "Full size (f16-16384 and ViT-B/32, random weights)": (
                    "full",
                    ["--networks", "full", "--rounds", "5"],
                ),
            },
        )
    else:
        options = ["--networks", "full", "--precision", "fp32,bf16,fp16", "--device", device]
        card = part(
            "Full-size networks. `python -m gouache_bench.loop --device cuda`",
            {
                f"{side}x{side}": (f"card-{side}", [*options, "--size", str(side)])
                for side in (256, 512, 1024)
            },
        )
    lines = [before.rstrip(), "", HEADING, "", own.strip(), ""]
    lines += [CARD, "", card.strip(), ""] if card else []
    lines += [NOTES, "", notes.strip(), ""] if notes else []
    page.write_text("\n".join(lines), encoding="utf-8")


def part(about: str, sections: dict[str, tuple[str, list[str]]]) -> str:
    """Tables and plots of several benchmarks."""
    lines = [about, ""]
    for title, (name, options) in sections.items():
        text = bench(*options)
        (DOCS / "images" / f"loop-{name}.svg").write_text(plot(text), encoding="utf-8")
        lines += [f"### {title}", "", text, "", f"![A step in stages](images/loop-{name}.svg)", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
