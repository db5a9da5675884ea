"""The studio's page loses nothing that was written or drawn, and does to a picture what it says."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    alike,
    alpha_at,
    hold,
    is_drawn,
    laid_out,
    more,
    order,
    ready,
    reloaded,
    sheets,
    show,
    status,
    stroke,
    texts,
    until,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SMALL, WIDE = "32x32", "48x24"


def paused(page: Any, prompt: str = "a red apple", size: str = SMALL) -> None:
    order(page, prompt, LONG, size)
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")


def done(page: Any, prompt: str, size: str = SMALL) -> None:
    order(page, prompt, 2, size)
    # The status may still be that of the picture before.
    page.evaluate(
        """async (prompt) => {
            for (;;) {
                const { runs } = await (await fetch("/api/runs")).json();
                if (runs.some((one) => one.prompt === prompt && one.status === "done")) return;
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
        }""",
        prompt,
    )
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text=prompt).wait_for()
    until(page, "document.getElementById('pause').disabled")  # the page knows it too
    status(page, "done")


def requests(page: Any) -> list[tuple[str, Any]]:
    """What is posted from now on: (path from /api/ on, JSON or bytes)."""
    found: list[tuple[str, Any]] = []

    def note(request: Any) -> None:
        if request.method == "POST" and "/api/prompts" not in request.url:
            data = request.post_data_buffer or b""
            path = request.url.partition("/api/")[2]
            found.append((path, json.loads(data) if data[:1] == b"{" else data))

    page.on("request", note)
    return found


def picture(page: Any, path: str) -> Image.Image:
    """A picture as this page's visitor gets it."""
    data = page.evaluate(
        """(path) => fetch(path).then((answer) => answer.blob()).then((blob) =>
            new Promise((done) => {
                const reader = new FileReader();
                reader.onload = () => done(reader.result.split(',')[1]);
                reader.readAsDataURL(blob);
            }))""",
        path,
    )
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


# What is beside the picture belongs to the picture.


def test_the_history_and_delete_are_of_the_picture_that_is_shown(
    page: Any, studio: TinyStudio
) -> None:
    done(page, "a red apple", SMALL)
    done(page, "a blue fish", WIDE)
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    until(page, "document.querySelector('#tree .run').textContent.includes('a red apple')")
    until(page, "view.width === 32 && view.height === 32")
    assert "a blue fish" not in page.text_content("#tree")
    show(page, "history")
    more(page, "delete")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 1")
    assert "a red apple" in page.text_content("#bin")  # and Undo brings it back
    assert [run["prompt"] for run in studio.runs(page)] == ["a blue fish"]
    assert "a red apple" not in page.text_content("#tree")  # nor is it shown any longer
    assert page.is_visible("#empty")
    assert page.is_disabled("#delete")


def test_pictures_chosen_quickly_one_after_the_other(page: Any) -> None:
    for prompt, size in (("a red apple", SMALL), ("a blue fish", WIDE), ("a moon", "24x48")):
        done(page, prompt, size)
    until(page, "view.width === 24")
    held: list[Any] = []
    page.route("**/frame.jpg*", lambda route: route.continue_() if held else held.append(route))
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    until(page, lambda: held)
    page.locator("#gallery .thumb", has_text="a blue fish").click()
    held[0].continue_()  # it comes after another one was chosen
    until(page, "view.width === 48 && document.getElementById('empty').hidden")
    assert texts(page, "#tree .run") == ["a blue fish · done"]


def test_a_run_that_waits_shows_no_other_picture(page: Any) -> None:
    done(page, "a red apple")
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    order(page, "a moon", 2, SMALL)
    status(page, "queued")
    assert page.is_visible("#empty")
    assert "Nothing is painted yet" in page.text_content("#empty")
    assert not page.evaluate(
        "view.getContext('2d').getImageData(0, 0, view.width, view.height).data.some((v) => v)"
    )
    show(page, "history")
    page.click("#queue .cancel:has-text('Stop')")
    status(page, "done")
    page.wait_for_selector("#empty", state="hidden")


def test_a_picture_deleted_elsewhere_is_told(timed: Any, studio: TinyStudio) -> None:
    page = timed
    done(page, "a red apple")
    run = studio.runs(page)[0]["id"]
    other = page.context.new_page()
    other.goto(studio.address)
    ready(other)
    show(other, "gallery")
    other.wait_for_selector("#gallery .thumb")
    show(other, "history")
    more(other, "delete")
    until(other, "document.querySelectorAll('#gallery .thumb').length === 0")
    other.close()
    page.clock.run_for(15_000)  # it looks less often while nothing is painted
    until(page, "document.getElementById('note').textContent.includes('deleted elsewhere')")
    assert page.get_attribute("body", "data-status") == ""
    assert run not in page.inner_html("#tree")
    page.fill("#prompt", "a blue fish")
    page.click("#branch")  # what is seen can still be painted on
    status(page, "done")


# What was drawn.


def test_a_sketch_on_the_empty_sheet_is_where_painting_starts(
    page: Any, studio: TinyStudio
) -> None:
    posted = requests(page)
    page.fill("#color", "#1030e0")
    page.fill("#brush-size", "120")
    for y in (0.4, 0.5, 0.6):
        stroke(page, y)
    assert "sketch" in page.get_attribute("#paint", "title")
    order(page, "a blue lake", 4, SMALL)
    status(page, "done")
    (asked,) = [what for path, what in posted if path == "runs"]
    assert asked["image"]
    given = picture(page, f"/api/images/{asked['image']}")
    red, green, blue = given.resize((9, 9)).getpixel((4, 4))
    assert blue > 200 > 100 > max(red, green)
    assert not is_drawn(page)  # the server has it
    assert studio.runs(page)[0]["size"] == [32, 32]
    assert (page.text_content("#paint") or "").strip() == "Paint new"
    assert "sketch" not in page.get_attribute("#paint", "title")


def test_a_sketch_over_the_picture_to_start_from(page: Any, tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), "white").save(tmp_path / "white.png")
    posted = requests(page)
    page.locator("#file").set_input_files(tmp_path / "white.png")
    until(page, "view.width === 96")
    page.fill("#color", "#1030e0")
    page.fill("#brush-size", "120")
    stroke(page, 0.5)
    order(page, "a blue lake", 2, SMALL)
    status(page, "done")
    (asked,) = [what for path, what in posted if path == "runs"]
    given = picture(page, f"/api/images/{asked['image']}")
    assert given.size == (96, 64)
    assert given.getpixel((48, 32))[0] < 60
    assert given.getpixel((48, 60)) == (255, 255, 255)


