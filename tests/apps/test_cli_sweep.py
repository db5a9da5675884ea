"""`gouache sweep` as people call it: what it paints, tells and refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from gouache.apps.cli.main import run
from gouache.ops.images import load_image
from gouache.output.pictures import read_metadata
from small import SMALL

ASKED = ["sweep", "a {red,blue} star", "--axis", "learning_rate=0.1,0.2", "--seeds", "0-1"]


def apart(one: str | Path, other: str | Path) -> int:
    """How far two pictures are from each other where they differ most, 0 to 255."""
    ranges = ImageChops.difference(load_image(one), load_image(other)).getextrema()
    return max(high for _, high in ranges)


def rows(out: str) -> list[dict[str, str]]:
    with Path(out, "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_from_painting_to_comparing(gouache):
    """One line paints, one ranks, one says whether a setting helps."""
    done = gouache(*ASKED, *SMALL, "--executor", "inline", "--out", "out", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["cells"], told["painted"], told["failed"], told["left"]) == (8, 8, 0, 0)
    found = rows("out")
    assert [row["prompt"] for row in found[:5:4]] == ["a red star", "a blue star"]
    assert [row["seed"] for row in found[:4]] == ["0", "1", "0", "1"]
    # A cell is the picture that `paint` paints.
    one = found[3]
    alone = ["--seed", one["seed"], "--learning-rate", one["learning_rate"], "--out", "alone.png"]
    assert gouache(one["prompt"], *SMALL, *alone).code == 0
    cell = Path("out", one["picture"])
    assert load_image("alone.png").tobytes() == load_image(cell).tobytes()
    assert gouache("replay", cell, "--out", "again.png").code == 0
    assert load_image("again.png").tobytes() == load_image(cell).tobytes()
    assert read_metadata(cell)["sweep"]["varies"] == {"learning_rate": "0.2"}

    again = json.loads(gouache(*ASKED, *SMALL, "--out", "out", "--json").out)
    assert (again["found"], again["painted"]) == (8, 0)
    dry = gouache(*ASKED, *SMALL, "--out", "out", "--dry-run").out
    assert dry.startswith("8 cells: 2 prompts, 2 learning_rate, 2 seeds\n8 of them are painted")

    ranked = gouache("sweep", "rank", "out", "--json")
    assert ranked.code == 0, ranked.err
    standings = json.loads(ranked.out)["standings"]
    assert {one["varies"]["learning_rate"] for one in standings} == {"0.1", "0.2"}
    first, second = (one["score"] for one in standings)
    assert first["low"] <= first["value"] <= first["high"]
    assert first["value"] >= second["value"]
    assert all(0 <= one["named"]["low"] <= one["named"]["high"] <= 1 for one in standings)
    judged = {row["cell"]: float(row["judge referee"]) for row in rows("out")}
    assert len(judged) == 8
    assert load_image("out/sheet.png").width > 64
    page = Path("out/index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 8
    assert "learning_rate" in page
    assert "://" not in page

    compared = gouache("sweep", "compare", "out", "--axis", "learning_rate", "--json")
    (pair,) = json.loads(compared.out)
    assert (pair["value"], pair["against"], pair["score"]["number"]) == ("0.2", "0.1", 4)
    by_rate = {rate: [] for rate in ("0.1", "0.2")}
    for row in rows("out"):
        by_rate[row["learning_rate"]].append(judged[row["cell"]])
    mean = sum(by_rate["0.2"]) / 4 - sum(by_rate["0.1"]) / 4
    assert pair["score"]["value"] == pytest.approx(mean, abs=1e-4)
    refused = gouache("sweep", "rank", "out", "--judge", "pocket")
    assert refused.code == 2
    assert "pocket guided" in refused.err
    assert "choose from learning_rate" in gouache("sweep", "compare", "out", "--axis", "steps").err


def test_a_batch_is_told_of_and_has_names_of_its_own(gouache):
    asked = ["sweep", "a star", "--seeds", "3-4,9", "--executor", "inline", *SMALL]
    assert gouache(*asked, "--batch", "4", "--precision", "fp32", "--out", "out").code == 0
    told = {int(row["seed"]): Path("out", row["picture"]) for row in rows("out")}
    assert sorted(told) == [3, 4, 9]
    assert [read_metadata(told[seed])["sweep"].get("together") for seed in (3, 4, 9)] == [
        2,
        2,
        None,
    ]
    # Each is the picture of its own seed, and of no other of the batch.
    alone = ["--seed", "3", "--precision", "fp32", "--out", "alone.png"]
    assert gouache("a star", *SMALL, *alone).code == 0
    assert apart("alone.png", told[3]) <= 2 < 4 < apart("alone.png", told[4])
    dry = gouache(*asked, "--precision", "fp32", "--out", "out", "--dry-run", "--json")
    assert json.loads(dry.out)["found"] == 0


def test_a_file_says_the_same(gouache):
    Path("plan.toml").write_text(
        'prompt = "a {red,blue} star"\nseeds = "0-1"\n[axes]\nlearning_rate = [0.1, 0.2]\n'
        '[settings]\nsize = "32x32"\nsteps = 4\nperceptor = ["pocket"]\n'
    )
    same = [*ASKED, "--size", "32x32", "--steps", "4", "--perceptor", "pocket", "--out", "out"]
    counted = gouache(*same, "--dry-run").out
    assert counted.startswith("8 cells")
    assert gouache("sweep", "--plan", "plan.toml", "--out", "out", "--dry-run").out == counted
    Path("rows.csv").write_text("prompt,steps,seed\na star,4,1\na ship,5,\n")
    assert gouache("sweep", "--plan", "rows.csv", "--dry-run").out.startswith("2 cells: 2 prompts")
    zipped = ["--axis", "steps=1,2", "--axis", "learning_rate=0.1,0.2", "--zip", "--dry-run"]
    assert gouache("sweep", "a star", *zipped).out.startswith("2 cells")


def test_the_estimate_says_what_it_knows(gouache):
    dry = gouache(*ASKED, "--dry-run", "--json", "--workers", "2")
    told = json.loads(dry.out)
    assert (told["cells"], told["found"], told["workers"]) == (8, 0, 2)
    assert told["seconds"] > 0
    assert "usual rate" in told["basis"]
    assert not Path("sweep").exists()


def test_without_ray_one_line_says_what_to_install(gouache, monkeypatch):
    monkeypatch.setattr("gouache.runs.cluster.find_spec", lambda name: None)
    monkeypatch.setattr("gouache.runs.slurm.find_spec", lambda name: None)
    for executor in ("ray", "slurm"):
        refused = gouache(*ASKED, "--executor", executor, "--dry-run")
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
        assert "pip install 'gouache[cluster]'" in refused.err


def test_ctrl_c_finishes_what_is_being_painted_and_a_second_call_goes_on(tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "gouache", "sweep", "a star", "--seeds", "0-40", *SMALL]
    process = subprocess.Popen(
        [*command, "--executor", "inline", "--out", str(tmp_path / "out")],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob("out/cells/*.png")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "finishing the cells" in told
    assert "Traceback" not in told
    number = len(list(tmp_path.glob("out/cells/*.png")))
    assert f"stopped after {number} of 41 cells; go on with the same command" in told
    assert len(rows(str(tmp_path / "out"))) == number


PLANS = {
    "unknown.toml": "stepz = 3",
    "list.yaml": "- 3",
    "broken.toml": "a = [",
    "broken.yaml": "a: [",
    "broken.json": "{",
    "numbers.toml": "prompt = [1, 2]",
    "axes.toml": "axes = 3",
    "axis.toml": "[axes]\nsteps = 3",
    "axis_name.toml": "[axes]\nstepz = [3, 4]",
    "axis_empty.toml": "[axes]\nsteps = []",
    "axis_twice.toml": "[axes]\nsteps = [4, 4]",
    "seeds.toml": 'seeds = "a"',
    "seeds_float.toml": "seeds = [1.5]",
    "zip.toml": "zip = 3",
    "zip_uneven.toml": "zip = true\n[axes]\nsteps = [1, 2]\nlearning_rate = [0.1]",
    "rows.toml": "rows = 3",
    "rows_empty.toml": "rows = []",
    "row_empty.toml": "[[rows]]",
    "row_twice.toml": "[[rows]]\nsteps = 4\n[[rows]]\nsteps = 4",
    "row_count.toml": "[[rows]]\ncount = 4",
    "settings.toml": "[settings]\nstepz = 3",
    "settings_count.toml": "[settings]\ncount = 3",
    "empty.csv": "",
    "names.csv": "prompt,prompt\na,b\n",
    "unknown.csv": "stepz\n3\n",
    "short.csv": "prompt,steps\na\n",
    "value.csv": "prompt,steps\na,many\n",
    "only.csv": "prompt,steps\n",
    "rows.csv": "prompt,steps\na star,3\na ship,4\n",
    "quote.csv": 'prompt,steps\n"a" b,3\n',
}
X = ["x", "--seeds", "0-1"]
BAD = {
    **{f"plan {name}": ["x", "--plan", name] for name in PLANS},
    "plan missing": ["x", "--plan", "nowhere.toml"],
    "plan is a folder": ["x", "--plan", "."],
    "plan is binary": ["x", "--plan", "plain.png"],
    "table is binary": ["x", "--plan", "binary.csv"],
    "nothing": ["--seeds", "0-3"],
    "empty prompt": [""],
    "blank prompt": [" "],
    "prompt twice": ["a star", "a star"],
    "alternatives that are the same": ["a {red,red} star"],
    "open brace": ["a {red,blue star"],
    "closed brace": ["a red,blue} star"],
    "one alternative": ["a {red} star"],
    "no alternative": ["a {} star"],
    "braces in braces": ["a {red,{blue,green}} star"],
    "too many braces": ["{a,b}" * 20],
    "a mistake in an alternative": ["a star:{1,nan}"],
    "an alternative that is empty": ["{,a}"],
    "weight nan": ["x:nan"],
    "seeds are words": ["x", "--seeds", "many"],
    "seeds go down": ["x", "--seeds", "7-0"],
    "seeds are negative": ["x", "--seeds=-3"],
    "seed twice": ["x", "--seeds", "1,1"],
    "seed twice in ranges": ["x", "--seeds", "0-3,2-5"],
    "seeds are fractions": ["x", "--seeds", "0.5"],
    "seeds are empty": ["x", "--seeds", ","],
    "seed too large": ["x", "--seeds", "9" * 19],
    "seeds too many": ["x", "--seeds", "0-9999999"],
    "seeds are split": ["a star", "--seeds", "0", "1", "2"],
    "cells too many": ["{a,b,c} x", "--seeds", "0-50000"],
    "axis without values": [*X, "--axis", "steps"],
    "axis without name": [*X, "--axis", "=1,2"],
    "axis with empty values": [*X, "--axis", "steps="],
    "axis with an empty value": [*X, "--axis", "steps=1,,2"],
    "axis unknown": [*X, "--axis", "stepz=1,2"],
    "axis twice": [*X, "--axis", "steps=1,2", "--axis", "steps=3"],
    "axis and option": [*X, "--axis", "steps=1,2", "--steps", "3"],
    "rows and option": ["x", "--plan", "rows.csv", "--steps", "3"],
    "axis value twice": [*X, "--axis", "steps=2,2"],
    "axis value twice, written otherwise": [*X, "--axis", "learning_rate=0.1,1e-1"],
    "axis value of another kind": [*X, "--axis", "steps=1,many"],
    "axis value out of range": [*X, "--axis", "steps=0,1"],
    "axis value nan": [*X, "--axis", "learning_rate=nan,0.1"],
    "axis value negative": [*X, "--axis", "learning_rate=-1,0.1"],
    "axis latent unknown": [*X, "--axis", "latent=quantised,multiscale"],
    "axis optimiser unknown": [*X, "--axis", "optimizer=Adam,Adan"],
    "axis perceptor unknown": [*X, "--axis", "perceptor=pocket,clap"],
    "axis judge unknown": [*X, "--axis", "start_judge=off,clap"],
    "axis generator unknown": [*X, "--axis", "generator=pocket,pockets"],
    "axis preset unknown": [*X, "--axis", "preset=paper,papers"],
    "axis augmentation unknown": [*X, "--axis", "augment=flip;flips"],
    "axis loss unknown": [*X, "--axis", "losses=none of ours,tv"],
    "axis size malformed": [*X, "--axis", "size=32x32,big"],
    "axis size absurd": [*X, "--axis", "size=32x32,100000x100000"],
    "axis schedule malformed": [*X, "--axis", "learning_rate=0:(1;2"],
    "axis picture missing": [*X, "--axis", "init_image=plain.png,nowhere.png"],
    "axis picture cut off": [*X, "--axis", "init_image=plain.png,cut.png"],
    "axis of stages": ["x ^ y", "--axis", "steps=60;1,2,3"],
    "axis prompt": [*X, "--axis", "prompt=a,b"],
    "axis seed": ["x", "--axis", "seed=1,2"],
    "axis count": [*X, "--axis", "count=1,2"],
    "axis device": [*X, "--axis", "device=cpu,cuda"],
    "axes that are zipped unevenly": [*X, "--axis", "steps=1,2", "--axis", "scale=1", "--zip"],
    "count": [*X, "--count", "4"],
    "count in a file": [*X, "--config", "count.yaml"],
    "config missing": [*X, "--config", "nowhere.yaml"],
    "config unknown": [*X, "--config", "unknown.yaml"],
    "unknown preset": [*X, "--preset", "papers"],
    "unknown option": [*X, "--stepz", "3"],
    "unknown executor": [*X, "--executor", "rays"],
    "no executor": [*X, "--executor", ""],
    "no workers": [*X, "--workers", "0"],
    "negative workers": [*X, "--workers=-2"],
    "workers are words": [*X, "--workers", "many"],
    "workers of inline": [*X, "--executor", "inline", "--workers", "3"],
    "no threads": [*X, "--threads", "0"],
    "no batch": [*X, "--batch", "0"],
    "batch too large": [*X, "--batch", "1000"],
    "address without ray": [*X, "--address", "auto"],
    "slurm without slurm": [*X, "--slurm", "partition=gpu"],
    "slurm malformed": [*X, "--executor", "slurm", "--slurm", "gpu"],
    "unknown device": [*X, "--device", "tpu"],
    "unknown generator": [*X, "--generator", "pockets"],
    "size 0": [*X, "--size", "0x32"],
    "missing picture": [*X, "--init-image", "nowhere.png"],
    "out is a file": [*X, "--out", "plain.png"],
    "out is below a file": [*X, "--out", "plain.png/out"],
    "out holds something else": [*X, "--out", "mine"],
    "out has too long a name": [*X, "--out", "x" * 300],
    "rank of nothing": ["rank", "nowhere"],
    "rank of a file": ["rank", "plain.png"],
    "rank of something else": ["rank", "mine"],
    "rank without a folder": ["rank"],
    "compare of nothing": ["compare", "nowhere", "--axis", "steps"],
    "compare without an axis": ["compare", "mine"],
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in PLANS.items():
        Path(name).write_text(text)
    Path("binary.csv").write_bytes(b"\xff\xfe\x00prompt")
    Path("count.yaml").write_text("count: 3")
    Path("unknown.yaml").write_text("stepz: 3")
    Image.new("RGB", (64, 64), "blue").save("plain.png")
    whole = Path("plain.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_text("mine")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def test_there_are_a_hundred_malformed_sweeps():
    assert len(BAD) >= 100


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_malformed_sweeps_are_one_line(gouache, files, tmp_path, arguments):
    before = everything(tmp_path)
    result = gouache("sweep", *arguments)
    assert result.code == 2, result.err
    assert result.out == ""
    first, *rest = result.err.splitlines()
    assert first.startswith("gouache: ")
    assert not first.startswith("gouache: note")
    assert not rest or (len(rest) == 2 and rest[1].strip() == "^"), result.err
    assert everything(tmp_path) == before


WORDS = st.text(alphabet="{},\\;=-:|^ab01.\n", min_size=1, max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(prompt=WORDS, axis=WORDS, seeds=WORDS)
def test_whatever_is_written_is_one_line(files, capsys, tmp_path, prompt, axis, seeds):
    before = everything(tmp_path)
    capsys.readouterr()
    code = run(
        ["sweep", f"--axis=learning_rate={axis}", f"--seeds={seeds}", "--dry-run", "--", prompt]
    )
    told = capsys.readouterr()
    assert code in (0, 2), told.err
    assert "Traceback" not in told.err
    assert code == 0 or len(told.err.splitlines()) in (1, 3), told.err
    assert everything(tmp_path) == before


def test_the_help_lists_it(gouache):
    assert "sweep" in gouache("--help").out
    told = gouache("sweep", "--help").out
    assert all(name in told for name in ("run", "rank", "compare"))
    assert "--axis" in gouache("sweep", "run", "--help").out
