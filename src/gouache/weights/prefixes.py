"""The names of tensors as training programs and wrappers change them."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def find_prefix(names: Collection[str], marks: Collection[str], preferred: Sequence[str]) -> str:
    """What stands before the names of the model that has the tensors `marks`.

    Wrappers put words before all names ("module.", "_orig_mod.", "model.", several of them), and
    larger models carry the one that is meant under a name of its own. Where several fit, one of
    `preferred` wins, then the one with most of the marks, then one of weights as they were trained,
    then the shortest. Without any mark: "".
    """
    found: dict[str, int] = {}
    for mark in marks:
        for name in names:
            if name == mark or name.endswith(f".{mark}"):
                prefix = name[: len(name) - len(mark)]
                found[prefix] = found.get(prefix, 0) + 1

    def rank(prefix: str) -> tuple[bool, int, bool, int, str]:
        known = not prefix.endswith(tuple(preferred))
        return known, -found[prefix], is_average(prefix), len(prefix), prefix

    return min(found, key=rank, default="")


def is_average(prefix: str) -> bool:
    """Whether these are names of weights averaged over training."""
    return any(part in ("ema", "model_ema", "ema_model", "teacher") for part in prefix.split("."))


__all__ = ["find_prefix", "is_average"]