def test_what_was_drawn_on_a_finished_picture_is_painted_on(page: Any, studio: TinyStudio) -> None:
    done(page, "a red apple")
    stroke(page, 0.5)
    assert "from what you see and drew" in page.get_attribute("#paint", "title")
    page.fill("#prompt", "a green apple")
    page.click("#paint")
    until(page, "document.querySelectorAll('#tree ul ul .run').length === 1")
    status(page, "done")
    first, second = studio.runs(page)
    assert second["parent"] == first["id"]
    assert not is_drawn(page)


def test_a_picture_that_is_drawn_larger_is_painted_on_as_small(
    page: Any, studio: TinyStudio
) -> None:
    show(page, "tune")
    page.select_option("#setting-scale", "4")
    done(page, "a red apple")
    until(page, "document.getElementById('view').width === 128")
    stroke(page, 0.5)
    page.fill("#prompt", "a green apple")
    page.click("#paint")
    until(page, "document.querySelectorAll('#tree ul ul .run').length === 1")
    status(page, "done")
    assert [(one["size"], one["scale"]) for one in studio.runs(page)] == [([32, 32], 4)] * 2


def test_undo_and_redo(page: Any) -> None:
    stroke(page, 0.2)
    stroke(page, 0.8)

    def drawn() -> tuple[bool, bool]:
        return alpha_at(page, 0.5, 0.2) > 0, alpha_at(page, 0.5, 0.8) > 0

    assert drawn() == (True, True)
    page.keyboard.press("Control+z")
    assert drawn() == (True, False)
    page.keyboard.press("Control+Shift+Z")
    assert drawn() == (True, True)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert drawn() == (False, False)
    page.keyboard.press("Control+y")
    page.click("#redo")
    assert drawn() == (True, True)
    page.keyboard.press("Control+Shift+Z")  # nothing is left to redo
    assert drawn() == (True, True)
    page.click("#clear")
    assert drawn() == (False, False)
    page.click("#undo")
    assert drawn() == (True, True)
    page.click("#undo")
    stroke(page, 0.5)  # another future
    page.keyboard.press("Control+Shift+Z")
    assert drawn() == (True, False)
    assert page.is_disabled("#redo")


