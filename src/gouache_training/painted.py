"""Paints many pictures by our own loop and keeps the latents that it ends with.

The drawing decoder learns from them what to make of codes that no encoder gives. What is asked for
are captions of the picture set and phrases of scenes, styles and two things; settings vary from
batch to batch as people's do.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gouache.atomic import output_errors
from gouache.engine.session import Session
from gouache.engine.targets import UnknownPromptWarning
from gouache.errors import ConfigError, DivergedError, TrainingError
from gouache.networks.devices import resolve_device
from gouache.perceptors.tokenizer import PocketTokenizer, TruncationWarning
from gouache.prompts import Prompt
from gouache.settings.config import MAX_COUNT, PaintConfig, make_config
from gouache.styles.filters import STYLES
from gouache.weights.shipped import TOKENIZER, shipped
from gouache_training.captions import fill, one_of, with_article
from gouache_training.colors import COLOR_NAMES
from gouache_training.compose import Composer, Shares
from gouache_training.grounds import SCENES
from gouache_training.layouts import RELATIONS
from gouache_training.loop import log
from gouache_training.pack import PictureSet

__all__ = [
    "Attempt",
    "Prompter",
    "config_of",
    "draw_settings",
    "paint_batch",
    "paint_many",
    "painted_before",
    "save_painted",
    "untold",
]

# Of a number of pictures, seeds, a device and a side in pixels: settings, and tensors to keep.
Attempt: TypeAlias = Callable[[int, list[int], str, int], tuple[PaintConfig, dict[str, Tensor]]]

CONTEXT = 24  # tokens that the guides read
ATTEMPTS = 3  # other settings that a batch is tried with before the run is given up
SHARES = Shares(pair=0.2, style=0.2)
_TOGETHER = 0.4  # share of prompts that are put together here


class Prompter:
    """Draws prompts that the guides know every word of.

    Args:
        pictures: the packed picture set; its train pictures are asked for.
    """

    def __init__(self, pictures: PictureSet) -> None:
        self._source = torch.Generator()
        self._composer = Composer(pictures, self._source, SHARES)
        self._tokenizer = PocketTokenizer(shipped(TOKENIZER), CONTEXT)
        rows = [pictures.entries[number] for number in pictures.indices("train")]
        self._names: list[str] = [row.name for row in rows]
        weight = np.array([row.weight for row in rows])
        self._share = weight / weight.sum()

    def draw(self, count: int, rng: np.random.Generator) -> list[str]:
        """`count` prompts in the grammar of `gouache.prompts`, one part each."""
        found: list[str] = []
        while len(found) < count:
            together = int(rng.binomial(count, _TOGETHER))
            drawn = [self._put_together(rng) for _ in range(together)]
            if together < count:
                self._source.manual_seed(int(rng.integers(2**62)))
                drawn += self._composer.batch(count - together).captions
            drawn = [drawn[place] for place in rng.permutation(count)]
            found += [str(Prompt(text=text)) for text in drawn if self._readable(text)]
        return found[:count]

    def _readable(self, text: str) -> bool:
        return bool(text.strip()) and not self._tokenizer.unknown_words(text)

    def _put_together(self, rng: np.random.Generator) -> str:
        """One or two things, in a scene, in a style, or both."""
        name = self._thing(rng)
        full, tail = with_article(name), ""
        if rng.random() < 0.5:
            relation = one_of(RELATIONS[int(rng.integers(len(RELATIONS)))].words, rng)
            full, name = relation.format(full, with_article(self._thing(rng))), ""
        if rng.random() < 0.6:
            tail = one_of(SCENES[int(rng.integers(len(SCENES)))].words, rng)
        if rng.random() < 0.5:
            return f"{full} {tail}".strip()
        frames = STYLES[int(rng.integers(len(STYLES)))].templates
        if not name:
            frames = tuple(frame for frame in frames if "{a}" in frame)
        return fill(one_of(frames, rng), name, full, tail)

    def _thing(self, rng: np.random.Generator) -> str:
        name = self._names[int(rng.choice(len(self._names), p=self._share))]
        if rng.random() < 0.4 and not set(name.split()) & set(COLOR_NAMES):
            name = f"{one_of(COLOR_NAMES, rng)} {name}"
        return name


def draw_settings(rng: np.random.Generator) -> dict[str, Any]:
    """Settings by their flat names, varied as people vary them, wherever codes look different."""

    def near(value: float) -> float:
        """From half of it to twice."""
        return round(float(value * 2.0 ** rng.uniform(-1, 1)), 4)

    def often(share: float) -> bool:
        return bool(rng.random() < share)

    settings: dict[str, Any] = {
        "perceptor": ("pocket",) if often(0.75) else ("pocket", "photo"),
        "latent": "multiscale" if often(0.65) else "quantized",
        "steps": (int(rng.integers(20, 81)),),
        "num_cutouts": int(rng.choice([8, 12, 16])),
        "learning_rate": near(0.2),
        "lr_schedule": "cosine" if often(0.75) else "constant",
        "latent_weight": near(0.1) if often(0.7) else 0.0,
        "contrast_weight": near(0.5) if often(0.7) else 0.0,
        "tv_weight": near(0.3) if often(0.15) else 0.0,
        "start": "prior" if often(0.6) else "random",
    }
    if often(0.6):  # tried small first, as by default
        tried = {"start_tries": int(rng.integers(1, 4)), "start_steps": 15, "start_scale": 0.5}
    else:
        tried = {"start_tries": 1, "start_steps": 0, "start_scale": 1.0}
    return settings | tried


def config_of(
    settings: Mapping[str, Any],
    prompts: Sequence[str],
    rng: np.random.Generator,
    device: str,
    side: int,
) -> PaintConfig:
    """A batch's settings, with a seed that is drawn: a picture of `side` pixels for each prompt."""
    return make_config(
        "pocket",
        **settings,
        prompt=tuple(prompts),
        count=len(prompts),
        size=(side, side),
        seed=int(rng.integers(2**62)),
        device=device,
        compile="off",  # every batch is another run: compiling would take longer than painting
    )


