"""What the shipped drawing decoder draws, beside the small decoder's picture enlarged by Lanczos.

    python -m gouache_bench.drawing --large data/renderings.zip --painted data/painted

Held-out renderings, encoded: how near the drawing comes to the rendering itself, and how near it
would come if all that is finer than a painted pixel were the rendering's: what is missing then is
not in the codes. Painted latents, for which there is no right drawing: how sharp edges are as a
share of what real renderings have, and whether a grid of 2 or 4 pixels shows
(`drawing_judge.lattice`). Writes tables in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.generators.drawing import draw
from gouache.ops.images import to_tensor
from gouache.perceptors.efficientnet import EfficientNet
from gouache.perceptors.photo import shipped_photo
from gouache.protocols import DRAWN
from gouache.runs.finish import retouched
from gouache.settings.config import PaintConfig
from gouache_training.drawing import DrawingTraining, load_drawing_checkpoint, read_painted
from gouache_training.drawing_judge import Judge, fidelity, lanczos, lattice, share, steep
from gouache_training.export import load_painter
from gouache_training.pack import PictureSet
from gouache_training.renderings import load_renderings

Draw = Callable[[Tensor], Tensor]  # codes (1,code_dim,h,w) -> picture (1,3,4*h*f,4*w*f)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/pocket.gpack"))
    parser.add_argument("--large", type=Path, default=Path("data/renderings.zip"))
    parser.add_argument("--painted", type=Path, default=Path("data/painted"))
    parser.add_argument("--checkpoint", type=Path, help="a decoder in training; else the shipped")
    parser.add_argument("--count", type=int, default=48, help="pictures of each kind")
    arguments = parser.parse_args()

    generator, trunk = load_painter(None), shipped_photo().trunks[0]
    assert isinstance(trunk, EfficientNet)
    at = arguments.checkpoint
    decoder = generator.load_drawing() if at is None else load_drawing_checkpoint(at)
    retouching = PaintConfig.smooth, PaintConfig.sharpen, PaintConfig.levels
    ways: dict[str, Draw] = {
        "enlarged": lambda codes: lanczos(generator.decode(codes).clamp(0, 1)),
        "drawn": lambda codes: draw(decoder, generator, codes),
        "drawn, retouched": lambda codes: to_tensor(
            retouched(draw(decoder, generator, codes), DRAWN, *retouching)
        ),
    }
    pictures = load_renderings(PictureSet.load(arguments.data), arguments.large)
    shares = DrawingTraining().shares
    judge = Judge(pictures, generator, trunk, arguments.count, shares)
    clean, wild = judge.pairs()
    real = clean.target

    print("| codes | picture | PSNR dB | feature distance |\n| --- | --- | --- | --- |")
    fine = real - lanczos(F.avg_pool2d(real, DRAWN))
    for kind, pair in (("encoded", clean), ("disturbed", wild)):
        for name, way in ways.items():
            made = torch.cat([way(pair.codes[k : k + 1]) for k in range(len(real))])
            near, away = fidelity(made, real), judge.away(made, real)
            print(f"| {kind} | {name} | {near:.2f} | {away:.3f} |")
            if pair is clean:
                told = (lanczos(F.avg_pool2d(made, DRAWN)) + fine).clamp(0, 1)
                near, away = fidelity(told, real), judge.away(told, real)
                print(f"| {kind} | {name}, what is finer real | {near:.2f} | {away:.3f} |")

    latents = read_painted(arguments.painted, generator.code_dim)[0].latents  # of the smallest size
    order = torch.randperm(len(latents), generator=torch.Generator().manual_seed(0))
    codes = [generator.quantize(latents[k : k + 1].float())[0] for k in order[: arguments.count]]
    print("\n| pictures | mean gradient | root mean square | lattice |\n| --- | --- | --- | --- |")
    print(f"| real renderings | 1 | 1 | {lattice(real):.3f} |")
    for name, way in ways.items():
        made = torch.cat([way(one) for one in codes])
        sharp = f"{share(made, real):.2f} | {steep(made, real):.2f}"
        print(f"| painted, {name} | {sharp} | {lattice(made):.3f} |")


if __name__ == "__main__":
    main()