def test_undo_is_of_what_was_done_last_whatever_tool_is_chosen(page: Any) -> None:
    stroke(page, 0.2)
    page.keyboard.press("m")
    stroke(page, 0.8)
    page.keyboard.press("b")
    page.keyboard.press("Control+z")
    assert is_drawn(page, "strokes")
    assert not is_drawn(page, "mask")
    page.keyboard.press("Control+z")
    assert not is_drawn(page, "strokes")
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+Shift+Z")
    assert is_drawn(page, "strokes")
    assert is_drawn(page, "mask")


def test_what_was_rubbed_out_is_nothing(page: Any) -> None:
    stroke(page, 0.5)
    page.keyboard.press("e")
    page.fill("#brush-size", "120")
    for _ in range(2):
        stroke(page, 0.5, 0.15, 0.85)
    assert not is_drawn(page)
    assert "sketch" not in page.get_attribute("#paint", "title")
    posted = requests(page)
    order(page, "a red apple", 2, SMALL)
    status(page, "done")
    assert [path for path, _ in posted] == ["runs"]
    assert posted[0][1]["image"] is None


def test_stop_lays_the_strokes_in_first(page: Any, studio: TinyStudio) -> None:
    paused(page)
    page.fill("#color", "#1030e0")
    page.fill("#brush-size", "120")
    for y in (0.3, 0.5, 0.7):
        stroke(page, y)
    posted = requests(page)
    page.click("#stop")
    status(page, "stopped")
    assert [path.split("/")[-1].split("?")[0] for path, _ in posted] == ["draw", "stop"]
    (run,) = studio.runs(page)
    assert [node["kind"] for node in run["nodes"]] == ["start", "drawn", "end"]
    hold(lambda: not is_drawn(page))
    laid = picture(page, f"/api/runs/{run['id']}/nodes/1.png").getpixel((16, 16))
    assert laid[2] > 150 > laid[0]


def test_strokes_drawn_while_it_waits_are_taken_when_it_paints(
    page: Any, studio: TinyStudio
) -> None:
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    order(page, "a moon", LONG, SMALL)
    status(page, "queued")
    stroke(page, 0.5)
    show(page, "history")
    page.click("#queue .cancel:has-text('Stop')")
    status(page, "painting")
    until(page, "document.querySelectorAll('#tree .thumb').length > 2")  # a point of its own
    hold(lambda: not is_drawn(page))
    page.click("#stop")
    status(page, "stopped")
    (moon,) = [run for run in studio.runs(page) if run["prompt"] == "a moon"]
    assert [node["kind"] for node in moon["nodes"]] == ["start", "drawn", "end"]


def test_strokes_are_kept_over_a_picture_of_another_size(page: Any) -> None:
    done(page, "a red apple", SMALL)
    done(page, "a blue fish", WIDE)
    stroke(page, 0.25)
    before = sheets(page)
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    until(page, "view.width === 32")
    assert page.evaluate("strokes.width === strokes.height")
    assert alpha_at(page, 0.5, 0.25) > 0
    assert alpha_at(page, 0.5, 0.5) == 0
    assert "lies over this picture" in page.text_content("#note")
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a blue fish").click()
    until(page, "view.width === 48")
    assert alike(before, sheets(page))  # nothing got blurred
    page.keyboard.press("Control+z")
    assert not is_drawn(page)


