"""The studio's canvas in a real browser: zoom, brush, layers, masks, growing, frames."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    alpha_at,
    edits,
    hold,
    is_drawn,
    laid_out,
    more,
    order,
    ready,
    reloaded,
    show,
    status,
    stroke,
    texts,
    until,
    visit_after,
)

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture
def sheet(page: Any) -> Any:
    """The page with an empty sheet, to draw on."""
    return page


def box_of(page: Any, selector: str) -> dict[str, float]:
    return dict(page.locator(selector).bounding_box())


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """A place of the picture, given as shares, in the window."""
    box = box_of(page, "#view")
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page: Any, *places: tuple[float, float]) -> None:
    """Draws along places of the picture."""
    points = [at(page, *place) for place in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def color_at(page: Any, x: float, y: float) -> list[int]:
    """What is seen of the strokes at a place."""
    found = page.evaluate(
        """([x, y]) => [...strokes.getContext('2d').getImageData(
            Math.round(x * strokes.width), Math.round(y * strokes.height), 1, 1).data]""",
        [x, y],
    )
    return list(found)


def zoom(page: Any) -> int:
    return int(page.text_content("#zoom-level").split()[0])


def pen(page: Any, kind: str, x: float, y: float, pressure: float) -> None:
    left, top = at(page, x, y)
    page.evaluate(
        """([kind, clientX, clientY, pressure]) => paper.dispatchEvent(new PointerEvent(kind, {
            clientX, clientY, pressure, pointerType: 'pen', pointerId: 1, button: 0, bubbles: true,
        }))""",
        [kind, left, top, pressure],
    )


def width_at(page: Any, x: float) -> int:
    """How thick the strokes are at a column of the picture, in pixels of the screen."""
    return int(
        page.evaluate(
            """(x) => {
                const { width, height } = strokes;
                const pen = strokes.getContext('2d');
                const { data } = pen.getImageData(Math.round(x * width), 0, 1, height);
                return data.filter((value, k) => k % 4 === 3 && value > 127).length;
            }""",
            x,
        )
    )


# Zoom and place.


def test_the_wheel_zooms_about_the_pointer_and_strokes_stay_where_they_are_made(sheet: Any) -> None:
    before, level = box_of(sheet, "#view"), zoom(sheet)
    pointer = at(sheet, 0.25, 0.25)
    sheet.mouse.move(*pointer)
    for _ in range(4):
        sheet.mouse.wheel(0, -120)
    until(sheet, f"parseInt(document.getElementById('zoom-level').textContent) > {1.9 * level}")
    assert box_of(sheet, "#view")["width"] == pytest.approx(2.07 * before["width"], rel=0.02)
    assert at(sheet, 0.25, 0.25) == pytest.approx(pointer, abs=1.5)  # it is still under the pointer
    drag(sheet, (0.2, 0.25), (0.3, 0.25))
    sheet.keyboard.press("0")
    assert box_of(sheet, "#view") == before
    assert zoom(sheet) == level
    assert alpha_at(sheet, 0.25, 0.25) > 0
    assert alpha_at(sheet, 0.5, 0.5) == 0


def test_keys_and_buttons_zoom_and_the_picture_never_leaves(sheet: Any) -> None:
    level = zoom(sheet)
    sheet.keyboard.press("+")
    assert zoom(sheet) > level
    sheet.keyboard.press("-")
    assert zoom(sheet) == level
    sheet.click("#zoom-level")
    assert zoom(sheet) == 100
    assert box_of(sheet, "#view")["width"] == sheet.evaluate("view.width")
    sheet.keyboard.press("h")
    for _ in range(3):
        drag(sheet, (0.5, 0.5), (6, 6))
    view, paper = box_of(sheet, "#view"), box_of(sheet, "#paper")
    assert view["x"] < paper["x"] + paper["width"] - 40
    assert view["y"] < paper["y"] + paper["height"] - 40
    sheet.click("#zoom-fit")
    assert zoom(sheet) == level


def test_space_and_drag_move_the_picture_and_a_tap_on_space_pauses(page: Any) -> None:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    before = box_of(page, "#view")
    page.mouse.move(*at(page, 0.5, 0.5))
    page.keyboard.down("Space")
    drag(page, (0.5, 0.5), (0.6, 0.7))
    page.keyboard.up("Space")
    after = box_of(page, "#view")
    assert after["x"] - before["x"] == pytest.approx(0.1 * before["width"], abs=2)
    assert after["width"] == before["width"]
    assert not is_drawn(page)
    assert page.get_attribute("body", "data-status") == "painting"
    page.keyboard.press("Space")
    status(page, "paused")
    page.click("#stop")
    status(page, "stopped")


def test_one_finger_draws_and_two_zoom_and_move(browser: Any, open_studio: TinyStudio) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(open_studio.address)
    ready(page)
    fingers = context.new_cdp_session(page)

    begun = time.time()

    def touch(kind: str, *places: tuple[float, float]) -> None:
        """All of it in the same moment, however long the page takes."""
        points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
        told = {"type": kind, "touchPoints": points, "timestamp": begun}
        fingers.send("Input.dispatchTouchEvent", told)

    def moved(points: list[tuple[float, float]]) -> None:
        touch("touchMove", *points)

    start = [at(page, 0.4, 0.5), at(page, 0.6, 0.5)]
    before = box_of(page, "#view")
    touch("touchStart", start[0])
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    touch("touchStart", *start)
    apart = [(start[0][0] - 40, start[0][1]), (start[1][0] + 40, start[1][1])]
    moved(apart)
    touch("touchEnd")
    hold(lambda: box_of(page, "#view")["width"] > 1.5 * before["width"])
    assert not is_drawn(page)  # what the first finger began is no stroke
    assert page.is_disabled("#undo")
    page.click("#zoom-fit")
    touch("touchStart", at(page, 0.3, 0.3))
    moved([at(page, 0.6, 0.3)])
    touch("touchEnd")
    assert alpha_at(page, 0.45, 0.3) > 0
    assert page.evaluate("document.scrollingElement.scrollTop") == 0
    context.close()


def test_the_picture_alone_on_the_screen(sheet: Any) -> None:
    small = box_of(sheet, "#view")
    sheet.keyboard.press("f")
    until(sheet, "document.getElementById('bar').offsetParent === null")
    hold(lambda: box_of(sheet, "#view")["width"] > small["width"])
    until(sheet, "document.fullscreenElement !== null")
    laid_out(sheet)
    drag(sheet, (0.3, 0.5), (0.6, 0.5))
    assert alpha_at(sheet, 0.45, 0.5) > 0
    sheet.keyboard.press("f")
    sheet.wait_for_selector("#bar")


# The brush.


def test_opacity_is_that_of_the_whole_stroke_and_hardness_of_its_edge(sheet: Any) -> None:
    sheet.fill("#brush-size", "60")
    sheet.fill("#brush-opacity", "50")
    drag(sheet, (0.2, 0.3), (0.8, 0.3), (0.2, 0.3))  # over itself
    assert color_at(sheet, 0.5, 0.3)[3] == pytest.approx(128, abs=2)
    drag(sheet, (0.2, 0.3), (0.8, 0.3))  # another one
    assert color_at(sheet, 0.5, 0.3)[3] == pytest.approx(191, abs=3)
    sheet.fill("#brush-opacity", "100")
    drag(sheet, (0.2, 0.6), (0.8, 0.6))
    edge = 0.6 + 0.8 * 30 / 512  # four fifths of the way out
    assert color_at(sheet, 0.5, edge)[3] == 255
    sheet.fill("#brush-hardness", "0")
    drag(sheet, (0.2, 0.8), (0.8, 0.8))
    assert color_at(sheet, 0.5, 0.8)[3] > 240
    assert 0 < color_at(sheet, 0.5, 0.8 + 0.8 * 30 / 512)[3] < 128


def test_a_pen_that_is_pressed_harder_draws_wider(sheet: Any) -> None:
    sheet.fill("#brush-size", "60")
    sheet.fill("#brush-smoothing", "0")
    pen(sheet, "pointerdown", 0.1, 0.5, 0.1)
    for k in range(1, 10):
        pen(sheet, "pointermove", 0.1 + 0.08 * k, 0.5, 0.1 * k + 0.1)
    pen(sheet, "pointerup", 0.82, 0.5, 1)
    assert 0 < width_at(sheet, 0.2) < 0.5 * width_at(sheet, 0.75)
    sheet.keyboard.press("Control+z")
    sheet.uncheck("#pressure")
    pen(sheet, "pointerdown", 0.1, 0.5, 0.1)
    pen(sheet, "pointermove", 0.8, 0.5, 0.1)
    pen(sheet, "pointerup", 0.8, 0.5, 0)
    assert width_at(sheet, 0.2) == pytest.approx(width_at(sheet, 0.7), abs=1)


def test_the_brush_is_seen_as_large_as_it_draws(sheet: Any) -> None:
    assert not sheet.is_visible("#brush")
    sheet.mouse.move(*at(sheet, 0.5, 0.5))
    shown = box_of(sheet, "#brush")
    assert (shown["x"] + shown["width"] / 2, shown["y"] + shown["height"] / 2) == pytest.approx(
        at(sheet, 0.5, 0.5), abs=1
    )
    drag(sheet, (0.3, 0.5), (0.7, 0.5))
    ratio = sheet.evaluate("devicePixelRatio")
    assert width_at(sheet, 0.5) / ratio == pytest.approx(shown["width"], abs=2)
    sheet.keyboard.press("]")
    sheet.mouse.move(*at(sheet, 0.5, 0.6))
    assert box_of(sheet, "#brush")["width"] > 1.1 * shown["width"]


def test_a_colour_is_picked_up_and_a_region_filled(sheet: Any) -> None:
    sheet.fill("#brush-size", "20")
    sheet.fill("#color", "#2060c0")
    drag(sheet, (0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2))  # a frame
    sheet.fill("#color", "#e0a020")
    sheet.keyboard.press("g")
    sheet.mouse.click(*at(sheet, 0.5, 0.5))
    assert color_at(sheet, 0.5, 0.5) == [224, 160, 32, 255]
    assert color_at(sheet, 0.3, 0.7) == [224, 160, 32, 255]
    assert color_at(sheet, 0.1, 0.1)[3] == 0  # outside of the frame
    sheet.keyboard.press("i")
    sheet.mouse.click(*at(sheet, 0.5, 0.2))
    assert sheet.input_value("#color") == "#2060c0"
    assert sheet.get_attribute("[data-tool=fill]", "aria-pressed") == "true"  # as before
    sheet.keyboard.press("b")
    sheet.keyboard.down("Alt")
    sheet.mouse.click(*at(sheet, 0.5, 0.5))
    sheet.keyboard.up("Alt")
    assert sheet.input_value("#color") == "#e0a020"
    sheet.keyboard.press("Control+z")
    assert color_at(sheet, 0.5, 0.5)[3] == 0


def test_shift_draws_straight(sheet: Any) -> None:
    sheet.keyboard.down("Shift")
    drag(sheet, (0.2, 0.2), (0.5, 0.7), (0.8, 0.2))  # by a detour
    sheet.keyboard.up("Shift")
    assert alpha_at(sheet, 0.5, 0.2) > 0
    assert alpha_at(sheet, 0.5, 0.6) == 0
    sheet.keyboard.down("Shift")
    sheet.mouse.click(*at(sheet, 0.8, 0.8))  # from where the last one ended
    sheet.keyboard.up("Shift")
    assert alpha_at(sheet, 0.8, 0.5) > 0


def test_smooth_strokes_are_flatter_than_the_hand(sheet: Any) -> None:
    shaking = [(0.1 + 0.02 * k, 0.5 + (0.04 if k % 2 else -0.04)) for k in range(40)]

    def height() -> int:
        return int(
            sheet.evaluate(
                """() => {
                    const whole = strokes.width;
                    const [left, width] = [0.4, 0.2].map((share) => Math.round(share * whole));
                    const pen = strokes.getContext('2d'); // what is neither begin nor end
                    const { data } = pen.getImageData(left, 0, width, strokes.height);
                    const rows = [...data.keys()].filter((k) => k % 4 === 3 && data[k]);
                    return Math.floor(rows.at(-1) / 4 / width) - Math.floor(rows[0] / 4 / width);
                }"""
            )
        )

    def shake() -> None:
        sheet.mouse.move(*at(sheet, *shaking[0]))
        sheet.mouse.down()
        for place in shaking[1:]:
            sheet.mouse.move(*at(sheet, *place))
        sheet.mouse.up()

    sheet.fill("#brush-size", "4")
    sheet.fill("#brush-smoothing", "0")
    shake()
    rough = height()
    sheet.keyboard.press("Control+z")
    sheet.fill("#brush-smoothing", "90")
    shake()
    assert height() < 0.7 * rough


def test_the_keyboard_draws_with_a_brush_that_is_seen(sheet: Any) -> None:
    sheet.focus("#strokes")
    sheet.keyboard.press("ArrowRight")
    assert sheet.is_visible("#brush")
    before = box_of(sheet, "#brush")
    for _ in range(5):
        sheet.keyboard.press("ArrowUp")
    assert box_of(sheet, "#brush")["y"] < before["y"]
    sheet.keyboard.press("Enter")
    assert sheet.get_attribute("#brush", "data-down") == "true"
    for _ in range(3):
        sheet.keyboard.press("Shift+ArrowLeft")
    sheet.keyboard.press("Enter")
    assert sheet.get_attribute("#brush", "data-down") == "false"
    assert alpha_at(sheet, 0.4, 0.4) > 0
    assert alpha_at(sheet, 0.5, 0.5) == 0
    for _ in range(3):
        sheet.keyboard.press("+")
    sheet.keyboard.press("ArrowDown")
    assert sheet.is_visible("#brush")  # it stays in sight


def test_undo_and_redo_have_no_end(sheet: Any) -> None:
    places = [(0.05 + 0.9 * (k % 10) / 9, 0.05 + 0.9 * (k // 10) / 9) for k in range(100)]
    sheet.fill("#brush-size", "30")
    box = box_of(sheet, "#view")
    for x, y in places:
        sheet.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    assert alpha_at(sheet, *places[0]) > 0
    for _ in places:
        sheet.keyboard.press("Control+z")
    until(sheet, "document.getElementById('undo').disabled")
    assert not is_drawn(sheet)
    for _ in places:
        sheet.keyboard.press("Control+Shift+Z")
    until(sheet, "document.getElementById('redo').disabled")
    seen = sheet.evaluate(
        """(places) => {
            const { width, height } = strokes;
            const { data } = strokes.getContext('2d').getImageData(0, 0, width, height);
            const at = ([x, y]) => Math.round(y * height) * width + Math.round(x * width);
            return places.map((place) => data[4 * at(place) + 3]);
        }""",
        places,
    )
    assert seen == [255] * len(places)


# Layers.


def names(page: Any) -> list[str]:
    return [name.input_value() for name in page.locator("#layers .layer-name").all()]


def uploaded(page: Any, name: str) -> Image.Image:
    """A picture as the server has it."""
    url = page.evaluate(
        """async (name) => {
            const blob = await (await fetch(`/api/images/${name}`)).blob();
            const reader = new FileReader();
            await new Promise((done) => { reader.onload = done; reader.readAsDataURL(blob); });
            return reader.result;
        }""",
        name,
    )
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def test_layers_are_hidden_blended_ordered_named_and_removed(sheet: Any) -> None:
    show(sheet, "layers")
    sheet.fill("#brush-size", "60")
    sheet.fill("#color", "#ff0000")
    drag(sheet, (0.2, 0.5), (0.8, 0.5))
    sheet.click("#layer-add")
    assert names(sheet) == ["Sketch 2", "Sketch 1"]
    sheet.fill("#color", "#0000ff")
    drag(sheet, (0.5, 0.2), (0.5, 0.8))
    assert color_at(sheet, 0.5, 0.5) == [0, 0, 255, 255]
    sheet.locator("#layers li").first.locator(".layer-down").click()
    assert names(sheet) == ["Sketch 1", "Sketch 2"]
    assert color_at(sheet, 0.5, 0.5) == [255, 0, 0, 255]
    first = sheet.locator("#layers li").first
    first.locator(".layer-show").click()
    assert color_at(sheet, 0.5, 0.5) == [0, 0, 255, 255]
    assert color_at(sheet, 0.3, 0.5)[3] == 0
    first.locator(".layer-show").click()
    first.locator(".layer-opacity").fill("50")
    assert color_at(sheet, 0.3, 0.5)[3] == pytest.approx(128, abs=2)
    first.locator(".layer-name").fill("sky")
    first.locator(".layer-name").press("Enter")
    assert names(sheet) == ["sky", "Sketch 2"]
    first.locator(".layer-remove").click()
    assert names(sheet) == ["Sketch 2"]
    assert color_at(sheet, 0.3, 0.5)[3] == 0
    sheet.click("#undo")
    assert names(sheet) == ["sky", "Sketch 2"]
    assert color_at(sheet, 0.3, 0.5)[3] == pytest.approx(128, abs=2)


def test_layers_outlive_a_reload_and_only_those_shown_are_sent(sheet: Any) -> None:
    show(sheet, "layers")
    sheet.fill("#brush-size", "60")
    sheet.fill("#color", "#ff0000")
    drag(sheet, (0.2, 0.3), (0.8, 0.3))
    sheet.click("#layer-add")
    sheet.fill("#color", "#0000ff")
    drag(sheet, (0.2, 0.7), (0.8, 0.7))
    sheet.locator("#layers li").first.locator(".layer-show").click()
    reloaded(sheet)
    sheet.wait_for_selector("#layers li >> nth=1")
    assert names(sheet) == ["Sketch 2", "Sketch 1"]
    assert color_at(sheet, 0.5, 0.3) == [255, 0, 0, 255]
    drag(sheet, (0.2, 0.5), (0.8, 0.5))  # the layer that is drawn on is hidden
    assert "hidden" in sheet.text_content("#note")
    assert alpha_at(sheet, 0.5, 0.5) == 0
    with sheet.expect_request(lambda one: one.url.endswith("/api/runs") and one.post_data) as asked:
        order(sheet, "a red line", 1, "32x32")
    status(sheet, "done")
    given = uploaded(sheet, asked.value.post_data_json["image"])
    width, height = given.size
    assert given.getpixel((width // 2, int(0.3 * height))) == (255, 0, 0)
    assert min(given.getpixel((width // 2, int(0.7 * height)))) > 200  # paper
    show(sheet, "layers")
    assert not is_drawn(sheet)  # what was shown is in the picture now,
    sheet.locator("#layers li").first.locator(".layer-show").click()
    assert color_at(sheet, 0.5, 0.7) == [0, 0, 255, 255]  # what was hidden is not,
    sheet.click("#laid button")  # and what is in it can be had back
    until(sheet, "document.querySelectorAll('#layers li').length === 3")
    hold(lambda: color_at(sheet, 0.5, 0.3) == [255, 0, 0, 255])


# Masks, and a part painted anew.


def test_the_edge_of_the_mask_marches_and_rests_where_motion_is_unwanted(
    window: Any, studio: TinyStudio
) -> None:
    for motion in ("no-preference", "reduce"):
        page = visit_after(window, studio.address)
        page.emulate_media(reduced_motion=motion)
        page.keyboard.press("m")
        stroke(page, 0.5)
        edge = "ants.getContext('2d').getImageData(0, 0, ants.width, ants.height).data"
        until(page, "ants.dataset.step !== undefined")  # it is of all that was drawn
        assert page.evaluate(f"{edge}.some((value) => value)")
        before = page.evaluate("ants.toDataURL()")
        if motion == "reduce":
            page.evaluate("new Promise((done) => setTimeout(done, 500))")  # some of its steps
            assert page.evaluate("ants.toDataURL()") == before
        else:
            hold(lambda page=page, before=before: page.evaluate("ants.toDataURL()") != before)
        page.click("#mask-invert")
        assert alpha_at(page, 0.5, 0.5, "mask") == 0
        assert alpha_at(page, 0.1, 0.1, "mask") == 255
        page.click("#mask-clear")
        until(page, f"!{edge}.some((value) => value)")
        page.close()


def masked(page: Any) -> None:
    page.keyboard.press("m")
    stroke(page, 0.5)
    page.keyboard.press("b")
    assert is_drawn(page, "mask")


@pytest.mark.parametrize("how", ["another", "sheet", "paint", "delete"])
def test_a_mask_is_of_the_picture_it_was_made_on(page: Any, how: str) -> None:
    for words, size in (("a red apple", "32x32"), ("a blue fish", "48x24")):
        order(page, words, 2, size)
        until(page, f"view.width === {size[:2]}")
        status(page, "done")
    masked(page)
    if how == "another":
        show(page, "gallery")
        page.locator("#gallery .thumb", has_text="a red apple").click()
        until(page, "view.width === 32")
    elif how == "sheet":
        page.click("#new-sheet")
    elif how == "delete":
        show(page, "history")
        more(page, "delete")
        until(page, "document.querySelectorAll('#gallery .thumb').length === 1")
    else:
        order(page, "a moon", 2, "32x32")
        until(page, "view.width === 32")
        status(page, "done")
    assert not is_drawn(page, "mask")
    assert "lies over" not in page.text_content("#note")
    assert page.is_disabled("#undo")
    page.keyboard.press("Control+z")
    assert not is_drawn(page, "mask")


def test_a_mask_outlives_a_reload(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    masked(page)
    reloaded(page)
    until(page, "view.width === 32")
    hold(lambda: is_drawn(page, "mask"))


def test_clear_takes_the_mask_too_and_undo_brings_both_back(sheet: Any) -> None:
    stroke(sheet, 0.3)
    masked(sheet)
    sheet.click("#clear")
    assert (is_drawn(sheet), is_drawn(sheet, "mask")) == (False, False)
    sheet.click("#undo")
    assert (is_drawn(sheet), is_drawn(sheet, "mask")) == (True, True)


def test_several_tries_on_one_mask_start_from_the_same_picture(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    asked = edits(page, "extend", "count")
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    for count, words in enumerate(("a green pear", "a blue pear"), 1):
        page.fill("#replace", words)
        page.press("#replace", "Enter")
        page.wait_for_selector(f"#tries li >> nth={count}")
        status(page, "done")
    assert texts(page, "#tries li") == ["Before", "a green pear", "a blue pear"]
    first, second = asked
    assert second["image"] == first["image"]
    assert second["parent"] == first["parent"]
    assert second["edit"]["mask"] == first["edit"]["mask"]
    page.locator("#tries button", has_text="Before").click()
    until(page, "document.querySelector('#tries [aria-pressed=true]').textContent === 'Before'")
    assert page.is_disabled("#keep-try")
    page.locator("#tries button", has_text="a green pear").click()
    page.click("#keep-try")
    assert not page.is_visible("#trying")
    assert not is_drawn(page, "mask")
    page.fill("#replace", "a moon")
    page.click("#repaint")  # from the one that was kept
    until(page, lambda: len(asked) == 3)
    assert asked[2]["image"] != first["image"]
    status(page, "done")


def test_the_tint_of_the_mask_is_not_over_a_try(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    edits(page, "extend", "count")
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    assert page.is_visible("#mask")
    page.fill("#replace", "a green pear")
    page.click("#repaint")
    page.wait_for_selector("#tries li >> nth=1")
    status(page, "done")
    assert page.is_hidden("#mask")
    assert page.is_hidden("#ants")
    assert is_drawn(page, "mask")  # for the next try
    page.locator("#tries button", has_text="Before").click()
    page.wait_for_selector("#mask")
    page.locator("#tries button", has_text="a green pear").click()
    page.wait_for_selector("#mask", state="hidden")
    box = box_of(page, "#strokes")
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    assert page.is_visible("#mask")  # what is drawn is seen
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.up()
    assert page.is_visible("#mask")


# Growing the picture.


def test_edges_are_dragged_and_the_new_parts_ordered(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple", 2, "64x32")
    status(page, "done")
    asked = edits(page, "extend", "count")
    page.keyboard.press("x")
    assert page.is_disabled("#grow")
    grip = box_of(page, ".grip[data-side=right]")
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    scale = box_of(page, "#view")["width"] / 64
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30 * scale, y, steps=3)
    page.mouse.up()
    assert page.input_value("#grow-right") == "32"
    page.focus(".grip[data-side=top]")
    page.keyboard.press("ArrowUp")
    assert page.input_value("#grow-top") == "16"
    page.fill("#grow-left", "20")
    page.keyboard.press("Tab")
    assert page.input_value("#grow-left") == "16"  # what can be painted
    assert page.text_content("#grow-size") == "112 × 48"
    page.click("#grow")
    until(page, lambda: asked)
    run = studio.runs(page)[0]["id"]
    assert asked[0]["extend"] == {
        "of": f"{run}/1", "left": 16, "right": 32, "top": 16, "bottom": 0,
    }  # fmt: skip
    assert asked[0]["prompt"] == "a red apple"
    status(page, "done")


# While it is painted.


def test_frames_come_by_the_stream_of_events(page: Any) -> None:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    until(page, "Number(view.dataset.frame) > 20")  # the first one may have been asked for
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    number = int(page.get_attribute("#view", "data-frame"))
    before = page.evaluate("view.toDataURL()")
    until(page, f"Number(view.dataset.frame) > {number + 5}")
    assert page.evaluate("view.toDataURL()") != before
    assert [url for url in asked if "/frame" in url] == []
    assert page.evaluate("view.width") == 32
    page.click("#pause")
    status(page, "paused")
    until(page, lambda: any("/frame.jpg" in url for url in asked))  # all of it, when it rests
    page.click("#stop")
    status(page, "stopped")


def kinds(page: Any, studio: TinyStudio) -> list[str]:
    return [node["kind"] for node in studio.runs(page)[0]["nodes"]]


def test_strokes_are_taken_in_while_it_is_painted(page: Any, studio: TinyStudio) -> None:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    until(page, "Number(view.dataset.frame) > 1")
    sent: list[Any] = []
    page.route("**/draw*", lambda route: sent.append(route))
    stroke(page, 0.5)
    until(page, lambda: sent)
    assert alpha_at(page, 0.5, 0.5) > 0  # until they have arrived
    sent[0].continue_()
    page.unroute("**/draw*")
    hold(lambda: kinds(page, studio) == ["start", "drawn"])
    hold(lambda: not is_drawn(page))  # they are in the picture now
    assert page.get_attribute("body", "data-status") == "painting"
    assert page.text_content("#problem") == ""
    stroke(page, 0.3)
    hold(lambda: kinds(page, studio) == ["start", "drawn", "drawn"])
    page.click("#stop")
    status(page, "stopped")


def test_strokes_that_are_refused_stay_and_can_be_undone(page: Any) -> None:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    until(page, "Number(view.dataset.frame) > 1")
    page.route("**/draw*", lambda route: route.fulfill(status=507, body='{"error": "full"}'))
    stroke(page, 0.5)
    until(page, "document.getElementById('problem').textContent === 'full'")
    assert alpha_at(page, 0.5, 0.5) > 0
    page.keyboard.press("Control+z")
    assert not is_drawn(page)
    page.click("#stop")
    status(page, "stopped")


def test_a_large_picture_is_drawn_on_at_the_size_of_the_screen(sheet: Any, tmp_path: Path) -> None:
    Image.new("RGB", (2048, 1024), "white").save(tmp_path / "large.png")
    sheet.locator("#file").set_input_files(tmp_path / "large.png")
    until(sheet, "view.width >= 1024")
    box = box_of(sheet, "#paper")
    sheet.evaluate(
        """() => {
            const draw = CanvasRenderingContext2D.prototype.drawImage;
            window.largest = 0;
            CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
                largest = Math.max(largest, image.width * image.height);
                return draw.call(this, image, ...rest);
            };
        }"""
    )
    drag(sheet, (0.2, 0.2), (0.8, 0.8))
    ratio = sheet.evaluate("devicePixelRatio")
    assert sheet.evaluate("largest") <= box["width"] * box["height"] * ratio**2
    assert sheet.evaluate("Math.max(strokes.width, mask.width)") <= box["width"] * ratio + 1
    assert alpha_at(sheet, 0.5, 0.5) > 0


# Memory.


def test_a_difference_makes_the_other_pixels_and_is_small(sheet: Any) -> None:
    """Of runs, noise, gaps, ends and nothing; a stroke's is a fraction of its tile."""
    found = sheet.evaluate(
        """async () => {
            const { applied, difference } = await import("/page/canvas/delta.js");
            let seed = 1;
            const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
            const filled = (make) => Uint32Array.from({ length: 4096 }, (_, k) => make(k));
            const kinds = [
                () => 0, () => 0xffffffff, () => Math.floor(random() * 2 ** 32),
                () => (random() < 0.5 ? 7 : 9), (k) => (k % 5 ? 3 : Math.floor(random() * 4)),
                (k) => (k < 2000 || k > 2300 ? 0 : 0xff2b43d8), (k) => (k > 4090 ? k : 0),
            ];
            let wrong = 0;
            for (const one of kinds) {
                for (const other of kinds) {
                    const [before, after] = [filled(one), filled(other)];
                    const made = applied(difference(before, after), before.slice());
                    wrong += made.some((value, k) => value !== after[k]);
                }
            }
            const stroke = difference(filled(kinds[0]), filled(kinds[5])).length;
            return { wrong, stroke, none: difference(filled(kinds[1]), filled(kinds[1])).length };
        }"""
    )
    assert found == {"wrong": 0, "stroke": 3, "none": 0}


