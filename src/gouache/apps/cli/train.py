"""`gouache train`: the data set, both models, their evaluation and export."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train the shipped models from openly licensed pictures (extra: train).",
)

Data = Annotated[Path, typer.Option("--data", help="The packed picture set.")]
Cache = Annotated[Path, typer.Option("--cache", help="Where downloads are kept.")]
Minutes = Annotated[float, typer.Option("--minutes", help="Train this long, all calls together.")]
Steps = Annotated[int, typer.Option("--steps", help="Train this many steps, all calls together.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint if it exists.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option("--threads", help="Processor threads; 0 takes all.")]
Rate = Annotated[float, typer.Option("--learning-rate", help="Peak learning rate; 0: default.")]

DATA = Path("data/pocket.gpack")
CACHE = Path("data/cache")


def _threads(number: int) -> None:
    if number > 0:
        os.environ["OMP_NUM_THREADS"] = str(number)
        import torch

        torch.set_num_threads(number)


@app.command()
def dataset(
    out: Annotated[Path, typer.Option("--out", help="Where the packed set goes.")] = DATA,
    cache: Cache = CACHE,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for counts and sample sheets.")
    ] = None,
) -> None:
    """Download, render, caption and pack the pictures."""
    from gouache.training.dataset import PictureSet, build
    from gouache.training.report import report as write_report

    build(cache, out, report=typer.echo)
    if report is not None:
        write_report(PictureSet.load(out), report)
    print(out)


@app.command()
def perceptor(
    data: Data = DATA,
    cache: Cache = CACHE,
    checkpoint: Annotated[Path, typer.Option("--checkpoint")] = Path("checkpoints/perceptor.pt"),
    minutes: Minutes = 0.0,
    steps: Steps = 0,
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = 0,
    learning_rate: Rate = 0.0,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.")] = 128,
    epsilon: Annotated[
        float, typer.Option("--epsilon", help="Adversarial perturbation, L2; 0 is off.")
    ] = 1.2,
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Train the pocket perceptor."""
    _threads(threads)
    from gouache.training.dataset import PictureSet
    from gouache.training.loop import Budget
    from gouache.training.perceptor import PerceptorTrainer, PerceptorTraining

    settings = PerceptorTraining(batch=batch, epsilon=epsilon, seed=seed)
    if learning_rate > 0:
        settings = replace(settings, learning_rate=learning_rate)
    trainer = PerceptorTrainer(
        PictureSet.load(data), cache, settings, Budget(steps, minutes), device
    )
    if resume and checkpoint.exists():
        trainer.restore(checkpoint)
    trainer.run(checkpoint)
    print(checkpoint)


@app.command()
def generator(
    data: Data = DATA,
    checkpoint: Annotated[Path, typer.Option("--checkpoint")] = Path("checkpoints/generator.pt"),
    perceptor: Annotated[
        Path, typer.Option("--perceptor", help="Perceptor checkpoint for the perceptual loss.")
    ] = Path("checkpoints/perceptor.pt"),
    minutes: Minutes = 0.0,
    steps: Steps = 0,
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = 0,
    learning_rate: Rate = 0.0,
    batch: Annotated[int, typer.Option("--batch", help="Pictures a step.")] = 24,
    seed: Annotated[int, typer.Option("--seed")] = 1,
) -> None:
    """Train the shipped VQGAN."""
    _threads(threads)
    from gouache.training.dataset import PictureSet
    from gouache.training.generator import GeneratorTrainer, GeneratorTraining
    from gouache.training.loop import Budget

    settings = GeneratorTraining(batch=batch, seed=seed)
    if learning_rate > 0:
        settings = replace(settings, learning_rate=learning_rate)
    trainer = GeneratorTrainer(
        PictureSet.load(data), settings, Budget(steps, minutes), device, perceptor
    )
    if resume and checkpoint.exists():
        trainer.restore(checkpoint)
    trainer.run(checkpoint)
    print(checkpoint)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder for the shipped files.")],
    cache: Cache = CACHE,
    data: Data = DATA,
    generator: Annotated[Path, typer.Option("--generator")] = Path("checkpoints/generator.pt"),
    perceptor: Annotated[Path, typer.Option("--perceptor")] = Path("checkpoints/perceptor.pt"),
) -> None:
    """Write the files that gouache ships, from both checkpoints."""
    from gouache.training.export import export_models

    for path in export_models(out, data, cache, generator, perceptor):
        print(path)


@app.command()
def evaluate(
    data: Data = DATA,
    models: Annotated[
        Path | None, typer.Option("--models", help="Folder of exported models; else the shipped.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for figures.")] = Path("evaluation"),
) -> None:
    """Measure retrieval and reconstruction on held-out pictures; writes numbers and sheets."""
    from gouache.training.evaluate import evaluate_models

    print(evaluate_models(data, models, out))
