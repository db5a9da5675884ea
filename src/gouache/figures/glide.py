"""GLIDE (filtered) (Nichol et al. 2021, arXiv 2112.10741), by the package glide-text2im."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gouache.figures.systems import need
from gouache.ops.images import to_pil

SCALE = 3.0  # of the guidance, as in the authors' examples
STEPS, STEPS_UP = "100", "fast27"  # diffusion steps at 64 x 64, and from there to 256 x 256
UPSAMPLE_NOISE = 0.997  # below 1, the enlarged picture is a little smoother


class Glide:
    """A picture of 64 x 64 pixels by diffusion, enlarged to 256 x 256 by a second one.

    `guidance` is "clip" (gradients of a noised CLIP) or "free" (away from what the model paints
    without words). The package fetches its weights (about 3 GB) when it is first used.
    """

    def __init__(self, device: str, guidance: str) -> None:
        name = f"glide-{guidance}"
        creation = need(name, "glide_text2im.model_creation")
        self._load = need(name, "glide_text2im.download").load_checkpoint
        self._device, self._guidance = torch.device(device), guidance
        self._base = self._build(creation, creation.model_and_diffusion_defaults(), STEPS, "base")
        self._upper = self._build(
            creation, creation.model_and_diffusion_defaults_upsampler(), STEPS_UP, "upsample"
        )
        self._clip: Any = None
        if guidance == "clip":
            towers = need(name, "glide_text2im.clip.model_creation")
            self._clip = towers.create_clip_model(device=self._device)
            for tower, file in (("image_encoder", "image-enc"), ("text_encoder", "text-enc")):
                weights = self._load(f"clip/{file}", self._device)
                getattr(self._clip, tower).load_state_dict(weights)

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "model": "glide-filtered",
            "guidance": self._guidance,
            "scale": SCALE,
            "steps": [STEPS, STEPS_UP],
            "upsample_noise": UPSAMPLE_NOISE,
        }

    def paint(self, prompt: str, seed: int) -> Image:
        with torch.random.fork_rng(), torch.no_grad():  # it draws from the global stream
            torch.manual_seed(seed)
            small = self._small(prompt)
            large = self._enlarged(prompt, small)
        return to_pil((large[0].float() + 1) / 2)

    def _build(
        self, creation: Any, options: dict[str, Any], steps: str, weights: str
    ) -> tuple[Any, Any, dict[str, Any]]:
        half = self._device.type == "cuda"
        options = {**options, "use_fp16": half, "timestep_respacing": steps}
        model, diffusion = creation.create_model_and_diffusion(**options)
        model.eval()
        if half:
            model.convert_to_fp16()
        model.to(self._device)
        model.load_state_dict(self._load(weights, self._device))
        return model, diffusion, options

    def _told(self, part: tuple[Any, Any, dict[str, Any]], prompts: list[str]) -> dict[str, Tensor]:
        """Tokens and masks of prompts, "" for no words: (N,text_ctx) each."""
        model, _, options = part
        rows = [
            model.tokenizer.padded_tokens_and_mask(
                model.tokenizer.encode(prompt) if prompt else [], options["text_ctx"]
            )
            for prompt in prompts
        ]
        return {
            "tokens": torch.tensor([tokens for tokens, _ in rows], device=self._device),
            "mask": torch.tensor([mask for _, mask in rows], dtype=torch.bool, device=self._device),
        }

    def _small(self, prompt: str) -> Tensor:  # (1,3,64,64) in [-1,1]
        model, diffusion, options = self._base
        side = options["image_size"]
        free = self._guidance == "free"
        prompts = [prompt, ""] if free else [prompt]
        guide = None if free else self._clip.cond_fn([prompt], SCALE)
        model.del_cache()
        pictures: Tensor = diffusion.p_sample_loop(
            _away_from_wordless(model) if free else model,
            (len(prompts), 3, side, side),
            device=self._device,
            clip_denoised=True,
            progress=False,
            model_kwargs=self._told(self._base, prompts),
            cond_fn=guide,
        )
        model.del_cache()
        return pictures[:1]

    def _enlarged(self, prompt: str, small: Tensor) -> Tensor:  # (1,3,256,256) in [-1,1]
        model, diffusion, options = self._upper
        shape = (1, 3, options["image_size"], options["image_size"])
        # The second model was trained on pictures of 8 bits.
        eight_bits = ((small + 1) * 127.5).round() / 127.5 - 1
        model.del_cache()
        pictures: Tensor = diffusion.ddim_sample_loop(
            model,
            shape,
            noise=torch.randn(shape, device=self._device) * UPSAMPLE_NOISE,
            device=self._device,
            clip_denoised=True,
            progress=False,
            model_kwargs={"low_res": eight_bits, **self._told(self._upper, [prompt])},
            cond_fn=None,
        )
        model.del_cache()
        return pictures[:1]


def _away_from_wordless(model: Any) -> Callable[..., Tensor]:
    """Of a batch of two, with and without words: the noise that both are told, moved on along the
    difference (classifier-free guidance, Ho and Salimans 2021)."""

    def predict(x: Tensor, times: Tensor, **told: Tensor) -> Tensor:
        both = model(x[:1].expand_as(x), times, **told)  # (2,6,h,w): noise and variance
        worded, wordless = both[:1, :3], both[1:, :3]
        noise = wordless + SCALE * (worded - wordless)
        return torch.cat([noise.expand(len(x), -1, -1, -1), both[:, 3:]], 1)

    return predict


def clip_guided(device: str) -> Glide:
    """Figure 10."""
    return Glide(device, "clip")


def classifier_free(device: str) -> Glide:
    """Figure 11."""
    return Glide(device, "free")


__all__ = ["Glide", "classifier_free", "clip_guided"]
