"""Masks and edits of pictures (VQGAN-CLIP, appendix H.2)."""

from gouache.editing.config import EditConfig
from gouache.editing.editor import EditPlan, EditResult, edit, replace
from gouache.editing.mask import Mask, find_mask

__all__ = ["EditConfig", "EditPlan", "EditResult", "Mask", "edit", "find_mask", "replace"]
