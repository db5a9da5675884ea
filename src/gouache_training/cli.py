"""`gouache train`: the data set, both models, their evaluation and export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gouache.errors import TrainingError
from gouache_training.calls import (
    DATA,
    Call,
    Data,
    Device,
    Painter,
    Threads,
    Trains,
    Workers,
    command_of,
    prepare,
)

if TYPE_CHECKING:
    from gouache_training.codes import CodesTrainer, CodesTraining

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train the shipped models from openly licensed pictures (extra: train).",
)

Cache = Annotated[Path, typer.Option("--cache", help="Where downloads are kept.")]
Init = Annotated[
    Path | None, typer.Option("--init", help="Checkpoint whose networks to start from.")
]


class Prompts(StrEnum):
    """Names of `training.evaluate.SHEETS`."""

    sixty = "sixty"
    classes = "classes"
    tuning = "tuning"


class Part(StrEnum):
    """What is exported."""

    generator = "generator"
    perceptor = "perceptor"
    prior = "prior"
    referee = "referee"
    drawing = "drawing"
    autoregressive = "autoregressive"
    diffusion = "diffusion"


class Judges(StrEnum):
    """`training.evaluate.JUDGES`."""

    referee = "referee"
    lite2 = "lite2"


CACHE = Path("data/cache")
RENDERINGS = Path("data/renderings.zip")


def _trainer(make: Callable[..., Trains]) -> Callable[..., None]:
    """Makes a command of what makes a trainer."""
    return app.command(make.__name__)(command_of(make))


@app.command()
def dataset(
    out: Annotated[Path, typer.Option("--out", help="Where the packed set goes.")] = DATA,
    cache: Cache = CACHE,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for counts and sample sheets.")
    ] = None,
) -> None:
    """Download, render, caption and pack the pictures."""
    from gouache_training.dataset import PictureSet, build
    from gouache_training.report import report as write_report

    build(cache, out, report=typer.echo)
    if report is not None:
        write_report(PictureSet.load(out), report)
    print(out)


@_trainer
def perceptor(
    call: Call,
    cache: Cache = CACHE,
    referee: Annotated[
        bool,
        typer.Option("--referee", help="Train the judge for evaluations instead: it never guides."),
    ] = False,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.")] = 256,
    epsilon: Annotated[
        float | None,
        typer.Option("--epsilon", help="Adversarial perturbation, L2; 0 is off.", min=0),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    generator: Annotated[
        Path | None,
        typer.Option("--generator", help="Checkpoint of a VQGAN that repaints some pictures."),
    ] = None,
) -> Trains:
    """Train the pocket perceptor, or with --referee the judge of evaluations."""
    from gouache_training.dataset import PictureSet
    from gouache_training.export import load_generator_checkpoint
    from gouache_training.perceptor import REFEREE, PerceptorTrainer, PerceptorTraining

    settings = replace(REFEREE if referee else PerceptorTraining(), batch=batch)
    if epsilon is not None:
        settings = replace(settings, epsilon=epsilon)
    if seed is not None:
        settings = replace(settings, seed=seed)
    painter = None if generator is None else load_generator_checkpoint(generator)
    return PerceptorTrainer(
        PictureSet.load(call.data),
        cache,
        call.given(settings),
        call.budget(),
        call.device,
        painter,
    )


@_trainer
def generator(
    call: Call,
    perceptor: Annotated[
        Path, typer.Option("--perceptor", help="Perceptor checkpoint for the perceptual loss.")
    ] = Path("checkpoints/perceptor.pt"),
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.")] = 32,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    init: Init = None,
) -> Trains:
    """Train the shipped VQGAN."""
    from gouache_training.dataset import PictureSet
    from gouache_training.generator import GeneratorTrainer, GeneratorTraining

    settings = call.given(GeneratorTraining(batch=batch, seed=seed))
    pictures = PictureSet.load(call.data)
    trainer = GeneratorTrainer(pictures, settings, call.budget(), call.device, perceptor)
    if init is not None and not call.goes_on:
        trainer.start_from(init)
    return trainer


def _on_codes(
    call: Call,
    trainer: type[CodesTrainer[Any, Any]],
    settings: CodesTraining,
    cache: Path,
    generator: Path | None,
    workers: int,
) -> Trains:
    """A trainer of a network over a generator's codes."""
    from gouache_training.dataset import PictureSet
    from gouache_training.export import load_painter
    from gouache_training.feed import Recipe

    pictures, painter = PictureSet.load(call.data), load_painter(generator)
    recipe = Recipe(call.data, None, settings.shares, painter.native_size, settings.fresh)
    return trainer(
        pictures,
        cache,
        painter,
        call.given(settings),
        call.budget(),
        call.device,
        call.feed(recipe, workers, settings.seed),
    )


