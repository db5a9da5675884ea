"""What every trainer shares: a budget, averaged weights, checkpoints, progress lines, a log."""

from __future__ import annotations

import json
import math
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from gouache.errors import TrainingError
from gouache_training.codebook import same_codes
from gouache_training.journal import Journal, Row, from_lines, machine, to_lines

_PAUSE = 30.0  # seconds; a step this long, and ten times as long as usual, was interrupted


@dataclass
class Budget:
    """How long to train: until `steps` or `minutes` (of all calls together) are used up.

    Minutes are those spent in steps: not loading, judging, saving, nor while the process is
    stopped (SIGSTOP). `progress()` runs from 0 to 1 and drives the schedules, so a run that is
    interrupted and resumed follows the same curve as one that is not.
    """

    steps: int = 0
    minutes: float = 0.0
    step: int = 0
    seconds: float = 0.0  # in steps, of all calls
    seconds_here: float = 0.0  # of this one
    _latest: deque[float] = field(default_factory=lambda: deque(maxlen=50))

    def __post_init__(self) -> None:
        if self.steps <= 0 and self.minutes <= 0:
            raise TrainingError("give --steps or --minutes, how long to train")

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Counts the time of a step."""
        start = time.monotonic()
        yield
        self.count(time.monotonic() - start)

    def count(self, seconds: float) -> None:
        """Counts a step; of one far longer than the latest only as much as those took."""
        usual = median(self._latest) if len(self._latest) >= 5 else seconds
        if seconds > max(_PAUSE, 10 * usual):
            log(f"a step took {seconds:.0f} s, {usual:.2g} s of it are counted: it was stopped")
            seconds = usual
        self._latest.append(seconds)
        self.seconds += seconds
        self.seconds_here += seconds

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
        self._interval: dict[str, list[float]] = {}
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
                self._interval.setdefault(name, []).append(new)
                old = self.values.get(name, new)
                self.values[name] = old * self.decay + new * (1.0 - self.decay)

    def means(self) -> dict[str, float]:
        """Of what was read since this was called last."""
        found, self._interval = self._interval, {}
        return {name: sum(values) / len(values) for name, values in found.items()}

    def line(self, budget: Budget, pictures: int) -> str:
        parts = " ".join(f"{name} {value:.4g}" for name, value in self.values.items())
        rate = pictures / max(1e-9, budget.seconds_here)
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
    """What `Trainer` asks of settings: a dataclass with pictures a step, and steps between
    checkpoints."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def batch(self) -> int: ...
    @property
    def save_every(self) -> int: ...


S = TypeVar("S", bound=Paced)


class Trainer(ABC, Generic[M, S]):
    """Holds everything that a checkpoint must bring back, and goes through the steps.

    Subclasses set the attributes in `__init__`, say what a `step` is and which shape (`config`) the
    network has, and add to `state` and `bring_back` what else they need to go on exactly: on one
    machine a training in two halves equals one in one go, bit for bit.
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
    rows: list[Row] | None = None  # of the log; None: the checkpoint brought none

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
            "log": to_lines(self.rows or ()),
        }

    def restore(self, path: Path) -> None:
        """Goes on from a checkpoint of any machine.

        Raises:
            TrainingError: it cannot be read, or is of another network, shape or codebook.
        """
        content, mine = load_checkpoint(path), self.state()
        try:
            if "codebook" in mine and not same_codes(content["codebook"], mine["codebook"].cpu()):
                raise TrainingError(f"{path} was trained on other codes than this generator's")
            known = content["config"].items()  # an older edition may not have known all settings
            if others := [f"{k} is {v}" for k, v in known if mine["config"].get(k, v) != v]:
                raise TrainingError(f"{path} has another shape: {', '.join(others)!s:.200}")
            self.bring_back(content)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise TrainingError(f"{path} is no checkpoint of this trainer ({reason})") from None

    def bring_back(self, content: dict[str, Any]) -> None:
        """What `state` gave."""
        self.model.load_state_dict(content["model"])
        self.average.state = {k: v.to(self.device) for k, v in content["average"].items()}
        self.optimizer.load_state_dict(content["optimizer"])
        self.rng.set_state(content["rng"])
        self.budget.step = content["step"]
        self.budget.seconds = content["seconds"]
        self.rows = from_lines(content["log"]) if "log" in content else None

    def also(self) -> dict[str, float]:
        """Numbers that are told beside the meters'."""
        return {}

    def look(self, checkpoint: Path) -> Mapping[str, float]:
        """Called after every step, for what is measured on the way: of held-out pictures, by name.

        A name that ends in brackets is what another is compared with: `psnr`, `psnr (enlarged)`.
        """
        return {}

    def run(self, checkpoint: Path) -> None:
        """Trains until the budget is used up; saves on the way and at the end.

        Ctrl-C and SIGTERM end it after the present step, saved, with `KeyboardInterrupt`; the
        second one at once.
        """
        from gouache.apps.runner import Stop

        budget, kind = self.budget, machine(self.device)
        journal = Journal(checkpoint, budget.step, self.rows)
        self.rows = journal.rows
        if journal.replaced:
            log(f"{journal.path}: {journal.replaced} rows after step {budget.step} are replaced")
        begins = {
            "trainer": type(self).__name__.removesuffix("Trainer").lower(),
            "machine": kind,
            "torch": str(torch.__version__),
            "settings": asdict(self.settings),
        }
        self._note(journal, begins=begins)
        start = told = budget.step

        def tell() -> None:
            """The line and the row of an interval."""
            nonlocal told
            self.meter.read()
            count, also = (budget.step - start) * self.settings.batch, self.also()
            more = "".join(f" {name} {value:.4g}" for name, value in also.items())
            log(self.meter.line(budget, count) + more)
            rate = self.optimizer.param_groups[0]["lr"]
            speed = round(count / max(1e-9, budget.seconds_here), 3)
            values = self.meter.means() | also
            self._note(journal, rate=rate, machine=kind, pictures_per_second=speed, values=values)
            told = budget.step

        with Stop().listening() as stop:
            try:
                while budget.progress() < 1.0 and not stop.wanted:
                    with budget.timed():
                        self.step()
                    due = budget.step % self.settings.save_every == 0
                    if budget.step % self.log_every == 0:
                        tell()
                    if held := self.look(checkpoint):
                        log(f"held out at step {budget.step}: {told_measures(held)}")
                        self._note(journal, held=held)
                    if due:
                        self.meter.read()  # nothing is saved after a number that is none
                        save_checkpoint(checkpoint, self.state())
                if budget.step > told:
                    tell()
            finally:
                save_checkpoint(checkpoint, self.state())
        if stop.wanted:
            log(f"interrupted at step {budget.step}, saved; --resume goes on")
            raise KeyboardInterrupt

    def _note(self, journal: Journal, **row: Any) -> None:
        journal.add({"step": self.budget.step, "seconds": round(self.budget.seconds, 2), **row})


def told_measures(measures: Mapping[str, float]) -> str:
    """In words: `psnr 24.3 (enlarged 23.9)`."""
    words: list[str] = []
    for name, value in measures.items():
        base, _, other = name.partition(" (")
        if other:
            words[-1] += f" ({other[:-1]} {value:.4g})"
        else:
            words.append(f"{base} {value:.4g}")
    return ", ".join(words)
