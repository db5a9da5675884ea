"""Tries settings of painting on the shipped models and records what the judge sees.

python -m gouache_bench.search [--variants NAME ...] [--prompts tuning] [--records FILE]

Every variant paints the same prompts with the same seeds. The judge is EfficientNet-Lite2, which
guides in no variant but `defaults`. Each picture is a line in the records as soon as it is judged;
what is there is not painted again, so a search may be stopped, gone on with and widened. The table
in docs/search.md is made from the records; look at the sheets before believing it.

A variant is a name of VARIANTS or JSON of what is changed in BASE, such as '{"steps": [60],
"photo": {"most_cutouts": 4}}'. "photo" holds fields of that guide's own configuration, everything
else is a setting of gouache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gouache.atomic import write_bytes
from gouache.engine.session import Session
from gouache.errors import ConfigError, GouacheError
from gouache.generators import load_generator
from gouache.networks.devices import autocast_dtype
from gouache.networks.models import Guide
from gouache.networks.pool import prepare
from gouache.ops.images import grid_pil, to_pil
from gouache.perceptors import load_perceptor
from gouache.protocols import Generator
from gouache.runs.drive import Run, drive
from gouache.settings.config import PaintConfig, make_config
from gouache_bench.compare import peak_resident
from gouache_training.class_prompts import CLASS_PROMPTS, TUNING_PROMPTS, ClassPrompt
from gouache_training.judge import Judge, load_judge

ONE_START: dict[str, Any] = {"start_tries": 1, "start_steps": 0, "start_scale": 1.0}
SIX_TRIES: dict[str, Any] = {"start_tries": 6, "start_steps": 15, "start_scale": 0.5}
POCKET: dict[str, Any] = {"perceptor": ["pocket"], "size": [128, 128], "steps": [80], **SIX_TRIES}
# Written out where defaults are: they change, and what was searched for stays what it was.
BASE: dict[str, Any] = {
    "perceptor": ["pocket", "photo"],
    "size": [256, 256],
    "steps": [60],
    "start": "prior",
    "start_tries": 3,
    "start_steps": 30,
    "start_scale": 0.5,
    "cut_size": 0,  # what `photo` sees is said here:
    "photo": {"image_size": 160, "most_cutouts": 6, "trunks": 2},
}
ONE_CLASSIFIER: dict[str, Any] = {"photo": {"most_cutouts": 12, "trunks": 1}}
ONE_SKETCH: dict[str, Any] = {"start_tries": 1, "start_steps": 40}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {"perceptor": None},  # whatever they are
    "pocket alone, as before": POCKET,
    "as before, photo of one classifier beside": {**POCKET, "perceptor": ["pocket", "photo"]}
    | ONE_START
    | ONE_CLASSIFIER,
    "256x256, one start, one classifier": {"steps": [80], **ONE_START, **ONE_CLASSIFIER},
    "256x256, one start, two classifiers": {"steps": [80], **ONE_START},
    "six tries of 15 steps": {"steps": [80], **SIX_TRIES},
    "one sketch of 40 steps": ONE_SKETCH,
    "one sketch of 40 steps, photo 2": {**ONE_SKETCH, "perceptor": ["pocket", "photo:2"]},
    "three sketches of 30 steps": {},
    "photo 0.6": {"perceptor": ["pocket", "photo:0.6"]},
    "photo alone": {"perceptor": ["photo"]},
    "random start": {"start": "random"},
    "3 cutouts of 224": {"photo": {"image_size": 224, "most_cutouts": 3}},
    "9 cutouts of 128": {"photo": {"image_size": 128, "most_cutouts": 9}},
    "12 cutouts": {"photo": {"most_cutouts": 12}},
    "192x192": {"size": [192, 192]},
    "120 steps": {"steps": [120]},
}
PROMPTS = {"tuning": TUNING_PROMPTS, "classes": CLASS_PROMPTS}
NOTE = (
    "Each row changes the row `three sketches of 30 steps` in the way that it names. Named first, "
    "among the first five, and the mean logarithm of the right class's probability are what the "
    "judge says, EfficientNet-Lite2, among a thousand classes; it is of `photo`'s family, and one "
    "of its three in the row `defaults`, which it flatters. CPU-seconds are of one picture without "
    "loading the models."
)


@dataclass(frozen=True)
class Plan:
    """What a variant paints with; the prompt and the seed of `config` do not count."""

    variant: str
    config: PaintConfig
    photo: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, variant: str, extra: Mapping[str, Any] | None = None) -> Plan:
        """By a name of `VARIANTS` or JSON; `extra` changes it further. Raises `ConfigError`."""
        changes = VARIANTS.get(variant)
        if changes is None:
            changes = _read_json(variant)
        if changes == VARIANTS["defaults"]:
            settings, photo = {}, {}
        else:
            settings = {**BASE, **changes}
            photo = {**BASE["photo"], **changes.get("photo", {})}
        settings |= extra or {}
        photo = {**photo, **(extra or {}).get("photo", {})}
        settings.pop("photo", None)
        config = make_config(**settings)
        if "photo" not in [name for name, _ in config.guides]:
            photo = {}
        if unknown := set(photo) - {"image_size", "most_cutouts", "trunks"}:
            raise ConfigError(
                f"photo has no {sorted(unknown)[0]!r} to change; give image_size, most_cutouts or "
                "trunks"
            )
        return cls(variant, config, photo)

    def key(self, fingerprints: Iterable[str]) -> str:
        """What must be the same for a picture to be the same, prompt and seed aside."""
        settings = {**self.config.to_dict(), "prompt": "", "prompts": [], "seed": 0}
        told = [settings, dict(self.photo), *fingerprints]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _read_json(text: str) -> dict[str, Any]:
    try:
        changes = json.loads(text)
    except ValueError:
        changes = None
    if not isinstance(changes, dict):
        raise ConfigError(
            f"no variant is called {text!r:.60}; give JSON or one of: {', '.join(VARIANTS)}"
        )
    return changes


@dataclass(frozen=True)
class Painted:
    """A picture (1,3,H,W) in [0,1] and what it took."""

    picture: Tensor = field(repr=False)
    cpu_seconds: float
    start_seconds: float  # of them, before the first step
    peak_mb: float | None  # of the process while it painted; None where that is not told


class Painter:
    """Paints plans with models that are loaded once.

    Args:
        load: gives a guide by its name.
        generator: the shipped one by default.
    """

    def __init__(
        self,
        load: Callable[[str], Any] = load_perceptor,
        generator: Generator | None = None,
    ) -> None:
        self._dtype = autocast_dtype("auto", torch.device("cpu"))
        self._load = load
        self._guides: dict[str, Any] = {}
        self.generator = generator or load_generator("pocket")
        if generator is None:
            prepare(self.generator, self._dtype or torch.float32)

    def guide(self, name: str) -> Any:
        if name not in self._guides:
            self._guides[name] = self._load(name)
            prepare(self._guides[name], self._dtype or torch.float32)
        return self._guides[name]

    def fingerprints(self, plan: Plan) -> list[str]:
        """Of all models that paint a plan."""
        return [
            self.generator.fingerprint,
            *(self.guide(name).fingerprint for name, _ in plan.config.guides),
        ]

    def __call__(self, plan: Plan, prompt: str, seed: int) -> Painted:
        guides = [Guide(self.guide(name), weight) for name, weight in plan.config.guides]
        photo = self.guide("photo") if plan.photo else None
        usual = getattr(photo, "config", None), getattr(photo, "trunks", None)
        if photo is not None:
            change(photo, plan.photo)
        try:
            forgotten = forget_peak()
            begun = time.process_time()
            session = Session.build(
                plan.config.updated(prompt=prompt, seed=seed),
                generator=self.generator,
                perceptor=guides,
            )
            started = time.process_time()
            drive(Run(session))
            picture = session.picture()
            ended = time.process_time()
            peak = 1024 * peak_resident() if forgotten else None
            return Painted(picture, ended - begun, started - begun, peak)
        finally:
            if photo is not None:
                photo.config, photo.trunks = usual


def change(photo: Any, values: Mapping[str, int]) -> None:
    """Other sizes and cutouts for a photo perceptor; `trunks` is how many classifiers look."""
    fields: dict[str, Any] = dict(values)
    if (number := fields.pop("trunks", None)) is not None:
        fields["trunks"] = photo.config.trunks[:number]
        photo.trunks = photo.trunks[:number]
    photo.config = replace(photo.config, **fields)


def forget_peak() -> bool:
    """Lets the peak of memory be measured from here; whether the system offers it (Linux does)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def read_records(path: Path) -> list[dict[str, Any]]:
    """All lines that are whole; of others, which a killed search leaves, it says how many."""
    rows, torn = [], 0
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                rows.append({**row, "id": (row["key"], row["name"], row["seed"])})
            except (ValueError, KeyError, TypeError):
                torn += bool(line.strip())
    if torn:
        print(f"{path.name}: {torn} broken lines are passed over", file=sys.stderr)
    return rows


