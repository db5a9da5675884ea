"""GLIDE (filtered; Nichol et al. 2021, arXiv 2112.10741): pictures by diffusion, guided twice.

Reads a folder of the published files: `base.pt` (64 pixels), `upsample.pt` (256), for guidance by
CLIP `clip_image_enc.pt` and `clip_text_enc.pt`, for painting a part of a picture `base_inpaint.pt`
and `upsample_inpaint.pt`, and GPT-2's `vocab.bpe`. Other shapes than the
published ones have their options beside them (`options.json`, `clip.yaml`).

    system = load_glide("glide", guided_by="free")
    picture = system.paint("a painting of a castle at night", seed=0)
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch
import torch.nn.functional as F
from PIL.Image import Image, new
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from gouache.errors import ImageError, ModelError
from gouache.generators.loading import read_yaml
from gouache.ops.images import fit, to_pil, to_tensor
from gouache.ops.masks import fit_mask
from gouache.perceptors.clip_tokenizer import (
    CLIP_VOCABULARY,
    byte_letters,
    find_tokenizer,
)
from gouache.perceptors.truncation import warn_truncated
from gouache.systems.diffusion import Diffusion, Pull, Sampler
from gouache.systems.known import weights
from gouache.systems.noised_clip import NoisedClip, NoisedClipConfig, Tower
from gouache.systems.options import GLIDE
from gouache.systems.pace import paced
from gouache.systems.unet import UNet, UNetConfig, Words, enlarged, kept
from gouache.weights.blank import blank
from gouache.weights.fingerprint import fingerprint
from gouache.weights.safe import load_state, read_checkpoint

BASE, UPSAMPLER, MERGES, OPTIONS = "base.pt", "upsample.pt", "vocab.bpe", "options.json"
BASE_OVER, UPSAMPLER_OVER = "base_inpaint.pt", "upsample_inpaint.pt"
CLIP_IMAGE, CLIP_TEXT, CLIP_OPTIONS = "clip_image_enc.pt", "clip_text_enc.pt", "clip.yaml"
PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "base": {"noise_schedule": "squaredcos_cap_v2", "timestep_respacing": "100"},
    "upsample": {
        "image_size": 256,
        "num_res_blocks": 2,
        "channel_mult": "1,1,2,2,4,4",
        "super_res": True,
        "noise_schedule": "linear",
        "timestep_respacing": "fast27",
    },
}
MAX_OPTIONS = 1 << 20  # bytes
T = TypeVar("T", bound=nn.Module)
Guidance = Literal["free", "clip"]


class Gpt2Words:
    """Texts to GPT-2's byte pairs, lower case: ids (B,length) and which of them count.

    All numbers of the vocabulary follow from the list of merges; the last token fills up. What is
    too long is cut, and a `TruncationWarning` shows the rest.
    """

    def __init__(self, path: Path, length: int, vocabulary: int) -> None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            pairs = [line.split() for line in lines if line and not line.startswith("#version")]
            merges = [(left, right) for left, right in pairs]
            tokens = [*byte_letters(), *(left + right for left, right in merges)]
            numbers = {token: number for number, token in enumerate(tokens)}
            self._tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=merges))
        except OSError as error:
            raise ModelError(
                f"cannot read {path} ({error.strerror or error}); GPT-2's list of merges belongs "
                "there, https://openaipublic.blob.core.windows.net/gpt-2/models/124M/vocab.bpe"
            ) from None
        except Exception as error:  # the library raises bare Exception
            reason = " ".join(str(error).split())[:80]
            raise ModelError(f"{path} is no list of merges of GPT-2 ({reason})") from None
        if len(tokens) + 1 != vocabulary:
            raise ModelError(
                f"{path} makes {len(tokens) + 1} tokens, the denoiser knows {vocabulary}; it is "
                "damaged or another model's"
            )
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.length, self._last = length, len(tokens)

    def __call__(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        ids = torch.full((len(texts), self.length), self._last)
        mask = torch.zeros(len(texts), self.length, dtype=torch.bool)
        for row, text in enumerate(texts):
            found = self._tokenizer.encode(text.lower())
            if len(found.ids) > self.length:
                warn_truncated(text[found.offsets[self.length][0] :], self.length, len(found.ids))
            read = found.ids[: self.length]
            ids[row, : len(read)] = torch.tensor(read, dtype=torch.long)
            mask[row, : len(read)] = True
        return ids, mask


@dataclass(frozen=True)
class Stage:
    """A denoiser and the steps that are taken with it."""

    unet: UNet = field(repr=False)
    diffusion: Diffusion = field(repr=False)
    options: Mapping[str, Any]

    def steps(self) -> Iterator[int]:
        """Those that are taken, the noisiest first."""
        last = len(self.diffusion) - 1
        return (last - done for done in paced(last + 1))

    def noise(self, rng: torch.Generator) -> Callable[[int], Tensor]:
        """Draws as many pictures of noise as it is asked for, (B,3,H,W)."""
        side, device = self.unet.config.image_size, self.unet.device
        return lambda count: torch.randn(count, 3, side, side, generator=rng).to(device)


@dataclass(frozen=True)
class Known:
    """What of a picture stays: `picture` (B,3,H,W) in [-1,1], where `stays` (B,1,H,W) is 1."""

    picture: Tensor
    stays: Tensor

    @property
    def beside(self) -> Tensor:
        """What the networks see of it, (B,4,H,W)."""
        return kept(self.picture, self.stays)

    def hold(self, guessed: Tensor) -> Tensor:
        return guessed * (1 - self.stays) + self.picture * self.stays


@dataclass(frozen=True)
class Clip:
    """The noised CLIP, and texts to its token ids (B,max_text_len) and how many count, (B,)."""

    network: NoisedClip = field(repr=False)
    words: Callable[[list[str]], tuple[Tensor, Tensor]] = field(repr=False)


@dataclass(frozen=True)
class Glide:
    """Small pictures from words, and larger ones from these.

    Attributes:
        base, upsampler: the two denoisers.
        words: texts to ids.
        sums: sha256 of the files of weights.
        clip: guides where it is given; without it guidance is classifier-free.
        scale: of the guidance.
        temperature: of the noise that the upsampler begins with.
        sampler: how the base takes its steps.
    """

    options: ClassVar = GLIDE

    base: Stage
    upsampler: Stage
    words: Gpt2Words
    sums: Mapping[str, str]
    clip: Clip | None = None
    scale: float = 3.0
    temperature: float = 0.997
    sampler: Sampler = "ancestral"

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its pictures besides prompt and seed."""
        told = {
            "model": "GLIDE (filtered)",
            "guidance": "classifier-free" if self.clip is None else "clip",
            "scale": self.scale,
            "temperature": self.temperature,
            "steps": [stage.options["timestep_respacing"] for stage in (self.base, self.upsampler)],
            "sums": dict(self.sums),
        }
        # Pictures that were made before there was a choice do not tell it.
        return told if self.sampler == "ancestral" else {**told, "sampler": self.sampler}

    def adjusted(self, options: Mapping[str, Any]) -> Glide:
        """The same system, painting otherwise; `respacing` and `sampler` are the base's."""
        base = self.base
        if "respacing" in options:
            told = {**base.options, "timestep_respacing": options["respacing"]}
            base = replace(base, diffusion=_diffusion(told), options=told)
        return replace(
            self,
            base=base,
            scale=options.get("guidance_scale", self.scale),
            temperature=options.get("temperature", self.temperature),
            sampler=options.get("sampler", self.sampler),
        )

    @torch.no_grad()
    def small(
        self, texts: list[str], draw: Callable[[int], Tensor], known: Known | None = None
    ) -> Tensor:
        """(B,3,H,W) in [-1,1] by the base; `draw(B)` gives noise of that shape, once for the
        start and once a step, if the sampler wants any. `halting` ends it between two steps.
        `known` is of an inpainter."""
        count, stage = len(texts), self.base
        noised = draw(count)
        hold = None if known is None else known.hold
        if self.clip is None:
            denoiser = self._free(texts, *([] if known is None else [known.beside]))
            pull = None
        else:
            words = self._read(stage.unet, texts)
            denoiser = _denoiser(stage.unet, words)
            pull = self._pull(texts)
        for step in stage.steps():
            noised = stage.diffusion.step(
                denoiser, noised, step, partial(draw, count), self.sampler, pull, hold
            )
        return noised

    @torch.no_grad()
    def large(self, texts: list[str], small: Tensor, noised: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1] by the upsampler from small pictures, beginning with noise of that
        shape."""
        stage, beside = self.upsampler, _seen(small, noised)
        denoiser = _denoiser(stage.unet, self._read(stage.unet, texts), beside)
        for step in stage.steps():
            noised = stage.diffusion.deterministic(denoiser, noised, step)
        return noised

    def paint(self, prompt: str, seed: int) -> Image:
        """One picture, RGB; the same for the same prompt and seed on one machine."""
        rng = torch.Generator().manual_seed(seed)
        small = self.small([prompt], self.base.noise(rng))
        start = self.temperature * self.upsampler.noise(rng)(1)
        return to_pil((self.large([prompt], small, start)[0] + 1) / 2)

    def _read(self, unet: UNet, texts: list[str]) -> Words:
        ids, mask = self.words(texts)
        return unet.read(ids.to(unet.device), mask.to(unet.device))

    def _free(self, texts: list[str], *beside: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Away from what is thought without words (Ho and Salimans 2022, arXiv 2207.12598)."""
        count = len(texts)
        words = self._read(self.base.unet, [*texts, *[""] * count])

        def denoise(noised: Tensor, steps: Tensor) -> Tensor:
            twice = (one.repeat(2, 1, 1, 1) for one in (noised, *beside))
            both = self.base.unet(next(twice), steps.repeat(2), words, *twice)
            (told, free), (plain, _) = (half.chunk(2, 1) for half in both.split(count))
            return torch.cat([plain + self.scale * (told - plain), free], 1)

        return denoise

    def _pull(self, texts: list[str]) -> Pull:
        assert self.clip is not None
        network, device = self.clip.network, self.base.unet.device
        ids, counts = self.clip.words(texts)
        wanted = network.embed_text(ids.to(device), counts.to(device))
        return lambda noised, steps: self.scale * network.pull(wanted, noised, steps)


