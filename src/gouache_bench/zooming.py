"""A long zoom, painted through the camera and on the naive road: what becomes of it.

    python -m gouache_bench.zooming --frames 300 --out zoom.png
    python -m gouache_bench.zooming --speed 128,256 --frames 13

The naive road is what other programs do: decode, crop and enlarge, encode, a new optimiser for each
frame. Both begin with the same first frame, and have the same steps, prompts and random streams.

`--speed` tells what a frame costs beside its steps, files included: by the clock of the thread that
paints, so that a busy machine does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch import Tensor

from gouache.engine.build import Parts
from gouache.engine.loop import steps
from gouache.engine.session import Session
from gouache.films.coherence import energy, mean_color
from gouache.films.config import FilmConfig
from gouache.films.film import Film
from gouache.films.keeping import KeepFilm, create_folder, film_outputs
from gouache.films.view import Decoder
from gouache.ops.images import to_pil, to_tensor
from gouache.ops.seeding import picture_rngs
from gouache.protocols import Step
from gouache.runs.drive import Event, Run, Stepped, drive
from gouache.settings.config import make_config

COLUMNS = 6


def naive(film: Film, first: Tensor, zoom: float) -> Iterator[Tensor]:
    """The frames after the first (1,3,H,W), each enlarged and encoded out of the one before."""
    picture, script = first, film.script
    for frame in range(1, film.num_frames):
        image = to_pil(picture[0])
        x, y = ((side - side / zoom) / 2 for side in image.size)
        box = (x, y, image.width - x, image.height - y)
        larger = to_tensor(image.resize(image.size, Image.Resampling.LANCZOS, box=box))
        session = Session(
            Parts(
                config=script.settings(frame),
                models=film.models,
                canvas=film.canvas,
                stages=(script.asked(frame),),
                rngs=picture_rngs(script.seed(frame), 1),
                start=film.models.encode(larger, film.canvas),
                pull_target=None,
            )
        )
        for _ in steps(session):
            pass
        picture = session.picture()
        yield picture


def told(name: str, frames: Sequence[Tensor], seconds: float) -> str:
    """A row of the table: frame 30 and the last one."""
    early, late = frames[min(30, len(frames) - 1)], frames[-1]
    share = float(energy(late) / energy(early))
    change = (mean_color(late) - mean_color(early))[0].tolist()
    colors = ", ".join(f"{value:+.1f}" for value in change)
    deviation = float(late.std() / early.std())
    rate = 60 * (len(frames) - 1) / seconds
    return f"| {name} | {share:.2f} | {colors} | {deviation:.2f} | {rate:.0f} |"


def sheet(rows: Sequence[Sequence[Tensor]], path: Path) -> None:
    """Frames at even distances, a row each."""
    images = []
    for frames in rows:
        chosen = [round(k * (len(frames) - 1) / (COLUMNS - 1)) for k in range(COLUMNS)]
        images.append([to_pil(frames[k][0]) for k in chosen])
    width, height = images[0][0].size
    whole = Image.new("RGB", (COLUMNS * width, len(images) * height))
    for y, row in enumerate(images):
        for x, image in enumerate(row):
            whole.paste(image, (x * width, y * height))
    whole.save(path)


def speed(film: Film, folder: Path) -> str:
    """A row of the table: what the frames after the first cost, as `gouache video` paints them.

    The decode that ends a frame is the first one of the next frame's steps, and counts as one of
    these unless that frame has a new key picture.
    """
    spent, ahead, times = [0.0], [0.0], list[float]()
    advance, decode = Session.__next__, Decoder.__call__

    def timed(session: Session) -> Step:
        begun = time.thread_time()
        step = advance(session)
        spent[0] += time.thread_time() - begun
        return step

    def decoded(decoder: Decoder, codes: Tensor) -> Tensor:
        begun = time.thread_time()
        picture = decode(decoder, codes)
        if not torch.is_grad_enabled():
            ahead[0] = time.thread_time() - begun
        return picture

    def mark(event: Event, run: Run) -> None:
        if isinstance(event, Stepped) and film.frame_done:
            times.append(time.thread_time())
            if film.frame == 0:
                spent[0] = 0.0

    def share(event: Event, run: Run) -> None:
        """Before the frame's own decode."""
        if isinstance(event, Stepped) and film.frame_done and film.frame:
            spent[0] += ahead[0] * (film._shot.key.number != film.frame - 1)

    Session.__next__ = timed  # type: ignore[assignment, method-assign]
    Decoder.__call__ = decoded  # type: ignore[assignment, method-assign]
    try:
        with (
            film_outputs(folder / "x.gif", "x", folder / "run") as outputs,
            create_folder(film, outputs) as kept,
        ):
            drive(Run(film), [share, KeepFilm(kept, outputs), mark])
    finally:
        Session.__next__ = advance  # type: ignore[method-assign]
        Decoder.__call__ = decode  # type: ignore[method-assign]
    whole, steps, number = times[-1] - times[0], spent[0], len(times) - 1
    row = (
        f"{film.config.size[0]}",
        f"{film.script.film.steps_per_frame}",
        f"{60 * number / whole:.0f}",
        f"{1000 * whole / number:.0f}",
        f"{1000 * steps / number:.0f}",
        f"{100 * (whole / steps - 1):.0f} %",
    )
    return f"| {' | '.join(row)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", default="a lighthouse")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--zoom", type=float, default=1.01)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--steps-per-frame", type=int, default=3)
    parser.add_argument("--perceptor", default="pocket")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--without-naive", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("zoom.png"))
    parser.add_argument("--speed", default="", help="sizes, such as 128,256")
    asked = parser.parse_args()
    if asked.speed:
        print("| size | steps a frame | frames a minute | ms a frame | its steps | beside them |")
        print("| --- | --- | --- | --- | --- | --- |", flush=True)
        for size, steps in product(map(int, asked.speed.split(",")), (3, 12)):
            film = Film.build(
                make_config(
                    prompt=asked.prompt,
                    perceptor=asked.perceptor.split(","),
                    size=(size, size),
                    steps=2,
                    seed=asked.seed,
                    start="random",  # what is painted does not matter
                    start_tries=1,
                    start_steps=0,
                ),
                FilmConfig(frames=asked.frames, zoom=str(asked.zoom), steps_per_frame=steps),
            )
            with TemporaryDirectory() as folder:
                print(speed(film, Path(folder)), flush=True)
        return
    config = make_config(
        prompt=asked.prompt,
        perceptor=asked.perceptor.split(","),
        size=(asked.size, asked.size),
        steps=asked.steps,
        seed=asked.seed,
    )
    settings = FilmConfig(
        frames=asked.frames, zoom=str(asked.zoom), steps_per_frame=asked.steps_per_frame
    )
    film, ours, begun = Film.build(config, settings), [], 0.0
    for _ in film:
        if film.frame_done:
            ours.append(film.picture())
            begun = begun or time.monotonic()
    print("| road | Laplacian energy | CIELAB mean | deviation | frames a minute |", flush=True)
    print("| --- | --- | --- | --- | --- |")
    print(told("through the camera", ours, time.monotonic() - begun), flush=True)
    rows = [ours]
    if not asked.without_naive:
        begun = time.monotonic()
        rows.append([ours[0], *naive(film, ours[0], asked.zoom)])
        print(told("naive", rows[1], time.monotonic() - begun), flush=True)
    sheet(rows, asked.out)


if __name__ == "__main__":
    main()