@_trainer
def prior(
    call: Call,
    cache: Cache = CACHE,
    generator: Painter = None,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.")] = 80,
    width: Annotated[int, typer.Option("--width", help="Of the transformer.", min=32)] = 256,
    layers: Annotated[int, typer.Option("--layers", help="Of the transformer.", min=1)] = 4,
    fresh: Annotated[int, typer.Option("--fresh", help="New pictures a step.", min=1)] = 10,
    seed: Annotated[int, typer.Option("--seed")] = 3,
    workers: Workers = 0,
) -> Trains:
    """Train the token prior, which proposes where painting starts."""
    from gouache_training.prior import PriorTrainer, PriorTraining

    settings = PriorTraining(batch=batch, fresh=fresh, seed=seed, width=width, layers=layers)
    return _on_codes(call, PriorTrainer, settings, cache, generator, workers)


@_trainer
def autoregressive(
    call: Call,
    cache: Cache = CACHE,
    generator: Painter = None,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.")] = 80,
    width: Annotated[int, typer.Option("--width", help="Of the transformer.", min=32)] = 256,
    layers: Annotated[int, typer.Option("--layers", help="Of the transformer.", min=1)] = 8,
    fresh: Annotated[int, typer.Option("--fresh", help="New pictures a step.", min=1)] = 10,
    seed: Annotated[int, typer.Option("--seed")] = 6,
    workers: Workers = 0,
) -> Trains:
    """Train pocket-ar, which writes a picture's codes one after the other: a system of figure 9."""
    from gouache_training.autoregressive import AutoregressiveTrainer, AutoregressiveTraining

    settings = AutoregressiveTraining(
        batch=batch, fresh=fresh, seed=seed, width=width, layers=layers
    )
    return _on_codes(call, AutoregressiveTrainer, settings, cache, generator, workers)


@_trainer
def diffusion(
    call: Call,
    generator: Painter = None,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.", min=2)] = 64,
    width: Annotated[int, typer.Option("--width", help="Of the transformer.", min=32)] = 256,
    layers: Annotated[int, typer.Option("--layers", help="Of the transformer.", min=1)] = 5,
    fresh: Annotated[int, typer.Option("--fresh", help="New pictures a step.", min=1)] = 8,
    seed: Annotated[int, typer.Option("--seed")] = 11,
    workers: Workers = 0,
) -> Trains:
    """Train pocket-diffusion, which the shipped models are compared with."""
    from gouache.perceptors.loading import shipped_pocket
    from gouache_training.dataset import PictureSet
    from gouache_training.diffusion import DiffusionTrainer, DiffusionTraining
    from gouache_training.export import load_painter
    from gouache_training.feed import Recipe

    settings = DiffusionTraining(batch=batch, fresh=fresh, seed=seed, width=width, layers=layers)
    painter, together = load_painter(generator), settings.fresh * settings.gather_every
    return DiffusionTrainer(
        PictureSet.load(call.data),
        painter,
        shipped_pocket(),
        call.given(settings),
        call.budget(),
        call.device,
        call.feed(
            Recipe(call.data, None, settings.shares, painter.native_size, together), workers, seed
        ),
    )


@app.command()
def renderings(
    data: Data = DATA,
    cache: Cache = CACHE,
    out: Annotated[Path, typer.Option("--out", help="The archive to write.")] = RENDERINGS,
    count: Annotated[int, typer.Option("--count", help="Pictures at most.", min=1)] = 12_000,
    side: Annotated[int, typer.Option("--side", help="Of a picture in pixels.", min=96)] = 512,
    processes: Annotated[int, typer.Option("--processes", help="How many draw.", min=1)] = 1,
) -> None:
    """Draw pictures of the set again, large, for the drawing decoder."""
    prepare(0)
    from gouache_training.dataset import PictureSet
    from gouache_training.renderings import make_renderings

    make_renderings(PictureSet.load(data), cache, out, count, side, processes, report=typer.echo)
    print(out)


@_trainer
def drawing(
    call: Call,
    large: Annotated[
        Path, typer.Option("--renderings", help="The archive that `renderings` wrote.")
    ] = RENDERINGS,
    generator: Painter = None,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.", min=1)] = 4,
    crops: Annotated[int, typer.Option("--crops", help="Squares of each picture.", min=1)] = 2,
    adversarial_from: Annotated[
        float,
        typer.Option(
            "--adversarial-from",
            help="Share of the training after which a discriminator plays; 1: never.",
            min=0,
            max=1,
        ),
    ] = 1.0,
    painted: Annotated[
        Path | None,
        typer.Option(
            "--painted",
            help="Folder of painted latents (safetensors files), for the discriminator.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed")] = 5,
    workers: Workers = 0,
) -> Trains:
    """Train the drawing decoder, which draws the codes at four times the size."""
    from gouache.generators.drawing import SCALE
    from gouache.perceptors.efficientnet import EfficientNet
    from gouache.perceptors.photo import shipped_photo
    from gouache_training.dataset import PictureSet
    from gouache_training.drawing import DrawingTrainer, DrawingTraining
    from gouache_training.export import load_painter
    from gouache_training.feed import Recipe
    from gouache_training.renderings import load_renderings

    settings = DrawingTraining(
        batch=batch, crops=crops, adversarial_from=adversarial_from, seed=seed
    )
    painter = load_painter(generator)
    trunk = shipped_photo().trunks[0]
    assert isinstance(trunk, EfficientNet)
    recipe = Recipe(call.data, large, settings.shares, SCALE * painter.native_size, batch)
    return DrawingTrainer(
        load_renderings(PictureSet.load(call.data), large),
        painter,
        trunk,
        call.given(settings),
        call.budget(),
        call.device,
        painted,
        call.feed(recipe, workers, seed),
    )


