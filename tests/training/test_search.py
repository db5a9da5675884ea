"""The benchmark that searches for settings: its records, resuming, and its table."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gouache.errors import ConfigError
from gouache_bench import search
from gouache_training.class_prompts import ClassPrompt
from tiny import TinyGenerator, TinyPerceptor
from training.test_judge import tiny_judge

ASKED = [ClassPrompt("x", "cat"), ClassPrompt("x", "kite")]
QUICK = {
    "size": [16, 16],
    "steps": [1],
    "num_cutouts": 4,
    "templates": False,
    "device": "cpu",
    "start": "random",
    "start_steps": 0,
}


@dataclass(frozen=True)
class LookingConfig:
    image_size: int = 8
    most_cutouts: int = 12
    trunks: tuple[str, ...] = ("one", "two")


class Looking(TinyPerceptor):
    """A guide with a configuration of its own, which remembers how it was asked."""

    name, fingerprint = "photo", "a" * 64
    config = LookingConfig()

    def __init__(self) -> None:
        super().__init__(seed=5)
        self.shown: list[tuple[int, int]] = []
        self.trunks = ["first", "second"]
        self.looked: list[int] = []  # with how many classifiers

    @property
    def most_cutouts(self) -> int:
        return self.config.most_cutouts

    @property
    def image_size(self) -> int:  # type: ignore[override]
        return self.config.image_size

    def confidence(self, texts: Any) -> torch.Tensor:
        return torch.ones(len(texts))

    def embed_image(self, image: torch.Tensor) -> torch.Tensor:
        self.shown.append((len(image), image.shape[-1]))
        self.looked.append(len(self.trunks))
        return super().embed_image(torch.nn.functional.interpolate(image, (8, 8)))


def painter() -> Any:
    guides = {"pocket": TinyPerceptor(), "photo": Looking()}
    return search.Painter(guides.__getitem__, TinyGenerator())


def plans(*variants: str) -> list[Any]:
    return [search.Plan.of(variant, QUICK) for variant in variants]


def test_every_variant_can_be_painted_and_differs_from_the_others() -> None:
    found = [search.Plan.of(name) for name in search.VARIANTS]
    keys = [plan.key(["models"]) for plan in found if plan.variant != "defaults"]
    assert len(set(keys)) == len(keys)
    assert search.Plan.of("pocket alone, as before").config.perceptor == ("pocket",)
    assert search.Plan.of("pocket alone, as before").photo == {}
    assert search.Plan.of("photo 0.6").config.guides == (("pocket", 1), ("photo", 0.6))
    assert search.Plan.of("12 cutouts").photo == {
        "image_size": 160,
        "most_cutouts": 12,
        "trunks": 2,
    }
    assert search.Plan.of("192x192").config.size == (192, 192)


def test_variants_as_json_change_the_base() -> None:
    plan = search.Plan.of('{"steps": [60], "photo": {"image_size": 128}}', {"num_cutouts": 6})
    assert plan.config.steps == (60,)
    assert plan.config.cutouts.num_cutouts == 6
    assert plan.photo == {"image_size": 128, "most_cutouts": 6, "trunks": 2}


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("nope", "no variant is called 'nope'; give JSON or one of: defaults"),
        ("[1]", "no variant is called"),
        ('{"stepps": 3}', "no setting is called 'stepps'"),
        ('{"photo": {"size": 3}}', "photo has no 'size' to change"),
    ],
)
def test_variants_that_do_not_exist_are_one_line(variant: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        search.Plan.of(variant)
    assert "\n" not in str(caught.value)


def test_keys_tell_everything_but_prompt_and_seed() -> None:
    plan = search.Plan.of("three sketches of 30 steps")
    key = plan.key(["a"])
    assert replace(plan, config=plan.config.updated(prompt="x", seed=3)).key(["a"]) == key
    assert replace(plan, config=plan.config.updated(steps=81)).key(["a"]) != key
    assert replace(plan, photo={"image_size": 128}).key(["a"]) != key
    assert plan.key(["b"]) != key


def test_what_is_recorded_is_not_painted_again(tmp_path: Path) -> None:
    records = tmp_path / "deep" / "records.jsonl"
    chosen = plans("three sketches of 30 steps", "pocket alone, as before")

    def go(asked: list[ClassPrompt], seeds: range) -> int:
        return int(search.search(chosen, asked, seeds, painter(), tiny_judge(), records))

    assert go(ASKED[:1], range(1)) == 2
    assert go(ASKED, range(1)) == 2
    assert go(ASKED, range(2)) == 4
    before = records.read_bytes()
    assert go(ASKED, range(2)) == 0
    assert records.read_bytes() == before
    rows = search.read_records(records)
    assert len({row["id"] for row in rows}) == len(rows) == 8
    assert all(row["cpu_seconds"] >= row["start_seconds"] >= 0 for row in rows)


def test_a_search_that_was_killed_in_a_line_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "records.jsonl"
    run = (plans("three sketches of 30 steps"), ASKED, range(1), painter(), tiny_judge(), records)
    search.search(*run)
    whole = [row["id"] for row in search.read_records(records)]
    records.write_bytes(records.read_bytes()[:-20])
    assert search.search(*run) == 1
    assert sorted(row["id"] for row in search.read_records(records)) == sorted(whole)
    assert "1 broken lines" in capsys.readouterr().err


def test_a_recorded_picture_is_the_same_whatever_was_painted_before(tmp_path: Path) -> None:
    both = plans("12 cutouts", "three sketches of 30 steps")
    for name, chosen in (("together", both), ("alone", both[1:])):
        search.search(chosen, ASKED, [0], painter(), tiny_judge(), tmp_path / name, tmp_path / "p")
    together, alone = (search.read_records(tmp_path / name) for name in ("together", "alone"))
    told = {row["id"]: row["log_probability"] for row in together}
    assert [told[row["id"]] for row in alone] == [row["log_probability"] for row in alone]
    assert len(list((tmp_path / "p").rglob("*.png"))) == 4


def test_photo_is_changed_for_its_variant_only() -> None:
    looking = Looking()
    guides = {"pocket": TinyPerceptor(), "photo": looking}
    paint = search.Painter(guides.__getitem__, TinyGenerator())
    narrow = search.Plan.of('{"photo": {"image_size": 12, "most_cutouts": 2, "trunks": 1}}', QUICK)
    paint(narrow, "a cat", 0)
    assert (2, 12) in looking.shown
    assert not any(side != 12 for _, side in looking.shown)
    assert set(looking.looked) == {1}
    assert (looking.config, looking.trunks) == (LookingConfig(), ["first", "second"])


def test_the_table_is_made_from_records_of_these_settings_and_prompts() -> None:
    plan = search.Plan.of("three sketches of 30 steps")

    def row(key: str, name: str, rank: int, seed: int = 0) -> dict[str, Any]:
        told = {"log_probability": -float(rank), "cpu_seconds": 2.0 + rank, "peak_mb": 900 + rank}
        return {"id": (key, name, seed), "key": key, "name": name, "rank": rank, **told}

    rows = [row("k", "cat", 0), row("k", "kite", 3), row("k", "dog", 9), row("old", "cat", 9)]
    rows += [row("k", "cat", 0)]  # by two searches at once
    lines = search.table([plan, plan], ["k", "none"], ASKED, rows)
    assert lines[2:] == ["| three sketches of 30 steps | 1 of 2 | 2 | -1.50 | 3.5 | 903 |"]
    rows = [{**row("k", "cat", 1), "peak_mb": None}]
    assert search.table([plan], ["k"], ASKED, rows)[2].endswith("| -1.00 | 3.0 | - |")


def test_a_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "search.md"
    search.write_page(page, "python search.py", ["| old |"])
    page.write_text(page.read_text() + "\n## Notes\n\nBy hand.\n")
    search.write_page(page, "python search.py", ["| new |"])
    text = page.read_text()
    assert "| old |" not in text
    assert text.count("| new |") == 1
    assert text.endswith("\n## Notes\n\nBy hand.\n")
    search.write_page(page, "python search.py", ["| new |"])
    assert page.read_text() == text


def test_records_are_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"torn": ')
    search.add_record(path, {"key": "k", "name": "a\nb", "seed": 1})
    lines = path.read_text().splitlines()
    assert lines[0] == '{"torn": '
    assert json.loads(lines[1])["name"] == "a\nb"
