"""Where the process `gouache` begins: the installed script, and `python -m gouache`."""

from __future__ import annotations

import sys
from typing import NoReturn

from gouache.interrupts import catch_signals


def entry() -> NoReturn:
    """Runs the command line. Signals are handled before anything that takes time is imported."""
    catch_signals()
    import gc

    from gouache.apps.cli.main import run

    # What is imported stays; to look for garbage among it takes a tenth of a second of the start.
    gc.set_threshold(50_000)
    sys.exit(run())


if __name__ == "__main__":
    entry()
