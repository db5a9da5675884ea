"""`gouache sweep`: many pictures, for each combination of prompts, settings and seeds."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gouache.apps.cli.arguments import OneWordValues
from gouache.apps.cli.options import PAINT, with_settings
from gouache.apps.cli.paint import (
    ConfigFile,
    Json,
    Preset,
    Quiet,
    Words,
    read_config_file,
    split_prompts,
    taken_preset,
)
from gouache.errors import ConfigError
from gouache.sweeps.axes import Axis, expand, read_axis, read_seeds, together
from gouache.sweeps.cells import Asked

SWEPT = tuple(setting for setting in PAINT if setting.name != "count")
_HELP = ("--help", "-h")


class RunByDefault(TyperGroup):
    """`gouache sweep "a castle" --seeds 0-7` is `gouache sweep run "a castle" --seeds 0-7`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.list_commands(ctx):
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0].startswith("-") and args[0] not in _HELP:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Paint a grid of pictures over prompts, settings and seeds; rank and compare them.",
)


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.")]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", help="Perceptor that did not guide; several judge one by one."),
]


@app.command("run", cls=OneWordValues)
@with_settings(SWEPT)
def run(
    words: Words = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="NAME=VALUE,VALUE",
            help="A setting that varies; several axes are combined. Values that have commas are "
            "separated by semicolons.",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds and ranges: 0-7,12.")] = "",
    zip: Annotated[
        bool, typer.Option("--zip", help="Axes go together, value by value, uncombined.")
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan", help="Prompts, axes, rows, settings from a TOML, YAML, JSON or CSV file."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder; a second call goes on with the first.")
    ] = Path("sweep"),
    executor: Annotated[
        str, typer.Option("--executor", help="Who paints: inline, threads, processes, ray, slurm.")
    ] = "processes",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="How many paint at once; by default as fit.", min=1, max=10_000
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            "--threads", help="Of the processor, for a cell; pixels may depend on it.", min=1
        ),
    ] = 1,
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            help="Seeds painted together at most; in half precision their pixels differ a little "
            "from those painted alone.",
            min=1,
            max=256,
        ),
    ] = 1,
    per_device: Annotated[
        int, typer.Option("--per-device", help="Workers on each graphics card.", min=1, max=64)
    ] = 1,
    address: Annotated[
        str, typer.Option("--address", help="Of a Ray cluster; auto is this machine's.")
    ] = "",
    slurm: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="NAME=VALUE", help="Of SLURM: partition=gpu, time=60."),
    ] = None,
    per_job: Annotated[
        int, typer.Option("--per-job", help="Cells of one job of SLURM.", min=1)
    ] = 8,
    config: ConfigFile = None,
    preset: Preset = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many cells and how long, and stop.")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
    *,
    given: Mapping[str, Any],
) -> int:
    """Paint a picture of each combination: "a {red,blue} ship" --axis steps=60,120 --seeds 0-7."""
    asked = asked_sweep(
        words, axis or (), seeds, zip, plan, config, preset, given, batched=batch > 1
    )
    from gouache.apps.sweeping import CellProgress, Finishing, Workers
    from gouache.engine import validate
    from gouache.sweeps.cells import check_files, check_models, make_cells
    from gouache.sweeps.running import run_sweep

    who = Workers(executor, workers, threads, per_device, address, tuple(slurm or ()))
    who.check()
    configs = []

    def check(one: Any) -> None:
        configs.append(one)
        check_files(one)
        check_models(one)

    cells = make_cells(asked, check)
    for cell in {tuple(cell.varies.items()): cell for cell in cells}.values():
        validate(cell.config)
    first = cells[0].config
    if dry_run:
        return _tell_estimate(cells, out, who.count(first), json)
    from gouache.apps.fetching import fetch_models

    for one in configs:
        fetch_models(one, quiet or json)
    with Finishing().listening() as stop, CellProgress(quiet or json) as progress:
        report = run_sweep(
            cells,
            out,
            lambda: who.make(first, out),
            who.manner(out),
            batch=batch,
            per_call=per_job if executor == "slurm" else 1,
            carry_files=executor == "ray",
            stop=lambda: stop.wanted,
            tell=progress.show,
        )
    return _report(report, json)


