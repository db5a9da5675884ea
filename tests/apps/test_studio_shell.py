"""The studio's bar, easel, panels and help, as somebody sees and uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources, util
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.output.pictures import save_picture
from gouache.settings.config import make_config
from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    laid_out,
    order,
    ready,
    reloaded,
    resize,
    show,
    status,
    stroke,
    texts,
    tune,
    until,
    visit,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SIZES = [(1440, 900), (1920, 1080), (820, 1180), (390, 844), (320, 568), (844, 390), (3840, 2160)]
INFO = "fetch('/api/info').then((answer) => answer.json())"


@pytest.fixture
def posted(page: Any) -> Iterator[list[dict[str, Any]]]:
    """The orders that are sent from now on; none of them is painted."""
    found: list[dict[str, Any]] = []

    def take(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        found.append(json.loads(route.request.post_data))
        return route.fulfill(status=503, json={"error": "not now"})

    page.route("**/api/runs", take)
    yield found
    page.unroute("**/api/runs")


def sent(page: Any, posted: list[dict[str, Any]]) -> dict[str, Any]:
    """Presses Paint; what is ordered."""
    count = len(posted)
    page.click("#paint")
    until(page, lambda: len(posted) > count)
    until(page, "!document.getElementById('paint').disabled")
    return posted[-1]


def words(page: Any, text: str) -> None:
    """Writes the prompt and waits for its chips."""
    page.fill("#prompt", text)
    parts = text.count("|") + text.count("^") + 1
    until(page, f"document.querySelectorAll('#chips li').length === {parts}")


def prompt(page: Any) -> str:
    return str(page.input_value("#prompt"))


def drop(page: Any, path: Path, kind: str = "image/png", on: str = "#stage") -> None:
    """A file is dropped onto a node, as a hand would drop it."""
    page.evaluate(
        """([on, name, kind, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
            for (const type of ["dragover", "drop"]) {
                const options = { dataTransfer: data, bubbles: true, cancelable: true };
                document.querySelector(on).dispatchEvent(new DragEvent(type, options));
            }
        }""",
        [on, path.name, kind, list(path.read_bytes())],
    )


# The layout.


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_is_needed_is_in_sight_without_scrolling(page: Any, width: int, height: int) -> None:
    resize(page, width, height)
    found = page.evaluate(
        """() => {
            const box = (selector) => {
                const found = document.querySelector(selector).getBoundingClientRect();
                return [found.left, found.top, found.right, found.bottom];
            };
            const needed = ["#view", "#prompt", "#paint", "[data-tool=brush]", "#status"];
            const { scrollWidth, scrollHeight } = document.documentElement;
            return [needed.map((one) => [one, ...box(one)]), scrollWidth, scrollHeight];
        }"""
    )
    boxes, wide, high = found
    assert (wide, high) == (width, height)  # the page itself never scrolls
    for name, left, top, right, bottom in boxes:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= width, name
        assert bottom <= height, name
        assert right - left >= 24, name
        if name == "#view":
            assert bottom - top > 0.25 * height


def test_nothing_moves_after_it_is_there(browser: Any, studio: TinyStudio) -> None:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(
        """self.shifts = [];
        new PerformanceObserver((list) => {
            self.shifts.push(...list.getEntries().map((one) => one.value));
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto(studio.address)
    ready(page)
    page.fill("#prompt", "a house | snow")
    until(page, "document.querySelectorAll('#chips li').length === 2")
    assert page.evaluate("self.shifts") == []
    page.context.close()


def test_the_page_is_small(browser: Any, studio: TinyStudio) -> None:
    page = browser.new_context().new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(studio.address, wait_until="networkidle")
    assert 0 < sum(sizes) <= 200_000
    page.context.close()


@pytest.mark.parametrize("width", [1440, 820, 390])
def test_the_main_buttons_stay_where_they_are(page: Any, width: int) -> None:
    resize(page, width, 900)

    def places() -> list[dict[str, float]]:
        further = ":is(#pause, #branch):not([hidden])"
        return [page.locator(one).bounding_box() for one in ("#paint", further, "#stop")]

    before = places()
    stroke(page, 0.5)
    until(page, "document.getElementById('status').textContent.includes('what you drew')")
    assert (page.get_attribute("#paint", "title") or "").startswith("Paint from your sketch (Enter")
    assert places() == before
    page.click("#undo")
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")
    assert (page.text_content("#pause") or "").strip() == "Go on"
    assert places() == before


def test_the_status_asks_for_words_while_there_are_none(page: Any) -> None:
    assert page.text_content("#status") == "Say what to paint."
    page.fill("#prompt", "a red apple")
    assert page.text_content("#status") == "Ready: press Paint."
    page.fill("#prompt", " ")
    assert page.text_content("#status") == "Say what to paint."


@pytest.mark.parametrize("width", [1440, 390])
def test_every_tool_has_a_name_beside_the_rail(page: Any, width: int) -> None:
    resize(page, width, 900)
    tools = page.locator("#rail button, #rail input")
    names = []
    for tool in tools.all():
        tool.scroll_into_view_if_needed()
        laid_out(page)
        page.mouse.move(width / 2, 450)
        assert page.is_hidden("#tip")
        tool.hover(force=True)  # Undo is named while there is nothing to undo, too
        names.append(page.text_content("#tip"))
        rail, tip = (page.locator(one).bounding_box() for one in ("#rail", "#tip"))
        assert tip["x"] >= rail["width"] or tip["y"] >= rail["y"] + rail["height"]
        assert tip["x"] + tip["width"] <= width
    begin = ["Brush", "Eraser", "Fill", "Pick a colour", "Mark", "Unmark", "Clear", "New sheet"]
    assert all(any(name.startswith(one) for name in names) for one in begin)
    assert all(names)
    page.mouse.move(width / 2, 450)
    page.focus("[data-tool=brush]")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.text_content("#tip") == "Brush (B)"
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")


def test_panels_unfold_and_fold(page: Any) -> None:
    wide = page.locator("#stage").bounding_box()["width"]
    page.focus("#tab-tune")
    page.keyboard.press("Enter")
    assert page.is_visible("#setting-steps")
    assert page.locator("#stage").bounding_box()["width"] < wide
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "tab-layers"
    page.keyboard.press("Enter")
    assert page.is_visible("#panel-layers")
    assert page.is_hidden("#setting-steps")
    page.click("#tab-change")
    page.focus("#phrase")
    page.keyboard.press("Escape")
    assert page.is_hidden("#panels")
    assert page.evaluate("document.activeElement.id") == "tab-change"
    page.click("#tab-gallery")
    page.click("#fold")
    assert page.locator("#stage").bounding_box()["width"] == wide


def test_a_panel_of_a_phone_is_a_sheet_under_which_the_bar_stays(page: Any) -> None:
    resize(page, 390, 844)
    show(page, "tune")
    panel = page.locator("#panels").bounding_box()
    bar = page.locator("#bar").bounding_box()
    assert panel["width"] == 390
    assert panel["y"] > 100
    assert panel["y"] + panel["height"] <= bar["y"] + 1
    page.fill("#prompt", "a house")
    page.click("#paint", trial=True)


def test_light_dark_or_as_the_machine_has_it(page: Any) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="dark")
    dark = paper()
    page.emulate_media(color_scheme="light")
    light = paper()
    assert dark != light
    page.click("#theme")
    assert "Light" in page.text_content("#theme")
    page.click("#theme")
    assert paper() == dark
    reloaded(page)
    assert paper() == dark
    page.click("#theme")
    assert paper() == light


# The bar.


def test_a_chip_is_pulled_to_weigh_and_can_be_taken_away(page: Any) -> None:
    words(page, "a house | snow:2 | people:-0.5 ^ a house at night")
    assert page.locator("#chips li.avoided").count() == 1
    assert page.locator("#chips li.later").count() == 1
    handle = page.locator("#chips .pull").first.bounding_box()
    x, y = handle["x"] + 10, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=3)
    assert prompt(page).startswith("a house:1.5 | snow:2 ")
    page.mouse.move(x - 240, y, steps=3)
    page.mouse.up()
    assert prompt(page).startswith("a house:-1 | snow:2 ")
    page.locator("#chips .pull").first.dblclick()
    assert prompt(page) == "a house | snow:2 | people:-0.5 ^ a house at night"
    page.locator("#chips li", has_text="people").locator(".away").click()
    assert prompt(page) == "a house | snow:2 ^ a house at night"
    assert page.locator("#chips li").count() == 3
    page.locator("#chips li.later .away").click()
    assert prompt(page) == "a house | snow:2"


def test_a_chip_says_where_and_its_place_is_chosen(page: Any) -> None:
    words(page, "a house:2 @top left | snow ^ a ruin")
    button = page.get_by_role("button", name="Place of a house: top left")
    assert button.text_content() == "top left"
    button.click()
    picker = page.get_by_role("dialog", name="Place of a house: top left")
    assert picker.get_by_role("button").count() == 10
    assert picker.get_by_role("button", name="top left").get_attribute("aria-pressed") == "true"
    picker.get_by_role("button", name="bottom right").click()
    assert prompt(page) == "a house:2 @bottom right | snow ^ a ruin"
    assert not picker.is_visible()
    assert page.evaluate("document.activeElement.className") == "place"
    # By keys alone; what is chosen in the middle row, last column.
    page.get_by_role("button", name="Place of a ruin: anywhere").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert prompt(page) == "a house:2 @bottom right | snow ^ a ruin @right"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert prompt(page) == "a house:2 @bottom right | snow ^ a ruin @right"
    assert page.evaluate("document.activeElement.className") == "place"
    page.get_by_role("button", name="Place of a house: bottom right").click()
    page.get_by_role("button", name="anywhere", exact=True).click()
    assert prompt(page) == "a house:2 | snow ^ a ruin @right"


def test_parts_are_added_without_the_grammar(page: Any) -> None:
    page.fill("#prompt", "a house")
    for button, text in (("and", "snow"), ("without", "people"), ("then", "a ruin")):
        page.click(f"#add-{button}")
        page.keyboard.type(text)
    until(page, "document.querySelectorAll('#chips li').length === 4")
    assert prompt(page) == "a house | snow | people:-0.5 ^ a ruin"


def test_arrow_up_brings_back_what_was_asked_for(page: Any, studio: TinyStudio) -> None:
    for text in ("a red apple", "a blue fish"):
        order(page, text, 1, "32x32")
        until(page, lambda: all(one["status"] == "done" for one in studio.runs(page)))
    until(page, "document.body.dataset.status === 'done'")
    page.fill("#prompt", "a poem")
    page.focus("#prompt")
    seen = []
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
        seen.append(prompt(page))
    assert seen == ["a blue fish", "a red apple", "a red apple", "a blue fish", "a poem"]


def test_a_long_prompt_is_seen(page: Any) -> None:
    low = page.locator("#prompt").bounding_box()["height"]
    page.fill("#prompt", "a very long poem about the sea " * 12)
    page.focus("#prompt")
    high = page.locator("#prompt").bounding_box()["height"]
    assert high > 2 * low
    page.focus("#stage")
    assert page.locator("#prompt").bounding_box()["height"] == high
    page.fill("#prompt", "a poem")
    assert page.locator("#prompt").bounding_box()["height"] == low


def test_the_dice_are_thrown_unless_the_seed_is_kept(
    page: Any, posted: list[dict[str, Any]]
) -> None:
    page.fill("#prompt", "a house")
    seeds = [sent(page, posted)["settings"]["seed"] for _ in range(3)]
    assert len(set(seeds)) == 3
    assert page.input_value("#setting-seed") == str(seeds[-1])
    page.click("#lock")
    assert [sent(page, posted)["settings"]["seed"] for _ in range(2)] == [seeds[-1]] * 2
    page.click("#dice")
    thrown = int(page.input_value("#setting-seed"))
    assert thrown != seeds[-1]
    assert sent(page, posted)["settings"]["seed"] == thrown
    page.click("#lock")
    page.fill("#setting-seed", "77")  # who writes one wants it
    assert page.get_attribute("#lock", "aria-pressed") == "true"
    page.reload()
    until(page, "document.getElementById('setting-seed').value === '77'")
    assert sent(page, posted)["settings"]["seed"] == 77


def test_one_or_four(page: Any, studio: TinyStudio) -> None:
    page.click("[data-count='4']")
    order(page, "a red apple", LONG, "32x32")
    until(page, lambda: len(studio.runs(page)) == 4)
    assert [run["seed"] for run in studio.runs(page)] == [3, 4, 5, 6]
    page.reload()
    page.wait_for_selector("[data-count='4'][aria-pressed=true]")
    page.click("[data-count='1']")
    order(page, "a moon", LONG, "32x32")
    until(page, lambda: len(studio.runs(page)) == 5)


def test_shapes_and_sizes(page: Any, posted: list[dict[str, Any]]) -> None:
    page.fill("#prompt", "a house")
    assert "size" not in sent(page, posted)["settings"]
    for shape, scale, size in (
        ("landscape", 1, "288x224"),
        ("landscape", 2, "576x448"),
        ("portrait", 2, "448x576"),
        ("square", 4, "1024x1024"),
        ("square", 1, "256x256"),
    ):
        page.click(f"[data-shape={shape}]")
        option = page.locator("#scale option").nth([1, 2, 4].index(scale))
        page.select_option("#scale", option.get_attribute("value"))
        asked = sent(page, posted)["settings"]
        assert asked.get("size", "256x256") == size
        assert asked.get("scale", "2") == "2"
        assert ("size" in asked) == ("scale" in asked)
        assert page.get_attribute(f"[data-shape={shape}]", "aria-pressed") == "true"
        assert page.evaluate("`${view.width}x${view.height}`") == size
    tune(page, size="300x100")
    assert "300 × 100 px" in texts(page, "#scale option:checked")
    assert page.get_attribute("[data-shape=landscape]", "aria-pressed") == "true"


def test_how_near_to_the_drawing(page: Any, posted: list[dict[str, Any]]) -> None:
    page.fill("#prompt", "a house")
    assert page.is_hidden("#near")
    assert "near" not in sent(page, posted)
    stroke(page, 0.5)
    assert page.is_visible("#near")
    assert page.text_content("#near-is") == "keeps colours"
    assert sent(page, posted)["near"] == 0.6
    page.fill("#near", "80")
    assert sent(page, posted)["near"] == 0.8
    page.fill("#near", "0")
    assert "near" not in sent(page, posted)


# On the easel.


def test_something_is_there_at_once_and_says_what_is_done(page: Any, studio: TinyStudio) -> None:
    waiting: list[Any] = []

    def hold_back(route: Any) -> None:
        waiting.append(route) if route.request.method == "POST" else route.continue_()

    page.route("**/api/runs", hold_back)
    page.fill("#prompt", "a slow sun")
    page.click("#paint")
    page.wait_for_selector("#skeleton:not([hidden])")  # before the server has said anything
    assert page.text_content("#status") == "Sends the order…"
    assert page.is_disabled("#paint")
    until(page, lambda: waiting)
    told = {"doing": "loading the models", "status": "starting"}
    page.route("**/events*", lambda route: route.abort())
    answer = waiting[0].fetch()
    waiting[0].fulfill(json={**answer.json(), **told})
    until(page, "document.getElementById('status').textContent === 'Loading the models…'")
    assert page.is_visible("#skeleton")


def test_time_left_and_progress_are_on_the_easel(page: Any) -> None:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    until(page, "/step \\d+ of \\d+ .*left/.test(document.getElementById('clock').textContent)")
    assert page.is_visible("#progress")
    page.wait_for_selector("#skeleton", state="hidden")
    page.click("#stop")
    status(page, "stopped")


def test_what_went_wrong_stays_until_it_is_read(page: Any) -> None:
    order(page, "a slow sun", LONG, "32x32")
    status(page, "painting")
    tune(page, size="9x")
    page.click("#paint")
    page.wait_for_selector("#problem:has-text('size')")
    stage, said = (page.locator(one).bounding_box() for one in ("#stage", "#problem"))
    assert stage["y"] < said["y"] < stage["y"] + stage["height"]
    step = page.text_content("#clock")
    until(page, f"document.getElementById('clock').textContent !== '{step}'")
    assert page.is_visible("#problem")
    page.focus("#problem-read")
    page.keyboard.press("Enter")
    assert page.is_hidden("#problem")
    assert page.evaluate("document.activeElement.id") == "stage"


def test_a_first_visit_is_offered_six_examples_that_paint(page: Any, studio: TinyStudio) -> None:
    assert page.locator("#examples button").count() == 6
    tune(page, steps=2, size="32x32")
    page.click("#fold")  # beside an open panel there may be no room for them
    page.locator("#examples button", has_text="a lion").click()
    status(page, "done")
    assert [run["prompt"] for run in studio.runs(page)] == ["a lion"]
    assert prompt(page) == "a lion"
    assert page.is_hidden("#examples")
    page.click("#help-open")
    page.click("#help-examples")
    assert page.is_visible("#examples")


def test_examples_are_never_in_the_way(page: Any) -> None:
    assert page.is_visible("#examples")
    page.fill("#prompt", "a")
    assert page.is_hidden("#examples")
    page.fill("#prompt", "")
    assert page.is_visible("#examples")
    stroke(page, 0.5)
    assert page.is_hidden("#examples")


# Fine tuning and help.


def test_every_setting_has_a_sentence_and_its_default(page: Any) -> None:
    show(page, "tune")
    rows = page.locator(".setting")
    told = {one["name"] for one in page.evaluate(INFO)["settings"] if "prompt" not in one["name"]}
    assert rows.count() == len(told) - 1  # the seed is in the bar
    for name, about in page.evaluate(
        """[...document.querySelectorAll(".setting")].map((row) =>
            [row.querySelector("label").textContent, row.querySelector(".hint").textContent])"""
    ):
        assert name, about
        assert " Usually " in about, name
        assert len(about) > 30, about
    names = texts(page, ".setting label")
    assert len(set(names)) == len(names)
    assert page.locator("#settings details[open]").count() == 1
    groups = page.locator("#settings details").all()
    assert max(group.locator(".setting").count() for group in groups) <= 12


def test_what_was_folded_and_what_was_changed_is_seen_after_a_search(page: Any) -> None:
    show(page, "tune")
    opened = """[...document.querySelectorAll("#settings details[open] summary")]
        .map((one) => one.firstChild.data)"""
    page.click("#settings summary:has-text('What the guides look at')")
    before = page.evaluate(opened)
    assert before == ["The picture", "What the guides look at"]
    page.fill("#filter", "boldness")
    assert page.evaluate(opened) == ["How bold each step is"]
    page.fill("#setting-learning_rate", "0.25")
    page.fill("#filter", "")
    assert page.evaluate(opened) == before
    assert texts(page, ".changes:not(:empty)") == ["1 changed"]


def test_a_setting_is_found_by_plain_words_and_put_back(page: Any) -> None:
    show(page, "tune")
    assert page.is_hidden("#setting-num_cutouts")
    page.fill("#filter", "looked at")
    assert page.is_visible("#setting-num_cutouts")
    assert page.is_hidden("#setting-steps")
    page.fill("#filter", "num_cutouts")
    page.fill("#setting-num_cutouts", "40")
    assert page.locator(".setting.changed").count() == 1
    page.click(".setting.changed .again")
    assert page.input_value("#setting-num_cutouts") == "12"
    assert page.locator(".setting.changed").count() == 0


def test_help_by_a_question_mark(page: Any) -> None:
    page.focus("#stage")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    assert "undo" in page.text_content("#help")
    page.keyboard.press("Escape")
    assert page.is_hidden("#help")
    page.focus("#prompt")
    page.keyboard.type("why?")
    assert page.is_hidden("#help")
    assert prompt(page) == "why?"


# Files.


def test_a_picture_of_ours_that_is_dropped_gives_words_and_settings(
    page: Any, tmp_path: Path
) -> None:
    config = make_config(prompt="a boat:2", size="64x48", steps=9, seed=41, tv_weight=0.5)
    record = {"config": config.to_dict(), "prompt": "a boat:2"}
    save_picture(Image.new("RGB", (64, 48)), tmp_path / "boat.png", record)
    drop(page, tmp_path / "boat.png")
    until(page, "document.getElementById('prompt').value === 'a boat:2'")
    assert page.input_value("#setting-seed") == "41"
    assert page.get_attribute("#lock", "aria-pressed") == "true"
    assert page.input_value("#setting-size") == "64x48"
    assert page.input_value("#setting-tv_weight") == "0.5"
    assert "this picture" in page.text_content("#note")
    assert page.is_hidden("#fitting")

    (tmp_path / "more.json").write_text('{"prompt": "a cart", "steps": 5, "colour": "red"}')
    drop(page, tmp_path / "more.json", "application/json", "#panels")
    until(page, "document.getElementById('prompt').value === 'a cart'")
    assert "'colour' is no setting" in page.text_content("#note")
    (tmp_path / "less.json").write_text("{}")
    drop(page, tmp_path / "less.json", "application/json")
    until(page, "document.getElementById('problem').textContent.includes('no settings')")
    assert prompt(page) == "a cart"


def test_another_picture_is_started_from_and_asked_how_it_fits(
    page: Any, posted: list[dict[str, Any]], tmp_path: Path
) -> None:
    Image.new("RGB", (96, 64), "white").save(tmp_path / "wide.png")
    page.fill("#prompt", "a house")
    drop(page, tmp_path / "wide.png", on="#bar")
    page.wait_for_selector("#fitting:not([hidden])")
    until(page, "view.width === 96")
    assert "96 × 64" in page.text_content("#fit-says")  # nothing is cut off in silence
    page.click("[data-fit='']")
    assert page.input_value("#setting-size") == "320x208"
    page.click("#fit-done")
    assert page.is_hidden("#fitting")
    asked = sent(page, posted)
    assert asked["settings"]["size"] == "320x208"
    first = asked["image"]
    page.click("[data-shape=square]")  # which it does not fit
    page.wait_for_selector("#fitting:not([hidden])")

    ways: list[str] = []
    page.on("request", lambda one: ways.append(one.url) if "/api/uploads" in one.url else None)
    page.click("[data-fit=crop]")
    page.wait_for_selector("#fit-place:not([hidden])")
    until(page, "view.width === 256 && view.height === 256")
    assert "fit=crop&size=256x256&x=0.5&y=0.5" in ways[-1]
    assert page.is_hidden("#fit-y")
    page.fill("#fit-x", "0")
    until(page, lambda: "x=0&" in ways[-1])
    page.wait_for_selector("[data-fit=crop][aria-pressed=true]")
    page.fill("#near", "90")
    asked = sent(page, posted)
    assert "edit" not in asked
    assert asked["image"] != first
    assert asked["near"] == 0.9
    held: list[Any] = []
    page.route("**/api/uploads*", lambda route: held.append(route))
    page.fill("#fit-x", "60")
    until(page, lambda: held)
    page.click("[data-fit=extend]")  # before that has come: what is asked last is what counts
    held[0].continue_()
    until(page, lambda: len(held) == 2)
    held[1].continue_()
    page.unroute("**/api/uploads*")
    page.wait_for_selector("[data-fit=extend][aria-pressed=true]")
    asked = sent(page, posted)
    assert re.fullmatch("[0-9a-f]{32}", asked["edit"]["mask"])
    assert "near" not in asked
    page.click("#fit-away")
    assert page.is_hidden("#fitting")
    assert sent(page, posted)["image"] is None


def test_a_picture_dropped_on_its_place_is_painted_towards(page: Any, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.png")
    show(page, "tune")
    drop(page, tmp_path / "red.png", on="#like")
    page.wait_for_selector("#like figure")
    assert page.locator("#start figure").count() == 0
    assert page.is_hidden("#landing")


# For all.


def test_all_is_said_and_reached_without_eyes_or_mouse(
    browser: Any, studio: TinyStudio, tmp_path: Path
) -> None:
    """No finding of axe in any state, in both themes."""
    if not util.find_spec("axe_playwright_python"):
        pytest.skip("axe is not installed")
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    page = visit(browser, studio.address, 1440, 900)
    page.evaluate(axe)

    def findings(state: str) -> list[str]:
        found = page.evaluate("axe.run()")["violations"]
        return [f"{state}: {one['id']} {node['target']}" for one in found for node in one["nodes"]]

    Image.new("RGB", (96, 64), "white").save(tmp_path / "wide.png")
    seen: list[str] = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        seen += findings(f"{theme} empty")
        words(page, "a house | snow:2 | people:-0.5 ^ a house at night")
        seen += findings(f"{theme} words")
        page.locator("#file").set_input_files(tmp_path / "wide.png")
        page.wait_for_selector("#fitting:not([hidden])")
        seen += findings(f"{theme} fitting")
        page.click("#fit-away")
        order(page, "a slow sun", LONG, "32x32")
        status(page, "painting")
        for panel in ("tune", "layers", "change", "history", "gallery"):
            show(page, panel)
            seen += findings(f"{theme} {panel}")
        page.click("#help-open")
        seen += findings(f"{theme} help")
        page.click("#help-close")
        page.fill("#setting-seed", "x")
        page.click("#paint")
        page.wait_for_selector("#problem:has-text('seed')")
        seen += findings(f"{theme} problem")
        page.click("#stop")
        status(page, "stopped")
        resize(page, 390, 844)
        seen += findings(f"{theme} phone")
        resize(page, 1440, 900)
        page.click("#new-sheet")
        page.fill("#prompt", "")
    assert sorted(set(seen)) == []
    assert page.mistakes == []
    page.context.close()
