"""Fitting a step into the memory there is: cutouts in chunks, the decoder recomputed going back.

Both are exact up to rounding and cost time, so they are used only where a step would not fit.
Pictures that are still too large are decoded in strips: the same picture, the gradient nearly. What
a network keeps for its backward pass is measured on a small input, not guessed from its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Share of the free memory that what is kept for the backward pass may take; the rest is for
# weights, workspaces and other programs.
SHARE = 0.6
# Below these a step fits anywhere, and nothing is measured.
SMALL_CUTOUTS = 32 * 112 * 112  # pixels of all cutouts
SMALL_PICTURES = 384 * 384  # pixels of all pictures
_PROBE_CELLS = 8
# A chunk of cutouts that keeps about this much is hardly slower than all at once on a CPU (1 to 3 %
# of embedding, ViT-B/32), as nothing is computed twice; half of it costs 5 % in float32.
COMFORTABLE = 200 << 20
# Pictures of more pixels altogether leave too large holes among what is kept for the next step.
KEEP_PIXELS = 512 * 512
# The decoder's peak beside what it keeps: a block at the highest resolution, going back.
_WORK = 1.5
# What is left of that peak when blocks are recomputed, or the picture is decoded in strips.
_LEAN, _TILED = 1 / 1.4, 1 / 4


@dataclass
class MemoryPlan:
    """How a run saves memory. `chunk` is the number of cutouts embedded at once, None for all."""

    chunk: int | None = None
    recompute: bool = False  # the decoder's activations, in the backward pass
    tiled: bool = False  # the decoder's upper levels in strips, where the generator can

    def lower(self, num: int) -> bool:
        """Takes less memory for `num` cutouts, where that is possible; whether it was."""
        if not self.recompute:
            self.recompute = True
            return True
        now = num if self.chunk is None else min(self.chunk, num)
        if now == 1 and not self.tiled:
            self.tiled = True
            return True
        self.chunk = max(1, now // 2)
        return now > 1

    def at_once(self, num: int, batch: int) -> int:
        """Into how large chunks `num` cutouts of each picture are divided, most of them."""
        most = num if self.chunk is None else max(1, self.chunk // batch)
        # Equal ones, as the last would be inefficiently small.
        return -(-num // -(-num // most))

    def embed(self, embed: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
        """`embed(pictures)`, in chunks where the plan says so: only one keeps its activations."""
        if self.chunk is None or len(pictures) <= self.chunk:
            return embed(pictures)
        if not (torch.is_grad_enabled() and pictures.requires_grad):
            return torch.cat([embed(part) for part in torch.split(pictures, self.chunk)])
        parts = [
            checkpoint(embed, part, use_reentrant=False, preserve_rng_state=False)
            for part in torch.split(pictures, self.chunk)
        ]
        return torch.cat(parts)


def free_memory(device: torch.device) -> int | None:
    """Bytes that could be taken now, None where nobody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + unused)
    if device.type != "cpu":
        return None
    found = [_available(), _left_in_group()]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = dict(line.split(":", 1) for line in lines)
        return 1024 * int(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        pass
    try:  # macOS and others: all of it, for want of better
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _left_in_group() -> int | None:
    """What a container's limit leaves (cgroup, version 2)."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii")
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None


def kept_bytes(function: Callable[[Tensor], Tensor], example: Tensor) -> int:
    """What `function` keeps of `example` for its backward pass, weights not counted."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # Weights are leaves; so is the example, which the caller holds anyway.
        if not tensor.is_leaf or tensor.grad_fn is not None:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
    ):
        out = function(example.detach().requires_grad_())
    del out
    return sum(seen.values())


def make_plan(
    decode: Callable[[Tensor], Tensor],
    code: Tensor,
    cells: int,
    embeds: list[tuple[Callable[[Tensor], Tensor], int]],
    num: int,
    free: int | None,
    pixels: int,
    comfortable: int | None = None,
) -> MemoryPlan:
    """A plan for `cells` latent cells (all pictures) and `num` cutouts of each guide.

    `code` is one cell's code (1,code_dim,1,1); `embeds` holds each guide's function from
    (N,3,S,S) to embeddings, and S; `pixels` is the area of all pictures; `free` as `free_memory`
    has it. `comfortable` is what a chunk of cutouts may keep even where there is room for more.
    """
    plan = MemoryPlan()
    seen = max(side for _, side in embeds) ** 2 * num
    if free is None or (seen <= SMALL_CUTOUTS and pixels <= SMALL_PICTURES):
        return plan
    room = SHARE * free
    probe = code.expand(-1, -1, _PROBE_CELLS, _PROBE_CELLS).contiguous()
    for_decoder = _WORK * kept_bytes(decode, probe) / _PROBE_CELLS**2 * cells
    each = max(kept_bytes(f, code.new_zeros(2, 3, s, s)) / 2 for f, s in embeds)
    if comfortable is not None and each * num > comfortable:
        plan.chunk = max(1, int(comfortable / each))
        num = min(num, plan.chunk)
    if for_decoder + each * num > room:
        plan.recompute = for_decoder > room / 2
        plan.tiled = for_decoder * _LEAN > room
        share = _TILED if plan.tiled else _LEAN if plan.recompute else 1
        left = room - for_decoder * share
        fitting = int(max(left, room / 8) / max(each, 1))
        plan.chunk = max(1, fitting) if fitting < num else plan.chunk
    return plan


__all__ = ["MemoryPlan", "free_memory", "kept_bytes", "make_plan"]
