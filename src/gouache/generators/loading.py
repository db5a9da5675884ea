"""From a file of weights to a frozen VQGAN."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from gouache.errors import ModelError
from gouache.generators.diffusers import as_convolutions, from_diffusers
from gouache.generators.naming import select
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.weights import gz, shipped
from gouache.weights.blank import blank
from gouache.weights.cache import Converted
from gouache.weights.fingerprint import identity
from gouache.weights.recognise import checkpoint_in
from gouache.weights.safe import load_state, read_checkpoint
from gouache.weights.saving import save_model
from gouache.weights.watch import held_back

MAX_YAML_BYTES = 1 << 20
# Where a folder in diffusers' layout has the VQGAN and its weights.
_SUBFOLDERS = ("", "vqvae", "vqgan", "movq")
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


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

    The configuration is the one inside the file, or else the one beside it (see `config_beside`).
    Whatever does not fit raises `ModelError`.
    """
    path = _weights_of(Path(path))
    model = _read(path, None, name or Path(path.name.removesuffix(gz.SUFFIX)).stem)
    model.fingerprint, model.place = identity(path), path
    model.eval().requires_grad_(False).set_precision(dtype)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def convert(path: Path, config: Path | None, target: Path) -> Converted:
    """Writes the published VQGAN in `path` to `target` as ours; a `weights.cache.Converter`.

    `config` is its YAML or JSON, where that does not lie beside it. Raises `ModelError` where the
    two are not a VQGAN, `OutputError` where `target` cannot be written.
    """
    model = _read(_weights_of(path), config, "")
    values = model.config.to_dict()
    save_model(target, model.state_dict(), values)
    facts = {
        "downsampling": model.downsampling,
        "codebook_size": model.config.n_embed,
        "native_size": model.native_size,
    }
    return Converted(facts, values)


def config_beside(path: Path) -> Path:
    """The file that describes the checkpoint `path`, by the places where people keep it.

    Its own name with another suffix; `config.yaml`, `model.yaml` or (as in diffusers) `config.json`
    in its folder; or, in the layout of taming-transformers' logs, `../configs/model.yaml` and the
    newest `*-project.yaml` there or in its folder. None there: `ModelError`.
    """
    own = [path.with_suffix(suffix) for suffix in (".yaml", ".yml", ".json")]
    shared = [path.parent / name for name in ("config.yaml", "model.yaml", "config.json")]
    configs = path.parent.parent / "configs"
    logged = [*sorted(configs.glob("*-project.yaml")), *sorted(path.parent.glob("*-project.yaml"))]
    for place in (*own, *shared, configs / "model.yaml", *reversed(logged)):
        if place.is_file():
            return place
    raise ModelError(
        f"{path} does not say what model it is; put its YAML beside it as {own[0].name}"
    )


@held_back()
def _read(path: Path, config_path: Path | None, name: str) -> VQGAN:
    found = read_checkpoint(path, select)
    config = _configuration(path, found.config, config_path)
    # Keys tell the quantiser better than the YAML's target, which people edit.
    config = dataclasses.replace(config, gumbel="quantize.embed.weight" in found.tensors)
    return build(config, found.tensors, path, name)


def build(config: VQGANConfig, tensors: dict[str, Tensor], path: Path, name: str) -> VQGAN:
    """The VQGAN of that shape with tensors by taming's names, which are taken out of the dict.

    `path` is where they come from, for the `ModelError` if they do not fit.
    """
    with blank():
        model = VQGAN(config, name)
    prior = torch.full((config.n_embed,), 1 / config.n_embed)
    state = {"code_prior": prior, **as_convolutions(tensors)}
    tensors.clear()
    load_state(model, state, path, take=True)
    return model


def _weights_of(path: Path) -> Path:
    """`path`, or the file of weights in a folder of diffusers or of a training run."""
    if not path.is_dir():
        return path
    for folder in (path / name for name in _SUBFOLDERS):
        for weights in (folder / name for name in _WEIGHTS):
            if (folder / "config.json").is_file() and weights.is_file():
                return weights
    if (trained := checkpoint_in(path)) is not None:
        return trained
    raise ModelError(
        f"{path} is a folder without a VQModel of diffusers; expected config.json and "
        f"{_WEIGHTS[0]}, or name the file of weights inside it"
    )


def _configuration(path: Path, inside: Mapping[str, Any] | None, given: Path | None) -> VQGANConfig:
    ours = inside is not None and {"ch", "ch_mult", "n_embed"} <= set(inside)
    if ours:
        given = None
    elif given is None:
        try:
            given = config_beside(path)
        except ModelError:
            if inside is None:
                raise
    try:
        values = inside if given is None and inside is not None else read_yaml(given or path)
        if ours:
            return VQGANConfig.from_dict(values)
        if "_class_name" in values:
            return from_diffusers(values)
        return VQGANConfig.from_taming(values)
    except ModelError as error:
        raise ModelError(f"{given or path}: {error}") from None


class _PlainLoader(yaml.SafeLoader):
    """Also reads what `yaml.dump` makes of Python's own containers and numbers: as plain values."""


def _plain_node(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if suffix not in ("tuple", "list", "dict", "str", "unicode", "int", "long", "float", "bool"):
        raise yaml.YAMLError(f"an object of {suffix:.60}")
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if suffix in ("str", "unicode"):
        return loader.construct_scalar(node)
    # "!!python/long 3" is 3, as if nothing had been said.
    tag = loader.resolve(yaml.ScalarNode, node.value, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, node.value))


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", _plain_node)


def read_yaml(path: Path, what: str = "a VQGAN") -> Mapping[str, Any]:
    """The settings of `what`: YAML, or JSON, which is YAML too. Anything else: `ModelError`."""
    try:
        with path.open("rb") as file:
            values = yaml.load(file.read(MAX_YAML_BYTES), _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ModelError(f"this is not YAML; expected the configuration of {what}") from None
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}") from None
    if not isinstance(values, Mapping):
        raise ModelError(f"this YAML holds no settings; expected the configuration of {what}")
    return values


__all__ = ["build", "config_beside", "convert", "load_checkpoint", "load_pocket", "read_yaml"]
