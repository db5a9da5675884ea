"""Turns training checkpoints into the files that gouache ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gouache.atomic import write_bytes
from gouache.engine.words import embed_texts
from gouache.errors import TrainingError
from gouache.generators.drawing import FILE as DRAWING_FILE
from gouache.generators.drawing import blended, load_drawing
from gouache.generators.loading import load_checkpoint as load_file
from gouache.generators.loading import load_pocket
from gouache.generators.vqgan import VQGAN, VQGANConfig
from gouache.perceptors.loading import TABLE
from gouache.perceptors.pocket import PocketPerceptor
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.perceptors.towers import PocketConfig
from gouache.weights.fingerprint import identity
from gouache.weights.gz import is_packed, pack, packed_or_plain
from gouache.weights.safe import read_model
from gouache.weights.saving import save_model
from gouache.weights.shipped import (
    AUTOREGRESSIVE,
    DIFFUSION,
    GENERATOR,
    PERCEPTOR,
    PHOTO,
    PRIOR,
    REFEREE,
    TOKENIZER,
)
from gouache_training.codebook import same_codes
from gouache_training.dataset import PictureSet, name_bank
from gouache_training.drawing import drawing_of
from gouache_training.loop import load_checkpoint

# Steps of packed matrices (`save_model`), where measured losses are small (docs/models/pocket.md,
# systems.md); what guides, what proposes and what draws is kept as finely as 8 bits can.
_STEPS = {REFEREE.name: 0.115, AUTOREGRESSIVE.name: 0.17, DIFFUSION.name: 0.125}
DRAWING = GENERATOR.with_name(DRAWING_FILE)
_PARTS = (GENERATOR, PERCEPTOR, PHOTO, REFEREE, PRIOR, DRAWING, AUTOREGRESSIVE, DIFFUSION)
BANK_SIZE = 1000
# What half-painted pictures look like: without these as rivals, texture passes for the thing.
NOT_THINGS = (
    "nothing", "noise", "a blur", "a pattern", "a texture", "stripes", "polka dots", "text",
    "letters", "a checkerboard", "fabric", "an abstract picture", "a blank picture", "a smear",
)  # fmt: skip


def bank_captions(pictures: PictureSet, size: int = BANK_SIZE) -> list[str]:
    """The captions of the concepts with the largest weight, and a few of no thing at all."""
    names, concepts = name_bank(pictures)
    weight = torch.zeros(len(pictures.concepts))
    for entry in pictures.entries:
        if entry.split == "train":
            weight[entry.concept] += entry.weight
    order = weight[concepts].argsort(descending=True, stable=True)[:size].tolist()
    return [f"a {names[i]}" for i in order] + list(NOT_THINGS)


def load_generator_checkpoint(path: Path) -> VQGAN:
    """The averaged weights of a generator's checkpoint, ready to paint with."""
    content = load_checkpoint(path)
    model = VQGAN(VQGANConfig.from_dict(content["config"]))
    model.load_state_dict(content["average"])
    counts = content["codes"]["counts"]
    model.codebook.data.copy_(content["codes"]["sums"] / counts.unsqueeze(1))
    model.code_prior.copy_(counts / counts.sum())
    return model.eval().requires_grad_(False)


def load_painter(path: Path | None) -> VQGAN:
    """A VQGAN of ours from a training checkpoint or an exported file; None is the shipped one."""
    if path is None:
        return load_pocket()
    return load_file(path) if ".safetensors" in path.suffixes else load_generator_checkpoint(path)


def load_perceptor_checkpoint(path: Path, tokenizer: Path) -> PocketPerceptor:
    """The averaged weights of a perceptor's checkpoint, without a bank."""
    content = load_checkpoint(path)
    config = PocketConfig.from_dict(content["config"])
    model = PocketPerceptor(config, PocketTokenizer(tokenizer, config.context))
    model.load_state_dict(content["average"])
    return model.eval().requires_grad_(False)


