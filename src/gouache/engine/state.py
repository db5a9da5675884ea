"""What a saved session consists of, and whether it belongs to the one that reads it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from gouache.config import PaintConfig, settings
from gouache.engine.models import Models
from gouache.engine.targets import StagePlan, Target
from gouache.errors import StateError
from gouache.prompts import Prompt

FORMAT = 1
# They say where and how to compute, not what; a run may move to another machine.
_MAY_DIFFER = frozenset({"device", "precision", "compile"})


class SessionState(NamedTuple):
    """A session between two steps: named tensors, and values that JSON can hold."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def identity(config: PaintConfig, models: Models) -> dict[str, Any]:
    """What has to agree for a state to be continued: settings and the models' fingerprints."""
    return {
        "format": FORMAT,
        "config": config.to_dict(),
        "generator": {"name": models.generator.name, "fingerprint": models.generator.fingerprint},
        "perceptors": [
            {
                "name": guide.perceptor.name,
                "fingerprint": guide.perceptor.fingerprint,
                "weight": guide.weight,
            }
            for guide in models.guides
        ],
    }


def check_identity(meta: Mapping[str, Any], config: PaintConfig, models: Models) -> None:
    """Raises `StateError` unless the state was saved with these settings and models."""
    mine = identity(config, models)
    if meta.get("format") != FORMAT:
        raise StateError(
            f"the saved run has format {meta.get('format')!r:.20}; this version reads {FORMAT}"
        )
    saved = PaintConfig.from_dict(meta["config"])
    differing = [
        f"{setting.name} was {setting.get(saved)!r:.40} and is {setting.get(config)!r:.40}"
        for setting in settings()
        if setting.name not in _MAY_DIFFER and setting.get(saved) != setting.get(config)
    ]
    if differing:
        raise StateError(f"the run was saved with other settings: {'; '.join(differing[:3])}")
    for kind, theirs, ours in (
        ("generator", [meta["generator"]], [mine["generator"]]),
        ("perceptor", meta["perceptors"], mine["perceptors"]),
    ):
        if theirs != ours:
            raise StateError(
                f"the run was saved with the {kind} {_names(theirs)}, and this is {_names(ours)}; "
                "install the same weights to go on"
            )


def pack_stages(stages: Sequence[StagePlan]) -> SessionState:
    """Stages with their embeddings, so that resuming needs neither picture files nor encoders."""
    tensors, meta = {}, []
    for number, stage in enumerate(stages):
        described = []
        for target in stage.targets:
            prompt = dataclasses.asdict(target.prompt)
            # JSON has no infinity
            prompt["stop"] = None if prompt["stop"] == -math.inf else prompt["stop"]
            entry: dict[str, Any] = {"name": target.name, "prompt": prompt}
            if target.pictures is not None:
                entry["pictures"] = list(target.pictures)
            if any(sure != 1.0 for sure in target.confidences):
                entry["confidences"] = list(target.confidences)
            described.append(entry)
            for guide, embedding in enumerate(target.embeddings):
                tensors[f"{number}/{_key(target)}/{guide}"] = embedding.clone()
        meta.append({"steps": stage.steps, "targets": described})
    return SessionState(tensors, {"stages": meta})


def unpack_stages(state: SessionState, models: Models, count: int) -> tuple[StagePlan, ...]:
    """Reads back what `pack_stages` gave for `count` pictures.

    Embeddings of another shape and pictures that there are not raise `StateError`.
    """
    stages = []
    for number, described in enumerate(state.meta["stages"]):
        targets = []
        for entry in described["targets"]:
            fields = dict(entry["prompt"])
            fields["stop"] = -math.inf if fields["stop"] is None else fields["stop"]
            pictures = entry.get("pictures")  # absent where a target is for all
            if pictures is not None:
                pictures = tuple(map(int, pictures))
                if not pictures or len(set(pictures) & set(range(count))) < len(pictures):
                    raise StateError(f"the saved prompts are for pictures {pictures!s:.40}")
            target = Target(str(entry["name"]), Prompt(**fields), (), pictures)
            embeddings = []
            for index, guide in enumerate(models.guides):
                embedding = state.tensors[f"{number}/{_key(target)}/{index}"]
                if embedding.shape != (1, guide.perceptor.embed_dim):
                    raise StateError(
                        f"the saved embedding has shape {tuple(embedding.shape)}; "
                        f"expected {(1, guide.perceptor.embed_dim)}"
                    )
                embeddings.append(embedding.to(models.device).clone())
            sure = tuple(map(float, entry.get("confidences", [1.0] * len(embeddings))))
            if len(sure) != len(embeddings) or not all(0 <= c <= 1 for c in sure):
                raise StateError(f"the saved confidences are {sure!s:.60}")
            targets.append(
                dataclasses.replace(target, embeddings=tuple(embeddings), confidences=sure)
            )
        stages.append(StagePlan(int(described["steps"]), tuple(targets)))
    return tuple(stages)


def _key(target: Target) -> str:
    """Where its tensors are: targets of different pictures have the same name."""
    return target.name if target.pictures is None else f"{target.name}/of-{target.pictures[0]}"


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `with_prefix` named, under their own names."""
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }


def _names(models: Sequence[Mapping[str, Any]]) -> str:
    return " + ".join(f"{model['name']} ({model['fingerprint']!s:.12})" for model in models)


__all__ = [
    "FORMAT",
    "SessionState",
    "check_identity",
    "identity",
    "pack_stages",
    "under",
    "unpack_stages",
    "with_prefix",
]
