"""The networks through torch.compile, where that pays: compiling takes as long as many steps.

Nothing of torch's compiler is imported before a step really needs it.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gouache.errors import ConfigError, GouacheError
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.prompts import one_line
from gouache.settings.config import PaintConfig

# Runs of at least so many steps are compiled by `auto`; a kind of device that is not here never is.
# docs/performance.md has the measurements on CPUs, where compiling takes as long as thousands of
# steps save, or makes them slower. The number for CUDA is a guess: nothing was measured there.
AUTO_STEPS = {"cuda": 300}
_OLDEST_CUDA = (7, 0)  # compute capability that triton compiles for


class CompileWarning(UserWarning):
    """The compiler failed; painting goes on without it."""


def wanted(config: PaintConfig, device: torch.device, steps: int) -> bool:
    """Whether a run of `steps` steps, from its first to its last, is compiled on `device`.

    The answer depends on nothing that varies from run to run, and not on the steps that a resumed
    run has left: the same seed gives the same picture. `ConfigError` where the setting is on and
    the machine cannot compile.
    """
    if config.compile == "on" and (lacking := missing(device)):
        raise ConfigError(f"compile is on, and {lacking}; set compile to off or auto")
    if config.compile != "auto":
        return config.compile == "on"
    enough = AUTO_STEPS.get(device.type)
    return enough is not None and steps >= enough and not missing(device)


def missing(device: torch.device) -> str:
    """What this machine lacks for compiling, as half a sentence; "" where there is all."""
    if device.type not in ("cpu", "cuda"):
        return f"networks on {device.type} are not compiled"
    if device.type == "cuda":
        if find_spec("triton") is None:
            return "the package triton is missing"
        if torch.cuda.get_device_capability(device) < _OLDEST_CUDA:
            return "this graphics card is too old for it"
        named, usual = os.environ.get("CC"), ["gcc", "clang"]
    else:
        named = os.environ.get("CXX")
        usual = [{"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")]
    if not any(map(shutil.which, [named] if named else usual)):
        return f"there is no compiler ({named or usual[0]:.60})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's header files (python3-dev) are missing"
    return ""


def compiled(models: Models, config: PaintConfig, canvas: Canvas, own: Sequence[object]) -> Models:
    """`models`, those of `own` compiled for the steps of this run; all of them where it is on.

    To be called when the memory is planned. What is computed again in the backward pass, or in
    strips, is not compiled. What `models` have compiled before for the same shape is used again.
    """
    functions: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {}
    if config.compile == "on":
        own = [models.generator, *(guide.perceptor for guide in models.guides)]
    chosen = {id(model) for model in own}
    plan, generator = models.memory, models.generator
    if id(generator) in chosen and not (plan.recompute or plan.tiled):
        shape = (config.count, generator.code_dim, *canvas.grid)
        functions[generator.decode] = _known(models, generator.decode, generator.name, shape)
    num = plan.at_once(config.cutouts.num_cutouts, config.count) * config.count
    for perceptor in (guide.perceptor for guide in models.guides if id(guide.perceptor) in chosen):
        shape = (num, 3, perceptor.image_size, perceptor.image_size)
        functions[perceptor.embed_image] = _known(
            models, perceptor.embed_image, perceptor.name, shape
        )
    return replace(models, compiled=functions)


def _known(
    models: Models, function: Callable[[Tensor], Tensor], name: str, shape: Sequence[int]
) -> Compiled:
    before = models.compiled.get(function)
    if isinstance(before, Compiled) and before.shape == torch.Size(shape):
        return before
    return Compiled(function, name, shape)


class Compiled:
    """`function` of one tensor, compiled for going forward and back with `shape`.

    Everything else takes the function itself, so that pictures of other sizes, and those that
    nobody goes back from, do not compile it again.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], name: str, shape: Sequence[int]
    ) -> None:
        self._function, self._name, self.shape = function, name, torch.Size(shape)
        self._fast: Callable[[Tensor], Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape != self.shape or not (x.requires_grad and torch.is_grad_enabled()):
            return self._function(x)
        if self._fast is None:
            self._fast = self._tried(x)
        return self._fast(x)

    def _tried(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The compiled function, or the plain one with a warning where that fails.

        Both directions are compiled here, as torch compiles the way back when it is first gone.
        """
        try:
            fast: Any = torch.compile(self._function, dynamic=False)
            example = x.detach().clone().requires_grad_()
            out = fast(example)
            with torch.autocast(x.device.type, enabled=False):
                torch.autograd.grad(out, example, torch.ones_like(out))
        except (GouacheError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # of any class: the compiler is large
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            warnings.warn(
                f"{self._name} could not be compiled ({one_line(reason, 100)}); going on without",
                CompileWarning,
                stacklevel=3,
            )
            return self._function
        found: Callable[[Tensor], Tensor] = fast
        return found


__all__ = ["AUTO_STEPS", "CompileWarning", "Compiled", "compiled", "missing", "wanted"]
