"""Paints with a full-size CLIP in OpenAI's format, and says how much memory that takes.

python -m gouache_bench.clip [--size 256] [--steps 2] [--generator PATH] [--keep FOLDER]

Nothing is downloaded: a ViT-B/32 with random weights in half precision is written as a TorchScript
archive, with a vocabulary of the usual size beside it, into a temporary folder (or `--keep`, for
`python -m gouache_bench.published --perceptor FOLDER/clip.pt`). Exits with 1 where painting takes
more than `--limit` GB.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gouache_bench.processes import measure

GENERATOR = Path(__file__).parent.parent / "tests" / "data" / "golden" / "taming_vq.ckpt"
LOAD = "import sys, gouache; gouache.load_perceptor(sys.argv[1])"


def write_clip(folder: Path) -> Path:
    """`folder`/clip.pt and its vocabulary: the shape of OpenAI's ViT-B/32, in half precision."""
    import torch

    from gouache.perceptors.clip import ClipPerceptor
    from gouache.perceptors.clip_tokenizer import MERGES, byte_letters
    from gouache.perceptors.preprocessing import Preprocessing
    from gouache_bench.networks import VIT_B_32

    torch.manual_seed(0)
    config = dataclasses.replace(VIT_B_32, text_layers=12)
    with torch.device("meta"):
        names = ClipPerceptor(config, Preprocessing(224)).state_dict()
    tree = torch.nn.Module()
    for name, place in names.items():
        node = tree
        *parents, leaf = name.split(".")
        for parent in parents:
            if not hasattr(node, parent):
                node.add_module(parent, torch.nn.Module())
            node = node.get_submodule(parent)
        scale = 1.0 if name.endswith(("ln_1.weight", "ln_2.weight")) else 0.02
        node.register_parameter(leaf, torch.nn.Parameter(scale * torch.randn(place.shape).half()))
    torch.jit.script(tree).save(str(folder / "clip.pt"))  # type: ignore[no-untyped-call]
    letters = byte_letters()
    pairs = itertools.islice(itertools.product(letters, letters), 49408 - 514)
    lines = ["#version: 0.2", *map(" ".join, pairs), ""]
    (folder / MERGES).write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder / "clip.pt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--generator", default=str(GENERATOR))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--limit", type=float, default=6.0, help="GB")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write_clip(given.write)
        return 0
    with tempfile.TemporaryDirectory() as place:
        folder = given.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "GOUACHE_CACHE": str(Path(place) / "cache"), "HF_HUB_OFFLINE": "1"}
        # In a process of its own: peak memory is inherited by processes started from here.
        subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--write", str(folder)], check=True
        )
        clip = str(folder / "clip.pt")
        paint = [
            "-m", "gouache", "a red apple", "--perceptor", clip, "--generator", given.generator,
            "--size", f"{given.size}x{given.size}", "--steps", str(given.steps), "--quiet",
            "--out", str(Path(place) / "x.png"),
        ]  # fmt: skip
        print("| what | seconds | peak memory, GB |\n| --- | --- | --- |")
        for name, command in {
            "import": ["-c", "import torch, gouache.perceptors.clip_loading"],
            "load ViT-B/32": ["-c", LOAD, clip],
            f"paint {given.size}x{given.size}, {given.steps} steps": paint,
        }.items():
            seconds, memory = measure(*command, env=env)
            print(f"| {name} | {seconds:.1f} | {memory / 1e9:.2f} |", flush=True)
    return int(memory / 1e9 > given.limit)


if __name__ == "__main__":
    sys.exit(main())
