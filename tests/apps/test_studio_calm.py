"""Memory that stays flat, and what was restless: lists, names, words, the sheet while it waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio_browser import (
    CHROMIUM,
    TinyStudio,
    edits,
    order,
    resize,
    show,
    status,
    stroke,
    texts,
    until,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

COUNTED = """
    window.unpacked = window.shut = 0;
    const [make, close] = [window.createImageBitmap, ImageBitmap.prototype.close];
    window.createImageBitmap = (...given) => make(...given).then((made) => (unpacked++, made));
    ImageBitmap.prototype.close = function () { shut++; return close.call(this); };
    const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
    window.sources = [];
    Object.defineProperty(HTMLImageElement.prototype, "src", {
        ...source, set(url) { sources.push(url.slice(0, 5)); source.set.call(this, url); },
    });
"""
# Pixels of the canvases that the browser has to show.
SHOWN = """[...document.querySelectorAll("#paper canvas")]
    .filter((one) => getComputedStyle(one).visibility === "visible" && one.offsetParent)
    .reduce((sum, one) => sum + one.width * one.height, 0)"""


def painted(page: Any, words: str = "a red apple", size: str = "32x32") -> None:
    before = page.locator("#gallery .thumb").count()
    order(page, words, 2, size)
    until(page, f"document.querySelectorAll('#gallery .thumb').length === {before + 1}")
    status(page, "done")


def box_of(page: Any, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return dict(found)


# Memory.


def test_pixels_of_frames_are_given_back(page: Any) -> None:
    """An image that is read from an address stays decoded until the browser tidies up: each frame
    of each run did."""
    page.add_init_script(COUNTED)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    order(page, "a red apple", 60, "64x64")
    until(page, "unpacked > 5")
    status(page, "done")
    until(page, "unpacked === shut")
    assert "data:" not in page.evaluate("sources")


def test_of_a_large_picture_the_browser_shows_what_is_seen(page: Any, tmp_path: Path) -> None:
    """It keeps two or three copies of each canvas that it shows."""
    picture = Image.new("RGB", (2400, 2000), "red")
    picture.paste("blue", (0, 0, 1200, 2000))
    picture.save(tmp_path / "large.png")
    # One that is sent is made smaller, if it has more pixels than this studio paints.
    page.route("**/api/images/*", lambda route: route.fulfill(path=tmp_path / "large.png"))
    page.locator("#file").set_input_files(tmp_path / "large.png")
    until(page, "view.width === 2400")
    at = """(x) => [...document.getElementById("seen").getContext("2d")
        .getImageData(x * document.getElementById("seen").width, 9, 1, 1).data]"""
    until(page, f"({at})(0.9)[0] === 255")
    assert page.evaluate(f"({at})(0.1)") == [0, 0, 255, 255]
    seen = page.evaluate("screen.width * screen.height * devicePixelRatio ** 2")
    assert page.evaluate(SHOWN) < 4 * seen
    assert box_of(page, "#seen") == box_of(page, "#view")
    show(page, "layers")
    page.fill("#painting-show", "30")
    assert page.evaluate("getComputedStyle(document.getElementById('seen')).opacity") == "0.3"
    page.fill("#painting-show", "100")
    page.click("#zoom-level")  # a pixel for a pixel: the middle
    until(page, f"({at})(0.4)[2] === 255 && ({at})(0.6)[0] === 255")
    assert page.evaluate(SHOWN) < 4 * seen
    page.click("#fit-away")
    until(page, "view.width < 2400")
    page.wait_for_selector("#seen", state="hidden")
    assert page.is_visible("#view")


# Frames.


def test_a_picture_moves_nine_times_a_second_whatever_a_step_takes(timed: Any) -> None:
    """And no oftener: without a graphics card each blend takes time from the painting."""
    timed.clock.pause_at(timed.evaluate("Date.now()") + 1000)
    timed.evaluate(
        """async () => {
            const { Fade } = await import("/page/canvas/fade.js");
            const view = Object.assign(document.createElement("canvas"), { width: 4, height: 4 });
            const pen = view.getContext("2d", { willReadFrequently: true });
            const fade = new Fade(view);
            const fill = (color) => () => {
                fade.end();
                pen.fillStyle = color;
                pen.fillRect(0, 0, 4, 4);
            };
            window.paint = (color) => fade.to(fill(color));
            window.red = () => pen.getImageData(0, 0, 1, 1).data[0];
            window.blends = () => Number(view.dataset.blends ?? 0);
        }"""
    )
    for milliseconds in (1000, 500, 160):
        timed.evaluate("paint('#000000')")
        timed.clock.run_for(2000)
        timed.evaluate("paint('#000000')")
        timed.clock.run_for(milliseconds)
        before = timed.evaluate("blends()")
        timed.evaluate("paint('#ff0000')")
        seen = [timed.evaluate("red()")]
        for _ in range(milliseconds // 10):
            timed.clock.run_for(10)
            seen.append(timed.evaluate("red()"))
        assert seen[0] > 0  # at once
        assert seen[-1] == 255
        assert seen == sorted(seen)
        assert len(set(seen)) >= 8 * milliseconds / 1000
        assert timed.evaluate("blends()") - before <= 1 + 9.1 * milliseconds / 1000


# What is said while it waits.


def test_the_sheet_says_what_it_waits_for(page: Any) -> None:
    waiting: list[Any] = []

    def hold_back(route: Any) -> None:
        waiting.append(route) if route.request.method == "POST" else route.continue_()

    page.route("**/api/runs", hold_back)
    page.fill("#prompt", "a slow sun")
    page.click("#paint")
    page.wait_for_selector("#loading")
    assert page.text_content("#loading") == "Sends the order…"
    until(page, lambda: waiting)
    page.route("**/events*", lambda route: route.abort())
    answer = waiting[0].fetch().json()
    told = {"status": "starting", "step": 0, "nodes": [], "shown": False}
    waiting[0].fulfill(json={**answer, **told, "doing": ""})
    says = "document.getElementById('loading').textContent"
    until(page, f"{says} === 'Loading the models…'")  # also before the server tells
    assert page.text_content("#status") == "Loading the models…"


def test_between_beginnings_and_the_first_step_no_models_are_loaded(page: Any) -> None:
    told = page.evaluate(
        """async () => {
            const { statusLine } = await import("/page/selectors.js");
            const { Store } = await import("/page/store.js");
            const { state } = new Store();
            const run = { id: "a", nodes: [], step: 0, status: "starting", shown: true, doing: "" };
            const say = (more) => statusLine({
                ...state, shown: { run: "a", node: null },
                runs: new Map([["a", { ...run, ...more }]]),
            });
            const read = { doing: "reading the words" };
            return [say({}), say({ shown: false }), say({ step: 30 }), say(read)];
        }"""
    )
    assert told == [
        "Begins to paint…",
        "Loading the models…",
        "Goes on from step 30…",
        "Reading the words…",
    ]


# Rooms.


@pytest.mark.parametrize(("wide", "high"), [(320, 568), (360, 640), (390, 844), (1440, 900)])
def test_examples_do_not_lie_over_the_sheet(page: Any, wide: int, high: int) -> None:
    resize(page, wide, high)
    examples, sheet = box_of(page, "#examples"), box_of(page, "#view")
    beside = examples["x"] + examples["width"] <= sheet["x"] + 1
    below = examples["y"] >= sheet["y"] + sheet["height"] - 1
    assert beside or below or examples["y"] + examples["height"] <= sheet["y"] + 1
    assert examples["y"] + examples["height"] <= box_of(page, "#going")["y"] + 1 or beside
    words = box_of(page, "#empty")
    assert words["y"] >= sheet["y"] - 1
    assert words["y"] + words["height"] <= sheet["y"] + sheet["height"] + 1


def test_history_opens_with_what_is_done_above_and_the_chosen_point_in_sight(page: Any) -> None:
    resize(page, 1440, 700)
    painted(page)
    for count in range(2, 7):
        page.click("#branch")
        until(page, f"document.querySelectorAll('#tree .run').length === {count}")
        status(page, "done")
    show(page, "gallery")
    show(page, "history")
    panel, point = box_of(page, "#panel-history"), box_of(page, "#tree [aria-pressed=true]")
    assert page.evaluate("document.getElementById('panel-history').scrollTop") == 0
    assert page.evaluate("document.getElementById('tree').scrollTop") > 0
    assert point["y"] + point["height"] <= panel["y"] + panel["height"] + 1
    assert box_of(page, "#naming")["y"] > panel["y"]
    assert box_of(page, "#naming")["y"] < point["y"]


def test_what_is_done_with_a_thumbnail_shows_where_pointer_or_keys_are(page: Any) -> None:
    for words in ("one", "two"):
        painted(page, words)
    show(page, "gallery")
    page.mouse.move(5, 5)
    clear = """[...document.querySelectorAll("#gallery li")].map((item) =>
        ["star", "mark", "enlarge"].map((name) =>
            Number(getComputedStyle(item.querySelector("." + name)).opacity)))"""
    assert page.evaluate(clear) == [[0, 0, 0], [0, 0, 0]]
    page.hover("#gallery li >> nth=0")
    assert page.evaluate(clear) == [[1, 1, 1], [0, 0, 0]]
    page.mouse.move(5, 5)
    page.locator("#gallery .star").nth(1).focus()
    assert page.evaluate(clear) == [[0, 0, 0], [1, 1, 1]]
    page.keyboard.press("Enter")
    page.locator("#gallery .mark").nth(0).focus()
    page.keyboard.press("Space")
    page.click("#tab-gallery")
    page.click("#tab-gallery")
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    # Favourites, and all boxes while some are marked.
    until(page, f"JSON.stringify({clear}) === '[[0,1,0],[1,1,0]]'")


# Words.


def test_two_pictures_of_the_same_words_are_told_apart(page: Any) -> None:
    painted(page)
    order(page, "a red apple", 2, "32x32")
    page.click("#dice")
    page.fill("#setting-seed", "77")
    painted(page)
    show(page, "gallery")
    for at in (0, 1):
        page.locator("#gallery .mark").nth(at).click()
    page.click("#marked-compare")
    page.wait_for_selector("#versus[open]")
    left, right = page.text_content("#versus-names").removeprefix("left: ").split("right: ")
    assert left != right
    assert left.startswith("a red apple (")
    page.click("#close")


def test_dice_and_lock_have_words_where_there_is_room(page: Any) -> None:
    # Up to 1700 pixels there is not, as what comes with a drawing has its room, too.
    for width, worded in ((1920, True), (1720, True), (1440, False), (1180, False), (390, False)):
        resize(page, width, 900)
        for name, word in (("dice", "Dice"), ("lock", "Lock")):
            assert page.is_visible(f"#{name} .name") is worded
            assert texts(page, f"#{name} .name") == [word]
        right = box_of(page, "#lock")
        assert right["x"] + right["width"] <= width or width < 1000  # there the choices are pulled


def test_settings_are_called_as_an_artist_would(page: Any) -> None:
    show(page, "tune")
    named = dict(
        page.evaluate(
            """[...document.querySelectorAll("#settings label")]
                .map(({ htmlFor, textContent, title }) =>
                    [htmlFor.replace("setting-", ""), [textContent, title]])"""
        )
    )
    for name in ("perceptor", "generator", "num_cutouts"):
        words, tip = named[name]
        assert words not in ("Eyes", "Hand", "Glances")
        assert tip.startswith(f"{name}: ")


# Several wordings on one mask.


def test_several_wordings_are_several_tries_and_later_ones_begin_disturbed(
    page: Any, studio: TinyStudio
) -> None:
    painted(page)
    asked = edits(page)
    show(page, "change")
    page.click("#mask-brush")
    stroke(page, 0.5)
    page.fill("#replace", " a green pear / a lemon /  a lemon/lime ")
    page.press("#replace", "Enter")
    page.wait_for_selector("#tries li >> nth=3")
    status(page, "done")
    assert [one["prompt"] for one in asked] == ["a green pear", "a lemon", "a lemon/lime"]
    assert [one["edit"].get("disturb", 0) for one in asked] == [0, 0.8, 0.8]
    assert len({one["edit"]["mask"] for one in asked}) == 1
    assert len({one["image"] for one in asked}) == 1
    assert len({one["parent"] for one in asked}) == 1
    shown = "document.querySelector('#tries [aria-pressed=true]').textContent"
    assert page.evaluate(shown) == "a green pear"  # the first, which is painted first
    page.fill("#replace", "a green pear")
    page.click("#repaint")
    page.wait_for_selector("#tries li >> nth=4")
    assert asked[3]["edit"]["disturb"] == 0.8
    assert asked[3]["edit"]["mask"] == asked[0]["edit"]["mask"]
    status(page, "done")


def test_an_edit_of_the_whole_picture_is_not_disturbed(page: Any) -> None:
    painted(page)
    asked = edits(page)
    show(page, "change")
    page.fill("#replace", "a pear / a lemon")
    page.click("#repaint")
    page.wait_for_selector("#tries li >> nth=2")
    assert ["disturb" in one["edit"] or "mask" in one["edit"] for one in asked] == [False, False]
    status(page, "done")


def test_of_several_wordings_those_that_were_taken_stay(page: Any) -> None:
    painted(page)
    asked = edits(page)
    show(page, "change")
    page.route(
        "**/api/runs",
        lambda route: (
            route.fulfill(status=429, json={"error": "too much is waiting"})
            if route.request.method == "POST" and asked
            else route.fallback()
        ),
    )
    page.fill("#replace", "a pear / a lemon")
    page.click("#repaint")
    page.wait_for_selector("#tries li >> nth=1")
    until(page, "document.getElementById('problem').textContent === 'too much is waiting'")
    assert len(asked) == 1
    status(page, "done")