def test_a_picture_to_start_from_keeps_the_sketch(page: Any, tmp_path: Path) -> None:
    Image.new("RGB", (120, 60), "white").save(tmp_path / "wide.png")
    stroke(page, 0.5)
    page.locator("#file").set_input_files(tmp_path / "wide.png")
    until(page, "view.width === 120")
    assert alpha_at(page, 0.5, 0.5) > 0


def test_drawing_on_a_point_of_the_history_is_not_laid_elsewhere(
    page: Any, studio: TinyStudio
) -> None:
    paused(page)
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    stroke(page, 0.5)
    posted = requests(page)
    page.click("#pause")  # Go on
    assert posted == []
    assert "lie over it now" in page.text_content("#note")
    assert alpha_at(page, 0.5, 0.5) > 0
    page.click("#pause")
    status(page, "painting")
    assert [path.split("/")[-1].split("?")[0] for path, _ in posted] == ["draw", "continue"]
    page.click("#stop")
    status(page, "stopped")
    assert [node["kind"] for node in studio.runs(page)[0]["nodes"]] == ["start", "drawn", "end"]


def test_repaint_keeps_the_mask_for_another_try(page: Any) -> None:
    done(page, "a red apple")
    asked: list[Any] = []

    def plainly(route: Any) -> None:
        if route.request.method != "POST":
            return route.continue_()
        document = json.loads(route.request.post_data)
        asked.append(document.pop("edit", None))
        return route.continue_(post_data=json.dumps(document))

    page.route("**/api/runs", plainly)
    page.keyboard.press("m")
    stroke(page, 0.5)
    show(page, "change")
    page.fill("#replace", "a green pear")
    show(page, "tune")
    page.fill("#setting-size", "256x256")
    for count in (2, 3):
        show(page, "change")
        page.click("#repaint")
        until(page, f"document.querySelectorAll('#gallery .thumb').length === {count}")
        status(page, "done")
        assert alpha_at(page, 0.5, 0.5, "mask") > 0
        assert page.input_value("#replace") == "a green pear"
    assert len(asked) == 2
    assert all(edit["mask"] for edit in asked)
    page.keyboard.press("Control+z")  # and can still be undone
    assert not is_drawn(page, "mask")


# One order for each click.


@pytest.mark.parametrize("way", ["double click", "triple click", "space", "held keys"])
def test_one_order_for_each_click(page: Any, studio: TinyStudio, way: str) -> None:
    held: list[Any] = []

    def later(route: Any) -> None:
        route.continue_() if route.request.method == "GET" else held.append(route)

    page.route("**/api/runs", later)
    page.fill("#prompt", "a red apple")
    show(page, "tune")
    page.fill("#setting-steps", str(LONG))
    page.fill("#setting-size", SMALL)
    if way == "held keys":
        page.focus("#prompt")
        page.keyboard.down("Control")
        for _ in range(4):
            page.keyboard.down("Enter")  # repeats
        page.keyboard.up("Enter")
        page.keyboard.up("Control")
    else:
        page.click("#paint", click_count={"double click": 2, "triple click": 3}.get(way, 1))
    if way == "space":
        page.keyboard.press("Space")  # on its way it cannot be paused
    until(page, lambda: held)
    held[0].continue_()
    status(page, "painting")
    if way == "space":
        page.keyboard.press("Space")
        status(page, "paused")  # as the keys' list says
        until(page, "!document.getElementById('pause').disabled")
        page.keyboard.press("Space")
        status(page, "painting")
    page.unroute("**/api/runs")
    page.evaluate("new Promise((done) => setTimeout(done, 300))")  # nothing comes after it
    assert len(held) == len(studio.runs(page)) == 1
    page.click("#stop", click_count=2)
    status(page, "stopped")


