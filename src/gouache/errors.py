"""Every error gouache raises on purpose.

Each message is one line: what was got, what was expected, what to do. The command line prints that
line and exits with code 2; anything that is not a `GouacheError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import Any


class GouacheError(Exception):
    """Root of the tree; catch this to catch everything below."""


class ConfigError(GouacheError):
    """A setting is unknown, malformed or out of range."""


class PromptError(GouacheError):
    """A prompt does not follow the grammar of `gouache.prompts`.

    `text` is the whole prompt and `position` the index of the offending character; `str(error)` is
    the one-line message and `pointer()` the two lines that show the place with a caret.
    """

    def __init__(self, message: str, text: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.position = position

    def pointer(self, width: int = 72) -> str:
        """The part of the prompt around the mistake and a caret below it (two lines)."""
        start = max(0, min(self.position - width // 2, len(self.text) - width))
        shown = "".join(
            c if c.isprintable() else "\N{REPLACEMENT CHARACTER}"
            for c in self.text[start : start + width]
        )
        return f"{shown}\n{' ' * (self.position - start)}^"


class ImageError(GouacheError):
    """A picture cannot be read or has unusable dimensions."""


class MediaError(GouacheError):
    """A film or a sound cannot be read."""


class ModelError(GouacheError):
    """A model name is unknown, or its weights are missing, damaged or of the wrong shape."""


class StateError(GouacheError):
    """A saved run cannot be read back or does not belong to these settings."""


class OutputError(GouacheError):
    """A result cannot be written where it should go."""


class TrainingError(GouacheError):
    """Training cannot start or go on: no data, a checkpoint of another shape, a missing tool."""


class DivergedError(GouacheError):
    """The loss became NaN or infinite.

    `image` is the last good picture, (B,3,H,W) in [0,1]; `step` the index of the step that failed.
    """

    def __init__(self, message: str, image: Any, step: int) -> None:
        super().__init__(message)
        self.image = image
        self.step = step

    def __reduce__(self) -> Any:
        return type(self), (str(self), self.image, self.step)  # it may come from another process