@dataclass(frozen=True)
class Inpainter(Glide):
    """GLIDE's variants that see a picture, of which they paint a part anew."""

    scale: float = 5.0  # as its authors guide it

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, "model": "GLIDE (filtered, inpainting)"}

    def paint(self, prompt: str, seed: int) -> Image:
        """All of a picture: nothing of it is known."""
        side = self.upsampler.unet.config.image_size
        return self.paint_over(prompt, seed, new("RGB", (side, side)), new("L", (side, side), 255))

    def paint_over(self, prompt: str, seed: int, picture: Image, mask: Image) -> Image:
        """`picture` (RGB), cut to a square at the system's size, painted anew where `mask` (L) is
        light; the rest of it stays as it is."""
        rng = torch.Generator().manual_seed(seed)
        low, high = self._known(picture, mask)
        small = self.small([prompt], self.base.noise(rng), low)
        large = self._enlarged([prompt], small, self.upsampler.noise(rng), high)
        return to_pil((large[0] + 1) / 2)

    def _known(self, picture: Image, mask: Image) -> tuple[Known, Known]:
        """At both sizes; what is painted is decided at the small one."""
        sides = [stage.unet.config.image_size for stage in (self.base, self.upsampler)]
        if picture.size != (sides[1], sides[1]):
            warnings.warn(
                f"the picture is {picture.width}x{picture.height}; GLIDE paints {sides[1]}x"
                f"{sides[1]}, so it is scaled to that, and what juts out is cut off",
                FittedWarning,
                stacklevel=2,
            )
        stays = (fit_mask(mask, (sides[0], sides[0])) <= 0.5).float()
        if stays.all():
            raise ImageError("the mask selects nothing; make what is to be painted white")
        found = []
        for side in sides:
            pixels = 2 * to_tensor(fit(picture, (side, side))) - 1
            at_size = F.interpolate(stays, (side, side), mode="nearest")
            device = self.base.unet.device
            found.append(Known(pixels.to(device), at_size.to(device)))
        return found[0], found[1]

    @torch.no_grad()
    def _enlarged(
        self, texts: list[str], small: Tensor, draw: Callable[[int], Tensor], known: Known
    ) -> Tensor:
        stage, noised = self.upsampler, self.temperature * draw(len(texts))
        beside = known.beside, _seen(small, noised)
        denoiser = _denoiser(stage.unet, self._read(stage.unet, texts), *beside)
        for step in stage.steps():
            noise = draw(len(texts))
            noised = stage.diffusion.ancestral(denoiser, noised, step, noise, hold=known.hold)
        return noised


