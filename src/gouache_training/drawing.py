"""Trains the drawing decoder: from codes of a frozen VQGAN to its picture, four times as large.

Losses: absolute and edge differences, decibels, how sharp edges are wherever exactly they lie, a
perceptual distance on the first stages of EfficientNet-Lite, how much the small picture's grid
shows, and, if wanted, a patch discriminator. Composed pictures that were painted over
(`overpainted`) teach in the same way, but for the decibels, what to make of painted codes. Of other
painted latents there is no right answer: they teach by the grid and by the discriminator alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from gouache.errors import TrainingError
from gouache.generators.drawing import SCALE, DrawingConfig, DrawingDecoder, enlarged, small_view
from gouache.generators.vqgan import VQGAN
from gouache.ops.slopes import slope
from gouache.perceptors.efficientnet import EfficientNet
from gouache_training.codebook import gradient_difference
from gouache_training.compose import Composer, Shares
from gouache_training.drawing_judge import Judge, feature_distance
from gouache_training.drawing_pairs import Disturbance, Pair, Pairs, Window
from gouache_training.feed import Feed, next_pictures
from gouache_training.focus import focused
from gouache_training.generator import AdversarialTrainer, PatchDiscriminator
from gouache_training.journal import samples_folder
from gouache_training.loop import (
    Average,
    Budget,
    Meter,
    follow,
    load_checkpoint,
    log,
    on_device,
    parameter_groups,
    pick_device,
    set_rate,
)
from gouache_training.muon import Muon
from gouache_training.pack import PictureSet

__all__ = [
    "DrawingTrainer",
    "DrawingTraining",
    "Painted",
    "drawing_of",
    "load_drawing_checkpoint",
    "read_painted",
]

READ_EVERY = 500  # steps: painting may still go on beside


@dataclass(frozen=True)
class DrawingTraining:
    """Settings of a drawing decoder's training."""

    batch: int = 4  # pictures a step
    crops: int = 2  # squares that each is learned from
    side: int = 32  # of a square in half-size pixels: 256 pixels of the drawing
    # Share of the steps that learn what `--scale 2` shows: the same pictures, encoded at twice the
    # side, drawn, and halved; a square is then twice as wide, and there are fewer.
    halved: float = 0.5
    learning_rate: float = 1.0e-3
    weight_decay: float = 0.01
    decibel_weight: float = 0.03  # of what is encoded; of each square's own squared difference
    edge_weight: float = 0.5
    sharp_weight: float = 0.2
    lattice_weight: float = 0.01
    perceptual_weight: float = 0.05
    stages: int = 3  # of the perceptual network, as many as there are before its third halving
    # How strongly the discriminator pulls at a pixel, as a share of what all else does.
    adversarial_weight: float = 0.2
    adversarial_from: float = 1.0  # share of the budget after which it plays; 1 is never
    painted_share: float = 0.5  # painted latents a step, in pictures, where there are any
    disturbance: Disturbance = field(default_factory=lambda: Disturbance(clean=0.5))
    shares: Shares = field(
        default_factory=lambda: Shares(
            pair=0.08, count=0.05, style=0.12, hue=0.15, tint=0.12, shape=0.05, calm=0.5
        )
    )
    lower: tuple[tuple[int, int], ...] = DrawingConfig().lower
    upper: tuple[tuple[int, int], ...] = DrawingConfig().upper
    save_every: int = 200
    judge_every: int = 1000
    judged: int = 12  # held-out pictures
    seed: int = 5