def test_a_double_click_on_pause_pauses(page: Any) -> None:
    order(page, "a red apple", LONG, SMALL)
    status(page, "painting")
    page.click("#pause", click_count=2, delay=60)
    status(page, "paused")
    page.evaluate("new Promise((done) => setTimeout(done, 300))")  # it stays so
    assert page.get_attribute("body", "data-status") == "paused"


def test_an_order_again_after_one_has_failed(page: Any, studio: TinyStudio) -> None:
    page.route("**/api/runs", lambda route: route.abort())
    stroke(page, 0.5)
    order(page, "a red apple", 2, SMALL)
    until(page, "document.getElementById('problem').textContent !== ''")
    assert alpha_at(page, 0.5, 0.5) > 0
    assert page.input_value("#prompt") == "a red apple"
    page.unroute("**/api/runs")
    assert not page.is_disabled("#paint")
    page.click("#paint")
    status(page, "done")
    assert page.text_content("#problem") == ""
    assert len(studio.runs(page)) == 1
    assert not is_drawn(page)


def test_strokes_stay_until_the_server_has_them(page: Any, studio: TinyStudio) -> None:
    paused(page)
    stroke(page, 0.5)
    posted = requests(page)
    page.route("**/continue", lambda route: route.fulfill(status=507, body='{"error": "full"}'))
    page.click("#pause")
    until(page, "document.getElementById('problem').textContent === 'full'")
    assert alpha_at(page, 0.5, 0.5) > 0
    assert page.get_attribute("body", "data-status") == "paused"
    page.unroute("**/continue")
    page.click("#pause")
    status(page, "painting")
    hold(lambda: not is_drawn(page))
    names = [path.split("/")[-1].split("?")[0] for path, _ in posted]
    assert names == ["draw", "continue", "continue"]
    page.click("#stop")
    status(page, "stopped")
    assert [node["kind"] for node in studio.runs(page)[0]["nodes"]] == ["start", "drawn", "end"]


def test_strokes_that_continue_takes_along_are_sent_once(page: Any) -> None:
    paused(page)
    stroke(page, 0.5)
    posted = requests(page)
    held: list[Any] = []
    page.route("**/continue", lambda route: held.append((route, route.fetch())))
    page.click("#pause")
    status(page, "painting")  # the news of it comes before the answer
    page.evaluate("new Promise((done) => setTimeout(done, 1000))")  # longer than a hand rests
    route, answer = held[0]
    route.fulfill(response=answer)
    hold(lambda: not is_drawn(page))
    assert [path.split("/")[-1].split("?")[0] for path, _ in posted] == ["draw", "continue"]
    page.click("#stop")
    status(page, "stopped")


# Words.


def told_by_the_server(page: Any, **more: Any) -> None:
    """From now on all runs have these fields too."""

    def add(route: Any) -> None:
        answer = route.fetch().json()
        route.fulfill(json={"runs": [one | more for one in answer["runs"]]})

    page.route("**/api/runs", add)


def test_words_that_wait_and_warnings_are_shown(page: Any) -> None:
    done(page, "a red apple")
    told_by_the_server(
        page, words="a green pear", notes=[{"kind": "odd", "text": "it does not know: brillig"}]
    )
    page.reload()
    until(page, "document.querySelector('#tree .run')?.textContent.includes('a green pear')")
    assert texts(page, "#gallery .thumb") == ["a green pear"]
    assert page.text_content("#warnings") == "it does not know: brillig"
    page.click("#warnings-read")
    assert not page.is_visible("#warnings")


