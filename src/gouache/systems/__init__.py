"""The systems that the paper compares itself with, as modules of our own; their weights are read
as published.

Not here: how figures call them and choose among their pictures (`figures/`), where weights come
from (`weights/`).
"""

from __future__ import annotations

__all__: list[str] = []
