r"""The prompt grammar: laws by hypothesis, and an example for each rule."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gouache.errors import PromptError
from gouache.placing import PLACES, format_place, nearest_place, read_place
from gouache.prompts import (
    MAX_PARTS,
    MAX_PROMPT_CHARS,
    Prompt,
    format_prompt,
    format_prompts,
    one_line,
    parse_each,
    parse_image_prompt,
    parse_noise_prompt,
    parse_prompts,
    parse_stages,
    web_address,
)
from gouache.settings.config import make_config

T = TypeVar("T")

numbers = st.floats(-1e6, 1e6)
stops = st.just(-math.inf) | numbers
grammar_text = st.text(
    st.sampled_from("ab:|^@\\ \n\t12.-e,naif\0\u200d\U0001f34e"), max_size=20
) | st.lists(
    st.sampled_from(
        [*PLACES, "@", " @", "\\", ":", ":2", " ", "a", "0.1,0,1,.5", "0,0,2,1", "|", "nan"]
    ),
    max_size=6,
).map("".join)
words = (
    (st.text(max_size=20) | grammar_text)
    .map(lambda text: " ".join(c for c in text.split() if c.isprintable()))
    .map(lambda text: text or "a")
)
spans = st.tuples(st.floats(0, 0.9), st.floats(0.05, 1)).map(
    lambda span: (span[0], max(span[1], min(1.0, span[0] + 0.051)))
)
places = (
    st.none()
    | st.sampled_from(list(PLACES.values()))
    | st.tuples(spans, spans).map(lambda both: (both[0][0], both[1][0], both[0][1], both[1][1]))
)
text_prompts = st.builds(Prompt, text=words, weight=numbers, stop=stops, place=places)
stages = st.lists(
    st.lists(text_prompts, min_size=1, max_size=4).map(tuple), min_size=1, max_size=3
).map(tuple)

# A busy machine must not fail a law.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def only(text: str) -> Prompt:
    ((prompt,),) = parse_prompts(text)
    return prompt


def attempt(parse: Callable[[str], T], text: str) -> T | PromptError:
    try:
        return parse(text)
    except PromptError as error:
        return error


def check_mistake(error: PromptError, text: str) -> None:
    assert 0 <= error.position <= len(text)
    assert str(error).isprintable()
    shown, caret = error.pointer().split("\n")
    assert caret.strip() == "^"
    assert len(caret) <= len(shown) + 1


@unhurried
@given(stages)
def test_parsing_inverts_formatting(prompts: tuple[tuple[Prompt, ...], ...]) -> None:
    assert parse_prompts(format_prompts(prompts)) == prompts


@unhurried
@given(st.text() | grammar_text | st.binary().map(lambda b: b.decode("utf-8", "surrogateescape")))
@example("\\")
@example("a\\")
@example(":")
@example("a:" + "9" * 5000)
def test_any_text_parses_or_raises_a_prompt_error(text: str) -> None:
    result = attempt(parse_prompts, text)
    if isinstance(result, PromptError):
        assert result.text == text
        check_mistake(result, text)
    else:
        assert parse_prompts(format_prompts(result)) == result
        assert all(stage and all(prompt.text.strip() for prompt in stage) for stage in result)


@unhurried
@given(st.text() | grammar_text)
@example("\0")
@example("a" * 100_000)
def test_any_image_or_noise_prompt_parses_or_raises_a_prompt_error(text: str) -> None:
    for parse in (parse_image_prompt, parse_noise_prompt):
        result = attempt(parse, text)
        if isinstance(result, PromptError):
            check_mistake(result, text)
        else:
            assert math.isfinite(result.weight)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red apple", Prompt(text="a red apple")),
        ("  a \n red\tapple  ", Prompt(text="a red apple")),
        ("apple:2", Prompt(text="apple", weight=2)),
        ("apple : 2.5 ", Prompt(text="apple", weight=2.5)),
        ("apple:-.5", Prompt(text="apple", weight=-0.5)),
        ("apple:1e-1:0.25", Prompt(text="apple", weight=0.1, stop=0.25)),
        ("apple:2:-1", Prompt(text="apple", weight=2, stop=-1)),
        ("apple:0", Prompt(text="apple", weight=0)),
        ("a: b", Prompt(text="a: b")),
        ("a: b:3", Prompt(text="a: b", weight=3)),
        ("12:30 pm", Prompt(text="12:30 pm")),
        (r"at 12\:30", Prompt(text="at 12:30")),
        ("https://a.org:80/b", Prompt(text="https://a.org:80/b")),
        ("https://a.org/b:2", Prompt(text="https://a.org/b", weight=2)),
        ("a:1:2:3", Prompt(text="a:1", weight=2, stop=3)),
        ("a:", Prompt(text="a:")),
        ("a::2", Prompt(text="a:", weight=2)),
        ("a:1_0", Prompt(text="a:1_0")),
        ("a:0x10", Prompt(text="a:0x10")),
        ("a:٣", Prompt(text="a:٣")),
        (r"a\|b\^c\\d\:2", Prompt(text=r"a|b^c\d:2")),
        (r"C:\dir\new", Prompt(text=r"C:\dir\new")),
        ("a\\\\:2", Prompt(text="a\\", weight=2)),
        ("a\\ ", Prompt(text="a\\")),
        ("nan:2", Prompt(text="nan", weight=2)),
        ("\U0001f468\u200d\U0001f469 a", Prompt(text="\U0001f468\u200d\U0001f469 a")),
    ],
)
def test_one_prompt(text: str, expected: Prompt) -> None:
    assert only(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a boat @left", Prompt(text="a boat", place=(0, 0, 0.5, 1))),
        ("a moon:0.5 @top right", Prompt(text="a moon", weight=0.5, place=(0.5, 0, 1, 0.5))),
        ("a moon @top right:0.5", Prompt(text="a moon", weight=0.5, place=(0.5, 0, 1, 0.5))),
        ("a:2:1 @Bottom", Prompt(text="a", weight=2, stop=1, place=(0, 0.5, 1, 1))),
        ("a @ 0,0,1,1", Prompt(text="a @ 0,0,1,1")),
        ("a dog @0.1,0.5, .4,0.9", Prompt(text="a dog", place=(0.1, 0.5, 0.4, 0.9))),
        ("a @centre", Prompt(text="a", place=(0.25, 0.25, 0.75, 0.75))),
        ("a  @right-top ", Prompt(text="a", place=(0.5, 0, 1, 0.5))),
        # What people write today means what it meant.
        ("a@left", Prompt(text="a@left")),
        ("me@left.org", Prompt(text="me@left.org")),
        ("a sign: mail me @left.org", Prompt(text="a sign: mail me @left.org")),
        ("a @ left", Prompt(text="a @ left")),
        ("a @left b", Prompt(text="a @left b")),
        ("@bob and @alice", Prompt(text="@bob and @alice")),
        ("2 apples @ 5", Prompt(text="2 apples @ 5")),
        ("bananas @1,000", Prompt(text="bananas @1,000")),
        ("a @left @bob:2", Prompt(text="a @left @bob", weight=2)),
        (r"a \@left", Prompt(text="a @left")),
        (r"a \@left @right", Prompt(text="a @left", place=(0.5, 0, 1, 1))),
        (r"a \@1,2,3,4", Prompt(text="a @1,2,3,4")),
        (r"a@b\@c", Prompt(text="a@b@c")),
    ],
)
def test_a_part_says_where(text: str, expected: Prompt) -> None:
    assert only(text) == expected
    assert only(format_prompt(expected)) == expected


def test_places_are_read_as_they_are_written() -> None:
    for name, place in PLACES.items():
        assert read_place(name) == place
        assert format_place(place) == name
        assert str(Prompt(text="a", weight=2, place=place)) == f"a:2 @{name}"
    assert format_place((0.1, 0.0, 0.5, 1.0)) == "0.1,0,0.5,1"


def test_what_may_be_a_place_has_a_hint() -> None:
    for text, near in {
        "a boat @lefft": "left",
        "a @tpo right": "top right",
        "a @0.1,0.5,0.4": "x0,y0,x1,y1",
        "a @left": "",
        "a @bob": "",
        "a boat": "",
        "a@lefft": "",
        "a @1,000,000": "",
    }.items():
        assert nearest_place(text) == near, text


def test_only_text_has_a_place() -> None:
    with pytest.raises(PromptError, match="only a text may have a place"):
        Prompt(kind="noise", place=PLACES["left"])
    with pytest.raises(PromptError, match="x0 below x1"):
        Prompt(text="a", place=(0.5, 0, 0.5, 1))


def test_parts_and_stages() -> None:
    assert parse_prompts("a:2 | b ^ c|d:-1:0.5") == (
        (Prompt(text="a", weight=2), Prompt(text="b")),
        (Prompt(text="c"), Prompt(text="d", weight=-1, stop=0.5)),
    )


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 0, "empty"),
        (" \n\t", 0, "empty"),
        ("\u200b \u200d", 0, "empty"),
        ("a | | b", 4, "empty"),
        ("| a", 0, "empty"),
        ("a |", 3, "empty"),
        ("a ^", 3, "empty"),
        ("^ a", 0, "empty"),
        ("a ^^ b", 3, "empty"),
        (":2", 0, "without text"),
        ("a | :2:3", 4, "without text"),
        ("a\\", 1, "unbalanced escape"),
        ("a | b:nan", 6, "weight is 'nan'"),
        ("a:inf", 2, "weight is 'inf'"),
        ("a: -Infinity", 3, "weight is '-Infinity'"),
        ("a:1e999", 2, "weight is '1e999'"),
        ("a:2000000", 2, "weight is"),
        ("a:1:nan", 4, "stop is 'nan'"),
        ("a:1:-inf", 4, "leave it out"),
        ("a:nan:1", 2, "weight is 'nan'"),
        ("a @0.5,0,0.2,1", 2, "x0 below x1"),
        ("b | a:2 @0,0,2,1", 8, "between 0 and 1"),
        ("a @nan,0,1,1", 2, "between 0 and 1"),
        ("a @0,0,0.01,1", 2, "at least 0.05"),
        ("a | @left", 4, "a place without text"),
        ("@left:2", 0, "without text"),
        ("a @left @right", 2, "one place"),
        ("a @left:2 @right", 2, "one place"),
        ("a:1 @left:2", 4, "both sides of the place"),
        ("a\0b", 1, r"U\+0000"),
        ("a\x1b[2J", 1, r"U\+001B"),
        ("caf\udce9", 3, r"U\+DCE9"),
        ("a" * 100_000, MAX_PROMPT_CHARS, "100,000 characters"),
    ],
)
def test_mistakes_show_their_place(text: str, place: int, message: str) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        parse_prompts(text)
    assert caught.value.position == place


@pytest.mark.parametrize("unit", [":", "a:1:", "\\:", "1:", "a:1\\|"])
def test_the_longest_prompt_parses(unit: str) -> None:
    """Of every kind of mark; were parsing quadratic, this would seem to hang."""
    text = (unit * MAX_PROMPT_CHARS)[: MAX_PROMPT_CHARS - 1] + "a"
    assert parse_prompts(text)


@pytest.mark.parametrize("mark", ["|", "^", ":1|"])
def test_parts_are_counted(mark: str) -> None:
    most = f"a{mark}" * (MAX_PARTS - 1) + "a"
    assert sum(map(len, parse_prompts(most))) == MAX_PARTS
    with pytest.raises(PromptError, match="has 257 parts; at most 256 are read") as caught:
        parse_prompts(f"{most}{mark}a")
    assert caught.value.position == len(most) + len(mark) - 1
    with pytest.raises(PromptError, match=r"has 9,900 parts; at most 256"):
        parse_prompts("a|" * 9_899 + "a")


def test_parts_of_a_batch_are_counted() -> None:
    eight = "a|" * 7 + "a"
    assert len(parse_each([eight] * 256)) == 256
    message = r"the 256 prompts have 2,049 parts together; at most 2,048 are read"
    with pytest.raises(PromptError, match=message):
        parse_each([eight] * 255 + [f"{eight}|a"])


def test_formatting_writes_no_more_than_needed() -> None:
    text = r"a: b | c\:2:1:0.5 ^ https://d:-0.1"
    assert format_prompts(parse_prompts(text)) == text
    assert str(Prompt(text="a", weight=2)) == "a:2"


def test_only_text_fits_into_a_prompt_line() -> None:
    with pytest.raises(PromptError, match="image"):
        format_prompts([[Prompt(kind="image", path="a.png")]])


def test_prompts_check_their_numbers() -> None:
    for wrong in ({"weight": math.nan}, {"weight": -math.inf}, {"stop": math.inf}, {"seed": -1}):
        with pytest.raises(PromptError, match="expected"):
            Prompt(**wrong)
    with pytest.raises(PromptError, match="text, image or noise"):
        Prompt(kind="sound")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x.png", Prompt(kind="image", path="x.png")),
        ("x.png:2", Prompt(kind="image", path="x.png", weight=2)),
        ("x.png:-1:0.5", Prompt(kind="image", path="x.png", weight=-1, stop=0.5)),
        (r"C:\x.png", Prompt(kind="image", path=r"C:\x.png")),
        (r"C:\x.png:2", Prompt(kind="image", path=r"C:\x.png", weight=2)),
        ("C:/x.png:2:1", Prompt(kind="image", path="C:/x.png", weight=2, stop=1)),
        ("a:b.png", Prompt(kind="image", path="a:b.png")),
        (" x.png : 2 ", Prompt(kind="image", path="x.png", weight=2)),
    ],
)
def test_image_prompts(text: str, expected: Prompt) -> None:
    assert parse_image_prompt(text) == expected
    assert parse_image_prompt(format_prompt(expected)) == expected


def test_an_existing_path_comes_before_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_image_prompt("a:1:2") == Prompt(kind="image", path="a", weight=1, stop=2)
    Path("a:1").touch()
    assert parse_image_prompt("a:1:2") == Prompt(kind="image", path="a:1", weight=2)
    Path("a:1:2").touch()
    whole = Prompt(kind="image", path="a:1:2")
    assert parse_image_prompt("a:1:2") == whole
    assert parse_image_prompt(format_prompt(whole)) == whole
    Path(" spaced ").touch()
    assert parse_image_prompt(" spaced ").path == " spaced "


@pytest.mark.parametrize(
    ("text", "place"), [("", 0), (":2", 0), ("a:nan", 2), ("a:1: inf", 5), ("a\0", 1)]
)
def test_wrong_image_prompts(text: str, place: int) -> None:
    with pytest.raises(PromptError) as caught:
        parse_image_prompt(text)
    assert caught.value.position == place


def test_noise_prompts() -> None:
    assert parse_noise_prompt("7") == Prompt(kind="noise", seed=7)
    full = Prompt(kind="noise", seed=2**63 - 1, weight=-0.5, stop=0.1)
    assert parse_noise_prompt(" 9223372036854775807 : -0.5:.1") == full
    assert parse_noise_prompt(format_prompt(full)) == full


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 0),
        ("-1", 0),
        (" x:1", 1),
        ("9223372036854775808", 0),
        ("1:2:3:4", 5),
        ("1:x", 2),
        ("1:2:", 4),
        ("٣", 0),
    ],
)
def test_wrong_noise_prompts(text: str, place: int) -> None:
    with pytest.raises(PromptError) as caught:
        parse_noise_prompt(text)
    assert caught.value.position == place


@unhurried
@given(st.text(), st.integers(10, 50))
def test_one_line_is_one_short_line(text: str, width: int) -> None:
    line = one_line(text, width)
    assert line.isprintable()
    assert len(line) <= width


def test_prompts_of_several_pictures_are_read_alike() -> None:
    found = parse_each(["a | b:2 ^ c", "d ^ e | f"])
    assert found == (parse_prompts("a | b:2 ^ c"), parse_prompts("d ^ e | f"))
    assert parse_each([]) == ()


@pytest.mark.parametrize(
    ("texts", "message", "position"),
    [
        (["a", "b", "c | d:nan"], "prompt 3: the weight is 'nan'", 6),
        (["a", " "], "prompt 2: the prompt is empty", 0),
        (["", "a"], "prompt 1: the prompt is empty", 0),
        (["a", "b ^ c"], "prompt 2 has 2 stages and prompt 1 has 1 stage;", 2),
        (["a ^ b", "c", "d"], "prompt 2 has 1 stage and prompt 1 has 2 stages;", 1),
        (
            ["a ^ b", "c ^ d", r"x\^y ^ z ^ w"],
            "prompt 3 has 3 stages and prompt 1 has 2 stages;",
            9,
        ),
    ],
)
def test_a_mistake_says_which_prompt(texts: list[str], message: str, position: int) -> None:
    with pytest.raises(PromptError, match=re.escape(message)) as error:
        parse_each(texts)
    number = int(message.split()[1].strip(":"))
    assert (error.value.text, error.value.position) == (texts[number - 1], position)
    assert "\n" not in str(error.value)


def test_addresses_are_told_from_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("https://a.b/c.png", "https:/a.b/c.png", "http://a:2", "file:///a/b.png:1:0.5"):
        with pytest.raises(PromptError, match="is an address, and those are not fetched"):
            parse_image_prompt(text)
    assert web_address(Path("https://a.b/c.png")) == "https://a.b/c.png"
    for text in ("C:/a.png", "a:b/c.png", "a.png:1", "1:/a.png"):
        assert web_address(text) == ""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:").mkdir()
    (tmp_path / "odd:" / "a.png").write_bytes(b"")
    assert parse_image_prompt("odd:/a.png:2").path == "odd:/a.png"


def test_stages_of_all_pictures_with_what_lasts() -> None:
    found = parse_stages(["a ^ b | c", "d ^ e"], noise_prompts=["7:0.1"])
    told = [[[str(prompt) for prompt in own] for own in stage] for stage in found]
    assert told == [
        [["a", "7:0.1"], ["d", "7:0.1"]],
        [["b", "c", "7:0.1"], ["e", "7:0.1"]],
    ]
    assert parse_stages([""], noise_prompts=["7"]) == (((parse_noise_prompt("7"),),),)
    for nothing in ([], [""], ["  "]):
        with pytest.raises(PromptError, match="the prompt is empty"):
            parse_stages(nothing)


def test_settings_read_their_prompts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(prompts=["a ^ b", "c ^ d"], noise_prompts=["3"])
    first = config.stages
    monkeypatch.setattr("gouache.settings.config.parse_stages", None)
    assert config.stages is first
    assert [len(stage) for stage in first] == [2, 2]
