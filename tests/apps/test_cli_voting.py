"""`gouache figures vote`: a page of pairs for people, and their votes read back."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gouache.figures.voting import make_ballot, page_of
from gouache.output.pictures import save_picture

WHO = ("gouache", "glide-free", "mindalle")
WORDS = ("a red <b>cup</b>", "a hat")
Entry = dict[str, Any]


def figure(folder: Path, who: tuple[str, ...] = WHO, seed: int = 0) -> Path:
    """A folder as a figure leaves it: a row for each painter, a column for the words."""
    folder.mkdir()
    entries: list[Entry] = []
    for row, name in enumerate(who):
        for column, words in enumerate(WORDS):
            path = folder / f"{row}-{column}.png"
            side = 32 if name == "gouache" else 16
            image = Image.new("RGB", (side, side), (80 * row, 90 * column, len(folder.name)))
            save_picture(image, path, {"system": name}, words)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            entries.append(
                {"file": path.name, "sha256": sha256, "prompt": words, "seed": seed, "row": name,
                 "column": words, "tells": {"system": name}}
            )  # fmt: skip
    (folder / "figure.json").write_text(json.dumps({"figure": "13", "pictures": entries}))
    return folder


def ballot_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="ballot" type="application/json">(.*?)</script>', page, re.S)
    assert found is not None
    document: dict[str, Any] = json.loads(found[1])
    return document


def votes_for(page: Path, better: str, voter: str = "a") -> dict[str, Any]:
    """The votes of somebody who always prefers one painter, and else sees no difference."""
    told = ballot_of(page.read_text())
    pairs = make_ballot([page.parent], told["seed"]).pairs
    choices = [
        "left" if left.who == better else "right" if right.who == better else "same"
        for left, right in pairs
    ]
    return {"format": 1, "of": told["of"], "seed": told["seed"], "voter": voter, "choices": choices}


def test_a_page_for_people_and_a_table_of_their_votes(gouache) -> None:
    figure(Path("f"))
    made = gouache("figures", "vote", "f")
    assert (made.code, made.out.strip()) == (0, "f/vote.html")
    page = Path("f/vote.html")
    for number, (better, seed) in enumerate([("gouache", 0), ("gouache", 5), ("mindalle", 0)]):
        other = gouache("figures", "vote", "f", "--seeds", str(seed))
        assert other.code == 0
        Path(f"v{number}.json").write_text(json.dumps(votes_for(page, better, str(number))))
    told = gouache("figures", "vote", "f", "--votes", "v0.json", "v1.json", "v2.json")
    assert told.code == 0, told.err
    rows = {line.split("|")[1].strip(): line for line in told.out.splitlines() if "|" in line}
    assert told.out.startswith("votes: 18 in 3 files, 6 for no difference")
    assert rows["gouache"] == "| gouache | 8 | 2 | 2 | 80% (49%-94%) |"
    assert rows["gouache, mindalle"] == "| gouache, mindalle | 4 | 2 | 0 | 67% (30%-90%) |"
    assert rows["glide-free"].endswith("| 0% (0%-39%) |")


def test_the_page_tells_nobody_who_painted_what(gouache) -> None:
    figure(Path("f"))
    gouache("figures", "vote", "f")
    page = Path("f/vote.html").read_text()
    for secret in (*WHO[1:], "figure.json", ".png", "http:", "https:", str(Path.cwd())):
        assert secret not in page.replace("<!-- a page of gouache figures vote -->", "")
    assert "a red <b>cup" not in page  # words are data, whatever is in them
    told = ballot_of(page)
    assert len(told["pairs"]) == 6
    assert {pair["words"] for pair in told["pairs"]} == set(WORDS)
    for picture in told["pictures"]:
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        assert image.size == (16, 16)  # the size tells nothing either
        assert "gouache" not in image.info
    pairs = make_ballot([Path("f")]).pairs
    first = [sum(left.who == who for left, _ in pairs) for who in WHO]
    assert max(first) < 4  # nobody is always on one side
    assert page_of(make_ballot([Path("f")], 0)) == page
    assert page_of(make_ballot([Path("f")], 1)) != page


def test_figures_of_one_painter_each_are_compared_together(gouache) -> None:
    figure(Path("one"), ("gouache",))
    figure(Path("two"), ("mindalle",))
    assert gouache("figures", "vote", "one", "two", "--out", "v.html").code == 0
    assert len(ballot_of(Path("v.html").read_text())["pairs"]) == 2
    alone = gouache("figures", "vote", "one")
    assert (alone.code, "no two pictures of the same words" in alone.err) == (2, True)


GOOD: dict[str, Any] = {"format": 1, "of": "", "seed": 0, "voter": "x", "choices": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no votes"),
        ("[]", "holds no votes"),
        ("3", "holds no votes"),
        ("[" * 9000, "holds no votes"),
        ('{"format": 1}', "holds no votes"),
        (json.dumps(GOOD | {"seed": "0"}), "holds no votes"),
        (json.dumps(GOOD | {"choices": ["up"]}), "holds no votes"),
        (json.dumps(GOOD | {"choices": [["left"]]}), "holds no votes"),
        (json.dumps(GOOD | {"choices": "left"}), "holds no votes"),
        (json.dumps(GOOD | {"voter": 3}), "holds no votes"),
        (json.dumps(GOOD), "on another page"),
        (" " * (1 << 20) + json.dumps(GOOD), "holds no votes"),
        ("\xff\xfe", "holds no votes"),
    ],
)
def test_what_is_no_votes_is_one_line(gouache, content: str, message: str) -> None:
    figure(Path("f"))
    Path("v.json").write_bytes(content.encode("latin-1"))
    result = gouache("figures", "vote", "f", "--votes", "v.json")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err


def test_mistakes_are_one_line(gouache) -> None:
    folder = figure(Path("f"))
    assert gouache("figures", "vote", "f").code == 0
    votes = votes_for(folder / "vote.html", "gouache")
    Path("v.json").write_text(json.dumps(votes))
    Path("w.json").write_text(json.dumps(votes, indent=1))
    Path("empty").mkdir()
    Path("mine.html").write_text("<p>mine</p>")
    (record := Path("bad")).mkdir()
    (record / "figure.json").write_text('{"pictures": [{"file": 3}]}')
    for arguments, message in (
        (["f", "--votes", "v.json", "w.json"], "w.json holds the votes of v.json"),
        (["f", "--votes", "none.json"], "cannot read none.json"),
        (["empty"], "has no figure.json"),
        (["bad"], "figure.json is damaged"),
        ([], "give the folder of a figure"),
        (["f", "--out", "mine.html"], "no page of votes"),
    ):
        result = gouache("figures", "vote", *arguments)
        assert (result.code, result.err.count("\n")) == (2, 1), arguments
        assert message in result.err
    assert Path("mine.html").read_text() == "<p>mine</p>"
    assert gouache("figures", "9", "--votes", "v.json").code == 2
    Image.new("RGB", (16, 16)).save(folder / "0-0.png")
    assert "not as the figure painted it" in gouache("figures", "vote", "f").err


def test_somebody_votes_in_a_browser(gouache, browser: Any) -> None:
    folder = figure(Path("f"))
    assert gouache("figures", "vote", "f").code == 0
    page = browser.new_page()
    mistakes: list[Any] = []
    page.on("pageerror", lambda error: mistakes.append(error))
    page.goto((folder / "vote.html").absolute().as_uri())
    assert page.locator("#words").inner_text() in WORDS
    assert page.locator("#pair img").first.evaluate("image => image.naturalWidth") == 16
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Backspace")
    page.locator("#same").click()
    page.locator("#right").click()
    page.locator("#next").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "last pair" in page.locator("#words").inner_text()
    with page.expect_download() as saved:
        page.locator("#save").click()
    saved.value.save_as("v.json")
    choices = json.loads(Path("v.json").read_text())["choices"]
    assert choices == ["left", "same", "right", None, "left", "left"]
    told = gouache("figures", "vote", "f", "--votes", "v.json")
    assert told.out.startswith("votes: 5 in 1 file, 1 for no difference")
    assert mistakes == []
    page.close()
