"""How a picture was made, as the JSON document that its file carries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gouache._version import __version__

if TYPE_CHECKING:
    from gouache.engine.session import Session


def picture_record(
    session: Session,
    losses: Mapping[str, Tensor],
    picture: int,
    identity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document for one picture of the batch; `losses` (B,) are those of the last step.

    `config`, the models' names and fingerprints, and the pictures of `inputs` (by name and sum) are
    all that painting it again needs, unless `edits` tells of changes by hand; `prompt`, `seed`,
    losses and edits are the picture's own. `identity` takes the place of the session's, which takes
    a while to tell.
    """
    values = {name: float(v[picture]) for name, v in session.own_losses(losses).items()}
    return {
        "version": __version__,
        **(session.identity() if identity is None else identity),
        "picture": picture,
        "prompt": session.config.prompt_of(picture),
        "seed": session.config.seed + picture,
        "step": session.step_index,
        "num_steps": session.num_steps,
        "losses": {name: value for name, value in values.items() if not math.isnan(value)},
        "edits": [dict(edit) for edit in session.edits if edit.get("picture", picture) == picture],
    }


__all__ = ["picture_record"]