@app.command()
def painted(
    out: Annotated[Path, typer.Option("--out", help="Folder of the latents; more are added.")],
    data: Data = DATA,
    count: Annotated[
        int, typer.Option("--count", help="Pictures in the folder at the end; 0: no limit.", min=0)
    ] = 0,
    batch: Annotated[
        int, typer.Option("--batch", help="Pictures painted together.", min=1, max=256)
    ] = 64,
    minutes: Annotated[
        float, typer.Option("--minutes", help="Paint this long; 0: no limit.", min=0)
    ] = 0.0,
    device: Device = "auto",
    threads: Threads = 0,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    side: Annotated[int, typer.Option("--side", help="Of a picture in pixels: 128 or 256.")] = 128,
    over: Annotated[
        Path | None,
        typer.Option(
            "--over",
            help="Begin at pictures composed of these large renderings, and keep those, too.",
        ),
    ] = None,
) -> None:
    """Paint many pictures and keep their latents, for the drawing decoder."""
    prepare(threads)
    from gouache.errors import TrainingError
    from gouache_training.overpainted import Overpainter
    from gouache_training.pack import PictureSet
    from gouache_training.painted import paint_many
    from gouache_training.renderings import load_renderings

    if side not in (128, 256):
        raise TrainingError(f"--side is {side}; expected 128 or 256")
    pictures = PictureSet.load(data)
    attempt = Overpainter(load_renderings(pictures, over)).attempt if over else None
    paint_many(pictures, out, count, batch, minutes, device, seed, side, attempt)
    print(out)


@app.command()
def photo(
    data: Data = DATA,
    cache: Cache = CACHE,
    out: Annotated[Path, typer.Option("--out", help="Folder for the file.")] = Path("checkpoints"),
    steps: Annotated[int, typer.Option("--steps", help="Of the phrases' training.")] = 3000,
    rate: Annotated[float, typer.Option("--rate", help="Of learning.")] = 3.0e-3,
    size: Annotated[int, typer.Option("--size", help="Side of the pictures it sees.")] = 160,
    words: Annotated[
        Path | None,
        typer.Option(
            "--words", help="A photo perceptor whose phrases are taught on; --steps 0 keeps them."
        ),
    ] = None,
    threads: Threads = 0,
) -> None:
    """Make the photo perceptor from published networks (Apache-2.0) and teach it phrases."""
    prepare(threads)
    from gouache.weights.shipped import PHOTO
    from gouache_training.dataset import PictureSet, name_bank
    from gouache_training.photo import PhotoTraining, make_photo, renew_trunks

    if words is not None and steps == 0:
        renew_trunks(cache, out, words, size)
        print(out / PHOTO.name)
        return
    concepts = name_bank(PictureSet.load(data), 0.0)[0]
    settings = PhotoTraining(image_size=size, steps=steps, learning_rate=rate)
    found = make_photo(cache, out, concepts, settings, words)
    for group, numbers in found.items():
        typer.echo(f"{group}: " + ", ".join(f"{k} {v:.3g}" for k, v in numbers.items()))
    print(out / PHOTO.name)


@app.command()
def blend(
    parts: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH:SHARE...",
            help="Checkpoints or exported files of drawing decoders; shares add up to 1.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the shipped files; drawing.safetensors.gz.")
    ],
) -> None:
    """Make one drawing decoder of several: it draws their weighted mean."""
    prepare(0)
    from gouache.settings.codec import parse_weighted
    from gouache_training.export import export_blend

    named = [parse_weighted(part, "part") for part in parts]
    print(export_blend([(Path(path), share) for path, share in named], out))


@app.command()
def pack(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Exported files.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the shipped files.")],
) -> None:
    """Write exported files anew, as they are kept today: some in coarser steps, packed by gzip."""
    prepare(0)
    from gouache_training.export import export_packed

    for path in paths:
        print(export_packed(path, out))


