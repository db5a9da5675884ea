"""Perceptors by transformers: CLIP, SigLIP, SigLIP 2, and what else has image and text features."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors.clip_tokenizer import clean
from gouache.perceptors.preprocessing import Preprocessing, Resample
from gouache.perceptors.truncation import warn_truncated
from gouache.weights.fingerprint import fingerprint
from gouache.weights.hub import check_packages
from gouache.weights.watch import need

MAX_CONTEXT = 1024  # a tokenizer without a limit names a number far beyond
# In the order in which transformers looks for them.
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin", "*.safetensors", "*.bin")
_RESAMPLE: dict[int, Resample] = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


class TransformersPerceptor:
    """A model, its tokenizer and its preprocessing behind `gouache.protocols.Perceptor`.

    `patch_size` is 0, or of a model that takes its patches in a row (NaFlex) their side.
    """

    bank = None  # no captions to contrast with

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        preprocessing: Preprocessing,
        *,
        context: int,
        patch_size: int = 0,
        name: str = "",
        fingerprint: str = "",
        prepare_text: Callable[[str], str] = str,
    ) -> None:
        self._prepare_text = prepare_text
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.context = context
        self.patch_size = patch_size
        self.name = name
        self.fingerprint = fingerprint
        with torch.no_grad():
            self.embed_dim = self.embed_text(["a"]).shape[1]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device  # type: ignore[no-any-return]

    @property
    def image_size(self) -> int:
        """Side of the square pictures it sees, in pixels."""
        return self.preprocessing.size

    def embed_image(self, image: Tensor) -> Tensor:
        """(N,3,S,S) in [0,1] -> (N,D) unit vectors, float32. Differentiable."""
        pixels = self.preprocessing(image)
        inputs = (
            in_patches(pixels, self.patch_size) if self.patch_size else {"pixel_values": pixels}
        )
        return _unit(self.model.get_image_features(**inputs))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (len(texts),D) unit vectors, float32; warns when a text is cut off."""
        texts = [self._prepare_text(text) for text in texts]
        for text in texts:
            self._warn_if_longer(text)
        # Padded to the full length, as in training: some of these models read the last place.
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=self.context,
            return_tensors="pt",
        )
        return _unit(self.model.get_text_features(**tokens.to(self.model.device)))

    def unknown_words(self, text: str) -> list[str]:
        """The words of `text` for which its vocabulary has no token but the one for such words.

        Vocabularies of bytes have none for them, and write another one in its place.
        """
        unknown = getattr(self.tokenizer, "unk_token_id", None)
        if unknown is None or unknown == self.tokenizer.eos_token_id:
            return []
        return [word for word in dict.fromkeys(text.split()) if unknown in self._ids(word)]

    def _warn_if_longer(self, text: str) -> None:
        ids = self._ids(text)
        room = self.context - (len(self.tokenizer(text, verbose=False)["input_ids"]) - len(ids))
        if len(ids) <= room:
            return
        if getattr(self.tokenizer, "is_fast", False):
            places = self.tokenizer(
                text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )["offset_mapping"]
            cut = text[places[room - 1][1] :]
        else:
            cut = self.tokenizer.decode(ids[room:])
        warn_truncated(cut, room, len(ids))

    def _ids(self, text: str) -> list[int]:
        tokens = self.tokenizer(text, add_special_tokens=False, verbose=False)
        return list(tokens["input_ids"])


def load_transformers(
    folder: Path, device: torch.device | str = "cpu", name: str = ""
) -> TransformersPerceptor:
    """The frozen model in a folder by `save_pretrained`, in float32, with SDPA attention.

    Everything about size, colours, resampling, tokens and length is the model's own. Code in the
    folder is never run, nothing is fetched. `ModelError` where transformers is missing, where the
    folder is damaged, and for models without image and text features.
    """
    transformers = need("transformers", f"the perceptor {name or folder}")
    check_packages(folder)
    try:
        with _quiet(transformers):
            model = _load_model(transformers, folder)
            processor = transformers.AutoProcessor.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
            images = _part(transformers, "AutoImageProcessor", processor, "image_processor", folder)
            tokenizer = _part(transformers, "AutoTokenizer", processor, "tokenizer", folder)
    except ModelError:
        raise
    # transformers and what it is made of raise whatever they like.
    except Exception as error:
        raise ModelError(f"{folder} cannot be loaded by transformers ({_line(error)})") from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    patch_size = _patch_size(images)
    try:
        preprocessing = read_preprocessing(images, model.config, patch_size)
        model = model.float().to(device).eval().requires_grad_(False)
        return TransformersPerceptor(
            model,
            tokenizer,
            preprocessing,
            context=_context(model.config, tokenizer),
            patch_size=patch_size,
            name=name or str(folder),
            fingerprint=_fingerprint(folder),
            prepare_text=_preparation(model.config, tokenizer),
        )
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder} is not a model of pictures and texts that gouache can use ({_line(error)})"
        ) from None


