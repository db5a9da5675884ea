"""Masks and edits of pictures (VQGAN-CLIP, appendix H.2). Names are imported when first used.

Not here: anything of a painting without a source; the hook that sessions call is `engine.hook`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gouache.editing.config import EditConfig
    from gouache.editing.editor import EditPlan, EditResult, edit, replace
    from gouache.editing.mask import Mask, find_mask

_HOMES = {
    "EditConfig": "gouache.editing.config",
    "EditPlan": "gouache.editing.editor",
    "EditResult": "gouache.editing.editor",
    "Mask": "gouache.editing.mask",
    "edit": "gouache.editing.editor",
    "find_mask": "gouache.editing.mask",
    "replace": "gouache.editing.editor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


__all__ = ["EditConfig", "EditPlan", "EditResult", "Mask", "edit", "find_mask", "replace"]