@contextmanager
def untold() -> Iterator[None]:
    """Nothing is said of prompts that are not wholly read: people's are neither."""
    with warnings.catch_warnings():
        for told in (UnknownPromptWarning, TruncationWarning):
            warnings.simplefilter("ignore", told)
        yield


def paint_batch(config: PaintConfig) -> Tensor:
    """Latents (B,code_dim,h,w) that a run ends with, before rounding to codes; float16, on the CPU.

    Raises:
        DivergedError: these settings lead nowhere.
    """
    with untold():
        session = Session.build(config)
        for _ in session:
            pass
    return session.latent().half().cpu()


def paint_many(
    pictures: PictureSet,
    out: Path,
    count: int = 0,
    batch: int = 64,
    minutes: float = 0.0,
    device: str = "auto",
    seed: int = 0,
    side: int = 128,
    attempt: Attempt | None = None,
) -> int:
    """Paints batch after batch into `out/NNNNN.safetensors`; says how many pictures there are.

    Each file holds `latents` (B,code_dim,h,w), float16, whatever else `attempt` gives, and in its
    metadata the prompts, the settings and the models' sums. What is in the folder stays and counts:
    another call goes on with the next number, whose chance is its own. Ctrl-C leaves out the batch
    under way.

    Args:
        pictures: the packed picture set.
        out: the folder.
        count: pictures in the folder at the end; 0 is as many as there is time for.
        batch: pictures painted together.
        minutes: of this call, asked after every batch; 0 is as long as it takes.
        device: auto, cpu or cuda.
        seed: of all chance; other seeds give other pictures.
        side: of a picture in pixels.
        attempt: what is painted; by default phrases, from where painting starts (`Prompter`).

    Raises:
        TrainingError: neither `count` nor `minutes`, or the folder holds something else.
    """
    if count <= 0 and minutes <= 0:
        raise TrainingError("give --count or --minutes, how much to paint")
    if not 1 <= batch <= MAX_COUNT:
        raise TrainingError(f"--batch is {batch}; expected between 1 and {MAX_COUNT}")
    resolve_device(device)  # a typing error is told at once
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    number, done = painted_before(out)
    begun, fresh = time.monotonic(), 0
    wanting = not count or done < count
    if wanting and attempt is None:
        attempt = _asked(Prompter(pictures))
    log(f"{done} pictures in {out}; ready after {time.monotonic() - begun:.0f}s")
    begun = time.monotonic()
    try:
        while attempt and (not count or done < count):
            most = min(batch, count - done) if count else batch
            config, found = _tried(attempt, most, (seed, number), device, side)
            save_painted(out / f"{number:05d}.safetensors", found, config)
            number, done, fresh = number + 1, done + most, fresh + most
            seconds = time.monotonic() - begun
            rate = fresh / max(seconds, 1e-9)
            log(f"{number - 1:05d}: {_told(config)}; {done} pictures, {rate:.1f}/s")
            if 0 < minutes <= seconds / 60:
                break
    except KeyboardInterrupt:
        log(f"interrupted; {done} pictures are kept in {out}")
        raise
    return done