class FittedWarning(UserWarning):
    """A picture has another size than is painted."""


def _seen(small: Tensor, noised: Tensor) -> Tensor:
    """Small pictures as the upsampler was trained, of 8 bits, at the size of the large ones."""
    seen = ((small + 1) * 127.5).round() / 127.5 - 1
    return enlarged(seen.to(noised), noised.shape[-2], noised.shape[-1])


def _denoiser(unet: UNet, words: Words, *beside: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda noised, steps: unet(noised, steps, words, *beside)


def load_glide(
    folder: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    guided_by: Guidance = "free",
    over: bool = False,
) -> Glide:
    """The system in a folder of published files; nothing in it is run.

    Args:
        folder: has `BASE`, `UPSAMPLER` and `MERGES`; of `guided_by="clip"` the two of CLIP, too; if
            `over`, the two for inpainting in the place of the first two.
        device: where it paints.
        dtype: of the denoisers; None is float16 on graphics cards and bfloat16 elsewhere.
        guided_by: "free" of a classifier, or by the noised "clip".
        over: whether an `Inpainter` is wished for, which is guided free of a classifier.

    Raises:
        ModelError: a file is missing, damaged or of another model.
    """
    folder, device = Path(folder), torch.device(device)
    if dtype is None:
        dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
    first, second = (BASE_OVER, UPSAMPLER_OVER) if over else (BASE, UPSAMPLER)
    needed = [first, second, MERGES]
    needed += [CLIP_IMAGE, CLIP_TEXT] if guided_by == "clip" else []
    if missing := next((name for name in needed if not (folder / name).is_file()), ""):
        raise ModelError(f"{folder} lacks {missing}; expected GLIDE's files as published")
    told = _options(folder / OPTIONS)
    variant = {"inpaint": over}
    base = _stage(folder / first, told["base"] | variant, device, dtype)
    upsampler = _stage(folder / second, told["upsample"] | variant, device, dtype)
    if not upsampler.unet.config.super_res or base.unet.config.super_res:
        raise ModelError(f"{folder}: {first} has to paint and {second} to enlarge")
    shape = base.unet.config
    words = Gpt2Words(folder / MERGES, shape.text_ctx, shape.n_vocab)
    clip = _clip(folder, device) if guided_by == "clip" else None
    sums = {name: fingerprint(folder / name) for name in needed if name.endswith(".pt")}
    return (Inpainter if over else Glide)(base, upsampler, words, sums, clip)


def clip_guided(device: str) -> Glide:
    """The system of figure 10, with the weights that were added (`gouache models add`)."""
    return load_glide(weights("glide-clip"), device, guided_by="clip")


def classifier_free(device: str) -> Glide:
    """The system of figure 11, with the same weights."""
    return load_glide(weights("glide-free"), device, guided_by="free")


def load_inpainter(folder: str | Path, device: torch.device | str = "cpu") -> Glide:
    """What of it paints a part of a picture anew."""
    return load_glide(folder, device, over=True)


def _options(path: Path) -> dict[str, dict[str, Any]]:
    """The published ones, or those beside the weights."""
    if not path.is_file():
        return {name: dict(values) for name, values in PUBLISHED.items()}
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_OPTIONS))
        return {name: dict(found[name]) for name in PUBLISHED}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"{path} holds no options of base and upsample; it is damaged") from None


