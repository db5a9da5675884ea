"""What a saved session consists of, and whether it belongs to the one that reads it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from gouache.engine.hook import Hook, hooks
from gouache.engine.targets import StagePlan, Target
from gouache.errors import StateError
from gouache.inputs import Input, base_name, files_of, portable, portable_model
from gouache.networks.canvas import Canvas
from gouache.networks.models import Models
from gouache.output.documents import FORMAT
from gouache.prompts import Prompt, one_line
from gouache.settings.config import PaintConfig, settings

# They say where and how to compute, not what; a run may move to another machine.
MAY_DIFFER = frozenset({"device", "precision", "compile"})


class SessionState(NamedTuple):
    """A session between two steps: named tensors, and values that JSON can hold."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


class Loaded(NamedTuple):
    """What of a saved session is not in its tensors, checked."""

    step: int
    stages: tuple[StagePlan, ...]
    pull_target: Tensor | None
    styled: tuple[bool, ...]
    edits: list[dict[str, Any]]
    inputs: tuple[Input, ...]


def identity(
    config: PaintConfig,
    models: Models,
    inputs: Sequence[Input] = (),
    source: Mapping[str, Any] | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What has to agree for a state to be continued, and what makes the picture again elsewhere.

    Settings, pictures that were read, what an edit says of its `source`, the models' fingerprints,
    the `lineage` (which need not agree); no paths.
    """
    known = sum(one.setting == "image_prompts" for one in inputs) == len(config.image_prompts)
    told: dict[str, Any] = {
        "format": FORMAT,
        "config": portable(config, inputs if known else None).to_dict(),
        "generator": {
            "name": portable_model(models.generator.name),
            "fingerprint": models.generator.fingerprint,
        },
        "perceptors": [
            {
                "name": portable_model(guide.perceptor.name),
                "fingerprint": guide.perceptor.fingerprint,
                "weight": guide.weight,
            }
            for guide in models.guides
        ],
    }
    if inputs:
        told["inputs"] = [one.record() for one in inputs]
    if source is not None:
        told["source"] = dict(source)
    if lineage is not None:
        told["lineage"] = dict(lineage)
    return told


def check_identity(meta: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Raises `StateError` unless a state was saved with my settings, pictures and models."""
    if meta.get("format") != FORMAT:
        raise StateError(
            f"the saved run has format {meta.get('format')!r:.20}; this version reads {FORMAT}"
        )
    saved, now = (PaintConfig.from_dict(one["config"]) for one in (meta, mine))
    if differing := differences(portable(saved, saved_inputs(meta)), now):
        raise StateError(f"the run was saved with other settings: {'; '.join(differing[:3])}")
    _check_inputs(saved_inputs(meta), mine)
    _check_source(meta, mine.get("source"))
    for kind, theirs, ours in (
        ("generator", [meta["generator"]], [mine["generator"]]),
        ("perceptor", meta["perceptors"], mine["perceptors"]),
    ):
        if [{**model, "name": portable_model(str(model["name"]))} for model in theirs] != ours:
            raise StateError(
                f"the run was saved with the {kind} {_names(theirs)}, and this is {_names(ours)}; "
                "install the same weights to go on"
            )


def differences(saved: PaintConfig, now: PaintConfig, but: Collection[str] = ()) -> list[str]:
    """In what settings two runs differ, as messages say it; `but` are left out, and those of
    `MAY_DIFFER`."""
    told = [
        (setting.name, setting.plain(setting.get(saved)), setting.plain(setting.get(now)))
        for setting in settings()
        if setting.name not in (*but, *MAY_DIFFER)
    ]
    return [f"{name} was {old!r:.40} and is {new!r:.40}" for name, old, new in told if old != new]


def saved_inputs(meta: Mapping[str, Any]) -> tuple[Input, ...]:
    """The pictures that a saved run read; earlier versions saved their places only, no sums."""
    if "inputs" in meta:
        return tuple(map(Input.from_record, meta["inputs"]))
    return tuple(one for one, _ in files_of(PaintConfig.from_dict(meta["config"])))


def saved_edits(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The changes by hand of a saved run; earlier versions saved places of files, too."""
    found = []
    for edit in meta["edits"]:
        edit = dict(edit)
        if "source" in edit:
            edit["source"] = base_name(edit["source"])
        if "prompts" in edit:
            edit["prompts"] = [
                {**one, "prompt": {**one["prompt"], "path": base_name(one["prompt"]["path"])}}
                for one in edit["prompts"]
            ]
        found.append(edit)
    return found


def pack_edit(edit: Hook, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """What a state tells of an edit; its tensors are put to the others."""
    own, meta = edit.state()
    tensors |= with_prefix("edit", own)
    return {"edit": {**meta, "kind": edit.kind}}


def unpack_edit(saved: SessionState, models: Models, canvas: Canvas) -> Hook | None:
    """What `pack_edit` told of; None for a painting. Damage raises `StateError`."""
    require_picture(saved.meta)
    if "edit" not in saved.meta:
        return None
    try:
        told = dict(saved.meta["edit"])
        restore = hooks.get(str(told.pop("kind")))
        return restore(under("edit", saved.tensors), told, models, canvas)
    except StateError:
        raise
    except Exception as error:  # damage shows in many ways
        raise StateError(
            f"the saved edit is damaged ({one_line(error, 80)}); edit the picture again"
        ) from None


def require_picture(meta: Mapping[str, Any]) -> None:
    """Raises `StateError` for an edit whose state does not hold its picture, which goes on with
    nothing less: it would repaint what it was told to leave."""
    if _source_of(meta) is not None and "edit" not in meta:
        raise StateError(
            "the saved run is an edit by an earlier version of gouache, which did not keep the "
            "picture with it; edit that picture again"
        )


def _source_of(meta: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What identifies the source of a saved edit; None for a painting."""
    if "source" in meta:
        found: Mapping[str, Any] = meta["source"]
        return found
    for edit in meta.get("edits") or ():  # as earlier versions had it
        if isinstance(edit, Mapping) and edit.get("edit") in ("edit", "replace"):
            return {"source_sha256": edit.get("source_sha256")}
    return None


def _check_source(meta: Mapping[str, Any], ours: Mapping[str, Any] | None) -> None:
    """Raises `StateError` unless a state was saved with this source of an edit, or without one."""
    theirs = _source_of(meta)
    if theirs is None and ours is None:
        return
    if ours is None:
        raise StateError("the saved run is an edit of a picture, and this is a painting")
    if theirs is None:
        raise StateError("the saved run is a painting, and this is an edit of a picture")
    for name, value in theirs.items():
        if ours.get(name) != value:
            raise StateError(
                f"the saved edit has another {name.removesuffix('_sha256')}: it was "
                f"{value!s:.12} and is {ours.get(name)!s:.12}; start the edit again"
            )


def _check_inputs(theirs: Sequence[Input], mine: Mapping[str, Any]) -> None:
    """Of a session that is about to go on from a file alone, no picture is known; an edit's own
    have sums in its identity."""
    ours = map(Input.from_record, mine.get("inputs", ()))
    before, now = (
        [one for one in inputs if one.setting in ("init_image", "cross_image", "image_prompts")]
        for inputs in (theirs, ours)
    )
    for old, new in zip(before, now, strict=False):
        known = old.sha256 and new.sha256 and old.of == new.of
        if known and (old.setting, old.sha256) != (new.setting, new.sha256):
            raise StateError(
                f"the run was saved with {old.name or 'a picture'} (sha256 {old.short}) as "
                f"{old.setting}, and this is {new.name or 'a picture'} ({new.short}); "
                "give the same picture"
            )


def read_state(
    saved: SessionState,
    mine: Mapping[str, Any],
    models: Models,
    count: int,
    grid: tuple[int, int],
) -> Loaded:
    """Reads a saved session for one that says `mine` of itself and paints `count` pictures on a
    latent of `grid` (h, w).

    `StateError` where it is another run's; damage raises that or another exception.
    """
    check_identity(saved.meta, mine)
    stages = unpack_stages(SessionState(under("stage", saved.tensors), saved.meta), models, count)
    step = int(saved.meta["step"])
    if not stages or not 0 <= step <= sum(stage.steps for stage in stages):
        raise StateError(f"the saved run is at step {step} of {len(stages)} stages")
    target = saved.tensors.get("pull_target")
    if target is not None:
        if target.shape != (count, models.generator.code_dim, *grid):
            raise StateError(f"the saved init latent has shape {tuple(target.shape)}")
        target = target.to(models.device).clone()
    styled = tuple(map(bool, saved.meta.get("styled", ())))
    if styled and (target is None or len(styled) != count):
        raise StateError(f"the saved styles are of {len(styled)} pictures, without their beginning")
    edits, inputs = saved_edits(saved.meta), saved_inputs(saved.meta)
    return Loaded(step, stages, target, styled, edits, inputs)


def pack_stages(stages: Sequence[StagePlan]) -> SessionState:
    """Stages with their embeddings, so that resuming needs neither picture files nor encoders."""
    tensors, meta = {}, []
    for number, stage in enumerate(stages):
        described = []
        for target in stage.targets:
            pictures = [k for k, own in enumerate(stage.columns) if target in own]
            everyone = len(pictures) == len(stage.columns)
            prompt = dataclasses.asdict(target.prompt)
            # JSON has no infinity
            prompt["stop"] = None if prompt["stop"] == -math.inf else prompt["stop"]
            if not prompt["sha256"]:
                del prompt["sha256"]
            if prompt["place"] is None:
                del prompt["place"]
            entry: dict[str, Any] = {"name": target.name, "prompt": prompt}
            if not everyone:
                entry["pictures"] = pictures
            if any(sure != 1.0 for sure in target.confidences):
                entry["confidences"] = list(target.confidences)
            described.append(entry)
            for guide, embedding in enumerate(target.embeddings):
                tensors[f"{number}/{_key(entry)}/{guide}"] = embedding.clone()
        meta.append({"steps": stage.steps, "targets": described})
    return SessionState(tensors, {"stages": meta})


def unpack_stages(state: SessionState, models: Models, count: int) -> tuple[StagePlan, ...]:
    """Reads back what `pack_stages` gave for `count` pictures.

    Embeddings of another shape and pictures that there are not raise `StateError`.
    """
    stages = []
    for number, described in enumerate(state.meta["stages"]):
        columns: list[list[Target]] = [[] for _ in range(count)]
        for entry in described["targets"]:
            fields = dict(entry["prompt"])
            fields["stop"] = -math.inf if fields["stop"] is None else fields["stop"]
            fields["path"] = base_name(fields["path"])
            if "place" in fields:
                fields["place"] = tuple(map(float, fields["place"]))
            # Absent where all pictures are asked it.
            pictures = tuple(map(int, entry.get("pictures", range(count))))
            if not pictures or len(set(pictures) & set(range(count))) < len(pictures):
                raise StateError(f"the saved prompts are for pictures {pictures!s:.40}")
            embeddings = []
            for index, guide in enumerate(models.guides):
                embedding = state.tensors[f"{number}/{_key(entry)}/{index}"]
                if embedding.shape != (1, guide.perceptor.embed_dim):
                    raise StateError(
                        f"the saved embedding has shape {tuple(embedding.shape)}; "
                        f"expected {(1, guide.perceptor.embed_dim)}"
                    )
                embeddings.append(embedding.to(models.device).clone())
            sure = tuple(map(float, entry.get("confidences", [1.0] * len(embeddings))))
            if len(sure) != len(embeddings) or not all(0 <= c <= 1 for c in sure):
                raise StateError(f"the saved confidences are {sure!s:.60}")
            target = Target(str(entry["name"]), Prompt(**fields), tuple(embeddings), sure)
            for picture in pictures:
                columns[picture].append(target)
        stages.append(StagePlan.of_columns(int(described["steps"]), columns))
    return tuple(stages)


def _key(entry: Mapping[str, Any]) -> str:
    """Where its tensors are: targets of different pictures have the same name."""
    name = str(entry["name"])
    return f"{name}/of-{entry['pictures'][0]}" if "pictures" in entry else name


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
    "MAY_DIFFER",
    "SessionState",
    "check_identity",
    "differences",
    "identity",
    "pack_edit",
    "pack_stages",
    "read_state",
    "require_picture",
    "saved_edits",
    "saved_inputs",
    "under",
    "unpack_edit",
    "unpack_stages",
    "with_prefix",
]
