"""`gouache bench`: how fast the loop is, beside the published one and beside its arithmetic."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from gouache.errors import ConfigError


def bench(
    networks: Annotated[
        str,
        typer.Option("--networks", help="pocket (shipped) or full (f16-16384, ViT-B/32, random)."),
    ] = "pocket",
    size: Annotated[
        int | None, typer.Option("--size", help="Side in pixels [128; full: 256].", min=32)
    ] = None,
    num_cutouts: Annotated[
        int | None, typer.Option("--num-cutouts", help="Cutouts [12; full: 32].", min=1)
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, bf16 and (on graphics cards) fp16, by commas.")
    ] = "fp32,bf16",
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    rounds: Annotated[
        int,
        typer.Option("--rounds", help="Turns of each loop, of one step or half a second.", min=1),
    ] = 7,
    naive: Annotated[
        bool, typer.Option("--naive/--no-naive", help="Compare with the published loop (kornia).")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the tables to this Markdown file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one machine-readable line.")] = False,
) -> int:
    """Measure seconds a step, memory, and where the time goes, on this machine."""
    precisions = [part.strip() for part in precision.split(",")]
    if unknown := [part for part in precisions if part not in ("fp32", "bf16", "fp16")]:
        raise ConfigError(f"precision is {unknown[0]!r:.60}; write fp32, bf16 or fp32,bf16")
    if networks not in ("pocket", "full"):
        raise ConfigError(f"networks is {networks!r:.60}; choose from pocket, full")
    size = size or (128 if networks == "pocket" else 256)
    if size % 16:
        raise ConfigError(f"size is {size}; the published loop needs a multiple of 16")
    num_cutouts = num_cutouts or (12 if networks == "pocket" else 32)
    from gouache.atomic import write_bytes
    from gouache.networks.devices import autocast_dtype, resolve_device
    from gouache_bench.compare import compare
    from gouache_bench.report import machine, stage_table, table

    place = resolve_device(device)
    for part in precisions:
        autocast_dtype(part, place)  # refuses what is not for this device
    found = compare(networks, size, num_cutouts, precisions, rounds, naive=naive, device=str(place))
    if json:
        rows = [
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
        typer.echo(jsonlib.dumps({"machine": machine(place), "loops": rows}))
        return 0
    lines = [
        f"`gouache bench --networks {networks} --size {size} --num-cutouts {num_cutouts} "
        f"--rounds {rounds}` with {machine(place)}:",
        "",
        *table(found),
        "",
        *stage_table(found),
    ]
    typer.echo("\n".join(lines))
    if out is not None:
        write_bytes(out, "\n".join(["# Benchmark", "", *lines, ""]).encode())
    return 0


def add_to(app: typer.Typer) -> None:
    """Makes it a command of gouache's."""
    app.command("bench")(bench)


__all__ = ["add_to", "bench"]