def read_preprocessing(images: Any, config: Any, patch_size: int = 0) -> Preprocessing:
    """What an image processor of transformers does, as ours; `ModelError` where that is no square.

    `config` is the model's; it decides the size where the processor does not resize.
    """
    expected = getattr(getattr(config, "vision_config", None), "image_size", None)
    short_side = 0
    fit = "squash"
    if patch_size:
        sides = [math.isqrt(int(images.max_num_patches)) * patch_size] * 2
        expected = None  # it takes pictures of any size
    elif getattr(images, "do_center_crop", None):
        sides = _sides(images.crop_size)
        resized = getattr(images, "do_resize", True)
        short_side = _sides(images.size)[0] if resized else 0
        fit = "crop" if not resized or _side(images.size, "shortest_edge") else "squash"
    elif getattr(images, "do_resize", True):
        sides = _sides(images.size)
        fit = "crop" if _side(images.size, "shortest_edge") else "squash"
    else:
        sides = [int(expected or 0)] * 2
    if sides[0] != sides[1] or (expected is not None and sides[0] != expected):
        raise ModelError(
            f"it sees pictures of {sides[1]}x{sides[0]} pixels, with weights for {expected}; "
            "gouache needs a model of square pictures"
        )
    # Values of 0 to 255 times this factor are what mean and deviation are meant for.
    scale = 255 * (images.rescale_factor if getattr(images, "do_rescale", True) else 1.0)
    normalize = getattr(images, "do_normalize", True)
    mean = [value / scale for value in (images.image_mean if normalize else [0.0] * 3)]
    std = [value / scale for value in (images.image_std if normalize else [1.0] * 3)]
    resample = getattr(images, "resample", None)
    return Preprocessing(
        size=sides[0],
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        # Lanczos, the only other one in use, is nearest to bicubic.
        resample=_RESAMPLE.get(int(3 if resample is None else resample), "bicubic"),
        fit="crop" if fit == "crop" else "squash",
        short_side=short_side,
    )


def in_patches(pixels: Tensor, patch_size: int) -> dict[str, Tensor]:
    """Pictures (N,3,S,S) as SigLIP 2 NaFlex takes them: patches (N,L,P*P*3), row by row."""
    side = pixels.shape[-1] // patch_size
    grid = pixels.reshape(len(pixels), 3, side, patch_size, side, patch_size)
    patches = grid.permute(0, 2, 4, 3, 5, 1).reshape(len(pixels), side * side, -1)
    shapes = torch.tensor([[side, side]], device=pixels.device).expand(len(pixels), -1)
    present = torch.ones(patches.shape[:2], dtype=torch.int32, device=pixels.device)
    return {"pixel_values": patches, "pixel_attention_mask": present, "spatial_shapes": shapes}


def _load_model(transformers: Any, folder: Path) -> Any:
    options = {"local_files_only": True, "trust_remote_code": False, "output_loading_info": True}
    load = transformers.AutoModel.from_pretrained
    try:
        model, info = load(str(folder), attn_implementation="sdpa", **options)
    except ValueError as error:
        if "attention" not in str(error):
            raise
        model, info = load(str(folder), **options)  # a model without this kind of attention
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise ModelError(
            f"{folder} holds a {type(model).__name__}, which has no image and text features; "
            "expected a model such as CLIP or SigLIP"
        )
    # transformers fills what is missing with chance and goes on.
    missing = sorted(name for name in info["missing_keys"] if "position_ids" not in name)
    if missing or info.get("mismatched_keys"):
        first = missing[0] if missing else next(iter(info["mismatched_keys"]))[0]
        raise ModelError(
            f"{folder} lacks {len(missing) or len(info['mismatched_keys'])} tensors of its model, "
            f"first {first!r:.80}; it is incomplete"
        )
    return model


def _part(transformers: Any, loader: str, processor: Any, attribute: str, folder: Path) -> Any:
    """A processor's tokenizer or image processor, wherever the folder keeps it."""
    part = getattr(processor, attribute, None)
    if part is not None:
        return part
    return getattr(transformers, loader).from_pretrained(str(folder), local_files_only=True)


def _preparation(config: Any, tokenizer: Any) -> Callable[[str], str]:
    """What the training texts went through and the tokenizer does not do by itself."""
    kind = getattr(config, "model_type", "")
    if kind == "clip":
        return clean
    asked = getattr(tokenizer, "init_kwargs", {}).get("do_lower_case")
    # SigLIP 2 was trained on small letters. Gemma's tokenizer, which it uses, ignores that it is
    # told so; models of a fixed size have SigLIP's type.
    gemma = kind.startswith("siglip") and "Gemma" in type(tokenizer).__name__
    return str.lower if asked or gemma or kind == "siglip2" else str


def _patch_size(images: Any) -> int:
    return int(images.patch_size) if "spatial_shapes" in images.model_input_names else 0


def _sides(size: Any) -> list[int]:
    """Height and width out of the forms in which processors keep them."""
    short = _side(size, "shortest_edge")
    return [short or _side(size, side) for side in ("height", "width")]


def _side(size: Any, key: str) -> int:
    if isinstance(size, int):
        return size
    value = size.get(key) if isinstance(size, Mapping) else getattr(size, key, None)
    return int(value or 0)


def _context(config: Any, tokenizer: Any) -> int:
    """Tokens that fit: what the text tower has places for, or what the tokenizer says."""
    text = getattr(config, "text_config", config)
    places = getattr(text, "max_position_embeddings", None)
    limits = [int(n) for n in (places, tokenizer.model_max_length) if n and n <= MAX_CONTEXT]
    return min(limits, default=MAX_CONTEXT)


def _fingerprint(folder: Path) -> str:
    """sha256 of the weights; of several files that of their sums, in alphabetical order."""
    for pattern in WEIGHTS:
        sums = [fingerprint(path) for path in sorted(folder.glob(pattern))]
        if sums:
            return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
    raise ModelError("it has no weights; expected model.safetensors")


def _unit(features: Any) -> Tensor:
    """Features are a tensor in some versions and models, or the pooled output of a tower."""
    if not isinstance(features, Tensor):
        features = features.pooler_output
    return F.normalize(features.float(), dim=-1)


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without its progress bars and remarks, which say nothing that an error does not."""
    log = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity(logging.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        log.enable_progress_bar()


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:160]


__all__ = ["TransformersPerceptor", "in_patches", "load_transformers", "read_preprocessing"]
