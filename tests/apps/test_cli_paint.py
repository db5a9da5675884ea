"""`gouache paint` and what it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.output.pictures import read_metadata
from gouache.settings.config import make_config, settings
from small import SMALL


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_prompt_alone_paints(gouache, tmp_path):
    result = gouache("a red apple", *SMALL)
    assert result.code == 0
    assert result.out.splitlines() == ["a-red-apple.png"]
    assert Image.open("a-red-apple.png").size == (32, 32)
    assert "step 4/4" in result.err


def test_words_need_no_quotes_and_options_may_come_first(gouache):
    assert gouache("-q", *SMALL, "a", "red", "apple").out.split() == ["a-red-apple.png"]


def test_nothing_is_overwritten_without_out(gouache):
    names = [gouache("apple", "-q", *SMALL).out.strip() for _ in range(3)]
    assert names == ["apple.png", "apple-2.png", "apple-3.png"]
    assert gouache("apple", "-q", *SMALL, "--out", "apple.png").code == 0


def test_one_seed_one_picture(gouache):
    for name, seed in (("a.png", 3), ("b.png", 3), ("c.png", 4)):
        gouache("a fish", "-q", *SMALL, "--seed", str(seed), "--out", name)
    assert np.array_equal(pixels(Path("a.png")), pixels(Path("b.png")))
    assert not np.array_equal(pixels(Path("a.png")), pixels(Path("c.png")))


def test_json_is_one_line(gouache):
    result = gouache("a fish", "--json", *SMALL)
    document = json.loads(result.out)
    assert result.out.count("\n") == 1
    assert result.err == ""
    assert document["out"] == ["a-fish.png"]
    assert document["step"] == document["num_steps"] == 4
    assert set(document["losses"]) >= {"prompt/0", "latent"}


def test_count_writes_pictures_and_a_grid(gouache):
    result = gouache("a fish", "-q", *SMALL, "--count", "2", "--out", "f.png")
    assert result.out.split() == ["f-1.png", "f-2.png", "f.png"]
    assert Image.open("f.png").width > 2 * 32
    assert [read_metadata(Path(f"f-{k}.png"))["seed"] for k in (1, 2)] == [0, 1]


def test_replay_gives_the_same_pixels(gouache):
    gouache("a fish | blue:0.5", "-q", *SMALL, "--count", "2", "--out", "f.png", "--seed", "5")
    for name in ("f-1.png", "f-2.png"):
        result = gouache("replay", name, "-q", "--out", "again.png")
        assert result.code == 0
        assert result.err == ""
        assert np.array_equal(pixels(Path(name)), pixels(Path("again.png")))


def test_replay_tells_of_other_weights(gouache):
    gouache("a fish", "-q", *SMALL, "--out", "f.png")
    metadata = read_metadata(Path("f.png"))
    metadata["generator"]["fingerprint"] = "0" * 64
    from gouache.output.pictures import save_picture

    save_picture(Image.open("f.png"), "other.png", metadata)
    result = gouache("replay", "other.png", "-q", "--out", "again.png")
    assert result.code == 0
    assert "another generator" in result.err


def test_info_shows_how_a_picture_was_made(gouache):
    gouache("a fish:2 | night", "-q", *SMALL, "--out", "f.png", "--learning-rate", "0.25")
    shown = gouache("info", "f.png").out
    for word in ("a fish:2 | night", "32x32", "learning_rate", "0.25", "pocket", "loss prompt/1"):
        assert word in shown
    assert json.loads(gouache("info", "f.png", "--json").out)["config"]["prompt"].startswith("a fi")


def test_run_folder(gouache):
    result = gouache("a fish", "-q", *SMALL, "--run-dir", "run", "--save-every", "2")
    assert result.code == 0
    run = Path("run")
    assert sorted(path.name for path in (run / "steps").iterdir()) == ["00002.png", "00004.png"]
    rows = list(csv.DictReader((run / "losses.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3"]
    assert json.loads((run / "settings.json").read_text())["config"]["prompt"] == "a fish"
    again = gouache("a fish", *SMALL, "--run-dir", "run")
    assert again.code == 2
    assert "already holds a run" in again.err


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_timelapse(gouache, suffix):
    pytest.importorskip("av")
    film = Path(f"film{suffix}")
    assert gouache("a fish", "-q", *SMALL, "--timelapse", film).code == 0
    import av

    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 4


def test_image_and_noise_prompts_and_init_image(gouache):
    Image.new("RGB", (40, 20), "red").save("red.png")
    result = gouache(
        "-q", *SMALL, "--image-prompt", "red.png:2", "--noise-prompt", "7:-0.1",
        "--init-image", "red.png", "--out", "x.png", "--json",
    )  # fmt: skip
    assert result.code == 0
    assert set(json.loads(result.out)["losses"]) >= {"image/0", "noise/0"}
    mean = pixels(Path("x.png")).reshape(-1, 3).mean(0)
    assert mean[0] > mean[1]
    assert mean[0] > mean[2]


def test_dry_run_prints_settings_and_writes_nothing(gouache, tmp_path):
    result = gouache("a fish", "--dry-run", "--steps", "7,8", "--cut-pow", "0.9")
    document = json.loads(result.out)
    assert document["steps"] == [7, 8]
    assert document["cutouts"]["cut_pow"] == 0.9
    assert list(tmp_path.iterdir()) == []


def test_every_setting_reaches_the_command_line(gouache):
    shown = gouache("paint", "--help").out
    for setting in settings():
        name = {"losses": "loss"}.get(setting.name, setting.name)
        name = name.removesuffix("s") if "prompts" in name else name
        if setting.name != "prompt":
            assert f"--{name.replace('_', '-')}" in shown
    assert "[PROMPT]..." in shown
    assert "--prompt" not in shown


def test_config_files(gouache):
    Path("c.yaml").write_text("steps: 9\ncutouts: {num_cutouts: 5}\nseed: 4\n")
    document = json.loads(gouache("x", "--config", "c.yaml", "--dry-run", "--seed", "6").out)
    assert (document["steps"], document["cutouts"]["num_cutouts"], document["seed"]) == ([9], 5, 6)
    Path("d.json").write_text(json.dumps(make_config(prompt="from a file").to_dict()))
    assert json.loads(gouache("paint", "--config", "d.json", "--dry-run").out)["prompt"] == (
        "from a file"
    )


def test_presets(gouache):
    paper = json.loads(gouache("x", "--preset", "paper", "--dry-run", "--steps", "3").out)
    assert paper["guidance"]["contrast_weight"] == 0
    assert paper["steps"] == [3]


def test_a_long_prompt_is_cut_off_with_one_line(gouache):
    result = gouache("apple " * 1600 + "pear", "-q", *SMALL)
    assert result.code == 0
    assert len(result.err.splitlines()) == 1
    assert "24 tokens" in result.err
    assert "cut off" in result.err


def test_pictographs_are_read_by_their_names(gouache):
    for name, prompt in (("a.png", "\N{RED APPLE}"), ("b.png", "red apple")):
        gouache(prompt, "-q", *SMALL, "--out", name)
    assert np.array_equal(pixels(Path("a.png")), pixels(Path("b.png")))


def test_odd_sizes_are_exact(gouache):
    gouache("x", "-q", "--size", "20x51", "--steps", "1", "--num-cutouts", "2", "--out", "o.png")
    assert Image.open("o.png").size == (20, 51)
