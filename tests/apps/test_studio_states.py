"""What a reader of the states disliked: saving, the dark, notes, names, masks, the trash."""

from __future__ import annotations

import io
from importlib import resources, util
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio_browser import (
    CHROMIUM,
    TinyStudio,
    more,
    order,
    ready,
    resize,
    show,
    status,
    stroke,
    texts,
    tune,
    until,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

LONG = 600  # steps: more than any test waits for
OPEN = "document.getElementById('exports').matches(':popover-open')"
# The luminance (WCAG) of a CSS color "rgb(r, g, b)".
LUMINANCE = """(color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
        .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""
FOOT = """() => {
    const box = (node) => node.getBoundingClientRect();
    const view = box(document.getElementById("view"));
    return [...document.querySelectorAll("#news > *, #going")]
        .filter((node) => node.offsetParent && box(node).width).map(box)
        .filter(({ left, right, top }) =>
            top < view.bottom - 1 && left < view.right && right > view.left).length;
}"""


@pytest.fixture
def page(page: Any) -> Any:
    resize(page, 1440, 900)
    return page


def luminance(page: Any, selector: str, what: str) -> float:
    return float(
        page.evaluate(
            f"([selector, what]) => ({LUMINANCE})("
            "getComputedStyle(document.querySelector(selector))[what])",
            [selector, what],
        )
    )


def color(page: Any, selector: str, what: str = "backgroundColor") -> str:
    return str(page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{what}"))


def done(page: Any, prompt: str = "a red apple", size: str = "32x32") -> None:
    order(page, prompt, 2, size)
    status(page, "done")
    page.click("#fold")


# Saving.


def test_a_finished_picture_is_saved_at_the_picture_itself(page: Any) -> None:
    assert page.is_hidden("#save")  # there is nothing yet
    done(page)
    page.click("#save")
    assert page.evaluate(OPEN)
    assert texts(page, "#exports a")[0] == "Save as PNG, 32 × 32"
    page.keyboard.press("Escape")
    assert not page.evaluate(OPEN)
    page.click("#save")
    page.click("#save")  # the same once more
    assert not page.evaluate(OPEN)
    page.keyboard.press("s")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (picture.size, picture.format) == ((32, 32), "PNG")
    page.keyboard.press("Escape")
    page.fill("#prompt", "")
    page.press("#prompt", "s")
    assert page.input_value("#prompt") == "s"
    assert not page.evaluate(OPEN)


@pytest.mark.parametrize(("wide", "high"), [(1440, 900), (390, 844), (844, 390)])
def test_all_that_is_saved_is_in_sight(page: Any, wide: int, high: int) -> None:
    done(page)
    resize(page, wide, high)
    page.click("#save")
    menu, top = page.locator("#exports").bounding_box(), page.locator("#save").bounding_box()
    assert menu["x"] >= 0
    assert menu["y"] >= 0
    assert menu["x"] + menu["width"] <= wide
    assert menu["y"] + menu["height"] <= high
    assert top["y"] + top["height"] <= high


def test_a_picture_that_is_drawn_larger_is_saved_as_large(page: Any) -> None:
    show(page, "tune")
    page.select_option("#setting-scale", "4")
    done(page)
    page.click("#save")
    assert page.input_value("#export-size") == "128"
    assert "128 × 128, as it is" in texts(page, "#export-size option")
    page.keyboard.press("Escape")
    show(page, "history")
    page.locator("#tree .thumb").first.click()  # the start, which is not drawn larger
    until(page, "document.getElementById('export-size').value === '32'")


def test_one_picture_large_is_saved_too(page: Any) -> None:
    done(page)
    show(page, "gallery")
    page.locator("#gallery .thumb").focus()
    page.keyboard.press("Space")
    with page.expect_download() as download:
        page.click("#large-save")
    assert Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).size == (32, 32)


# What is seen.


def test_the_dark_does_not_glare(page: Any) -> None:
    page.emulate_media(color_scheme="light")
    assert luminance(page, "#under", "backgroundColor") > 0.9
    page.emulate_media(color_scheme="dark")
    paper, ground = (luminance(page, one, "backgroundColor") for one in ("#under", "#stage"))
    assert 0.4 < paper < 0.55  # in the shade, and paper still
    assert (paper + 0.05) / (ground + 0.05) < 8
    words = luminance(page, "#empty", "color")
    assert (paper + 0.05) / (words + 0.05) > 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_swatch_is_seen(page: Any, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    rail = luminance(page, "#rail", "backgroundColor")
    for at in range(page.locator("#swatches button").count()):
        edge = luminance(page, f"#swatches button:nth-child({at + 1})", "borderTopColor")
        assert (max(edge, rail) + 0.05) / (min(edge, rail) + 0.05) > 3


def test_what_is_changed_does_not_look_like_an_error(page: Any) -> None:
    tune(page, steps=7)
    label, error = color(page, ".setting.changed label", "color"), color(page, ".error", "color")
    assert label != error


def test_paint_stays_the_first_button_in_a_pause(page: Any, studio: TinyStudio) -> None:
    studio.pace = 0.05
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    paint, pause = color(page, "#paint"), color(page, "#pause")
    page.click("#pause")
    status(page, "paused")
    assert color(page, "#paint") == paint
    assert color(page, "#pause") == pause
    page.click("#stop")
    status(page, "stopped")


def test_the_time_left_is_told_while_beginnings_are_painted_too(
    page: Any, studio: TinyStudio
) -> None:
    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    order(page, "a red apple", LONG, "32x32")
    until(page, "document.querySelectorAll('#tiles .sketch').length === 3")
    clock = "document.getElementById('clock').textContent"
    until(page, f"/^(about )?[0-9]+ (s|min) left$/.test({clock})")
    studio.pace = 3
    page.click("#take-best")
    status(page, "painting")
    # It is told before a first step of the picture is done.
    until(page, "/^step 0 of [0-9]+ · (about )?[0-9]+ (s|min) left/.test(clock.textContent)")
    studio.pace = 0.02


@pytest.mark.parametrize(("wide", "high"), [(1440, 900), (1920, 1080)])
@pytest.mark.parametrize("panel", ["", "history"])
def test_what_is_said_does_not_lie_over_the_picture(
    page: Any, wide: int, high: int, panel: str
) -> None:
    done(page)
    resize(page, wide, high)
    if panel:
        show(page, panel)
    page.evaluate(
        """document.getElementById("note").textContent =
            "Words and settings are those of this picture. The studio has no such guide: photo.";
        document.getElementById("note").parentNode.hidden = false;"""
    )
    assert page.is_visible("#note")
    assert page.evaluate(FOOT) == 0


# What is done.


def test_stars_and_marks_are_there_for_fingers(browser: Any, studio: TinyStudio) -> None:
    """Where there is a pointer or a keyboard they are where it is: test_studio_calm."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(studio.address)
    ready(page)
    done(page)
    show(page, "gallery")
    for one in (".star", ".mark", ".enlarge"):
        shown = page.locator(f"#gallery {one}").first
        assert shown.evaluate("(node) => Number(getComputedStyle(node).opacity)") >= 0.7
    context.close()


def test_the_mask_has_a_size_and_a_soft_edge(page: Any) -> None:
    asked = []

    def plainly(route: Any) -> None:
        """As a tiny studio paints: without an edit."""
        document = route.request.post_data_json
        if document is None:
            return route.continue_()
        asked.append(document)
        for name in ("edit", "image", "parent"):
            document.pop(name, None)
        return route.continue_(post_data=document)

    done(page)
    page.route("**/api/runs", plainly)
    show(page, "change")
    page.click("#mask-brush")
    page.fill("#brush-size", "90")
    page.fill("#mask-feather", "20")
    assert page.text_content("#mask-feather-is") == "20 px"
    assert page.input_value("#setting-feather") == "20"
    stroke(page, 0.5)
    page.fill("#replace", "a green pear")
    with page.expect_request(lambda one: one.method == "POST" and "/runs" in one.url) as sent:
        page.click("#repaint")
    assert sent.value.post_data_json["edit"]["settings"]["feather"] == 20
    status(page, "done")


def test_the_trash_says_what_it_is(page: Any) -> None:
    show(page, "gallery")
    assert page.text_content("#gallery-title") == "Gallery"
    page.click("#trash-open")
    until(page, "document.getElementById('gallery-title').textContent === 'Trash'")
    page.click("#trash-open")
    until(page, "document.getElementById('gallery-title').textContent === 'Gallery'")


# For everybody.


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_in_the_way_in_these_states(page: Any, studio: TinyStudio, theme: str) -> None:
    """No finding of axe: sketches, a pause with strokes, a mask, saving, what is changed, trash."""
    if not util.find_spec("axe_playwright_python"):
        pytest.skip("axe is not installed")
    page.emulate_media(color_scheme=theme)
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    seen: list[str] = []

    def look(state: str) -> None:
        found = page.evaluate("axe.run()")["violations"]
        seen.extend(
            f"{state}: {one['id']} {node['target']}" for one in found for node in one["nodes"]
        )

    studio.tries = {"start_tries": 3, "start_steps": 10_000, "start_scale": 1.0}
    order(page, "a red apple", LONG, "32x32")
    until(page, "document.querySelectorAll('#tiles .sketch').length === 3")
    look("sketches, and what is changed")
    page.click("#take-best")
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")
    stroke(page, 0.5)
    page.fill("#prompt", "a green pear")
    look("paused")
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.3)
    look("mask")
    page.click("#stop")
    status(page, "stopped")
    page.click("#save")
    look("saving")
    page.keyboard.press("Escape")
    show(page, "history")
    more(page, "delete")
    page.wait_for_selector("#bin")
    show(page, "gallery")
    page.click("#trash-open")
    page.wait_for_selector("#trash-list li")
    look("trash")
    assert sorted(set(seen)) == []
