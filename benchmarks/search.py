"""Tries settings of the loop on the shipped models and records what a referee sees.

python benchmarks/search.py [--models FOLDER] [--prompts 20] [--variants NAME ...]

Every variant paints the same prompts with the same seed. The table goes to docs/search.md, the
contact sheets to --sheets. The referee never guides; look at the sheets before believing it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from gouache.config import make_config
from gouache.engine.session import Session
from gouache.generators import load_generator
from gouache.ops.images import grid_pil, to_pil
from gouache.perceptors import load_perceptor
from gouache.training.exam import QUESTIONS, answers

PLAIN_START: dict[str, Any] = {"start_tries": 1, "start_steps": 0, "start_scale": 1.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "start random": {"start": "random"},
    "one start, not tried": PLAIN_START,
    "one random start, not tried": {**PLAIN_START, "start": "random"},
    "tries at full size": {"start_scale": 1.0},
    "quantized": {"latent": "quantized"},
    "rate 0.1": {"learning_rate": 0.1},
    "no contrast": {"contrast_weight": 0.0},
    "contrast 2": {"contrast_weight": 2.0},
    "small cutouts": {"num_cutouts": 24, "whole_share": 0.35, "cut_min": 0.45},
    "the first version's settings": {
        **PLAIN_START,
        "start": "random",
        "latent": "quantized",
        "num_cutouts": 24,
        "whole_share": 0.35,
        "cut_min": 0.45,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--extra", default="{}", help="JSON of settings for all variants")
    parser.add_argument("--out", type=Path, default=Path("docs/search.md"))
    parser.add_argument("--sheets", type=Path, default=Path("evaluation/search"))
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    folder = given.models

    def name(part: str, shipped: str) -> str:
        return str(folder / f"{part}.safetensors") if folder else shipped

    generator = load_generator(name("generator", "pocket"))
    guide = load_perceptor(name("perceptor", "pocket"))
    referee = load_perceptor(name("referee", "referee"))
    step = len(QUESTIONS) / given.prompts
    asked = [QUESTIONS[int(k * step)] for k in range(given.prompts)]
    rows = []
    given.sheets.mkdir(parents=True, exist_ok=True)
    for variant in given.variants:
        begun, painted = time.perf_counter(), []
        for question in asked:
            settings = {"steps": (given.steps,), **VARIANTS.get(variant, {})}
            settings |= json.loads(given.extra)
            if variant not in VARIANTS:
                settings |= json.loads(variant)
            config = make_config("pocket", prompt=question.prompt, seed=given.seed, **settings)
            session = Session.build(config, generator=generator, perceptor=guide)
            for _ in session:
                pass
            painted.append(session.picture())
        seconds = (time.perf_counter() - begun) / len(asked)
        found = answers(referee, torch.cat(painted)).tolist()
        right = sum(QUESTIONS[i] is q for i, q in zip(found, asked, strict=True))
        tiles = [to_pil(picture) for picture in torch.cat(painted)]
        sheet = grid_pil(tiles, columns=10, labels=[q.prompt for q in asked])
        sheet.save(given.sheets / f"{variant.replace(', ', '-').replace(' ', '_')[:60]}.png")
        rows.append(f"| {variant} | {right} of {len(asked)} | {seconds:.1f} |")
        print(rows[-1], flush=True)
    lines = [
        "# Search for the loop's defaults",
        "",
        f"`python benchmarks/search.py --prompts {given.prompts} --steps {given.steps}`: how many "
        f"of {given.prompts} prompts the referee names right (top 1 of {len(QUESTIONS)}), with one "
        "picture each, and seconds per picture.",
        "",
        "| settings | named right | seconds |",
        "| --- | --- | --- |",
        *rows,
        "",
    ]
    given.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
