"""Paints with the published architectures at full size, and says how much memory that takes.

python -m gouache_bench.published [--models imagenet-f16-16384 ...] [--sizes 256 ...] [--steps 2]

Nothing is downloaded: checkpoints in the published format, with random weights and with what only
training needs, are written to a temporary folder, added by `gouache models add` and painted with,
each command in a process of its own. Exits with 1 where one takes more than `--limit` GB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gouache_bench.processes import measure

LEVELS: dict[str, dict[str, Any]] = {
    "imagenet-f16-16384": {"ch_mult": [1, 1, 2, 2, 4], "attn_resolutions": [16], "n_embed": 16384},
    "gumbel-f8-8192": {"ch_mult": [1, 1, 2, 4], "attn_resolutions": [32], "n_embed": 8192},
}


def write_checkpoint(name: str, folder: Path) -> None:
    """`folder`/last.ckpt and last.yaml as taming-transformers under Lightning leaves them."""
    import torch
    import yaml

    from gouache.generators.vqgan import VQGAN, VQGANConfig

    torch.manual_seed(0)
    shape = dict(LEVELS[name])
    codes, gumbel = shape.pop("n_embed"), name.startswith("gumbel")
    shape |= {"double_z": False, "z_channels": 256, "resolution": 256, "in_channels": 3}
    shape |= {"out_ch": 3, "ch": 128, "num_res_blocks": 2, "dropout": 0.0}
    params = {"embed_dim": 256, "n_embed": codes, "ddconfig": shape}
    target = "taming.models.vqgan." + ("GumbelVQ" if gumbel else "VQModel")
    values = {"model": {"base_learning_rate": 4.5e-06, "target": target, "params": params}}
    (folder / "last.yaml").write_text(yaml.safe_dump(values))
    state = VQGAN(VQGANConfig.from_taming(values)).state_dict()
    del state["code_prior"]
    # The perceptual loss (VGG16) and the discriminator: 69 MB that must not be kept.
    state |= {f"loss.perceptual_loss.net.{n}": torch.randn(512, 512, 3, 3) for n in range(6)}
    state |= {"loss.discriminator.main.0.weight": torch.randn(512, 256, 4, 4)}
    moments = {n: {"exp_avg": torch.randn(1 << 20), "step": 3} for n in range(20)}
    extra = {"epoch": 7, "global_step": 8145600, "pytorch-lightning_version": "1.0.8"}
    extra |= {"callbacks": {}, "optimizer_states": [{"state": moments}], "lr_schedulers": []}
    torch.save({"state_dict": state, **extra}, folder / "last.ckpt")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[256])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--perceptor", default="pocket")
    parser.add_argument("--limit", type=float, default=6.0, help="GB")
    parser.add_argument("--write", nargs=2, metavar=("MODEL", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write_checkpoint(given.write[0], Path(given.write[1]))
        return 0
    highest = 0.0
    print("| what | seconds | peak memory, GB |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        env = {**os.environ, "GOUACHE_CACHE": str(folder / "cache")}
        for model in given.models:
            # In a process of its own: peak memory is inherited by processes started from here.
            subprocess.run([sys.executable, __file__, "--write", model, place], check=True)
            commands = {f"add {model}": ["models", "add", str(folder / "last.ckpt"), "-n", "full"]}
            for size in given.sizes:
                commands[f"{model}, {size}x{size}, {given.steps} steps"] = [
                    "a red apple", "--generator", "full", "--perceptor", given.perceptor,
                    "--size", f"{size}x{size}", "--steps", str(given.steps), "--quiet",
                    "--out", str(folder / "x.png"),
                ]  # fmt: skip
            for name, arguments in commands.items():
                seconds, memory = measure("-m", "gouache", *arguments, env=env)
                highest = max(highest, memory / 1e9)
                print(f"| {name} | {seconds:.1f} | {memory / 1e9:.2f} |", flush=True)
            measure("-m", "gouache", "models", "remove", "full", env=env)
    return int(highest > given.limit)


if __name__ == "__main__":
    sys.exit(main())
