"""What a measuring process holds in its tests: importable there too."""

from __future__ import annotations

import os

from gouache.errors import ModelError


class Thing:
    """A number."""

    def __init__(self, start: int) -> None:
        if start < 0:
            raise ModelError("too low")
        self.value = start

    def add(self, number: int) -> int:
        self.value += number
        return self.value

    def leave(self) -> None:
        os._exit(3)