def test_changes_beyond_the_room_are_given_away_and_undone_exactly(sheet: Any) -> None:
    found = sheet.evaluate(
        """async () => {
            const { Layer, copied, TILE } = await import("/page/canvas/layer.js");
            const { Tiles, Undo } = await import("/page/canvas/undo.js");
            const layer = new Layer(4 * TILE, 4 * TILE);
            const undo = new Undo();
            let seed = 1;
            const random = () => (seed = (seed * 16807) % 2147483647);
            const sum = (tile) => layer.pixels(tile).reduce((a, b) => (a * 31 + b) | 0, 7);
            const look = () => JSON.stringify([...layer.tiles].sort((a, b) => a[0] - b[0])
                .map(([key, tile]) => [key, sum(tile)]));
            const seen = [look()];
            for (let k = 0; k < 12; k += 1) { // noise all over: 4 MiB each
                const before = new Map();
                layer.paint(layer.box, (pen, key) => {
                    const tile = layer.tiles.get(key);
                    before.set(key, seen.length > 1 ? copied(tile) : null);
                    const noise = () => random() | 0xff000000;
                    layer.put(key, Uint32Array.from({ length: TILE * TILE }, noise));
                });
                layer.changed();
                undo.remember(new Tiles(layer, before));
                seen.push(look());
            }
            const room = undo.past.reduce((all, one) => all + one.room, 0);
            const away = undo.past.filter(({ ready }) => !ready).length;
            const back = [];
            for (let k = seen.length - 2; k >= 0; k -= 1) {
                await undo.undo();
                back.push(look() === seen[k]);
            }
            for (let k = 1; k < seen.length; k += 1) {
                await undo.redo();
                back.push(look() === seen[k]);
            }
            return { room, away, wrong: back.filter((one) => !one).length };
        }"""
    )
    assert found["wrong"] == 0
    assert found["room"] <= 16 << 20
    assert found["away"] >= 8
