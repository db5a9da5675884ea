"""What a new reader of the page was unsure of is said in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio_browser import (
    CHROMIUM,
    LONG,
    TinyStudio,
    edits,
    order,
    resize,
    says,
    show,
    status,
    stroke,
    texts,
    tune,
    until,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src/gouache/apps/studio/page"
OLD = re.compile(r"\bPaint on\b|\bContinue\b|Go on with this one|Just this one")


# What begins a picture, and what goes on with one.


def test_one_word_begins_a_picture_and_another_goes_on_with_it(
    page: Any, studio: TinyStudio
) -> None:
    assert says(page, "#paint") == "Paint"  # there is nothing to go on with
    assert page.is_disabled("#branch")
    place = page.locator("#branch").bounding_box()
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    assert not page.is_visible("#branch")  # it goes on by itself: Pause is there
    assert page.locator("#pause").bounding_box() == place
    page.click("#pause")
    status(page, "paused")
    assert (says(page, "#paint"), says(page, "#pause")) == ("Paint new", "Go on")
    assert not page.is_visible("#branch")  # one button says Go on
    page.click("#stop")
    status(page, "stopped")
    assert (says(page, "#paint"), says(page, "#branch")) == ("Paint new", "Go on")
    assert page.is_visible("#branch")
    before = len(studio.runs(page))
    stroke(page, 0.5)  # what is drawn on a picture goes on with it
    until(page, "document.getElementById('branch').classList.contains('main')")
    assert (says(page, "#paint"), says(page, "#branch")) == ("Paint new", "Go on")
    assert page.locator("#branch").bounding_box() == place
    assert "Go on" in says(page, "#status")
    page.click("#branch")
    until(page, lambda: len(studio.runs(page)) == before + 1)
    parents = [run["parent"].partition("/")[0] for run in studio.runs(page)]
    assert parents[-1] == studio.runs(page)[0]["id"]  # a branch of it
    page.click("#stop")
    status(page, "stopped")


def test_of_an_open_picture_its_end_and_a_point_go_on_in_different_words(
    page: Any, studio: TinyStudio
) -> None:
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")
    show(page, "history")
    page.locator("#tree .thumb").first.click()
    page.wait_for_selector("#branch", state="visible")
    assert (says(page, "#branch"), says(page, "#pause")) == ("Go on", "Go on from its end")


def test_what_can_be_pressed_looks_so(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    look = """(id) => {
        const { color, opacity, borderTopColor } = getComputedStyle(document.getElementById(id));
        const ink = getComputedStyle(document.body).color;
        return [color === ink, opacity, borderTopColor === "rgba(0, 0, 0, 0)"];
    }"""
    assert page.evaluate(look, "branch") == [True, "1", False]
    assert page.evaluate(look, "add-and") == [True, "1", False]
    assert page.evaluate(look, "stop")[1] == "0.5"


def test_no_other_words_are_left_for_it(page: Any) -> None:
    told = {path.name: path.read_text() for path in [*PAGE.rglob("*.js"), PAGE / "index.html"]}
    told["studio.md"] = (ROOT / "docs/studio.md").read_text().partition("## Notebooks")[0]
    assert len(told) > 40
    assert [name for name, text in told.items() if OLD.search(text)] == []
    page.click("#help-open")
    assert {"Paint, Paint new", "Go on", "Choose", "Vary"} <= set(texts(page, "#help dt"))


# Sizes.


def test_every_size_is_the_finished_one(page: Any) -> None:
    page.evaluate("document.getElementById('tab-tune').click()")
    page.wait_for_selector("#panel-tune")
    page.select_option("#setting-scale", "4")
    side = says(page, "#scale option:checked").partition(" ")[0]
    inner = page.input_value("#setting-size").partition("x")[0]
    assert int(side) == 4 * int(inner)
    for name in ("size", "scale"):
        told = says(page, f"#about-{name}")
        assert told.startswith(f"The finished picture has {side} × {side} pixels.")
    assert says(page, "label[for=setting-size]") == "Inner size"
    assert "inside" in says(page, "#about-scale")
    page.fill("#setting-size", "32x32")
    until(page, "document.getElementById('about-size').textContent.includes(' 128 × 128 pixels')")


def test_large_files_are_seen_to_be_there(page: Any) -> None:
    show(page, "tune")
    page.select_option("#setting-scale", "4")
    order(page, "a red apple", 2, "128x64")
    status(page, "done")
    until(page, "document.getElementById('save-sizes').textContent === 'up to 1024 px'")
    assert page.is_visible("#save-sizes")
    page.click("#save")
    assert says(page, "#save-png") == "Save as PNG, 512 × 256"
    assert texts(page, "#larger a") == ["1024 × 512"]
    assert says(page, "#export-size option:checked") == "512 × 256, as it is"
    page.select_option("#export-format", "jpeg")
    assert says(page, "#save-png") == "Save as JPEG, 512 × 256"
    with page.expect_download() as download:
        page.locator("#larger a").click()
    with Image.open(download.value.path()) as saved:
        assert (saved.size, saved.format) == ((1024, 512), "JPEG")
    page.wait_for_selector("#exports", state="hidden")
    show(page, "gallery")
    page.locator("#gallery .thumb").focus()
    page.keyboard.press("Space")
    assert says(page, "#large-save") == "Save as PNG, 512 × 256"
    assert "512 × 256" in says(page, "#large-about")


# Comparing.


def test_any_two_of_four_are_compared_there(page: Any) -> None:
    tune(page, steps=2, size="32x32")
    page.click("[data-count='4']")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")
    buttons = page.locator("#tiles .compare")
    assert texts(page, "#tiles .compare") == ["Compare"] * 4
    assert all(buttons.nth(k).is_visible() for k in range(4))
    seeds = [buttons.nth(k).get_attribute("aria-label").split()[-1] for k in range(4)]
    buttons.nth(1).focus()
    page.keyboard.press("Enter")
    other = "…with this"
    assert texts(page, "#tiles .compare") == [other, "This and…", other, other]
    buttons.nth(3).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#versus[open]")
    assert all(seeds[k] in says(page, "#versus-names") for k in (1, 3))
    page.keyboard.press("Escape")
    until(page, "!document.getElementById('versus').open")
    buttons.nth(0).click()
    buttons.nth(0).click()  # the same once more ends it
    assert texts(page, "#tiles .compare") == ["Compare"] * 4


def test_the_gallery_compares_what_is_chosen_or_marked(page: Any) -> None:
    for words in ("a red apple", "a blue fish"):
        order(page, words, 2, "32x32")
        until(page, f"document.querySelector('#prompt').value === '{words}'")
        status(page, "done")
    show(page, "gallery")
    until(page, "document.querySelectorAll('#gallery .thumb').length === 2")
    page.mouse.move(400, 400)
    assert page.is_enabled("#gallery-compare")  # the picture on the easel is chosen
    page.click("#gallery-compare")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    page.wait_for_selector("#versus[open]")
    page.keyboard.press("Escape")
    page.locator("#gallery .mark").first.focus()
    page.keyboard.press("Space")
    page.mouse.move(400, 400)
    assert page.is_visible("#marked-compare")
    assert page.is_enabled("#marked-compare")
    assert says(page, "#marked-compare") == "Compare with…"
    page.click("#marked-compare")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    page.wait_for_selector("#versus[open]")
    assert "a blue fish" in says(page, "#versus-names")
    page.keyboard.press("Escape")


def test_keys_of_the_gallery_are_told_where_the_focus_is(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "gallery")
    assert page.is_hidden("#gallery-keys")
    page.locator("#gallery .thumb").wait_for()
    page.focus("#trash-open")
    page.keyboard.press("Tab")
    page.wait_for_selector("#gallery-keys", state="visible")
    assert "C compares" in says(page, "#gallery-keys")
    page.keyboard.press("c")
    until(page, "document.getElementById('note').textContent.includes('other picture')")


# The history.


def test_points_of_the_history_have_an_artists_names(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    page.click("#pause")
    status(page, "paused")
    stroke(page, 0.5)
    page.click("#pause")
    status(page, "painting")
    page.click("#stop")
    status(page, "stopped")
    order(page, "a blue fish", 3, "32x32")
    until(page, lambda: len(studio.runs(page)) == 2)
    status(page, "done")
    show(page, "history")
    assert texts(page, "#tree .thumb") == ["beginning", "finished, 3 steps"]
    assert page.locator("#tree .thumb").first.get_attribute("title") == "Go back to here"
    show(page, "gallery")
    page.locator("#gallery .thumb", has_text="a red apple").click()
    show(page, "history")
    until(page, "document.querySelectorAll('#tree .thumb').length === 3")
    first, drawn, last = texts(page, "#tree .thumb")
    assert first == "beginning"
    assert drawn.startswith("your stroke, step ")
    assert last.startswith("stopped at step ")


def test_the_history_has_one_main_button_and_a_menu(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "history")
    seen = page.locator("#panel-history .row button:visible")
    names = [text.split("…")[0] for text in seen.all_text_contents()]
    assert names == ["Go on from here", "Compare", "Save", "More"]
    assert page.locator("#panel-history .main").count() == 1
    page.focus("#history-more")
    page.keyboard.press("Enter")
    page.wait_for_selector("#history-menu:popover-open")
    until(page, "document.activeElement.id === 'vary'")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "evolve"
    page.keyboard.press("Escape")
    page.wait_for_selector("#history-menu", state="hidden")
    page.locator("#tree .thumb").first.click()
    root = studio.runs(page)[0]["id"]
    page.click("#go-on-here")
    until(page, lambda: len(studio.runs(page)) == 2)
    assert studio.runs(page)[1]["parents"] == [f"{root}/0"]  # a branch from the point


def test_go_on_from_here_takes_a_paused_picture_up_again(page: Any, studio: TinyStudio) -> None:
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    show(page, "history")
    assert page.is_disabled("#go-on-here")  # it goes on
    page.click("#pause")
    status(page, "paused")
    page.click("#go-on-here")
    status(page, "painting")
    assert len(studio.runs(page)) == 1


# The row of wishes, and how many tries there are.


def test_the_row_of_wishes_is_in_words(page: Any) -> None:
    resize(page, 1440, 900)
    page.fill("#prompt", "a red apple")
    page.wait_for_selector("#chips li")
    assert says(page, "#add-and") == "+ another wish"
    words = page.locator("#chips .word:visible")
    assert words.all_text_contents() == ["weight", "anywhere"]
    for selector, starts in (
        ("#add-and", "Another wish"),
        ("#add-without", "Without: what is not"),
        ("#add-then", "Then: what is painted after"),
        ("#chips label >> nth=0", "Weight: how much"),
        ("#chips .place", "Place: where"),
        ("#chips .away", "Take this wish away"),
    ):
        page.hover(selector)
        until(page, f"!tip.hidden && tip.textContent.startsWith({starts!r})")
        box = page.locator("#tip").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1440
    page.mouse.move(700, 500)
    page.wait_for_selector("#tip", state="hidden")
    page.focus("#add-then")
    page.keyboard.press("Tab")  # and by keys
    page.keyboard.press("Tab")
    until(page, "!tip.hidden && tip.textContent.startsWith('Place: where')")
    resize(page, 390, 844)
    page.focus("#prompt")
    page.wait_for_selector("#parts", state="visible")
    page.hover("#add-without")
    inside = """(() => {
        const { left, right, bottom } = tip.getBoundingClientRect();
        const whole = tip.scrollWidth <= tip.offsetWidth && left >= 0 && right <= innerWidth;
        return !tip.hidden && whole && bottom <= innerHeight;
    })()"""
    until(page, inside)


def test_it_is_told_how_many_tries_there_will_be(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "change")
    assert says(page, "#replace-several").startswith("Several at once")
    page.fill("#replace", "a green pear / a lemon")
    told = "document.getElementById('replace-several').textContent"
    until(page, f"{told} === '2 wordings × 1 try = 2 pictures'")
    page.select_option("#tries-count", "3")
    until(page, f"{told} === '2 wordings × 3 tries = 6 pictures'")
    asked = edits(page)
    page.click("#repaint")
    page.wait_for_selector("#tries li >> nth=6")  # Before, and six
    assert [(one["prompt"], one["count"]) for one in asked] == [("a green pear", 3), ("a lemon", 3)]


# What an artist would still dislike.


def test_a_mask_that_is_too_small_for_words_says_so(page: Any) -> None:
    order(page, "a red apple", 2, "128x128")
    status(page, "done")
    show(page, "change")
    page.click("#mask-brush")
    page.fill("#brush-size", "6")
    stroke(page, 0.5, 0.4, 0.6)
    until(page, "document.getElementById('mask-note').textContent.includes('may not fit')")
    page.fill("#brush-size", "190")
    stroke(page, 0.5)
    until(page, "!document.getElementById('mask-note').textContent.includes('may not fit')")


def test_fingers_come_first_in_the_help_of_a_phone(page: Any) -> None:
    resize(page, 390, 844)
    page.click("#help-open")
    tops = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#help section")].map((one) =>
            [one.firstChild.textContent, one.getBoundingClientRect().top]))"""
    )
    assert min(tops, key=tops.get) == "With fingers"
    assert tops["With fingers"] > page.locator("#help").bounding_box()["y"]  # from its top


