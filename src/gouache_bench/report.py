"""The table of a comparison, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import torch

from gouache_bench.compare import Measured
from gouache_bench.stages import STAGES

NETWORKS = ("decode", "decode, back", "embed", "embed, back")


def table(found: Sequence[Measured]) -> list[str]:
    """One row per loop: time, spread, speed beside the first one, floor, memory."""
    lines = [
        "| loop | s a step | fastest to slowest | speed | times its floor | peak memory, GB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        spread = f"{min(one.seconds):.3f} to {max(one.seconds):.3f}"
        floor = f"{one.median / one.floor:.2f}" if one.floor else ""
        speed = f"{found[0].median / one.median:.2f}x"
        lines.append(
            f"| {one.name} | {one.median:.3f} | {spread} | {speed} | {floor} | {one.memory:.2f} |"
        )
    return lines


def stage_table(found: Sequence[Measured]) -> list[str]:
    """Milliseconds of each stage of ours, and the share of what is not the two networks."""
    ours = [one for one in found if one.stages]
    lines = [
        "| stage, ms | " + " | ".join(one.name for one in ours) + " |",
        "| --- |" + " --- |" * len(ours),
    ]
    for stage in STAGES:
        cells = " | ".join(f"{1000 * one.stages[stage]:.1f}" for one in ours)
        lines.append(f"| {stage} | {cells} |")
    shares = []
    for one in ours:
        total = sum(one.stages.values())
        rest = total - sum(one.stages[name] for name in NETWORKS)
        shares.append(f"{100 * rest / total:.1f} %")
    lines.append("| all but the networks | " + " | ".join(shares) + " |")
    return lines


def machine(device: torch.device) -> str:
    """What it was measured on."""
    card = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return (
        f"{card}{os.cpu_count()} processors ({platform.machine()}), "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


__all__ = ["machine", "stage_table", "table"]
