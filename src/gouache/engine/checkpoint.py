"""A session in a file, so that a run may end and go on elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from gouache.engine.build import prepare_blank
from gouache.engine.session import Session
from gouache.engine.state import SessionState, require_picture, unpack_edit
from gouache.errors import GouacheError, StateError
from gouache.inputs import with_models_at
from gouache.networks.models import Guide
from gouache.output.state import load_state, save_state
from gouache.protocols import Generator, Loss, Perceptor
from gouache.settings.config import PaintConfig


def save_session(session: Session, path: str | Path) -> None:
    """Writes the session's state atomically; `OutputError` where that fails."""
    state = session.state_dict()
    save_state(path, state.tensors, state.meta)


def resume_session(
    path: str | Path,
    *,
    device: str | None = None,
    precision: str | None = None,
    compile: str | None = None,
    generator: Generator | None = None,
    perceptor: Perceptor | Sequence[Guide] | None = None,
    losses: Sequence[Loss] = (),
) -> Session:
    """The session that `save_session` wrote, ready for its next step.

    It needs the models, and neither prompts nor picture files: what was encoded of them is in the
    state, and so is the picture of an edit with its mask (`Session.edit`). On the same machine the
    run ends in the same pixels as without the interruption; `device`, `precision` and `compile` may
    be changed and then change it a little. `losses` that were given as objects have to be given
    again. Damage, or other weights than the run's, raise `StateError`.
    """
    tensors, meta = load_state(path)
    changes = {"device": device, "precision": precision, "compile": compile}
    try:
        config = with_models_at(PaintConfig.from_dict(meta["config"]), meta.get("models_at", {}))
    except (GouacheError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"the state in {path!s:.100} has no usable settings ({error!s:.80}); "
            "start the run again"
        ) from None
    config = config.updated(**{name: value for name, value in changes.items() if value is not None})
    saved = SessionState(tensors, meta)
    require_picture(meta)  # before anything is loaded
    parts = prepare_blank(config, generator=generator, perceptor=perceptor, losses=losses)
    edit = unpack_edit(saved, parts.models, parts.canvas)
    session = Session(dataclasses.replace(parts, edit=edit))
    session.load_state_dict(saved)
    return session


__all__ = ["resume_session", "save_session"]
