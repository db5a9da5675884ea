"""Settings in files: everything that gouache writes is read back, and what people write is read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gouache.apps.settings_file import SettingsNote, read_settings, settings_text
from gouache.apps.studio.orders import flat_settings
from gouache.errors import ConfigError, GouacheError
from gouache.output.pictures import dump_json, save_picture
from gouache.settings.config import PaintConfig, make_config, settings
from small import SMALL
from values import TEXTS, values_of


def read(path: Path, content: str | bytes, name: str = "a.yaml") -> PaintConfig:
    file = path / name
    file.write_bytes(
        content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    )
    return make_config(**read_settings(file))


@st.composite
def configs(draw: st.DrawFn) -> PaintConfig:
    chosen = draw(st.lists(st.sampled_from(settings()), unique_by=lambda s: s.name, max_size=12))
    values = {setting.name: draw(values_of(setting)) for setting in chosen}
    try:
        return make_config("pocket", **values)
    except ConfigError:
        assume(False)
        raise


@hypothesis_settings(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
@given(config=configs())
def test_whatever_is_written_is_read_back(tmp_path: Path, config: PaintConfig) -> None:
    document = config.to_dict()
    for encoding in ("utf-8", "cp1252", "ascii", "no-such", None):
        assert read(tmp_path, settings_text(config, encoding), "dry.json") == config
    assert read(tmp_path, settings_text(config, "utf-8"), "no-suffix") == config
    assert read(tmp_path, settings_text(config, "utf-8").encode("utf-16"), "shell.json") == config
    assert read(tmp_path, json.dumps(document, indent="\t"), "tabs.yaml") == config
    assert read(tmp_path, dump_json({"config": document, "outputs": {}}), "settings.json") == config
    for flow, unicode in ((False, True), (True, False), (None, True)):
        written = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=unicode)
        if yaml.safe_load(written) == document:  # PyYAML itself loses U+0085 unless it escapes it
            assert read(tmp_path, written) == config
    studio = dump_json({"prompt": config.title, **flat_settings(config)}, indent=2)
    assert flat_settings(read(tmp_path, studio, "studio.json")) == flat_settings(config)


def test_a_picture_is_a_settings_file_too(tmp_path):
    from PIL import Image

    config = make_config(prompt="a \N{RED APPLE}", learning_rate=1e-5, seed=2**60)
    for suffix in (".png", ".jpg", ".webp"):
        place = tmp_path / f"a{suffix}"
        save_picture(Image.new("RGB", (8, 8)), place, {"config": config.to_dict(), "edits": []})
        assert make_config(**read_settings(place)) == config
    save_picture(
        Image.new("RGB", (8, 8)), place, {"config": config.to_dict(), "edits": [{"step": 0}]}
    )
    with pytest.warns(SettingsNote, match="only its settings are taken"):
        read_settings(place)


@pytest.mark.parametrize(
    "text",
    ["12:30", "yes", "no", "on", "off", "1e-05", "2024-01-01", "007", "1_000", "0x1f", "1.0"],
)
def test_plain_text_stays_text(tmp_path, text):
    config = read(tmp_path, f"prompt: {text}\ninit_image: {text}\nperceptor: [{text}x, pocket]\n")
    assert (config.title, config.init_image) == (text, text)
    assert config.perceptor == (f"{text}x", "pocket")
    assert read(tmp_path, f"perceptor: {text}a").perceptor == (f"{text}a",)


def test_plain_numbers_are_those_of_the_setting(tmp_path):
    for written, value in (("1e-1", 0.1), ("1E-05", 1e-5), ("3", 3.0), (".5", 0.5), ("+2.", 2.0)):
        assert read(tmp_path, f"learning_rate: {written}").optimization.learning_rate == value
    config = read(
        tmp_path,
        "compile: off\nlatent_rule: off\ntemplates: off\nsteps: [10, 20]\nsize: [64, 32]\n"
        "augment: [flip]\nseed: 0x10\nnum_cutouts: 7\nprompt: a ^ b\n",
    )
    assert (config.compile, config.latents.latent_rule) == ("off", "off")
    assert not config.guidance.templates
    assert (config.steps, config.size, config.seed) == ((10, 20), (64, 32), 16)
    assert read(tmp_path, "steps: 10,20\nsize: 64x32").steps == (10, 20)
    assert read(tmp_path, "steps: 10\nsize: 64").size == (64, 64)
    assert read(tmp_path, "base: &a\n  seed: 1\n".replace("base: &a\n  ", "")).seed == 1
    assert read(tmp_path, "{prompt: a, cutouts: {num_cutouts: 3},}").cutouts.num_cutouts == 3
    assert read(tmp_path, "").prompt == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: 1e3", "seed is '1e3'; expected whole number"),
        ("learning_rate: .inf", "learning_rate is inf; expected a finite number"),
        ("learning_rate: 1e999", "learning_rate is inf; expected a finite number"),
        ("learning_rate: fast", "learning_rate is 'fast'; expected number"),
        ('{"learning_rate": 1' + "0" * 400 + "}", "learning_rate is inf; expected a finite number"),
        ('{"seed": 1' + "0" * 400 + "}", "seed is 1000"),
        ("prompt: null", "prompt has no value; leave it out, or write"),
        ("prompt:", "prompt has no value; leave it out, or write"),
        ("templates: !!bool x", "is not YAML or JSON"),
        ("seed: !!timestamp x", "is not YAML or JSON"),
        ("prompts: &a [*a]", "more than 100,000 values"),
        (
            "".join(f"- &a{k + 1} [{f'*a{k}, ' * 9}]\n" for k in range(9)).replace("*a0", "x"),
            "more",
        ),
        ("? [a]\n: b", "is not YAML or JSON"),
        ("1: 2", "no setting is called '1'"),
        ("cutouts: {1: 2}", "no setting in cutouts is called '1'"),
        ("seed: 1\nseed: 2", "'seed' is given twice; give it once"),
        ('{"seed": 1, "seed": 2}', "'seed' is given twice; give it once"),
        ("num_cutouts: 3\ncutouts: {num_cutouts: 4}", "num_cutouts is given twice"),
        ("preset: [paper]", "no preset is called"),
        ("prompt: !!python/object/apply:os.getcwd []", "is not YAML or JSON"),
        ("- a", "settings must be a mapping"),
        ("[" * 100_000, "is not YAML or JSON"),
        (b"\xff\xfe\xfd", "is not YAML or JSON"),
        ("a: b: c", "is not YAML or JSON"),
        ("sed: 1", "no setting is called 'sed'; did you mean seed"),
        ("cutouts: 3", "cutouts must be a mapping"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, content, message):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, content)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 1000


def test_json_is_read_as_json_only(tmp_path):
    with pytest.raises(ConfigError, match="is not YAML or JSON: Expecting"):
        read(tmp_path, "seed: 1", "a.json")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_settings(tmp_path / "none.json")


def test_dry_run_prints_what_config_reads(gouache, tmp_path, monkeypatch):
    prompt = "caf\u00e9 \N{RED APPLE} at 12\\:30"
    first = gouache(prompt, "--learning-rate", "1e-05", *SMALL, "--dry-run").out
    (tmp_path / "a.json").write_text(first, encoding="utf-8")
    assert gouache("--config", "a.json", "--dry-run").out == first
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert gouache("--config", "a.json", "--dry-run").code == 0
    narrow.flush()
    printed = narrow.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(printed) == json.loads(first)
    assert printed.isascii()


def test_the_command_line_decides_over_the_preset_of_a_file(gouache, tmp_path):
    (tmp_path / "b.yaml").write_text("preset: pocket\nprompt: a\n", encoding="utf-8")
    for preset, size in (("auto", [128, 128]), ("paper", [256, 256])):
        printed = gouache("--config", "b.yaml", "--preset", preset, "--dry-run").out
        assert json.loads(printed)["size"] == size


_LINES = st.lists(
    st.tuples(
        st.sampled_from([s.name for s in settings()]), st.one_of(TEXTS, st.binary().map(repr))
    )
).map(lambda pairs: "\n".join(f"{name}: {text}" for name, text in pairs))


@hypothesis_settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(content=st.one_of(_LINES, st.binary(), st.text(alphabet="{}[]:,&*a0-.'\"\n !|>")))
def test_whatever_is_in_the_file_the_answer_is_one_line(
    tmp_path: Path, content: str | bytes
) -> None:
    for name in ("a.yaml", "a.json"):
        told = ""
        try:
            read(tmp_path, content, name)
        except GouacheError as error:
            told = str(error)
        assert len(told.splitlines()) <= 1, told
