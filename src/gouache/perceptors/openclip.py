"""Perceptors by the package open_clip: "open_clip:ViT-B-32/laion2b_s34b_b79k".

The package is an optional extra and needs torchvision. Folders in its format whose layers are
CLIP's are read without it, see `clip_loading.load_open_clip_folder`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import ModelError
from gouache.perceptors.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing
from gouache.perceptors.truncation import warn_truncated
from gouache.registry import nearest
from gouache.weights.blank import marked, unfilled

PREFIX = "open_clip:"
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".npz")  # of files of weights
# Names that open_clip resolves by itself, weights included.
_WHOLE = ("hf-hub:", "local-dir:")


class OpenClip(Protocol):
    """What is used of the package."""

    def create_model_and_transforms(
        self, model_name: str, pretrained: str | None = None
    ) -> Sequence[Any]: ...

    def get_tokenizer(self, model_name: str) -> Callable[[list[str]], Tensor]: ...

    def list_pretrained(self) -> Sequence[tuple[str, str]]: ...


class OpenClipPerceptor:
    """A model of open_clip behind the `gouache.protocols.Perceptor` contract."""

    bank = None  # no captions to contrast with

    def __init__(
        self, model: Any, tokenizer: Any, preprocessing: Preprocessing, name: str = ""
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.name = name
        self.fingerprint = _fingerprint(model.state_dict())
        self.device = next(iter(model.parameters())).device
        with torch.no_grad():
            self.embed_dim = self.embed_text(["a"]).shape[1]

    @property
    def image_size(self) -> int:
        """Side of the square pictures it sees, in pixels."""
        return self.preprocessing.size

    def embed_image(self, image: Tensor) -> Tensor:
        """(N,3,S,S) in [0,1] -> (N,D) unit vectors, float32. Differentiable."""
        features: Tensor = self.model.encode_image(self.preprocessing(image))
        return F.normalize(features.float(), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (len(texts),D) unit vectors, float32; warns when a text is cut off."""
        tokens = self.tokenizer(list(texts))
        for text in texts:
            self._warn_if_longer(text, tokens.shape[1])
        features: Tensor = self.model.encode_text(tokens.to(self.device))
        return F.normalize(features.float(), dim=-1)

    def _warn_if_longer(self, text: str, context: int) -> None:
        # Its own tokenizer cuts silently; that of transformers, which it wraps, is inside.
        inner = getattr(self.tokenizer, "tokenizer", self.tokenizer)
        if not (hasattr(inner, "encode") and hasattr(inner, "decode")):
            return
        plain = inner is self.tokenizer
        ids = inner.encode(text) if plain else inner.encode(text, add_special_tokens=False)
        added = 2 if plain else len(inner.encode(text)) - len(ids)
        room = context - added
        if len(ids) > room:
            warn_truncated(inner.decode(ids[room:]), room, len(ids))


def load_open_clip(
    name: str, device: torch.device | str = "cpu", called: str = ""
) -> OpenClipPerceptor:
    """The frozen model that open_clip calls `name`: MODEL/WEIGHTS, hf-hub:OWNER/REPOSITORY or
    local-dir:FOLDER. Everything about size, colours and tokens is its own.

    `ModelError` where the package is missing, the name unknown or the weights not to be had.
    """
    package = _package()
    model_name, tag = _split(package, name)
    try:
        with warnings.catch_warnings(), marked():
            warnings.simplefilter("ignore")
            model = package.create_model_and_transforms(model_name, pretrained=tag)[0]
            tokenizer = package.get_tokenizer(model_name)
    # The package and the hub's client raise whatever they like.
    except Exception as error:
        raise ModelError(f"open_clip cannot load {name!r:.100} ({_line(error)})") from None
    # Where it finds no weights, or not all, the package goes on with random ones.
    if missing := unfilled(model):
        raise ModelError(
            f"{called or PREFIX + name} lacks {len(missing)} of {len(model.state_dict())} tensors "
            f"of its model, first {missing[0]!r:.80}; it has no weights or is incomplete"
        )
    model = model.float().to(device).eval().requires_grad_(False)
    try:
        preprocessing = _preprocessing(model.visual)
        return OpenClipPerceptor(model, tokenizer, preprocessing, called or PREFIX + name)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{name!r:.100} of open_clip is not a model that gouache can use ({_line(error)})"
        ) from None


def load_open_clip_local(
    folder: Path, device: torch.device | str = "cpu", name: str = ""
) -> OpenClipPerceptor:
    """A folder in open_clip's format, by the package itself; `ModelError` without weights."""
    if not any(item.suffix in SUFFIXES and item.is_file() for item in folder.iterdir()):
        raise ModelError(
            f"{folder} has no weights; expected open_clip_model.safetensors beside its "
            "configuration, fetch the rest of the repository"
        )
    return load_open_clip(f"local-dir:{folder}", device, name or str(folder))


def _package() -> OpenClip:
    try:
        return cast(OpenClip, import_module("open_clip"))
    except ImportError as error:  # a missing torchvision among others
        raise ModelError(
            f"this perceptor needs the package open_clip ({_line(error)}); "
            "run: pip install open_clip_torch"
        ) from None


def _split(package: OpenClip, name: str) -> tuple[str, str | None]:
    if name.startswith(_WHOLE):
        return name, None
    model, _, tag = name.partition("/")
    known = {f"{pair[0]}/{pair[1]}" for pair in package.list_pretrained()}
    # Without weights, or with a file of weights as tag, open_clip would start from chance.
    if f"{model}/{tag}" not in known and not (tag and Path(tag).is_file()):
        offers = sorted(pair for pair in known if pair.startswith(f"{model}/")) or sorted(known)
        raise ModelError(
            f"open_clip has no weights {name!r:.100} (expected MODEL/WEIGHTS); "
            f"{nearest(name, offers[:20] if len(offers) <= 20 else _close(name, offers))}"
        )
    return model, tag


def _close(name: str, offers: Sequence[str]) -> list[str]:
    """The first few of a long list, those that begin alike before others."""
    alike = [offer for offer in offers if offer[:5].lower() == name[:5].lower()]
    return (alike or list(offers))[:8]


def _preprocessing(visual: Any) -> Preprocessing:
    values: Mapping[str, Any] = getattr(visual, "preprocess_cfg", None) or {}
    size = values.get("size", visual.image_size)
    sides = list(size) if isinstance(size, (list, tuple)) else [size, size]
    if sides[0] != sides[1]:
        raise ModelError(f"it sees pictures of {sides}; gouache needs a model of square pictures")
    mean = values.get("mean") or getattr(visual, "image_mean", None) or CLIP_MEAN
    std = values.get("std") or getattr(visual, "image_std", None) or CLIP_STD
    return Preprocessing(
        size=int(sides[0]),
        mean=tuple(mean),
        std=tuple(std),
        resample="bilinear" if values.get("interpolation") == "bilinear" else "bicubic",
        fit="squash" if values.get("resize_mode") == "squash" else "crop",
    )


def _fingerprint(state: Mapping[str, Tensor]) -> str:
    """sha256 of all tensors by name: the file that they came from is not known here."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        plain = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Which tensors are missing torch says in the second line.
    count = 2 if lines and "loading state_dict" in lines[0] else 1
    return (" ".join(lines[:count]) if lines else type(error).__name__)[:160]


__all__ = ["PREFIX", "OpenClip", "OpenClipPerceptor", "load_open_clip", "load_open_clip_local"]
