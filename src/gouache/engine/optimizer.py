"""The optimiser: by name from torch.optim, and what a session does to its memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from gouache.errors import ConfigError, StateError
from gouache.registry import nearest

# Why some of torch's optimisers cannot paint.
_REFUSED = {
    "LBFGS": "it evaluates the loss several times per step",
    "SparseAdam": "it is for sparse gradients",
    "Muon": "it is for matrices",
    "Adafactor": "it is for matrices",
}
_UNCOMPILED = "__dynamo_disable"
# Memory of where to go, rather than of how large gradients are.
_DIRECTIONS = frozenset({"exp_avg", "momentum_buffer", "prev", "grad_avg"})


def optimizer_names() -> list[str]:
    """The names that `build_optimizer` takes."""
    return sorted(set(_classes()) - set(_REFUSED))


def build_optimizer(name: str, parameters: Iterable[Tensor], lr: float) -> Optimizer:
    """An optimiser of torch.optim by its name (see `find_optimizer`), with torch's defaults."""
    _leave_compiler_out()
    optimizer: Optimizer = find_optimizer(name)(list(parameters), lr=lr)
    return optimizer


@torch.no_grad()
def take_step(optimizer: Optimizer) -> None:
    """One update from the gradients, which are then dropped.

    `optimizer.step` itself would import torch's compiler, more than half a second, only to tell it
    to keep away; the function inside does the arithmetic. Hooks on steps are not called.
    """
    inspect.unwrap(type(optimizer).step)(optimizer)
    drop_gradients(optimizer)


@torch.no_grad()
def hasten(parameters: Sequence[Tensor], before: Sequence[Tensor], pace: Tensor) -> None:
    """Makes a step from `before` to `parameters` so many times longer: `pace` (1,1,h,w) by cells,
    of parameters (B,?,h,w) of any size; others keep theirs."""
    for parameter, old in zip(parameters, before, strict=True):
        if parameter.ndim == 4:
            height, width = parameter.shape[-2:]
            own = F.adaptive_avg_pool2d(pace.to(parameter), (height, width))
            parameter.copy_(old + own * (parameter - old))


def drop_gradients(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def _leave_compiler_out() -> None:
    """Makes building, saving and loading an optimiser not import torch's compiler.

    The attribute is where torch (2.6 to 2.13) keeps the function once the compiler is imported;
    where a later torch does without it, setting it does nothing.
    """
    for method in (Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict):
        inner = getattr(method, "__wrapped__", None)
        if inner is not None and not hasattr(inner, _UNCOMPILED):
            setattr(inner, _UNCOMPILED, inner)


def find_optimizer(name: str) -> Callable[..., Optimizer]:
    """The class of torch.optim called `name`, upper or lower case.

    Unknown names raise `ConfigError` with the nearest ones, and so do the optimisers that need more
    than one evaluation per step or gradients of another kind than a latent's.
    """
    classes = _classes()
    by_lower = {known.lower(): known for known in classes}
    known = by_lower.get(name.lower())
    if known is None:
        raise ConfigError(f"optimizer is {name!r:.60}; {nearest(name, optimizer_names())}")
    if reason := _REFUSED.get(known):
        raise ConfigError(
            f"optimizer is {known}, which cannot paint: {reason}; Adam is a good choice"
        )
    found: Callable[..., Optimizer] = classes[known]
    return found


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def clip_per_picture(gradients: Sequence[Tensor], largest: float) -> list[Tensor]:
    """Scales (B,...) gradients so that no picture's norm over all of them exceeds `largest`."""
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)  # (B,)
    factors = (largest / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp(max=1.0)
    return [g * factors.view(-1, *[1] * (g.ndim - 1)) for g in gradients]


def restart(optimizer: Optimizer) -> None:
    """Forgets all moments, as if the optimiser were new."""
    optimizer.state.clear()


def forget_cells(optimizer: Optimizer, cells: Tensor) -> None:
    """Forgets where the cells (B,1,h,w) that are true were heading; all others keep their moments.

    When all are true the optimiser starts anew. Otherwise the estimates of the gradient's size
    stay: Adam has one step counter for the whole latent and no longer corrects the bias of moments
    that start from zero late in a run, so zeroing them would make the next updates about six times
    too large, just where a hand edit should be kept.
    """
    if bool(cells.all()):
        restart(optimizer)
        return
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if name in _DIRECTIONS and isinstance(value, Tensor) and value.shape == parameter.shape:
                value.mul_(~_like(cells, value))


def _like(cells: Tensor, value: Tensor) -> Tensor:
    """Cells (B,1,h,w) at the resolution of `value`; without a grid, whole pictures: (B,1,...)."""
    if value.ndim != 4:
        return cells.flatten(1).any(1).view(-1, *[1] * (value.ndim - 1))
    if value.shape[-2:] == cells.shape[-2:]:
        return cells
    # A coarser cell has changed when any part of it has.
    return F.adaptive_max_pool2d(cells.float(), value.shape[-2:]) > 0


def optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Moments as ("index/name" -> tensor, "index/name" -> number or None)."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{name}"] = value.detach().clone()
            else:
                numbers[f"{index}/{name}"] = value
    return tensors, numbers


def load_optimizer_state(
    optimizer: Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> None:
    """Reads back what `optimizer_state` gave; moments of another shape raise `StateError`."""
    whole = optimizer.state_dict()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        index, _, name = key.partition("/")
        if not index.isdigit() or int(index) >= len(parameters):
            raise StateError(f"the saved optimiser state has an unknown part {key!r:.60}")
        shape = parameters[int(index)].shape
        if isinstance(value, Tensor):
            if value.ndim and value.shape != shape:
                raise StateError(
                    f"the saved {name} has shape {tuple(value.shape)}; expected {tuple(shape)}"
                )
            value = value.clone()
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**whole, "state": state})


def _classes() -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
    }


__all__ = [
    "build_optimizer",
    "clip_per_picture",
    "drop_gradients",
    "find_optimizer",
    "forget_cells",
    "hasten",
    "load_optimizer_state",
    "optimizer_names",
    "optimizer_state",
    "restart",
    "set_learning_rate",
    "take_step",
]