def test_continue_takes_new_words_only_if_they_were_written_for_it(
    page: Any, studio: TinyStudio
) -> None:
    paused(page, "a red apple")
    page.fill("#prompt", "a blue fish")  # for the next picture
    show(page, "tune")
    page.fill("#setting-steps", "2")
    page.click("#paint")
    status(page, "done")
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    status(page, "paused")
    assert page.text_content("#pause") == "Go on"
    assert page.text_content("#other-words") == "Go on with new words"
    posted = requests(page)
    page.click("#pause")
    status(page, "painting")
    assert posted[-1][1] == {}
    page.click("#pause")
    status(page, "paused")
    page.fill("#prompt", "a green pear")
    assert page.text_content("#pause") == "Go on with new words"
    assert page.text_content("#other-words") == "Go on with its own words"
    page.click("#other-words")
    status(page, "painting")
    assert posted[-1][1] == {}
    page.click("#pause")
    status(page, "paused")
    page.fill("#prompt", "a yellow pear")
    page.click("#pause")
    status(page, "painting")
    assert posted[-1][1] == {"prompt": "a yellow pear"}
    assert page.is_hidden("#other-words")
    page.click("#stop")
    status(page, "stopped")
    assert studio.runs(page)[0]["prompt"] == "a yellow pear"


def test_a_weight_changed_in_a_chip_is_new_words(page: Any) -> None:
    paused(page, "a red apple | a blue fish")
    page.wait_for_selector("#chips li")
    posted = requests(page)
    page.locator("#chips input").first.fill("2")
    page.keyboard.press("Tab")
    assert page.text_content("#pause") == "Go on with new words"
    page.click("#pause")
    status(page, "painting")
    assert posted[-1][1] == {"prompt": "a red apple:2 | a blue fish"}
    page.click("#stop")
    status(page, "stopped")


def test_words_changed_in_a_pause_show_in_gallery_and_history(page: Any) -> None:
    paused(page, "a red apple")
    page.fill("#prompt", "a green pear")
    page.click("#pause")
    status(page, "painting")
    until(page, "document.querySelector('#gallery .thumb').textContent.includes('a green pear')")
    until(page, "document.querySelector('#tree .run').textContent.includes('a green pear')")
    show(page, "history")
    page.locator("#tree .thumb", has_text="new words").wait_for()
    assert "a green pear" in page.locator("#tree .thumb", has_text="new words").text_content()
    page.click("#stop")
    status(page, "stopped")


def test_reused_words_can_be_undone(page: Any) -> None:
    done(page, "a red apple")
    page.click("#prompt")
    page.keyboard.press("Control+a")
    page.keyboard.type("a long poem")
    show(page, "history")
    more(page, "reuse")
    until(page, "document.getElementById('prompt').value === 'a red apple'")
    page.focus("#prompt")
    page.keyboard.press("Control+z")
    assert page.input_value("#prompt") == "a long poem"


# Reloads, restarts and errors.


def test_what_was_not_sent_outlives_a_reload(page: Any, tmp_path: Path) -> None:
    done(page, "a red apple", WIDE)
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.png")
    with page.expect_file_chooser() as chooser:
        show(page, "tune")
        page.click("#like .choose")
    chooser.value.set_files(tmp_path / "red.png")
    show(page, "tune")
    page.wait_for_selector("#like figure")
    page.fill("#prompt", "a thing not yet painted")
    page.fill("#setting-steps", "77")
    show(page, "change")
    page.fill("#replace", "a pear")
    stroke(page, 0.25)
    page.keyboard.press("m")
    stroke(page, 0.75)
    before = sheets(page)
    reloaded(page)
    show(page, "tune")
    page.wait_for_selector("#like figure")
    until(page, "view.width === 48")
    assert page.input_value("#prompt") == "a thing not yet painted"
    assert page.input_value("#setting-steps") == "77"
    assert page.input_value("#replace") == "a pear"
    assert alike(before, sheets(page))


def test_waiting_runs_are_there_after_a_reload(page: Any) -> None:
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    order(page, "a moon", 2, SMALL)
    status(page, "queued")
    reloaded(page)
    show(page, "history")
    page.locator("#queue li", has_text="a moon").wait_for()
    page.locator("#queue li", has_text="a slow sun").wait_for()
    page.locator("#queue li", has_text="a slow sun").locator(".cancel").click()
    show(page, "history")
    page.wait_for_selector("#waiting", state="hidden")