def test_the_names_of_compared_pictures_are_below_their_halves(page: Any) -> None:
    for words in ("a red apple", "a blue fish"):
        order(page, words, 2, "32x32")
        until(page, f"document.querySelector('#prompt').value === '{words}'")
        status(page, "done")
    show(page, "gallery")
    page.click("#mark-all")
    page.click("#marked-compare")
    page.wait_for_selector("#versus[open]")
    page.click("#versus-beside")
    for image, name in (("#before", "left: "), ("#after", "right: ")):
        one = page.locator("#versus-names span", has_text=name).bounding_box()
        half = page.locator(image).bounding_box()
        middle = one["x"] + one["width"] / 2
        assert half["x"] < middle < half["x"] + half["width"]
    large = "parseFloat(getComputedStyle(document.querySelector('#versus-names span')).fontSize)"
    assert page.evaluate(large) > 16


def test_a_day_is_sought_in_words_and_as_a_date(page: Any) -> None:
    order(page, "a red apple", 2, "32x32")
    status(page, "done")
    show(page, "gallery")
    count = "document.querySelectorAll('#gallery .thumb').length"
    date = page.evaluate(
        "new Date().toLocaleDateString('en', { weekday: 'long', month: 'long', day: 'numeric' })"
    )
    for words in ("today", date.replace(",", ""), date.split(",")[0].lower()):
        page.fill("#sought", words)
        until(page, f"{count} === 1")
        page.fill("#sought", "yesterday")
        until(page, f"{count} === 0")
    page.fill("#sought", "today")
    page.locator("#gallery .thumb").focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#lightbox[open]")
    assert "1 of 1" in says(page, "#large-about")


def test_a_field_of_one_choice_is_not_there(page: Any) -> None:
    show(page, "tune")
    choices = page.eval_on_selector("#setting-generator", "(one) => one.options.length")
    assert choices == 1
    assert page.is_hidden("#setting-generator")
    assert page.is_visible("#setting-perceptor")


def test_paint_new_is_whole_on_a_phone(page: Any) -> None:
    tune(page, steps=2, size="32x32")
    page.click("#fold")
    page.click("[data-count='4']")
    page.fill("#prompt", "a red apple")
    page.press("#prompt", "Enter")
    until(page, "document.querySelectorAll('#tiles .tile.over').length === 4")
    resize(page, 390, 844)
    whole = """(id) => {
        const name = document.querySelector(`#${id} .name`);
        return name.scrollWidth <= name.offsetWidth;
    }"""
    assert page.evaluate(whole, "paint")
    page.click("#four-close")
    page.wait_for_selector("#branch", state="visible")
    assert page.evaluate(whole, "paint")
    assert page.evaluate(whole, "branch")
