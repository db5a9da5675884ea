"""What a new reader of the page was unsure of is said in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from studio_browser import CHROMIUM, LONG, TinyStudio, order, show, status, stroke, texts, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src/gouache/apps/studio/page"
OLD = re.compile(r"\bPaint on\b|\bContinue\b|Go on with this one|Just this one")


def says(page: Any, selector: str) -> str:
    return str(page.text_content(selector) or "").strip()


# What begins a picture, and what goes on with one.


def test_one_word_begins_a_picture_and_another_goes_on_with_it(
    page: Any, studio: TinyStudio
) -> None:
    assert says(page, "#paint") == "Paint"  # there is nothing to go on with
    assert not page.is_visible("#branch")
    order(page, "a red apple", LONG, "32x32")
    status(page, "painting")
    assert not page.is_visible("#branch")  # it goes on by itself
    page.click("#pause")
    status(page, "paused")
    assert (says(page, "#paint"), says(page, "#pause")) == ("Paint new", "Go on")
    assert not page.is_visible("#branch")  # one button says Go on
    page.click("#stop")
    status(page, "stopped")
    assert (says(page, "#paint"), says(page, "#branch")) == ("Paint new", "Go on")
    assert page.is_visible("#branch")
    before = len(studio.runs(page))
    stroke(page, 0.5)  # what is drawn on a picture goes on with it, and the one button says so
    until(page, "document.getElementById('paint').textContent.trim() === 'Go on'")
    assert not page.is_visible("#branch")
    assert "Go on" in says(page, "#status")
    page.click("#paint")
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