def save_painted(path: Path, found: Mapping[str, Tensor], config: PaintConfig) -> None:
    """Writes a batch as `drawing.read_painted` reads it, with what it was painted from."""
    told = {
        "captions": json.dumps(list(config.prompt), ensure_ascii=False),
        "settings": json.dumps(config.to_dict(), ensure_ascii=False),
    }
    # Of another suffix: what a killed process leaves is not read for a batch.
    temporary = path.with_name(f".{path.stem}.partial")
    with output_errors(path):
        try:
            temporary.write_bytes(
                save({name: value.contiguous() for name, value in found.items()}, told)
            )
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def painted_before(folder: Path) -> tuple[int, int]:
    """The next free number of a folder, and how many pictures it holds.

    Raises:
        TrainingError: a file is damaged or holds no latents.
    """
    number = done = 0
    for path in sorted(folder.glob("[0-9]*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                done += int(file.get_slice("latents").get_shape()[0])
            number = max(number, int(path.stem) + 1)
        except (SafetensorError, OSError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())[:100]
            raise TrainingError(
                f"{path} holds no painted latents ({reason}); move it away or choose another --out"
            ) from None
    return number, done


def _asked(prompter: Prompter) -> Attempt:
    """Paints phrases, with settings that vary as people's do."""

    def attempt(
        count: int, seeds: list[int], device: str, side: int
    ) -> tuple[PaintConfig, dict[str, Tensor]]:
        rng = np.random.default_rng(seeds)
        settings = draw_settings(rng)
        config = config_of(settings, prompter.draw(count, rng), rng, device, side)
        return config, {"latents": paint_batch(config)}

    return attempt


def _tried(
    attempt: Attempt, count: int, seeds: Sequence[int], device: str, side: int
) -> tuple[PaintConfig, dict[str, Tensor]]:
    """A batch and what it was painted with; with other settings where painting diverges."""
    for number in range(ATTEMPTS):
        try:
            return attempt(count, [*seeds, number], device, side)
        except DivergedError as error:
            log(f"{error}; once more with other settings")
        except ConfigError as error:
            raise TrainingError(f"the settings drawn cannot be painted with: {error}") from error
    raise TrainingError(f"painting diverged {ATTEMPTS} times in a row; try another --seed")


def _told(config: PaintConfig) -> str:
    """The settings that differ most, in a line."""
    latents, optimization = config.latents, config.optimization
    return (
        f"{config.count} by {'+'.join(config.perceptor)}, {latents.latent} from {latents.start} "
        f"({latents.start_tries}), {config.steps[0]} steps at {optimization.learning_rate:g}"
    )