class DrawingTrainer(AdversarialTrainer[DrawingDecoder, DrawingTraining]):
    """Trains a drawing decoder. Held-out pictures are judged now and then; a sheet of them goes
    into the folder `NAME-samples` beside the checkpoint.

    Args:
        pictures: large renderings (`renderings.load_renderings`).
        generator: the VQGAN; it stays as it is.
        trunk: the perceptual network; it stays as it is.
        settings: see there.
        budget: how long to train.
        device: auto, cpu or cuda.
        painted: folder of latents that painting ended with (`read_painted`), if there are any;
            read anew now and then.
        feed: composes the pictures, `settings.batch` at a time; by default the trainer itself does.
    """

    log_every = 50

    def __init__(
        self,
        pictures: PictureSet,
        generator: VQGAN,
        trunk: EfficientNet,
        settings: DrawingTraining,
        budget: Budget,
        device: str = "auto",
        painted: Path | None = None,
        feed: Feed | None = None,
    ) -> None:
        self.settings, self.budget = settings, budget
        self.device = pick_device(device)
        self.generator = on_device(generator, self.device).eval().requires_grad_(False)
        self.trunk = on_device(trunk, self.device).eval().requires_grad_(False)
        self.config = DrawingConfig(
            code_dim=generator.code_dim,
            feature_dim=generator.config.widths[0],
            lower=settings.lower,
            upper=settings.upper,
        )
        if self.config.downsampling != generator.downsampling:
            raise TrainingError(
                f"a cell of the generator covers {generator.downsampling} pixels a side, one of "
                f"the drawing decoder {self.config.downsampling}; change the lower levels"
            )
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.model = on_device(DrawingDecoder(self.config), self.device)
        self.critic = on_device(PatchDiscriminator(halvings=3), self.device)
        composer = Composer(focused(pictures), self.rng, settings.shares)
        self.pairs = Pairs(self.generator, composer, self.rng, settings.disturbance)
        self.judge = Judge(pictures, self.generator, self.trunk, settings.judged, settings.shares)
        self.painted, self.feed = painted, feed
        self._latents: list[Painted] = []
        self._looked = False  # whether there are any
        self._said = ""  # of the painted latents, last
        self._pull = torch.zeros((), device=self.device)
        self._playing_since = 0  # steps
        groups = parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer = Muon(groups, lr=settings.learning_rate, betas=(0.9, 0.99))
        self.critic_optimizer = torch.optim.AdamW(
            self.critic.parameters(), lr=2e-4, betas=(0.5, 0.9)
        )
        self.average = Average(self.model)
        self.meter = Meter()

    def draw(self, pair: Pair, window: Window) -> Tensor:
        """The windows' drawings, (K,3,side*8,side*8)."""
        with self.autocast():
            context = self.model.context(pair.codes)
            assert context is not None
            drawn = self.model.residual(
                window.cut(pair.picture, 2),
                window.cut(context, 1),
                window.cut(pair.features, 1),
            )
        whole = window.cut(enlarged(pair.picture), 2 * SCALE) + drawn.float()
        return F.avg_pool2d(whole, SCALE // pair.times)

    def next_pair(self) -> Pair:
        """Of the pictures that are next."""
        count, size = self.settings.batch, SCALE * self.generator.native_size
        target, _ = next_pictures(self.feed, self.pairs.composer, count, size, self.device)
        return self.pairs.pair(target, times=SCALE // 2 if self._halves() else SCALE)

    def _halves(self) -> bool:
        return float(torch.rand((), generator=self.rng)) < self.settings.halved

    def windows(self, pair: Pair) -> Window:
        """As many squares as the settings say, all of one size in pixels of the target."""
        wider = SCALE // pair.times
        each = max(1, self.settings.crops // wider**2)
        return self.pairs.windows(pair, each, self.settings.side * wider)

    def step(self) -> None:
        settings, budget = self.settings, self.budget
        set_rate(self.optimizer, budget.learning_rate(settings.learning_rate, warmup=100))
        pair = self.next_pair()
        window = self.windows(pair)
        real = window.cut(pair.target, 2 * pair.times)
        outputs = [self.draw(pair, window)]
        drawn = outputs[0].detach().requires_grad_()
        loss, parts = self.away(drawn, real)
        decibels = (drawn - real).square().mean((1, 2, 3)).add(1e-4).log10().mean() * 10
        loss = loss + settings.decibel_weight * decibels
        gradients = [torch.autograd.grad(loss, drawn)[0]]
        if sets := self.latents():
            free, free_loss, told = self.learn_painted(sets)
            outputs.append(free)
            gradients.append(free_loss)
            parts |= told
        if budget.progress() > settings.adversarial_from:
            # What is encoded has a right answer; where there is nothing else it has to do.
            first = 1 if len(outputs) > 1 else 0
            fakes = [output.detach() for output in outputs[first:]]
            gradients[first:] = self.pulled(fakes, gradients[first:])
            parts["critic"] = self.train_critic(real, torch.cat(fakes))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(outputs, gradients)
        follow(self.model, self.optimizer)
        self.average.update(self.model, budget.step)
        with torch.no_grad():
            error = (outputs[0].clamp(0, 1) - real).square().mean()
            parts["psnr"] = -10 * error.clamp(1e-10).log10()
        self.meter.update(**parts)
        budget.step += 1

    def pulled(self, fakes: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The gradients of pixels, and the discriminator's beside: in a fixed proportion, whatever
        the scales of losses are (Esser et al. 2021, there of one layer's weights)."""
        settings = self.settings
        leaves = [fake.requires_grad_() for fake in fakes]
        with self.autocast():
            fooled = -self.critic(torch.cat(leaves)).float().mean()
        pulls = torch.autograd.grad(fooled, leaves)
        proportion = gradients[0].norm() / pulls[0].norm().clamp(min=1e-12)
        first = self._playing_since == 0
        self._playing_since += 1
        self._pull = proportion if first else self._pull.lerp(proportion, 0.05)
        strength = settings.adversarial_weight * min(1.0, self._playing_since / 300) * self._pull
        for fake in fakes:
            fake.requires_grad_(False)
        return [own + strength * pull for own, pull in zip(gradients, pulls, strict=True)]

    def away(self, drawn: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor | float]]:
        """How far drawings are from what they should be, both (K,3,H,W): the sum, and its parts."""
        settings = self.settings
        spread = (drawn - real).square().mean().add(1e-12).sqrt()  # 0 would have no slope
        difference = (drawn - real).abs().mean() + 0.25 * spread
        edges = gradient_difference(drawn, real)
        sharp = sharpness_difference(drawn, real)
        grid = lattice_difference(drawn, real)
        with self.autocast():
            seen = feature_distance(self.trunk, drawn, real, settings.stages)
        loss = difference + settings.edge_weight * edges + settings.sharp_weight * sharp
        loss = loss + settings.perceptual_weight * seen + settings.lattice_weight * grid
        parts: dict[str, Tensor | float] = {}
        parts |= {"l1": difference, "edges": edges, "sharp": sharp, "seen": seen, "lattice": grid}
        return loss, parts

    def latents(self) -> list[Painted]:
        """Painted latents, one set a kind, read anew now and then; what is found is told once."""
        late = not self._looked or self.budget.step % READ_EVERY == 0
        if self.painted is not None and late:
            self._looked = True
            try:
                self._latents = read_painted(self.painted, self.config.code_dim)
                said = f"{sum(len(found.latents) for found in self._latents)} painted latents"
            except TrainingError as error:
                less = "the painted latents from before" if self._latents else "none"
                said = f"no painted latents, goes on with {less}: {error}"
            if said != self._said:
                log(said)
            self._said = said
        return self._latents

    def learn_painted(
        self, sets: list[Painted]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor | float]]:
        """Drawings of some painted latents, their gradient, and what it was of."""
        painted = sets[int(torch.randint(len(sets), (), generator=self.rng))]
        count = max(1, round(self.settings.painted_share * self.settings.batch))
        rows = torch.randint(len(painted.latents), (count,), generator=self.rng)
        pair = self.painted_pair(painted, rows)
        window = self.windows(pair)
        drawn = self.draw(pair, window)
        leaf = drawn.detach().requires_grad_()
        wanted = window.cut(pair.target, 2 * pair.times)
        if painted.trust is not None:
            trust = painted.trust[rows].to(self.device).float().div_(255)
            trust = F.interpolate(trust, pair.target.shape[-2:], mode="bilinear")
            there = window.cut(trust, 2 * pair.times)
            loss, parts = self.away(wanted + there * (leaf - wanted), wanted)
            told = {f"painted {name}": value for name, value in parts.items()}
        else:
            # Only means over cells are compared: within one the drawing is free.
            cell = pair.times * self.generator.downsampling // 2
            faithful = (F.avg_pool2d(leaf, cell) - F.avg_pool2d(wanted, cell)).abs().mean()
            grid = lattice_difference(leaf)
            loss = faithful + self.settings.lattice_weight * grid
            told = {"painted": faithful, "painted lattice": grid}
        return drawn, torch.autograd.grad(loss, leaf)[0], told

    @torch.no_grad()
    def painted_pair(self, painted: Painted, rows: Tensor) -> Pair:
        """Those rows of the latents. The target is the clean picture, or, where there is none, the
        enlarged one: of pictures larger than the native size as by default, halved."""
        codes, _ = self.generator.quantize(painted.latents[rows].float().to(self.device))
        with self.autocast():
            picture, features = small_view(self.generator, codes)
        if painted.wanted is not None:
            target = painted.wanted[rows].to(self.device).float().div_(255)
        else:
            large = picture.shape[-1] > self.generator.native_size
            target = F.avg_pool2d(enlarged(picture), 2 if large else 1)
        return Pair(codes, picture, features, target)

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "config": self.config.to_dict(),
            "codebook": self.generator.codebook.detach(),
            "pull": self._pull,
            "playing_since": self._playing_since,
        }

    def bring_back(self, content: dict[str, Any]) -> None:
        super().bring_back(content)
        self._pull = content["pull"].to(self.device)
        self._playing_since = content["playing_since"]

    def look(self, checkpoint: Path) -> Mapping[str, float]:
        """Measures of held-out pictures, and a sheet of them."""
        step = self.budget.step
        if step % self.settings.judge_every and step not in (100, 500):
            return {}
        sheet = samples_folder(checkpoint) / f"step-{step:06d}.png"
        return self.judge.measures(self.averaged(), sheet)

    def averaged(self) -> DrawingDecoder:
        """A copy with averaged weights, for evaluation and shipping."""
        model = DrawingDecoder(self.config)
        model.load_state_dict(self.average.state)
        return on_device(model, self.device).eval().requires_grad_(False)


def sharpness_difference(drawn: Tensor, real: Tensor, patch: int = 8) -> Tensor:
    """Mean difference of the root mean square gradients of patches. 0-d.

    A blurred edge climbs as high as a sharp one, but less steeply; squares tell them apart, and
    within a patch an edge may lie a little beside its place.
    """

    def steepness(image: Tensor) -> Tensor:
        return (F.avg_pool2d(slope(image), patch) + 1e-6).sqrt()

    return (steepness(drawn) - steepness(real)).abs().mean()


def lattice_difference(drawn: Tensor, real: Tensor | None = None) -> Tensor:
    """How otherwise edges are spread over columns, and over rows, modulo the scale. 0-d.

    Pixels of the small picture, enlarged, leave more of them at some places than at others
    (`drawing_judge.lattice` measures that). Without `real` they should be spread evenly.
    """
    away = drawn.new_zeros(())
    for dim in (-1, -2):
        wanted = torch.ones(SCALE, device=drawn.device) if real is None else _spread(real, dim)
        away = away + (_spread(drawn, dim) - wanted).square().mean().add(1e-8).sqrt()
    return away


def _spread(image: Tensor, dim: int) -> Tensor:
    """Shares of all differences along `dim` at its places modulo the scale; their mean is 1."""
    steps = image.diff(dim=dim).abs().mean((0, 1)).mean(-1 if dim == -2 else -2)
    phases = steps[: len(steps) // SCALE * SCALE].view(-1, SCALE).mean(0)
    return phases / phases.mean().clamp(min=1e-6)


def load_drawing_checkpoint(path: Path) -> DrawingDecoder:
    """The averaged weights of a checkpoint, frozen and in evaluation mode."""
    return drawing_of(load_checkpoint(path))


def drawing_of(content: Mapping[str, Any]) -> DrawingDecoder:
    """The averaged weights of a checkpoint that is loaded, frozen and in evaluation mode."""
    model = DrawingDecoder(DrawingConfig.from_dict(content["config"]))
    model.load_state_dict(content["average"])
    return on_device(model, torch.device("cpu")).eval().requires_grad_(False)


@dataclass(frozen=True)
class Painted:
    """Latents (N,code_dim,h,w) and, if there are any, the clean pictures that they should become
    (N,3,t*h*f,t*w*f), uint8, with t 4 or 2 (`drawing_pairs.Pair`), and how far these are to be
    trusted (N,1,h*f,w*f), uint8."""

    latents: Tensor
    wanted: Tensor | None = None
    trust: Tensor | None = None


def read_painted(folder: Path, code_dim: int) -> list[Painted]:
    """All latents in a folder, a set for each size, with and without the clean picture: the
    tensors `latents` and `wanted` of each .safetensors file.

    Raises:
        TrainingError: there are none.
    """
    found: dict[tuple[tuple[int, ...], ...], list[dict[str, Tensor]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        content = load_file(path)
        latents = content.get("latents")
        if latents is None or latents.ndim != 4 or latents.shape[1] != code_dim:
            got = "none" if latents is None else str(tuple(latents.shape))
            raise TrainingError(
                f"{path}: latents are {got}; expected a tensor `latents` (N,{code_dim},h,w)"
            )
        sizes = tuple(tuple(content[name].shape[1:]) for name in sorted(content))
        found.setdefault(sizes, []).append(content)
    if not found:
        raise TrainingError(f"{folder}: expected .safetensors files of latents")
    return [
        Painted(**{name: torch.cat([one[name] for one in alike]) for name in alike[0]})
        for _, alike in sorted(found.items())
    ]
