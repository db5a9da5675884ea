"""What a referee sees in pictures of every latent: similarity with the prompt, and time.

python -m gouache_bench.latents [--prompts 10] [--seeds 3] [--starts random prior]

Every latent paints the same prompts from the same start with the same seeds, cutouts, steps and
guide. The start is one latent, not tried, as trying would give every latent a start of its own. The
referee never guides. Each result goes to a file at once, and a second call goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.engine.session import Session
from gouache.engine.words import embed_texts
from gouache.generators import load_generator
from gouache.ops.images import grid_pil, load_image, to_pil
from gouache.perceptors import load_perceptor
from gouache.protocols import Perceptor
from gouache.runs.drive import Run, drive
from gouache.settings.config import make_config

METHODS: dict[str, dict[str, Any]] = {
    "quantized + L2": {"latent": "quantized", "latent_weight": 0.1},
    "quantized": {"latent": "quantized", "latent_weight": 0.0},
    "codebook-sampling": {"latent": "codebook-sampling"},
    "continuous": {"latent": "continuous", "latent_weight": 0.0},
    "multiscale": {"latent": "multiscale", "latent_weight": 0.1},
}
PROMPTS = (
    "a key",
    "a house",
    "a red car",
    "a black cat",
    "an elephant",
    "an octopus",
    "a tree in the snow",
    "a boat on the sea",
    "a watercolour painting of a castle",
    "a fish and a crab",
)
PLAIN = {"start_tries": 1, "start_steps": 0, "start_scale": 1.0}


@torch.no_grad()
def whole(referee: Perceptor, picture: Tensor) -> Tensor:
    """How a referee sees a picture (1,3,H,W) as a whole: a unit vector (1,D)."""
    side = referee.image_size
    small = F.interpolate(picture, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
    return F.normalize(referee.embed_image(small).float(), dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--starts", nargs="*", default=["random", "prior"])
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("out/latents"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    generator, guide, referee = (
        load_generator("pocket"),
        load_perceptor("pocket"),
        load_perceptor("referee"),
    )
    prompts = PROMPTS[: given.prompts]
    told = embed_texts(prompts, referee)
    done = given.work / "results.jsonl"
    results: dict[str, dict[str, Any]] = {}
    if done.exists():
        results = {row["key"]: row for row in map(json.loads, done.read_text().splitlines())}
    for start in given.starts:
        # Method by method within a prompt and seed: what else the machine does hits all alike.
        for seed in range(given.seeds):
            for number, prompt in enumerate(prompts):
                for method in given.methods:
                    config = make_config(
                        "pocket",
                        prompt=prompt,
                        seed=seed,
                        steps=given.steps,
                        start=start,
                        **{**PLAIN, **METHODS[method]},
                    )
                    text = json.dumps([config.to_dict(), guide.fingerprint], sort_keys=True)
                    key = hashlib.sha256(text.encode()).hexdigest()[:16]
                    if key in results:
                        continue
                    session = Session.build(config, generator=generator, perceptor=guide)
                    begun = time.process_time()
                    drive(Run(session))
                    seconds = time.process_time() - begun
                    picture = session.picture()
                    cosines = (whole(referee, picture) @ told.T)[0].tolist()
                    row = {
                        "key": key,
                        "method": method,
                        "start": start,
                        "prompt": prompt,
                        "seed": seed,
                        "steps": given.steps,
                        "similarity": cosines[number],
                        "right": max(cosines) == cosines[number],
                        "guide": float(session.scores()[0]),
                        "seconds": seconds,
                    }
                    to_pil(picture[0]).save(given.work / f"{key}.png")
                    with done.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    results[key] = row
                    print(f"{start:7} {method:18} {prompt:36} {row['similarity']:.3f}", flush=True)
    _report(given, list(results.values()), prompts)


def _report(given: Any, rows: list[dict[str, Any]], prompts: tuple[str, ...]) -> None:
    rows = [row for row in rows if row["prompt"] in prompts and row["steps"] == given.steps]
    rows = [row for row in rows if row["seed"] < given.seeds]
    lines = []
    for start in given.starts:
        lines += [
            f"Start `{start}`:",
            "",
            "| latent | referee's similarity | difference from quantized + L2 | named right | "
            "guide's own score | seconds |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        base = {
            (row["prompt"], row["seed"]): row["similarity"]
            for row in rows
            if row["start"] == start and row["method"] == given.methods[0]
        }
        for method in given.methods:
            own = [row for row in rows if row["start"] == start and row["method"] == method]
            apart = [row["similarity"] - base[row["prompt"], row["seed"]] for row in own]
            right = sum(row["right"] for row in own)
            lines.append(
                f"| {method} | {_mean(own, 'similarity')} | {_interval(apart)} | "
                f"{right} of {len(own)} | {_mean(own, 'guide')} | "
                f"{sum(row['seconds'] for row in own) / len(own):.1f} |"
            )
        lines.append("")
        own = [row for row in rows if row["start"] == start and row["seed"] == 0]
        own.sort(key=lambda row: (given.methods.index(row["method"]), row["prompt"]))
        tiles = [load_image(given.work / f"{row['key']}.png") for row in own]
        labels = [f"{row['method']}: {row['prompt']}" for row in own]
        grid_pil(tiles, columns=len(prompts), labels=labels).save(given.work / f"{start}.png")
    table = "\n".join(lines)
    (given.work / "table.md").write_text(table, encoding="utf-8")
    print(table)


def _mean(rows: list[dict[str, Any]], name: str) -> str:
    return f"{sum(row[name] for row in rows) / len(rows):.3f}"


def _interval(values: list[float]) -> str:
    """Mean and 95 % interval of paired differences (normal approximation)."""
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1))
    return f"{mean:+.3f} ± {1.96 * spread / math.sqrt(len(values)):.3f}" if any(values) else "-"


if __name__ == "__main__":
    main()
