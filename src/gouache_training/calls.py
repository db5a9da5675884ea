"""The options that commands of trainers share, and commands made of trainers."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, get_type_hints

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from gouache_training.feed import Feed, Recipe
    from gouache_training.loop import Budget

Data = Annotated[Path, typer.Option("--data", help="The packed picture set.")]
Settings = TypeVar("Settings", bound="DataclassInstance")
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option("--threads", help="Processor threads; 0 takes all.")]
Workers = Annotated[
    int,
    typer.Option("--workers", help="Processes that compose pictures; 0: none but this.", min=0),
]
Painter = Annotated[
    Path | None,
    typer.Option(
        "--generator",
        help="The VQGAN of whose codes it learns, a checkpoint or an exported file. Default: the "
        "shipped one.",
    ),
]


DATA = Path("data/pocket.gpack")


def prepare(number: int) -> None:
    """Processor threads; and an end by Ctrl-C or SIGTERM that saves."""
    from gouache.interrupts import raise_interrupts

    raise_interrupts()
    if number > 0:
        os.environ["OMP_NUM_THREADS"] = str(number)
        import torch

        torch.set_num_threads(number)


class Trains(Protocol):
    """What a trainer's command runs: a `loop.Trainer`."""

    def restore(self, path: Path) -> None: ...
    def run(self, checkpoint: Path) -> None: ...


@dataclass(frozen=True)
class Call:
    """The options of every trainer."""

    data: Data = DATA
    checkpoint: Annotated[
        Path,
        typer.Option(
            "--checkpoint",
            help="Where the training is kept, from any machine. Beside it go NAME-log.jsonl and "
            "NAME-samples.",
            show_default="checkpoints/NAME.pt",
        ),
    ] = Path()
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint if it exists.")
    ] = False
    steps: Annotated[
        int, typer.Option("--steps", help="Train this many steps, all calls together.", min=0)
    ] = 0
    minutes: Annotated[
        float,
        typer.Option(
            "--minutes",
            help="Train this long, all calls together; only time in steps is counted.",
            min=0,
        ),
    ] = 0.0
    save_every: Annotated[
        int,
        typer.Option("--save-every", help="Steps between checkpoints; 0: the trainer's.", min=0),
    ] = 0
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Peak learning rate; 0: default.", min=0)
    ] = 0.0
    device: Device = "auto"
    threads: Threads = 0

    @property
    def goes_on(self) -> bool:
        return self.resume and self.checkpoint.exists()

    def budget(self) -> Budget:
        from gouache_training.loop import Budget

        return Budget(self.steps, self.minutes)

    def given(self, settings: Settings) -> Settings:
        """A trainer's settings with those that were given."""
        asked = {name: getattr(self, name) for name in ("learning_rate", "save_every")}
        return replace(settings, **{name: value for name, value in asked.items() if value})

    def feed(self, recipe: Recipe, workers: int, seed: int) -> Feed | None:
        """Composes in processes, if there are to be some; otherwise when a training goes on than
        when it begins."""
        from gouache_training.feed import Feed

        began = int(self.checkpoint.stat().st_mtime) if self.checkpoint.exists() else 0
        return Feed(recipe, workers, seed * 1_000_003 + began) if workers else None


def command_of(make: Callable[..., Trains]) -> Callable[..., None]:
    """Makes a command of what makes a trainer of a `Call` and of options of its own."""

    def command(**options: Any) -> None:
        call = Call(**{field.name: options.pop(field.name) for field in fields(Call)})
        if call.checkpoint == Path():
            name = "referee" if options.get("referee") else make.__name__
            call = replace(call, checkpoint=Path("checkpoints") / f"{name}.pt")
        prepare(call.threads)
        trainer = make(call, **options)
        if call.goes_on:
            trainer.restore(call.checkpoint)
        trainer.run(call.checkpoint)
        print(call.checkpoint)

    own = list(inspect.signature(make).parameters.values())[1:]
    shared = inspect.signature(Call).parameters.values()
    hints = get_type_hints(make, include_extras=True) | get_type_hints(Call, include_extras=True)
    options = [
        option.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[option.name])
        for option in (*shared, *own)
    ]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    command.__doc__ = make.__doc__
    return command


__all__ = [
    "DATA",
    "Call",
    "Data",
    "Device",
    "Painter",
    "Threads",
    "Trains",
    "Workers",
    "command_of",
    "prepare",
]