@app.command("rank")
def rank(
    folder: Folder,
    judge: Judges = None,
    device: Annotated[str, typer.Option("--device", help="Where judges run.")] = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Let perceptors judge a sweep: a table, sheet.png, index.html, and scores in results.csv."""
    from gouache.apps.judging import rank_sweep

    return rank_sweep(folder, judge or ["referee"], device, quiet, json)


@app.command("compare")
def compare(
    folder: Folder,
    axis: Annotated[str, typer.Option("--axis", help="The setting whose values are compared.")],
    against: Annotated[
        str, typer.Option("--against", help="The value to compare with; the first one by default.")
    ] = "",
    judge: Judges = None,
    device: Annotated[str, typer.Option("--device", help="Where judges run.")] = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Say whether a setting helps: its values compared over the same prompts and seeds."""
    from gouache.apps.judging import compare_sweep

    return compare_sweep(folder, axis, against, judge or ["referee"], device, quiet, json)


def asked_sweep(
    words: Sequence[str] | None,
    axis: Sequence[str],
    seeds: str,
    zipped: bool,
    plan: Path | None,
    config: Path | None,
    preset: str,
    given: Mapping[str, Any],
    batched: bool = False,
) -> Asked:
    """What options, words and files ask for; mistakes are told before torch is imported."""
    from gouache.apps.sweep_file import SweepFile, read_sweep_file

    file = SweepFile() if plan is None else read_sweep_file(plan)
    axes: dict[str, Axis] = dict(file.axes)
    for text in axis:
        name, points = read_axis(text)
        if name in axes:
            raise ConfigError(f"the axis {name} is given twice; give all its values at once")
        axes[name] = points
    everywhere = set(axes)
    if file.rows is not None:
        everywhere |= set.intersection(*(set(row) for row in file.rows))
    if both := sorted(everywhere & given.keys()):
        option = both[0].replace("_", "-")
        raise ConfigError(f"--{option} is given, and {both[0]} varies; give one of them")
    listed = list(axes.values())
    if (zipped or file.zipped) and listed:
        listed = [together(listed)]
    if file.rows is not None:
        listed.append(file.rows)
    base = {**read_config_file(config), **file.settings, **given}
    preset = taken_preset(base, preset)
    prompts = split_prompts(words) if words else list(file.prompts)
    return Asked(
        [text for prompt in prompts for text in expand(prompt)],
        listed,
        read_seeds(seeds or file.seeds) if seeds or file.seeds else (),
        base,
        preset,
        batched,
    )


def _tell_estimate(cells: Sequence[Any], out: Path, workers: int | None, json: bool) -> int:
    from gouache.apps.printing import print_json
    from gouache.apps.sweeping import clock
    from gouache.sweeps.running import estimate

    found = estimate(cells, out, workers or 1)
    if json:
        print_json(
            {
                "cells": found.cells,
                "found": found.found,
                "workers": workers,
                "seconds": found.seconds,
                "basis": found.basis,
            }
        )
        return 0
    prompts, seeds = {cell.prompt for cell in cells}, {cell.config.seed for cell in cells}
    told = [f"{len(prompts)} prompt{'s' * (len(prompts) > 1)}"]
    told += [f"{len({cell.varies[name] for cell in cells})} {name}" for name in cells[0].varies]
    size = f"{found.cells} cell{'s' * (found.cells > 1)}"
    print(f"{size}: {', '.join(told)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}")
    if found.found:
        print(f"{found.found} of them are painted already")
    if found.seconds is None:
        print(f"time unknown: {found.basis}")
    else:
        number = workers or 1
        who = f"{number} worker{'s' * (number > 1)}"
        print(f"about {clock(found.seconds)} with {who}, {found.basis}")
    return 0


def _report(report: Any, json: bool) -> int:
    """Prints where the results are; 0 when all is painted, 2 for cells that failed, 130 stopped."""
    from gouache.apps.printing import print_json

    results = report.out / "results.csv"
    if json:
        print_json(
            {
                "out": str(report.out),
                "results": str(results),
                "cells": report.cells,
                "found": report.found,
                "painted": report.painted,
                "failed": report.failed,
                "left": report.left,
                "lost_workers": report.lost,
                "seconds": round(report.seconds, 3),
                "error": report.first_error or None,
            }
        )
    else:
        print(results)
    if report.failed:
        print(
            f"gouache: {report.failed} of {report.cells} cells failed, which {results} tells; the "
            f"first: {report.first_error}",
            file=sys.stderr,
        )
    if report.left:
        done = report.cells - report.left
        print(
            f"gouache: stopped after {done} of {report.cells} cells; go on with the same command",
            file=sys.stderr,
        )
        return 130
    return 2 if report.failed else 0


__all__ = ["app", "asked_sweep", "run"]
