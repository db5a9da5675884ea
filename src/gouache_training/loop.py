"""What every trainer shares: a budget, averaged weights, checkpoints, progress lines."""

from __future__ import annotations

import json
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from gouache.errors import TrainingError


@dataclass
class Budget:
    """How long to train: until `steps` or `minutes` (of all calls together) are used up.

    `progress()` runs from 0 to 1 and drives the schedules, so a run that is interrupted and resumed
    follows the same curve as one that is not.
    """

    steps: int = 0
    minutes: float = 0.0
    step: int = 0
    seconds_before: float = 0.0

    def __post_init__(self) -> None:
        if self.steps <= 0 and self.minutes <= 0:
            raise TrainingError("give --steps or --minutes, how long to train")
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._start

    def progress(self) -> float:
        by_steps = self.step / self.steps if self.steps > 0 else 0.0
        by_time = self.seconds / (60.0 * self.minutes) if self.minutes > 0 else 0.0
        return min(1.0, max(by_steps, by_time))

    def learning_rate(self, peak: float, warmup: int = 200, floor: float = 0.02) -> float:
        """Linear warm-up, then a cosine from `peak` to `floor * peak`."""
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.progress())
        return peak * min(1.0, (self.step + 1) / warmup) * (floor + (1.0 - floor) * cosine)


class Average:
    """Exponential moving average of a module's floating-point state."""

    def __init__(self, module: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Follows `module`; early steps are forgotten faster."""
        rate = 1.0 - min(self.decay, (step + 1) / (step + 10))
        now = module.state_dict()
        smooth = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[k] for k in smooth], [now[k] for k in smooth], rate)
        for name in now.keys() - smooth:
            self.state[name].copy_(now[name])


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a training checkpoint under a temporary name and moves it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    torch.save(content, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a training checkpoint (tensors and plain values only; nothing is executed)."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainingError(f"no checkpoint at {path}; start without --resume") from None
    except Exception as error:
        reason = str(error).splitlines()[0][:120]
        raise TrainingError(f"the checkpoint {path} cannot be read ({reason})") from None
    return content


class Meter:
    """Running means of named numbers and a line for them.

    Numbers on a graphics card are read some steps late, as reading one waits for the card.
    """

    _LATE = 25  # steps

    def __init__(self, decay: float = 0.98) -> None:
        self.decay = decay
        self.values: dict[str, float] = {}
        self._unread: list[dict[str, Tensor | float]] = []

    def update(self, **values: Tensor | float) -> None:
        tensors = [value for value in values.values() if isinstance(value, Tensor)]
        self._unread.append(
            {k: v.detach() if isinstance(v, Tensor) else v for k, v in values.items()}
        )
        if len(self._unread) >= self._LATE or not any(value.is_cuda for value in tensors):
            self.read()

    def read(self) -> None:
        """Takes in what is not read yet; `TrainingError` if some of it is no number."""
        unread, self._unread = self._unread, []
        for values in unread:
            for name, value in values.items():
                new = float(value)
                if not math.isfinite(new):
                    raise TrainingError(f"{name} became {new}; lower --learning-rate and resume")
                old = self.values.get(name, new)
                self.values[name] = old * self.decay + new * (1.0 - self.decay)

    def line(self, budget: Budget, pictures: int) -> str:
        parts = " ".join(f"{name} {value:.4g}" for name, value in self.values.items())
        rate = pictures / max(1e-9, time.monotonic() - budget._start)
        share = 100.0 * budget.progress()
        return (
            f"step {budget.step} {share:.1f}% {budget.seconds:.0f}s {parts} {rate:.0f} pictures/s"
        )


def log(line: str) -> None:
    """One line of progress, flushed so that a log file shows it at once."""
    print(line, file=sys.stderr, flush=True)


def parameter_groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels only, not for gains, biases and scales."""
    every = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of all parameters from here on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step of the optimiser down the loss (0-d), the gradient's length at most 1."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    follow(model, optimizer)


def follow(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step of the optimiser along the gradients that there are, their length at most 1.

    Raises:
        TrainingError: they are no numbers; the weights are as they were.
    """
    length = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if not bool(torch.isfinite(length)):
        raise TrainingError(f"the gradient became {float(length)}; lower --learning-rate, resume")
    optimizer.step()


def rng_text(rng: np.random.Generator) -> str:
    """The state of a NumPy generator as text."""
    return json.dumps(rng.bit_generator.state)


def set_rng_text(rng: np.random.Generator, text: str) -> None:
    """Puts a state of `rng_text` back."""
    rng.bit_generator.state = json.loads(text)


M = TypeVar("M", bound=nn.Module)


def on_device(module: M, device: torch.device) -> M:
    """Moves a module, its kernels in channels-last layout."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore


def pick_device(name: str) -> torch.device:
    """ "auto" is a CUDA card where there is one, else the processor."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):  # a trainer owns its process, and its shapes never change
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
    return torch.device(name)


class Paced(Protocol):
    """What `Trainer` asks of settings: pictures a step, and steps between checkpoints."""

    @property
    def batch(self) -> int: ...
    @property
    def save_every(self) -> int: ...


S = TypeVar("S", bound=Paced)


class Trainer(ABC, Generic[M, S]):
    """Holds everything that a checkpoint must bring back, and goes through the steps.

    Subclasses set the attributes in `__init__`, say what a `step` is, and add to `state` and
    `bring_back` what else they need to go on exactly.
    """

    log_every: ClassVar[int] = 100  # steps

    settings: S
    budget: Budget
    device: torch.device
    rng: torch.Generator
    model: M
    optimizer: torch.optim.Optimizer
    average: Average
    meter: Meter

    @abstractmethod
    def step(self) -> None:
        """One batch; counts `budget.step` up by one."""

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, as a checkpoint holds them."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.get_state(),
            "step": self.budget.step,
            "seconds": self.budget.seconds,
        }

    def restore(self, path: Path) -> None:
        """Goes on from a checkpoint; `TrainingError` where it cannot be read."""
        self.bring_back(load_checkpoint(path))

    def bring_back(self, content: dict[str, Any]) -> None:
        """What `state` gave."""
        self.model.load_state_dict(content["model"])
        self.average.state = {k: v.to(self.device) for k, v in content["average"].items()}
        self.optimizer.load_state_dict(content["optimizer"])
        self.rng.set_state(content["rng"])
        self.budget.step = content["step"]
        self.budget.seconds_before = content["seconds"]

    def line(self, pictures: int) -> str:
        """Of progress, after so many pictures of this call."""
        return self.meter.line(self.budget, pictures)

    def look(self, checkpoint: Path) -> None:
        """Called after every step, for what is measured on the way."""

    def run(self, checkpoint: Path) -> None:
        """Trains until the budget is used up; saves on the way and at the end, also on Ctrl-C."""
        start = self.budget.step
        try:
            while self.budget.progress() < 1.0:
                self.step()
                step = self.budget.step
                if step % self.log_every == 0 or step % self.settings.save_every == 0:
                    self.meter.read()
                if step % self.log_every == 0:
                    log(self.line((step - start) * self.settings.batch))
                if step % self.settings.save_every == 0:
                    save_checkpoint(checkpoint, self.state())
                self.look(checkpoint)
        finally:
            save_checkpoint(checkpoint, self.state())