def add_record(path: Path, row: Mapping[str, Any]) -> None:
    """Appends a line, in one piece and for good: several searches may write to one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        torn = False
        if size:
            file.seek(size - 1)
            torn = file.read(1) != b"\n"
        file.write(b"\n" * torn + json.dumps(dict(row)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def search(
    plans: Sequence[Plan],
    asked: Sequence[ClassPrompt],
    seeds: Sequence[int],
    painter: Painter,
    judge: Judge,
    records: Path,
    pictures: Path | None = None,
) -> int:
    """Paints what the records lack; how many pictures that was."""
    done = {row["id"] for row in read_records(records)}
    painted = 0
    for plan in plans:
        key = plan.key([*painter.fingerprints(plan), judge.fingerprint])
        for seed in seeds:
            for each in asked:
                if (key, each.name, seed) in done:
                    continue
                done.add((key, each.name, seed))
                found = painter(plan, each.prompt, seed)
                (verdict,) = judge.verdicts(found.picture, [each.name])
                if pictures is not None:
                    path = picture_path(pictures, plan, key, each.name, seed)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    to_pil(found.picture[0]).save(path)
                row = {
                    "variant": plan.variant,
                    "key": key,
                    "name": each.name,
                    "seed": seed,
                    "first": verdict.first,
                    "rank": verdict.rank,
                    "log_probability": round(verdict.log_probability, 4),
                    "cpu_seconds": round(found.cpu_seconds, 2),
                    "start_seconds": round(found.start_seconds, 2),
                    "peak_mb": None if found.peak_mb is None else round(found.peak_mb),
                }
                add_record(records, row)
                painted += 1
                print(json.dumps(row), flush=True)
    return painted


def picture_path(folder: Path, plan: Plan, key: str, name: str, seed: int) -> Path:
    slug = re.sub(r"[^\w.]+", "-", plan.variant).strip("-")[:40]
    return folder / f"{slug}-{key[:6]}" / f"{name.replace(' ', '-')}-{seed}.png"


def table(
    plans: Sequence[Plan],
    keys: Sequence[str],
    asked: Sequence[ClassPrompt],
    rows: Sequence[Mapping[str, Any]],
) -> list[str]:
    """A line of Markdown per plan that has pictures of `asked`, after two of headings."""
    lines = [
        "| settings | named first | in five | mean log p | CPU-seconds | peak memory, MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = {each.name for each in asked}
    for plan, key in zip(plans, keys, strict=True):
        own = list({r["id"]: r for r in rows if r["key"] == key and r["name"] in names}.values())
        if not own:
            continue
        first, five = (sum(row["rank"] < most for row in own) for most in (1, 5))
        surprise = math.fsum(row["log_probability"] for row in own) / len(own)
        seconds = statistics.median(row["cpu_seconds"] for row in own)
        peaks = [row["peak_mb"] for row in own if row.get("peak_mb") is not None]
        lines.append(
            f"| {plan.variant.replace('|', '/')} | {first} of {len(own)} | {five} | "
            f"{surprise:.2f} | {seconds:.1f} | {max(peaks) if peaks else '-'} |"
        )
    return lines


def write_page(path: Path, command: str, lines: Sequence[str]) -> None:
    """The page, with what people wrote below its first "## "."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    _, heading, rest = old.partition("\n## ")
    top = ["# Search for the loop's defaults", "", f"`{command}`", "", NOTE, "", *lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, ("\n".join(top) + "\n" + heading + rest).encode())