def _stage(
    path: Path, options: Mapping[str, Any], device: torch.device, dtype: torch.dtype
) -> Stage:
    tensors = read_checkpoint(path, dtype=dtype).tensors
    if (table := tensors.get("token_embedding.weight")) is None:
        raise ModelError(f"{path} has no token embedding; expected a denoiser of GLIDE")
    try:
        config = UNetConfig.from_options(options, len(table))
        diffusion = _diffusion(options)
    except (ModelError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from None
    with blank():
        unet = UNet(config).to(dtype)
    load_state(unet, tensors, path, take=True)
    return Stage(_frozen(unet, device), diffusion, options)


def _diffusion(options: Mapping[str, Any]) -> Diffusion:
    return Diffusion(
        str(options.get("noise_schedule", "")),
        int(options.get("diffusion_steps", 1000)),
        str(options.get("timestep_respacing", "")),
    )


def _clip(folder: Path, device: torch.device) -> Clip:
    place = folder / CLIP_OPTIONS
    try:
        told = read_yaml(place, "GLIDE's CLIP") if place.is_file() else {}
        config = NoisedClipConfig.from_options(told)
    except ModelError as error:
        raise ModelError(f"{place}: {error}") from None
    with blank():
        network = NoisedClip(config)
    parts: tuple[tuple[str, Tower], ...] = (
        (CLIP_TEXT, network.text),
        (CLIP_IMAGE, network.image),
    )
    for name, tower in parts:
        tensors = read_checkpoint(folder / name).tensors
        load_state(tower, tensors, folder / name, take=True)
    vocabulary = min(config.n_vocab, CLIP_VOCABULARY)  # the table has more rows than tokens
    tokenizer = find_tokenizer(folder / CLIP_TEXT, config.max_text_len, vocabulary)

    def words(texts: list[str]) -> tuple[Tensor, Tensor]:
        ids = tokenizer(texts)
        return ids, (ids != 0).sum(1)

    return Clip(_frozen(network, device), words)


def _frozen(network: T, device: torch.device) -> T:
    network.eval().requires_grad_(False)
    return network.to(device)


__all__ = [
    "Clip",
    "FittedWarning",
    "Glide",
    "Gpt2Words",
    "Guidance",
    "Inpainter",
    "Known",
    "Stage",
    "classifier_free",
    "clip_guided",
    "load_glide",
    "load_inpainter",
]
