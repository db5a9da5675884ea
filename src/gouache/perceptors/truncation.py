"""What every perceptor does with a prompt that is longer than it reads."""

from __future__ import annotations

import warnings

SHOWN = 60  # characters of what was cut off


class TruncationWarning(UserWarning):
    """A prompt was longer than the perceptor reads."""

    def __init__(self, message: str, cut: str = "") -> None:
        """`cut`: the end that is not read, shortened."""
        super().__init__(message)
        self.details = {"cut": cut}


def warn_truncated(cut: str, read: int, length: int) -> None:
    """Warns that of `length` tokens only the first `read` count; `cut` is the text that does not.

    Tokens that a tokenizer adds by itself are in neither number.
    """
    cut = " ".join(cut.split())
    shown = cut if len(cut) <= SHOWN else cut[: SHOWN - 3] + "..."
    message = f"the perceptor reads {read} tokens of {length}; cut off: {shown!r}"
    warnings.warn(TruncationWarning(message, shown), stacklevel=4)


__all__ = ["TruncationWarning", "warn_truncated"]
