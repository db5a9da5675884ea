"""Two steps of a picture beyond memory: `python -m gouache_bench.beyond 2048 bf16`.

Full-size networks, in strips, one cutout at a time; prints seconds and the process's peak.
"""

from __future__ import annotations

import argparse
import time

from gouache.engine.loop import steps
from gouache_bench.compare import peak_resident, session_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", type=int, nargs="?", default=2048)
    parser.add_argument("precision", choices=("fp32", "bf16"), nargs="?", default="bf16")
    parser.add_argument("--num-cutouts", type=int, default=4)
    given = parser.parse_args()
    session = session_of("full", given.side, given.num_cutouts, given.precision)
    memory = session.models.memory
    memory.recompute, memory.tiled, memory.chunk = True, True, 1
    begun = time.monotonic()
    for _ in steps(session, 2):
        print(f"{time.monotonic() - begun:.0f} s, peak {peak_resident():.2f} GB", flush=True)
        begun = time.monotonic()


if __name__ == "__main__":
    main()
