"""How fast the loop is, beside the published one and beside its arithmetic.

    python benchmarks/loop.py [--networks full] [--size 256] [--device cuda] ...
    python benchmarks/loop.py --page [--device cuda]

The first measures on this machine and prints tables: seconds a step, memory, where the time goes.
The second measures shipped and full-size networks and writes tables and plots into its own part of
docs/performance.md; `commands.py` writes the part before it. On a graphics card, full-size networks
at 256, 512 and 1024 go into a part of their own. Needs kornia (extra: bench) but for --no-naive.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gouache.errors import GouacheError
from gouache.networks.devices import autocast_dtype, resolve_device
from measuring.compare import DTYPES, compare
from measuring.networks import KINDS
from measuring.report import machine, stage_table, table

DOCS = Path(__file__).parents[1] / "docs"
HEADING = "## The loop"
CARD = "## The loop on a graphics card"
NOTES = "## Beyond memory"  # written by hand, and kept
STAGES = {"decode": "#2c5aa0", "embed": "#c8432b", "cutouts": "#3d8a4a", "rest": "#a89e90"}


def measure(given: argparse.Namespace) -> str:
    """The tables as Markdown; with `--json` one line of JSON."""
    networks, wanted = given.networks, given.precision
    size = given.size or (128 if networks == "pocket" else 256)
    num_cutouts = given.num_cutouts or (12 if networks == "pocket" else 32)
    place = resolve_device(given.device)
    for part in wanted:
        autocast_dtype(part, place)  # refuses what is not for this device
    found = compare(
        networks, size, num_cutouts, wanted, given.rounds,
        naive=given.naive, device=str(place),
    )  # fmt: skip
    if given.json:
        loops = [
            {
                "loop": one.name,
                "seconds": one.seconds,
                "median": one.median,
                "floor": one.floor or None,
                "stages": one.stages,
                "memory_gb": one.memory,
            }
            for one in found
        ]
        return json.dumps({"machine": machine(place), "loops": loops})
    lines = [
        f"`python benchmarks/loop.py --networks {networks} --size {size} --num-cutouts "
        f"{num_cutouts} --rounds {given.rounds}` with {machine(place)}:",
        "",
        *table(found),
        "",
        *stage_table(found),
    ]
    return "\n".join(lines)


def bench(*options: str) -> str:
    """In a process of its own, so that no part of the page lives off another's memory."""
    command = [sys.executable, __file__, "--device", "cpu", *options]
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


def precisions(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",")]
    if unknown := [part for part in found if part not in DTYPES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r:.60}; write fp32, bf16 or fp32,bf16")
    return found


def side(text: str) -> int:
    if int(text) < 32 or int(text) % 16:
        raise argparse.ArgumentTypeError(f"{text}; the published loop needs a multiple of 16")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", choices=KINDS, default="pocket", help="full: random weights")
    parser.add_argument("--size", type=side, help="pixels [128; full: 256]")
    parser.add_argument("--num-cutouts", type=int, help="[12; full: 32]")
    parser.add_argument(
        "--precision", type=precisions, default="fp32,bf16", help="fp32, bf16, fp16, by commas"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--rounds", type=int, default=7, help="turns of half a second or one step")
    parser.add_argument("--naive", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md")
    given = parser.parse_args(arguments)
    try:
        if given.page:
            write_page(given.device)
        else:
            print(measure(given))
    except GouacheError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write_page(device: str) -> None:
    """Replaces this benchmark's part of docs/performance.md for one kind of device."""
    page = DOCS / "performance.md"
    before, _, after = page.read_text(encoding="utf-8").partition(f"{HEADING}\n")
    old, _, notes = after.partition(f"{NOTES}\n")
    own, _, card = old.partition(f"{CARD}\n")
    if device in ("auto", "cpu"):
        own = part(
            "Ours beside the published loop written plainly: crops one by one, a chain of kornia's "
            "augmentations, the networks by the published operations and in their memory layout, "
            "float32. *naive, our networks* is the same loop with our networks in its place. "
            "Each loop runs in a process of its own; they step in turns of half a second or one "
            "step. The floor is a step's arithmetic at the rate of matrix products measured in "
            "the same run. `python benchmarks/loop.py --page`",
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
            "Full-size networks. `python benchmarks/loop.py --page --device cuda`",
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
    sys.exit(main())
