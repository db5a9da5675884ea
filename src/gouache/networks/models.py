"""The frozen networks behind one roof: precision, cropping and encoding are decided here only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache import cutouts
from gouache.cutouts import CutoutParams
from gouache.errors import ConfigError, ModelError
from gouache.networks.canvas import Canvas
from gouache.networks.devices import autocast_dtype, resolve_device
from gouache.networks.memory import COMFORTABLE, KEEP_PIXELS, MemoryPlan, free_memory, make_plan
from gouache.networks.pool import shared_generator, shared_perceptor
from gouache.ops.allocator import give_back, keep_freed
from gouache.ops.codes import clamp_with_grad
from gouache.ops.seeding import picture_rngs
from gouache.placing import Place
from gouache.protocols import (
    DRAWN,
    Checkpointed,
    Drawable,
    Generator,
    Perceptor,
    Resizable,
    SelfAware,
    Tiled,
    lacking,
    with_codebook,
)
from gouache.settings.config import CutoutConfig, PaintConfig
from gouache.settings.presets import GUIDES
from gouache.settings.schedule import numbers_at

_Network = Callable[[Tensor], Tensor]
NUM_CALM = 8  # cutouts without augmentation that stand for a picture as a whole


@dataclass(frozen=True)
class Guide:
    """A perceptor and the share that its opinion has in the losses.

    `shown` is the share of its cutouts that it is shown in a step, where it limits them itself, but
    no fewer than `least` of them.
    """

    perceptor: Perceptor
    weight: float = 1.0
    shown: float = 1.0
    least: int = 1

    @property
    def most_cutouts(self) -> int | None:
        """How many cutouts of a picture it is shown at most in a step; None for all."""
        if not isinstance(self.perceptor, SelfAware):
            return None
        most = self.perceptor.most_cutouts
        return max(min(self.least, most), round(self.shown * most))

    def at(self, side: int) -> Guide:
        """Seeing cutouts of `side` pixels; itself where it sees one size only."""
        if not isinstance(self.perceptor, Resizable):
            return self
        return replace(self, perceptor=self.perceptor.at(side))


@dataclass(frozen=True)
class Models:
    """The generator, the guides, and the half precision that they run in (None: float32).

    `own` are those that were loaded by name: all runs share them, and nobody changes them.
    """

    generator: Generator
    guides: tuple[Guide, ...]
    device: torch.device
    dtype: torch.dtype | None
    memory: MemoryPlan = field(default_factory=MemoryPlan)
    compiled: Mapping[_Network, _Network] = field(default_factory=dict)  # what stands for what
    own: tuple[object, ...] = ()

    @classmethod
    def load(
        cls,
        config: PaintConfig,
        generator: Generator | None = None,
        perceptor: Perceptor | Sequence[Guide] | None = None,
    ) -> Models:
        """Models by the names in `config`, except where objects are given.

        Given models stay where they are: the generator's device is then the run's.
        """
        own: list[object] = []
        if generator is None:
            device = resolve_device(config.device)
            dtype = autocast_dtype(config.precision, device)
            generator = shared_generator(config.generator, device, dtype or torch.float32)
            own.append(generator)
            _check(generator, Generator)
        else:
            _check(generator, Generator)
            device = generator.device
            dtype = autocast_dtype(config.precision, device)
        named = perceptor is None
        if perceptor is None:
            perceptor = load_guides(config.guides, device, dtype or torch.float32)
        guides = tuple(perceptor) if isinstance(perceptor, Sequence) else (Guide(perceptor),)
        if not guides:
            raise ConfigError("the list of perceptors is empty; give at least one")
        for guide in guides:
            _check(guide.perceptor, Perceptor)
        if size := config.cutouts.cut_size:
            guides = tuple(guide.at(size) for guide in guides)
        own += [guide.perceptor for guide in guides] if named else []
        return cls(generator, guides, device, dtype, own=tuple(own))

    def autocast(self) -> AbstractContextManager[None]:
        """Half precision for the networks where it is chosen; everything else stays float32."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def encode(self, image: Tensor, canvas: Canvas) -> Tensor:
        """(B,3,H,W) in [0,1] -> latent (B,code_dim,h,w), float32, in full precision."""
        with torch.no_grad():
            return self.generator.encode(canvas.pad(image.to(self.device))).float()

    def decode(self, codes: Tensor, canvas: Canvas) -> Tensor:
        """Codes (B,code_dim,h,w) -> picture (B,3,H,W) in [0,1], float32. Differentiable."""
        with self.autocast():
            whole = self._decode(codes)
        return clamp_with_grad(canvas.crop(whole.float()), 0.0, 1.0)

    @torch.no_grad()
    def draw(self, network: object, codes: Tensor, canvas: Canvas) -> Tensor:
        """Codes (1,code_dim,h,w) -> picture (1,3,DRAWN*H,DRAWN*W) in [0,1], float32.

        `network` is the drawing decoder of the generator (`networks.pool.shared_drawing`).
        """
        with self.autocast():
            whole = cast("Drawable", self.generator).draw(network, codes)
        return canvas.crop(whole, DRAWN)

    def rounded(self, latent: Tensor) -> Tensor:
        """The nearest codes (B,code_dim,h,w); without a codebook the latent itself."""
        generator = with_codebook(self.generator)
        return latent if generator is None else generator.quantize(latent)[0]

    def _decode(self, codes: Tensor) -> Tensor:
        if self.memory.tiled and isinstance(self.generator, Tiled):
            return self.generator.decode_tiled(codes)
        if self.memory.recompute and isinstance(self.generator, Checkpointed):
            return self.generator.decode_checkpointed(codes)
        return self._best(self.generator.decode)(codes)

    def _best(self, function: _Network) -> _Network:
        return self.compiled.get(function, function)

    def plan_memory(self, canvas: Canvas, count: int, num_cutouts: int) -> None:
        """Decides how `count` pictures with `num_cutouts` each fit into the memory there is."""
        cells = count * canvas.grid[0] * canvas.grid[1]
        found = make_plan(
            self._probe(self.generator.decode),
            torch.zeros(1, self.generator.code_dim, 1, 1, device=self.device),
            cells,
            [(self._probe(g.perceptor.embed_image), g.perceptor.image_size) for g in self.guides],
            num_cutouts * count,
            free_memory(self.device),
            cells * canvas.cell**2,
            COMFORTABLE if self.device.type == "cpu" else None,
        )
        self.memory.chunk, self.memory.recompute = found.chunk, found.recompute
        self.memory.tiled = found.tiled
        if self.device.type == "cpu":
            keep_freed(cells * canvas.cell**2 <= KEEP_PIXELS)
            give_back()  # what loading left behind

    def _probe(self, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def probe(x: Tensor) -> Tensor:
            with self.autocast():
                return function(x)

        return probe

    def embed(self, perceptor: Perceptor, pictures: Tensor, batch: int) -> Tensor:
        """Cutouts (N*B,3,S,S) -> unit vectors (N,B,D), float32. Differentiable."""
        with self.autocast():
            embeddings = self.memory.embed(self._best(perceptor.embed_image), pictures)
        # In half precision unit vectors are a little off; in float32 this changes nothing that
        # matters.
        return F.normalize(embeddings.float(), dim=-1).view(-1, batch, embeddings.shape[-1])

    @torch.no_grad()
    def embed_calm(
        self,
        perceptor: Perceptor,
        image: Tensor,
        config: CutoutConfig,
        params: CutoutParams | None = None,
    ) -> Tensor:
        """Picture (B,3,H,W) -> unit vectors (N,B,D) of cutouts that are the same at every call:
        those of `calm`."""
        params = params or self.calm(image, config)
        views = cutouts.apply(image.to(self.device), params, perceptor.image_size)
        return self.embed(perceptor, views, len(image))

    def calm(
        self, image: Tensor, config: CutoutConfig, places: Sequence[Sequence[Place | None]] = ()
    ) -> CutoutParams:
        """Cutouts of pictures (B,3,H,W), the same at every call, that look at `places`.

        Nothing is bent or recoloured and no random stream of the run is touched. Schedules count as
        at the first step.
        """
        calm = replace(numbers_at(config, 0, 1), num_cutouts=NUM_CALM, augment=())
        batch, _, *size = image.shape
        rngs = [rng for _ in range(batch) for rng in picture_rngs(0, 1)]
        return cutouts.sample(calm, batch, (size[0], size[1]), rngs, places)


def names_of(perceptor: Perceptor | Sequence[Guide]) -> list[str]:
    """How settings name guides that are given as objects: the shipped ones by their names, with
    their weights. Others have no name there; `pocket` then stands for them."""
    guides = perceptor if isinstance(perceptor, Sequence) else [Guide(perceptor)]
    if not guides or any(guide.perceptor.name not in GUIDES for guide in guides):
        return ["pocket"]
    return [
        guide.perceptor.name if guide.weight == 1 else f"{guide.perceptor.name}:{guide.weight!r}"
        for guide in guides
    ]


def load_guides(
    named: Iterable[tuple[str, float]],
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> tuple[Guide, ...]:
    """Guides by name and weight, as `PaintConfig.guides` gives them, shared with all who ask.

    Prepared for painting in `dtype`; None: as they are loaded.
    """
    return tuple(Guide(shared_perceptor(name, device, dtype), weight) for name, weight in named)


def _check(model: object, contract: type) -> None:
    """Raises `ModelError` where a model from elsewhere does not keep its contract."""
    if missing := lacking(model, contract):
        kind = contract.__name__
        raise ModelError(
            f"the {kind.lower()} {type(model).__name__:.60} lacks {' and '.join(missing):.200}; "
            f"gouache.protocols.{kind} says what it has to have"
        )


__all__ = ["Guide", "Models", "load_guides", "names_of"]
