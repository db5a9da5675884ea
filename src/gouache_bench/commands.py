"""Times whole commands as a user sees them and writes the table in docs/performance.md.

python -m gouache_bench.commands [--out docs/performance.md] [--runs 3]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from pathlib import Path

from gouache_bench.processes import measure

COMMANDS: dict[str, tuple[list[str], int]] = {
    "`gouache --help`": (["--help"], 3),
    "`gouache --version`": (["--version"], 3),
    '`gouache "a red apple" --dry-run`': (["a red apple", "--dry-run"], 3),
    "one step, cold start": (["a red apple", "-q", "--steps", "1"], 1),
    "default picture": (["a red apple", "-q"], 1),
    "default picture, float32": (["a red apple", "-q", "--precision", "fp32"], 1),
    "4 pictures at once": (["a red apple", "-q", "--count", "4"], 1),
    "guided by pocket alone": (["a red apple", "-q", "--perceptor", "pocket"], 1),
    "128x128": (["a red apple", "-q", "--size", "128x128"], 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    lines = [
        "# Performance",
        "",
        f"Measured by `python -m gouache_bench.commands` with {os.cpu_count()} processors "
        f"({platform.machine()}, Python {platform.python_version()}): medians of whole processes, "
        "start to end.",
        "",
        "| what | seconds | fastest to slowest | peak memory, MB |",
        "| --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, (arguments, factor) in COMMANDS.items():
            out = [] if arguments[0].startswith("--") else ["--out", str(Path(folder) / "x.png")]
            command = ["-m", "gouache", *arguments, *out]
            found = [measure(*command, quiet=True) for _ in range(given.runs * factor)]
            seconds = [one[0] for one in found]
            memory = max(one[1] for one in found) / (1 << 20)
            spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
            lines.append(f"| {name} | {statistics.median(seconds):.2f} | {spread} | {memory:.0f} |")
            print(lines[-1], flush=True)
    old = given.out.read_text(encoding="utf-8") if given.out.exists() else ""
    _, heading, rest = old.partition("\n## ")  # what other benchmarks and people wrote
    given.out.write_text("\n".join(lines) + "\n" + heading + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