def test_a_restarted_server_is_found_again(page: Any, studio: TinyStudio) -> None:
    paused(page, "a slow sun")  # in a pause what it takes to go on is written down
    page.click("#pause")
    status(page, "painting")
    order(page, "a moon", LONG, SMALL)
    status(page, "queued")
    show(page, "history")
    page.locator("#queue li", has_text="a slow sun").locator("button", has_text="Show").click()
    status(page, "painting")
    page.fill("#prompt", "not sent yet")
    studio.close()
    until(page, "document.getElementById('connection').textContent !== ''")
    studio.open()
    until(page, "document.getElementById('connection').textContent === ''")
    status(page, "interrupted")
    assert page.input_value("#prompt") == "not sent yet"
    # The one that waited is not forgotten: it waits again, or the gallery tells what became of it.
    shown = "document.querySelector('#queue').textContent + gallery.textContent"
    until(page, f"({shown}).includes('a moon')")


def test_an_interrupted_run_goes_on_although_it_takes_no_strokes(
    page: Any, studio: TinyStudio
) -> None:
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    studio.close()
    studio.open()
    status(page, "interrupted")
    stroke(page, 0.5)
    page.route("**/draw*", lambda route: route.fulfill(status=400, body='{"error": "not now"}'))
    page.route("**/continue", lambda route: route.fulfill(json={**told, "status": "queued"}))
    (told,) = studio.runs(page)
    page.click("#pause")
    until(page, "document.getElementById('note').textContent.includes('without your strokes')")
    assert page.text_content("#problem") == ""
    assert alpha_at(page, 0.5, 0.5) > 0


def test_an_error_stays_while_it_is_painting(page: Any) -> None:
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    show(page, "tune")
    page.fill("#setting-size", "9x")
    page.click("#paint")
    until(page, "document.getElementById('problem').textContent.includes('size')")
    number = page.get_attribute("#view", "data-frame")
    until(page, f"document.getElementById('view').dataset.frame > {number} + 5")
    assert "size" in page.text_content("#problem")
    page.click("#stop")
    status(page, "stopped")
    assert page.text_content("#problem") == ""  # the next action has begun


def test_what_failed_or_was_cancelled_keeps_its_words(page: Any) -> None:
    order(page, "this one fails", 2, SMALL)
    status(page, "failed")
    assert "it was asked to fail" in page.text_content("#status")
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    order(page, "a moon", 2, SMALL)
    status(page, "queued")
    show(page, "history")
    page.click("#queue .cancel:has-text('Cancel')")
    status(page, "cancelled")
    page.click("#queue .cancel:has-text('Stop')")
    assert any("Failed · this one fails" in text for text in texts(page, "#gallery .thumb"))
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="Cancelled · a moon").click()
    page.fill("#prompt", "something else")
    show(page, "history")
    more(page, "reuse")
    until(page, "document.getElementById('prompt').value === 'a moon'")


def test_lists_that_did_not_change_are_left_alone(page: Any) -> None:
    """A button that is made anew between press and release is never clicked."""
    done(page, "a red apple")
    order(page, "a slow sun", LONG, SMALL)
    status(page, "painting")
    show(page, "history")
    page.locator("#queue li", has_text="a slow sun (painting)").wait_for()
    page.evaluate("for (const one of document.querySelectorAll('#panels button')) one.mine = true")
    show(page, "gallery")
    page.focus("#gallery .thumb")
    for _ in range(2):  # looks at all runs
        with page.expect_response("**/api/runs"):
            pass
    laid_out(page)
    assert page.evaluate("document.activeElement.mine === true")
    assert page.evaluate("[...document.querySelectorAll('#queue button')].every((b) => b.mine)")
    page.click("#stop")
    status(page, "stopped")
