"""From a file of weights to a frozen VQGAN."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from gouache.errors import ModelError
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.weights import shipped
from gouache.weights.fingerprint import fingerprint
from gouache.weights.safe import load_state, read_checkpoint

MAX_YAML_BYTES = 1 << 20
# A transformer trained on a VQGAN carries it under this prefix (taming-transformers' Net2Net).
FIRST_STAGE = "first_stage_model."
TRAINING_ONLY = ("loss.", "discriminator.", "model_ema.", "colorize")


def load_pocket(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> VQGAN:
    """The generator that comes with the package."""
    return load_checkpoint(shipped.shipped(shipped.GENERATOR), device, dtype, name="pocket")


def load_checkpoint(
    path: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    name: str | None = None,
) -> VQGAN:
    """The VQGAN in `path`: frozen, in evaluation mode, channels last; named after the file.

    The configuration is the one inside the file, or else a taming-transformers YAML beside it (see
    `yaml_beside`). Whatever does not fit raises `ModelError`.
    """
    path = Path(path)
    found = read_checkpoint(path, _select)
    config = _configuration(path, found.config)
    # Keys tell the quantiser better than the YAML's target, which people edit.
    config = dataclasses.replace(config, gumbel="quantize.embed.weight" in found.tensors)
    with torch.device("meta"):
        model = VQGAN(config, name or path.stem)
    prior = torch.full((config.n_embed,), 1 / config.n_embed)
    load_state(model, {"code_prior": prior, **found.tensors}, path)
    model.fingerprint = fingerprint(path)
    model.eval().requires_grad_(False).set_precision(dtype)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def yaml_beside(path: Path) -> Path:
    """The YAML that describes the checkpoint `path`, by the places where people keep it.

    Its own name with another suffix, `config.yaml` or `model.yaml` in its folder, or
    `../configs/model.yaml`, the layout of taming-transformers' logs. None there: `ModelError`.
    """
    own = [path.with_suffix(suffix) for suffix in (".yaml", ".yml")]
    shared = [path.parent / name for name in ("config.yaml", "model.yaml")]
    for place in (*own, *shared, path.parent.parent / "configs" / "model.yaml"):
        if place.is_file():
            return place
    raise ModelError(
        f"{path} does not say what model it is; put its YAML beside it as {own[0].name}"
    )


def _configuration(path: Path, inside: Mapping[str, Any] | None) -> VQGANConfig:
    source = path if inside is not None else yaml_beside(path)
    try:
        if inside is not None:
            return VQGANConfig.from_dict(inside)
        return VQGANConfig.from_taming(_read_yaml(source))
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from None


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            values = yaml.safe_load(file.read(MAX_YAML_BYTES))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ModelError("this is not YAML; expected the configuration of a VQGAN") from None
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}") from None
    if not isinstance(values, Mapping):
        raise ModelError("this YAML holds no settings; expected the configuration of a VQGAN")
    return values


def _select(names: Collection[str]) -> dict[str, str]:
    """The generator's own tensors: nothing of losses, discriminators or transformers is read."""
    prefix = FIRST_STAGE if any(name.startswith(FIRST_STAGE) for name in names) else ""
    own = {name: name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return {name: short for name, short in own.items() if not short.startswith(TRAINING_ONLY)}


__all__ = ["load_checkpoint", "load_pocket", "yaml_beside"]