@app.command()
def export(
    parts: Annotated[
        list[Part] | None,
        typer.Argument(
            metavar="[PART]...",
            help=f"What to write: {', '.join(Part)}. Default: all of which there is a checkpoint.",
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for the shipped files.")],
    cache: Cache = CACHE,
    data: Data = DATA,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Of the one part that is named.")
    ] = None,
    generator: Annotated[Path, typer.Option("--generator")] = Path("checkpoints/generator.pt"),
    perceptor: Annotated[Path, typer.Option("--perceptor")] = Path("checkpoints/perceptor.pt"),
    prior: Annotated[Path, typer.Option("--prior")] = Path("checkpoints/prior.pt"),
    referee: Annotated[Path, typer.Option("--referee")] = Path("checkpoints/referee.pt"),
    drawing: Annotated[Path, typer.Option("--drawing")] = Path("checkpoints/drawing.pt"),
    autoregressive: Annotated[Path, typer.Option("--autoregressive")] = Path(
        "checkpoints/autoregressive.pt"
    ),
    diffusion: Annotated[Path, typer.Option("--diffusion")] = Path("checkpoints/diffusion.pt"),
) -> None:
    """Write the files that gouache ships, each alone or all; other files in the folder stay."""
    from gouache_training.export import export_models

    checkpoints = {
        Part.generator: generator,
        Part.perceptor: perceptor,
        Part.prior: prior,
        Part.referee: referee,
        Part.drawing: drawing,
        Part.autoregressive: autoregressive,
        Part.diffusion: diffusion,
    }
    if checkpoint is not None:
        if len(parts or ()) != 1:
            raise TrainingError(
                "--checkpoint is that of one part: gouache train export PART --checkpoint PATH"
            )
        checkpoints |= dict.fromkeys(parts or (), checkpoint)
    chosen = parts or [part for part, path in checkpoints.items() if path.exists()]
    if missing := [part for part in chosen if not checkpoints[part].exists()]:
        raise TrainingError(
            f"no checkpoint at {checkpoints[missing[0]]}; train it, or name it: --{missing[0]} PATH"
        )
    if not chosen:
        raise TrainingError("there is no checkpoint to export; train first, or name one")
    given = {part.value: checkpoints[part] for part in chosen}
    for path in export_models(out, data, cache, **given):
        print(path)


@app.command()
def evaluate(
    data: Data = DATA,
    models: Annotated[
        Path | None, typer.Option("--models", help="Folder of exported models; else the shipped.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for figures.")] = Path("evaluation"),
    start: Annotated[
        list[str] | None,
        typer.Option("--start", help="Paint the prompts from this start, too; repeatable."),
    ] = None,
    prompts: Annotated[
        Prompts | None,
        typer.Option(
            "--prompts",
            help="What to paint: sixty (things of the picture set), classes (sixty classes of "
            "ImageNet), tuning (twenty others, to choose settings by). Default with --start: "
            "sixty; without: nothing.",
        ),
    ] = None,
    judge: Annotated[
        Judges | None,
        typer.Option(
            "--judge",
            help="Who says what pictures show: referee (trained on the same icons as pocket, picks "
            "one of the prompts) or lite2 (EfficientNet-Lite2, downloaded; it has seen photographs "
            "and picks one of a thousand classes, or of the sixty by a layer trained on icons). "
            "The referee never guides; lite2 is one of photo's three. Default: referee.",
        ),
    ] = None,
    perceptor: Annotated[
        list[str] | None,
        typer.Option("--perceptor", help="Guide to paint with, NAME or NAME:WEIGHT; repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Sheets per start.", min=1)] = 3,
    steps: Annotated[int, typer.Option("--steps", help="Painting steps; 0: default.")] = 0,
    cache: Cache = CACHE,
    threads: Threads = 0,
) -> None:
    """Measure retrieval, reconstruction and, with --start, --prompts, --judge or --perceptor, what
    is seen in painted pictures."""
    prepare(threads)
    from gouache_training.evaluate import evaluate_models

    settings = {"steps": (steps,)} if steps > 0 else {}
    chosen = prompts.value if prompts else "sixty" if judge or perceptor else ""
    print(
        evaluate_models(
            data,
            models,
            out,
            start or (),
            seeds,
            chosen,
            judge.value if judge else "referee",
            perceptor or (),
            cache,
            **settings,
        )
    )


@app.command()
def log(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            metavar="CHECKPOINT...",
            help="Checkpoints, or logs (.jsonl, or .log as older trainers printed it).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("training.html"),
) -> None:
    """Write a page about trainings: curves, held-out pictures, samples over time, settings."""
    from gouache_training.log_page import write_page

    write_page(checkpoints, out)
    print(out)


def add_to(root: typer.Typer) -> None:
    """Makes it a command of gouache's."""
    root.add_typer(app, name="train")


__all__ = ["add_to", "app"]