def export_models(
    out: Path,
    data: Path,
    cache: Path,
    generator: Path | None = None,
    perceptor: Path | None = None,
    prior: Path | None = None,
    referee: Path | None = None,
    drawing: Path | None = None,
    autoregressive: Path | None = None,
    diffusion: Path | None = None,
) -> list[Path]:
    """Writes the shipped files into `out`, of the checkpoints that are given and exist; what else
    lies there stays as it is.

    What was trained on a generator's codes goes with the one that is exported too, or that lies in
    `out`; pocket-diffusion with the perceptor, too.
    Matrices are packed into 8 bits, except the generator's: its errors would be seen.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def place(name: str, checkpoint: Path | None) -> Path | None:
        if checkpoint is None or not checkpoint.exists():
            return None
        written.append(part_of(out, name))
        return checkpoint

    if (found := place("generator", generator)) is not None:
        painter = load_generator_checkpoint(found)
        save_model(written[-1], painter.state_dict(), painter.config.to_dict(), half=True)
    if (found := place("perceptor", perceptor)) is not None:
        viewer = load_perceptor_checkpoint(found, _tokenizer(out, cache))
        _save_perceptor(written[-1], viewer, bank_captions(PictureSet.load(data)))
    if (found := place("referee", referee)) is not None:
        viewer = load_perceptor_checkpoint(found, _tokenizer(out, cache))
        _save_perceptor(written[-1], viewer, [], True)
    of_codes = (
        ("prior", prior),
        ("drawing", drawing),
        ("autoregressive", autoregressive),
        ("diffusion", diffusion),
    )
    for name, checkpoint in of_codes:
        if (found := place(name, checkpoint)) is not None:
            _save_of_codes(written[-1], found, packed_or_plain(out / GENERATOR.name))
    return written


def export_blend(parts: Sequence[tuple[Path, float]], out: Path) -> Path:
    """Writes drawing.safetensors.gz: one decoder that draws the weighted mean of several.

    Args:
        parts: checkpoints of `gouache train drawing`, or exported files, and the share of each;
            shares add up to 1.
        out: the folder of the shipped files, with the generator whose codes they draw.

    Raises:
        TrainingError: no generator there, or a checkpoint of other codes.
        ModelError: shapes differ, shares do not add up, or a file draws another generator's codes.
    """
    place = packed_or_plain(out / GENERATOR.name)
    generator = _generator_of("drawing", place)
    networks = []
    for path, _ in parts:
        if ".safetensors" in path.suffixes:
            networks.append(load_drawing(path, generator))
        else:
            networks.append(drawing_of(_trained_on(path, generator, place)))
    whole = blended(networks, [share for _, share in parts])
    config = whole.config.to_dict() | {"generator": identity(place)}
    _save(out / DRAWING.name, whole.state_dict(), config)
    return out / DRAWING.name


def export_packed(path: Path, out: Path) -> Path:
    """Writes an exported file anew into `out`, as that part is kept today: in coarser steps, or, as
    the same model, sum included, packed by gzip. What is packed already stays as it is.

    Raises:
        TrainingError: it is no part.
        ModelError: it cannot be read.
    """
    target = part_of(out, _name(path))
    tensors, config = read_model(path)
    out.mkdir(parents=True, exist_ok=True)
    if is_packed(path):
        write_bytes(target, path.read_bytes())
    elif target.name in _STEPS:
        _save(target, tensors, config)
    else:
        write_bytes(target, pack(path.read_bytes()))
    return target


def part_of(folder: Path, name: str) -> Path:
    """The file of an exported part, "prior" for example; `TrainingError` for what is none."""
    names = {_name(place): place.name for place in _PARTS}
    if name not in names:
        raise TrainingError(f"got part {name!r:.60}, expected one of {', '.join(names)}")
    return folder / names[name]


def _name(path: Path) -> str:
    """Of the part in that file."""
    return path.name.partition(".")[0]


def _save(path: Path, state: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    save_model(path, state, config, packed=True, step=_STEPS.get(path.name, 0.0))


def _generator_of(name: str, place: Path) -> VQGAN:
    """The exported generator whose codes what is called `name` was trained on."""
    if not place.exists():
        raise TrainingError(f"{name} goes with a generator; export that into {place} too")
    return load_file(place)


def _trained_on(checkpoint: Path, generator: VQGAN, place: Path) -> dict[str, Any]:
    """A checkpoint that was trained on the codes of the generator at `place`."""
    content = load_checkpoint(checkpoint)
    if not same_codes(content["codebook"].float(), generator.codebook):
        raise TrainingError(f"{checkpoint} was trained on other codes than {place} has")
    return content


def _tokenizer(out: Path, cache: Path) -> Path:
    path = out / TOKENIZER.name
    write_bytes(path, pack((cache / "tokenizer.json").read_bytes(), text=True))
    return path


def _save_of_codes(path: Path, checkpoint: Path, generator: Path) -> None:
    """Packs what was trained on the codes of a generator, which its file names."""
    content = _trained_on(checkpoint, _generator_of(_name(path), generator), generator)
    config = content["config"] | {"generator": identity(generator)}
    beside = packed_or_plain(path.with_name(PERCEPTOR.name))
    if "perceptor" in config and (not beside.exists() or identity(beside) != config["perceptor"]):
        raise TrainingError(f"{checkpoint} was taught by another perceptor than {beside}")
    average = {  # a checkpoint that was stripped for a journey is in half precision
        name: value.float() if value.is_floating_point() else value
        for name, value in content["average"].items()
    }
    _save(path, average, config)


def _save_perceptor(
    path: Path, viewer: PocketPerceptor, captions: list[str], without_table: bool = False
) -> None:
    """Packs a perceptor; `without_table` leaves out what another shipped file holds already."""
    with torch.no_grad():
        embedded = embed_texts(captions, viewer)
        viewer.bank_embeddings = torch.cat([viewer.bank_embeddings, embedded])
    state = viewer.state_dict()
    if without_table:
        state = {k: v for k, v in state.items() if k not in TABLE}
    config = asdict(viewer.config) | {"bank_size": len(captions)}
    _save(path, state, config)
