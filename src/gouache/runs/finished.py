"""Run folders whose run is finished: nothing is painted again, and nothing that exists replaced."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gouache.errors import GouacheError
from gouache.output.run_folder import RunFolder
from gouache.prompts import one_line
from gouache.runs.outputs import Outputs
from gouache.runs.written import Written
from gouache.settings.config import PaintConfig


def finished_config(
    outputs: Outputs, written: Written, meta: Mapping[str, Any]
) -> PaintConfig | None:
    """The settings of a run of which nothing is left to do; None where something is.

    `meta` is what its state tells. A run that was killed between its last step and its pictures is
    not finished, nor is one whose pictures are gone.
    """
    try:
        config = PaintConfig.from_dict(meta["config"])
        step = int(meta["step"])
        done = step >= int(meta["num_steps"])
    except (GouacheError, KeyError, TypeError, ValueError):
        return None  # going on with it says what is wrong
    return config if done and not written.missing(outputs, config.count, step) else None


def last_losses(folder: RunFolder, count: int) -> dict[str, Tensor]:
    """Losses (B,) of the last step that losses.csv tells; NaN where a picture has no such loss."""
    rows = folder.read_losses()
    last = [row for row in rows if row["step"] == max(row["step"] for row in rows)]
    names = dict.fromkeys(name for row in last for name in row if name not in ("step", "picture"))
    found = {}
    for name in names:
        values = {int(row["picture"]): row.get(name, math.nan) for row in last}
        found[name] = torch.tensor([values.get(k, math.nan) for k in range(count)])
    return found


def tell_finished(outputs: Outputs) -> None:
    """Says that nothing was done, and where the picture is."""
    print(
        f"gouache: already finished; the picture is {one_line(outputs.out)}, nothing is written",
        file=sys.stderr,
    )


__all__ = ["finished_config", "last_losses", "tell_finished"]
