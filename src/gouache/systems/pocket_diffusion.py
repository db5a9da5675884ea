"""pocket-diffusion: a small diffusion model of ours, guided in both of GLIDE's ways.

It takes noise out of latents of the shipped VQGAN, which paints them; words enter through the
shipped perceptor's frozen token table. `gouache train diffusion` trains it.

    system = load_pocket_diffusion(guided_by="free")
    picture = system.paint("a red apple", seed=0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from PIL.Image import Image
from torch import Tensor

from gouache.errors import ConfigError, ModelError
from gouache.generators.loading import load_checkpoint
from gouache.generators.vqgan import VQGAN
from gouache.ops.images import to_pil
from gouache.ops.threads import one_thread
from gouache.perceptors.loading import load_pocket
from gouache.perceptors.pocket import PocketPerceptor
from gouache.systems.diffusion import Denoiser, Pull, Sampler, spaced_steps
from gouache.systems.latent_diffusion import (
    STEPS,
    LatentDiffusion,
    LatentDiffusionConfig,
    diffusion,
)
from gouache.systems.options import POCKET_DIFFUSION
from gouache.systems.pace import paced
from gouache.weights.blank import shape_of
from gouache.weights.fingerprint import identity
from gouache.weights.safe import load_state, read_model
from gouache.weights.shipped import DIFFUSION, GENERATOR, PERCEPTOR, POCKET, shipped

Guidance = Literal["free", "clip"]
SCALES: Mapping[Guidance, float] = {"free": 5.0, "clip": 300.0}
"""How much guidance pulls, where nothing else is said."""


@dataclass(frozen=True)
class PocketDiffusion:
    """Pictures from words.

    Attributes:
        networks: the denoiser and the perceptor of noised latents.
        generator: paints latents; it and the perceptor are those that the networks learnt from.
        perceptor: reads the words.
        sums: sha256 of the files of weights.
        guided_by: "free" of a classifier (away from what is thought without words, Ho and Salimans
            2022, arXiv 2207.12598), or by the noised perceptor ("clip").
        scale: of the guidance; 0 is none by "clip", 1 none beyond the words by "free".
        steps: how many are taken, of 1000, or which (`gouache.systems.diffusion.spaced_steps`).
        sampler: how they are taken.
    """

    options: ClassVar = POCKET_DIFFUSION

    networks: LatentDiffusion = field(repr=False)
    generator: VQGAN = field(repr=False)
    perceptor: PocketPerceptor = field(repr=False)
    sums: Mapping[str, str]
    guided_by: Guidance = "free"
    scale: float = SCALES["free"]
    steps: int | str = 30
    sampler: Sampler = "ancestral"

    def __post_init__(self) -> None:
        if self.guided_by not in SCALES:
            raise ConfigError(f"guided_by is {self.guided_by!r:.40}; expected free or clip")
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ConfigError(f"scale is {self.scale}; expected a number from 0")
        spaced_steps(STEPS, str(self.steps))

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its pictures besides prompt and seed."""
        told = {
            "model": "pocket-diffusion",
            "guidance": "classifier-free" if self.guided_by == "free" else "clip",
            "scale": self.scale,
            "steps": self.steps,
            "sums": dict(self.sums),
        }
        # Pictures that were made before there was a choice do not tell it.
        return told if self.sampler == "ancestral" else {**told, "sampler": self.sampler}

    def adjusted(self, options: Mapping[str, Any]) -> PocketDiffusion:
        """The same system, painting otherwise."""
        steps = options.get("respacing", self.steps)
        return replace(
            self,
            scale=options.get("guidance_scale", self.scale),
            steps=int(steps) if str(steps).isdecimal() else steps,
            sampler=options.get("sampler", self.sampler),
        )

    @torch.no_grad()
    def latents(self, texts: Sequence[str], draw: Callable[[], Tensor]) -> Tensor:
        """(B,code_dim,grid,grid) for B texts; `draw()` gives noise of that shape, once for the
        start and once a step, if the sampler wants any. `halting` ends it between two steps."""
        networks = self.networks
        codes = self.generator.codebook
        limit = float(networks.normalised(codes.T[None, :, None]).abs().max())
        way = diffusion(str(self.steps), limit)
        tokens = self.perceptor.tokenizer(texts).to(codes.device)
        denoiser = self._denoiser(tokens)
        pull = self._pull(tokens) if self.guided_by == "clip" else None
        noised = draw()
        for done in paced(len(way)):
            noised = way.step(denoiser, noised, len(way) - 1 - done, draw, self.sampler, pull)
        return networks.latent(noised)

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> Tensor:
        """Pictures (B,3,H,W) in [0,1] of the codes nearest to latents."""
        codes, _ = self.generator.quantize(latents)
        return self.generator.decode(codes).clamp(0, 1)

    def paint(self, prompt: str, seed: int) -> Image:
        """One picture, RGB; the same for the same prompt and seed on one machine."""
        rng, config = torch.Generator().manual_seed(seed), self.networks.config

        def draw() -> Tensor:
            noise = torch.randn(1, config.code_dim, config.grid, config.grid, generator=rng)
            return noise.to(self.generator.device)

        with one_thread():
            latent = self.latents([prompt], draw)
        return to_pil(self.pictures(latent)[0])

    def _denoiser(self, tokens: Tensor) -> Denoiser:
        network, words, present = (
            self.networks.denoiser, self.perceptor.text_tower.vectors(tokens), tokens != 0,
        )  # fmt: skip
        if self.guided_by == "clip":
            return lambda noised, steps: network(noised, steps, words, present)
        # Of each text twice: as it is and left out.
        words, present = words.repeat(2, 1, 1), torch.cat([present, torch.zeros_like(present)])

        def denoise(noised: Tensor, steps: Tensor) -> Tensor:
            both = network(noised.repeat(2, 1, 1, 1), steps.repeat(2), words, present)
            told, plain = both.chunk(2)
            guided: Tensor = plain + self.scale * (told - plain)
            return guided

        return denoise

    def _pull(self, tokens: Tensor) -> Pull:
        wanted, guide = self.perceptor.text_tower(tokens), self.networks.guide
        return lambda noised, steps: self.scale * guide.pull(wanted, noised, steps)


