"""What the studio's form shows is what is painted, whichever guides are chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gouache.apps.studio.orders import (
    Limits,
    Order,
    flat_settings,
    installed_models,
    presets_table,
    read_order,
    settings_table,
)
from gouache.editing.config import painting_config
from gouache.errors import ConfigError
from gouache.settings.config import PaintConfig, make_config
from studio_browser import (
    CHROMIUM,
    TinyStudio,
    hold,
    more,
    reloaded,
    show,
    until,
)

BOTH = ",".join(PaintConfig.perceptor)


def asked(document: dict[str, Any]) -> Order:
    models = {**installed_models(), "perceptor": ["pocket", "photo", "referee", "clip-vit-b-32"]}
    return read_order({"prompt": "x", **document}, Limits(), lambda name: Path(name), models)


def test_an_order_without_guides_gets_both() -> None:
    assert asked({}).config == make_config(prompt="x", image_prompts=[])
    assert asked({"settings": {"steps": 9}}).config.perceptor == PaintConfig.perceptor
    pocket = asked({"settings": {"perceptor": ["pocket"]}}).config
    assert pocket == make_config("pocket", prompt="x")


def test_an_edit_is_led_by_its_own_guide() -> None:
    edit = {"edit": {"replace": "a pear"}, "image": "0" * 32}
    assert asked(edit).config == painting_config("auto", {"prompt": "x"})
    both = {"settings": {"perceptor": ["pocket", "photo:0.5"]}}
    assert asked(edit | both).config.perceptor == ("pocket", "photo:0.5")
    assert asked(edit | both).config.latents.latent == "quantized"


def test_the_table_of_presets_is_what_orders_get() -> None:
    plain = {one["name"]: one["default"] for one in settings_table() if one["section"] != "edit"}
    names = ["pocket", "photo", "clip-vit-b-32"]
    table = presets_table(names)
    assert set(table) == {BOTH, *names}
    assert table[BOTH] == {}
    for guides, values in table.items():
        given = {"perceptor": guides.split(",")}
        assert flat_settings(asked({"settings": given}).config) == {**plain, **values, **given}


# The page.

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
with_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture
def studio(studio: TinyStudio) -> TinyStudio:
    studio.pace = 0.0
    return studio


def shown(page: Any) -> dict[str, str]:
    """Some fields, as text."""
    names = ("size", "steps", "start_tries", "start_steps", "start_scale", "perceptor")
    return {name: page.input_value(f"#setting-{name}") for name in names}


def as_shown(config: PaintConfig) -> dict[str, str]:
    values = {**flat_settings(config), "size": "x".join(map(str, config.size))}
    text = {k: ",".join(map(str, v)) if isinstance(v, list) else v for k, v in values.items()}
    names = ("size", "steps", "start_tries", "start_steps", "start_scale", "perceptor")
    return {name: f"{text[name]:g}" if name == "start_scale" else str(text[name]) for name in names}


def painted(page: Any, studio: TinyStudio, count: int) -> PaintConfig:
    """Presses Paint, the seed being kept; the settings of the run that this makes, which fails:
    nothing changes them."""
    page.fill("#prompt", "fails")
    if page.get_attribute("#lock", "aria-pressed") == "false":
        page.click("#lock")
    page.click("#paint")
    hold(lambda: len(studio.studio.runs) == count)
    return list(studio.studio.runs.values())[-1].config


@with_browser
def test_the_form_follows_the_guides(page: Any, studio: TinyStudio) -> None:
    assert shown(page) == as_shown(make_config())
    show(page, "tune")
    page.select_option("#setting-perceptor", "pocket")
    assert shown(page) == as_shown(make_config("pocket"))
    assert page.locator(".setting.changed").count() == 1  # the guide itself
    show(page, "tune")
    page.fill("#setting-steps", "3")
    assert painted(page, studio, 1) == make_config("pocket", prompt="fails", steps=3)
    page.select_option("#setting-perceptor", BOTH)  # what was written stays
    assert shown(page) == {**as_shown(make_config()), "steps": "3"}
    assert painted(page, studio, 2) == make_config(prompt="fails", steps=3)


@with_browser
@pytest.mark.parametrize(
    "settings",
    [
        {"perceptor": ["pocket"], "start_tries": 1, "size": "48x32"},
        {"perceptor": ["pocket"], "size": [256, 256], "start_scale": 1.0},
        {"perceptor": ["photo:0.6", "pocket:2"], "start_tries": 6, "templates": False},
        {"perceptor": ["pocket", "photo"], "start_tries": 6, "start_steps": 2},
        {"perceptor": ["photo"], "augment": [], "latent": "continuous"},
    ],
)
def test_reused_settings_are_those_of_the_picture(
    page: Any, studio: TinyStudio, settings: dict[str, Any]
) -> None:
    """Also where they are what another guide has by default."""
    given = {"steps": 2, "num_cutouts": 3, **settings}
    page.evaluate(
        "body => fetch('/api/runs', {method: 'POST', body, "
        "headers: {'content-type': 'application/json'}})",
        json.dumps({"prompt": "fails", "settings": given}),
    )
    hold(lambda: [run.status for run in studio.studio.runs.values()] == ["failed"])
    reloaded(page)
    show(page, "gallery")
    page.click("#gallery .thumb")
    show(page, "history")
    page.wait_for_selector("#reuse:not([disabled])", state="attached")
    more(page, "reuse")
    until(page, "document.getElementById('setting-steps').value === '2'")
    expected = next(iter(studio.studio.runs.values())).config
    assert expected == make_config(prompt="fails", **given)
    reloaded(page)  # which keeps the form
    show(page, "tune")
    page.wait_for_selector("#setting-steps")
    until(page, "document.getElementById('setting-steps').value === '2'")
    assert painted(page, studio, 2) == expected


def test_tries_on_a_marked_part_may_begin_disturbed() -> None:
    one = "0" * 32
    for part in ({"mask": "1" * 32}, {"replace": "a hat"}):
        plain = asked({"image": one, "edit": part})
        assert plain.config.latents.init_disturb == 0
        order = asked({"image": one, "edit": {**part, "disturb": 0.8}, "count": 3})
        assert order.config.latents.init_disturb == 0.8
        assert order.config.updated(init_disturb=0.0) == plain.config
    for wrong in ({"disturb": 0.8}, {"from": "a hat", "disturb": 0.8}):
        with pytest.raises(ConfigError, match="marked part"):
            asked({"image": one, "edit": wrong})
    for value in (2, -1, "much", None):
        with pytest.raises(ConfigError, match=r"edit\.disturb"):
            asked({"image": one, "edit": {"replace": "a hat", "disturb": value}})