def write_sheet(
    folder: Path, plan: Plan, key: str, asked: Sequence[ClassPrompt], seed: int
) -> None:
    """The pictures of a plan side by side, those that there are."""
    paths = [(each, picture_path(folder, plan, key, each.name, seed)) for each in asked]
    tiles, labels = [], []
    for each, path in paths:
        if path.exists():
            with Image.open(path) as image:
                tiles.append(image.convert("RGB").resize((192, 192), Image.Resampling.LANCZOS))
            labels.append(each.name)
    if tiles:
        parent = paths[0][1].parent
        sheet = grid_pil(tiles, columns=5, labels=labels)
        sheet.save(parent.with_name(f"{parent.name}-{seed}.png"))


def _part(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected K/N such as 1/2")
    return int(found[1]), int(found[2])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), help="names or JSON")
    parser.add_argument("--extra", default="{}", help="JSON of settings for all variants")
    parser.add_argument("--prompts", choices=sorted(PROMPTS), default="tuning")
    parser.add_argument("--limit", type=int, default=None, help="only the first prompts")
    parser.add_argument("--part", type=_part, default=(1, 1), help="K/N: a share of the prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    parser.add_argument("--records", type=Path, default=Path("evaluation/search.jsonl"))
    parser.add_argument("--pictures", type=Path, default=Path("evaluation/search"))
    parser.add_argument("--out", type=Path, default=Path("docs/search.md"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"), help="of downloads")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="paint nothing, write the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    asked = PROMPTS[given.prompts][: given.limit]
    seeds = range(given.seed, given.seed + given.seeds)
    try:
        plans = [Plan.of(variant, _read_json(given.extra)) for variant in given.variants]
        judge, painter = load_judge(given.cache), Painter()
        if not given.table:
            share = asked[given.part[0] - 1 :: given.part[1]]
            search(plans, share, seeds, painter, judge, given.records, given.pictures)
        keys = [plan.key([*painter.fingerprints(plan), judge.fingerprint]) for plan in plans]
        for plan, key in zip(plans, keys, strict=True):
            write_sheet(given.pictures, plan, key, asked, given.seed)
        rows = [row for row in read_records(given.records) if row["seed"] in seeds]
        lines = table(plans, keys, asked, rows)
        command = (
            f"python -m gouache_bench.search --prompts {given.prompts} --seed {given.seed} "
            f"--seeds {given.seeds}" + (f" --limit {given.limit}" if given.limit else "")
        )
        write_page(given.out, command, lines)
        print("\n".join(lines))
    except GouacheError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