def load_pocket_diffusion(
    device: torch.device | str = "cpu", guided_by: Guidance = "free", folder: Path = POCKET
) -> PocketDiffusion:
    """The system in a folder of shipped files, which `gouache train export` writes.

    Raises:
        ModelError: a file is missing, damaged, or of another training than the others.
    """
    path, device = shipped(folder / DIFFUSION.name), torch.device(device)
    tensors, values = read_model(path)
    with shape_of(path, "a diffusion model of ours"):
        learned_on = {name: str(values.pop(name)) for name in ("generator", "perceptor")}
        try:
            config = LatentDiffusionConfig.from_dict(values)
        except ModelError as error:
            raise ValueError(error) from None
        networks = LatentDiffusion(config)
    load_state(networks, tensors, path, take=True)
    networks.to(device).eval().requires_grad_(False)
    generator = load_checkpoint(shipped(folder / GENERATOR.name), device)
    perceptor = load_pocket(shipped(folder / PERCEPTOR.name), device)
    found = {"generator": generator.fingerprint, "perceptor": perceptor.fingerprint}
    if other := next((name for name in found if found[name] != learned_on[name]), ""):
        raise ModelError(f"{path} learnt from another {other} than the one beside it")
    grid = generator.native_size // generator.downsampling
    expected = (generator.code_dim, grid, perceptor.config.table_dim, perceptor.embed_dim)
    if (config.code_dim, config.grid, config.table_dim, config.embed_dim) != expected:
        raise ModelError(f"{path} is of another shape than the models beside it; it is damaged")
    if config.context < perceptor.config.context:
        raise ModelError(f"{path} reads {config.context} tokens, fewer than the perceptor")
    sums = {path.name: identity(path), **found}
    return PocketDiffusion(networks, generator, perceptor, sums, guided_by, SCALES[guided_by])


def clip_guided(device: str) -> PocketDiffusion:
    """In the place of figure 10's system where the shipped models paint."""
    return load_pocket_diffusion(device, "clip")


def classifier_free(device: str) -> PocketDiffusion:
    """In the place of figure 11's."""
    return load_pocket_diffusion(device, "free")


__all__ = [
    "SCALES",
    "Guidance",
    "PocketDiffusion",
    "classifier_free",
    "clip_guided",
    "load_pocket_diffusion",
]
