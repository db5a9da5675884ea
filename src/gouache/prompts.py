r"""The prompt grammar, and prompts that are pictures or noise. Standard library only.

    prompt := stage ("^" stage)*              painted one after the other
    stage  := part ("|" part)*                painted together, losses summed
    part   := text [":" weight [":" stop]] [" @" place]
    place  := left | right | top | bottom | center | "top left" ... | x0,y0,x1,y1

Only trailing numbers are weight and stop: "a: b", "12:30 pm" and "https://a.b/c" keep their
colons, "apple:2" has weight 2, "12:30" has weight 30 (write "12\:30" to mean the time), and of
three trailing numbers only the last two count. A place (`gouache.placing`) ends its part, or stands
before the numbers; the "@" begins a word, so "a@left", "@ left" and "@bob" are text. `\:` `\|` `\^`
`\@` `\\` stand for the character itself; a backslash before anything else is a backslash; one at
the very end is an error. Numbers are finite, at most `MAX_NUMBER` in size; `:nan` and `:inf` are
errors, not text. A weight of 0 is allowed and switches the part off. A prompt has at most
`MAX_PARTS` parts, all stages together, and the prompts of a batch `MAX_PARTS_TOGETHER`. Runs of
white space, newlines included, become one space. Control characters (NUL, escape) and half
characters (lone surrogates, from arguments that are not UTF-8) are refused.

Every mistake raises `PromptError` with the position of its place in the text as given.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from gouache.errors import PromptError
from gouache.placing import Place, format_place, place_mistake, read_place, two_things

MAX_PROMPT_CHARS = 20_000
MAX_NUMBER = 1e6  # float32 losses overflow far above; nobody needs more
MAX_SEED = 2**63 - 1
MAX_PARTS = 256  # each is encoded, and asked at every step
MAX_PARTS_TOGETHER = 2048
NOT_FETCHED = "is an address, and those are not fetched; download it and give the file"

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_SPECIAL = frozenset(":|^@\\")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One wish: a text, a picture file, or the random direction of a seed.

    `weight` multiplies its loss (negative: paint something else); below the loss `stop` its
    gradient vanishes; -inf, the default, never stops. `place` is where in the picture a text is
    meant: left, top, right and bottom as shares; None for everywhere. Numbers out of range:
    `PromptError`. Once a picture is encoded, `path` is its file's name without a folder and
    `sha256` its bytes' sum.
    """

    kind: Literal["text", "image", "noise"] = "text"
    text: str = ""
    path: str = ""
    seed: int = 0
    weight: float = 1.0
    stop: float = -math.inf
    sha256: str = ""
    place: Place | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("text", "image", "noise"):
            raise PromptError(f"a prompt is text, image or noise, not {self.kind!r}")
        for name, value in (("weight", self.weight), ("stop", self.stop)):
            if not (abs(value) <= MAX_NUMBER or (name == "stop" and value == -math.inf)):
                raise PromptError(_out_of_range(name, str(value)), str(self))
        if not 0 <= self.seed <= MAX_SEED:
            raise PromptError(f"the seed is {self.seed}; expected between 0 and {MAX_SEED}")
        if self.place is not None and self.kind != "text":
            raise PromptError(f"only a text may have a place, got an {self.kind} prompt with one")
        if self.place is not None and (mistake := place_mistake(self.place)):
            raise PromptError(mistake, self.text)

    def __str__(self) -> str:
        """As it is written on the command line."""
        return format_prompt(self)


Stage: TypeAlias = tuple[Prompt, ...]


class _Char(NamedTuple):
    """One character of the prompt after escapes are resolved."""

    char: str
    position: int  # in the text as given
    escaped: bool = False

    def is_mark(self, mark: str) -> bool:
        return self.char == mark and not self.escaped


def parse_stage(text: str) -> Stage:
    """What is said during a run: as `parse_prompts`, of one stage; a '^' raises `PromptError`."""
    stages = parse_prompts(text)
    if len(stages) > 1:
        mark = re.search(r"(?<!\\)\^", text)
        raise PromptError(
            "a prompt given during a run has one stage; leave '^' out",
            text,
            mark.start() if mark else 0,
        )
    return stages[0]


def parse_prompts(text: str) -> tuple[Stage, ...]:
    """Reads `text:weight:stop | text ^ next stage` into stages of text prompts.

    Raises `PromptError` (and nothing else, whatever the text) with the place of the mistake: an
    empty prompt or part, an unbalanced escape, a number that is not finite, a control character,
    more than `MAX_PROMPT_CHARS` characters or `MAX_PARTS` parts.
    """
    if len(text) > MAX_PROMPT_CHARS:
        raise PromptError(
            f"the prompt has {len(text):,} characters; at most {MAX_PROMPT_CHARS:,} are read; "
            "shorten it",
            text,
            MAX_PROMPT_CHARS,
        )
    characters = _unescape(text)
    if _is_blank(_joined(characters)):
        raise PromptError("the prompt is empty; say what to paint, for example 'a red apple'", text)
    stages, end = [], len(text)
    marks = [item.position for item in characters if item.is_mark("|") or item.is_mark("^")]
    if len(marks) >= MAX_PARTS:
        raise PromptError(
            f"the prompt has {len(marks) + 1:,} parts; at most {MAX_PARTS} are read; "
            "leave some out",
            text,
            marks[MAX_PARTS - 1],
        )
    for stage, stage_end in _split(characters, "^", end):
        parts = _split(stage, "|", stage_end)
        stages.append(tuple(_parse_part(part, part_end, text) for part, part_end in parts))
    return tuple(stages)


def parse_each(texts: Sequence[str]) -> tuple[tuple[Stage, ...], ...]:
    """Reads the prompts of several pictures, which must have the same number of stages.

    Raises `PromptError` as `parse_prompts` does; the message says which prompt is meant.
    """
    found: list[tuple[Stage, ...]] = []
    for number, text in enumerate(texts, 1):
        try:
            stages = parse_prompts(text)
        except PromptError as error:
            raise PromptError(f"prompt {number}: {error}", error.text, error.position) from None
        if found and len(stages) != len(found[0]):
            ends = [end for _, end in _split(_unescape(text), "^", len(text))]
            raise PromptError(
                f"prompt {number} has {_stages(len(stages))} and prompt 1 has "
                f"{_stages(len(found[0]))}; give all the same number ('^' separates stages)",
                text,
                ends[min(len(stages), len(found[0])) - 1],  # the mark too many, or the end
            )
        found.append(stages)
    total = sum(len(stage) for stages in found for stage in stages)
    if total > MAX_PARTS_TOGETHER:
        raise PromptError(
            f"the {len(found)} prompts have {total:,} parts together; at most "
            f"{MAX_PARTS_TOGETHER:,} are read; leave some out"
        )
    return tuple(found)


def parse_stages(
    texts: Sequence[str], image_prompts: Sequence[str] = (), noise_prompts: Sequence[str] = ()
) -> tuple[tuple[Stage, ...], ...]:
    """Of each stage what each picture is asked; pictures that are more than `texts` take turns.

    Image and noise prompts hold for every picture in every stage. Nothing to ask for, and every
    mistake in a prompt, raise `PromptError`.
    """
    lasting = (*map(parse_image_prompt, image_prompts), *map(parse_noise_prompt, noise_prompts))
    if lasting and not any(text.strip() for text in texts):
        return ((lasting,),)
    each = parse_each(texts) if len(texts) > 1 else (parse_prompts("".join(texts)),)
    return tuple(tuple((*own, *lasting) for own in stage) for stage in zip(*each, strict=True))


def laid_out(stage: Stage) -> Stage:
    """Wishes for two things (`placing.two_things`) as one for each, with its half."""
    found: list[Prompt] = []
    for prompt in stage:
        plain = prompt.kind == "text" and prompt.place is None and prompt.weight > 0
        things = two_things(prompt.text) if plain else None
        if things is None:
            found.append(prompt)
        else:
            found += [replace(prompt, text=text, place=place) for text, place in things]
    return tuple(found)


def parse_image_prompt(text: str) -> Prompt:
    r"""Reads "PATH:WEIGHT:STOP"; raises `PromptError`. The file need not exist.

    Paths may hold colons and need no escapes. If the whole text names an existing file it is the
    path; else the text without one trailing number, then without two, is tried; if none exists, up
    to two trailing numbers count as weight and stop. `C:\x.png` keeps its drive letter.
    """
    _refuse_control_characters(text, only_nul=True)
    fields = text.split(":")
    num_numbers = 0
    while (
        num_numbers < min(2, len(fields) - 1)
        and not _exists(":".join(fields[: len(fields) - num_numbers]))
        and _is_numeric(fields[-1 - num_numbers])
    ):
        num_numbers += 1
    path = ":".join(fields[: len(fields) - num_numbers])
    path = path if _exists(path) else path.strip()
    if not path:
        raise PromptError("the image prompt has no path; write PATH:WEIGHT", text)
    if web_address(path) and not _exists(path):
        raise PromptError(f"{one_line(path)} {NOT_FETCHED}")
    weight, stop = _read_numbers(text, fields, num_numbers)
    return Prompt(kind="image", path=path, weight=weight, stop=stop)


def parse_noise_prompt(text: str) -> Prompt:
    """Reads "SEED:WEIGHT:STOP", the seed a whole number from 0; raises `PromptError`."""
    fields = text.split(":")
    if len(fields) > 3:
        place = len(":".join(fields[:3]))
        raise PromptError(
            "the noise prompt has too many parts; write SEED:WEIGHT:STOP", text, place
        )
    seed = fields[0].strip()
    if not (seed.isascii() and seed.isdigit() and len(seed) <= 19 and int(seed) <= MAX_SEED):
        raise PromptError(
            f"the seed of the noise prompt is {one_line(repr(seed))}; expected a whole number "
            f"between 0 and {MAX_SEED}",
            text,
            len(fields[0]) - len(fields[0].lstrip()),
        )
    weight, stop = _read_numbers(text, fields, len(fields) - 1)
    return Prompt(kind="noise", seed=int(seed), weight=weight, stop=stop)


def format_prompts(stages: Iterable[Sequence[Prompt]]) -> str:
    """The inverse of `parse_prompts`; raises `PromptError` for prompts that are not text."""
    parts = []
    for stage in stages:
        if other := [prompt for prompt in stage if prompt.kind != "text"]:
            raise PromptError(f"only text fits into a prompt line, got an {other[0].kind} prompt")
        parts.append(" | ".join(format_prompt(prompt) for prompt in stage))
    return " ^ ".join(parts)


def format_prompt(prompt: Prompt) -> str:
    """One prompt as text that the parser of its kind reads back (numbers only where needed)."""
    if prompt.place is not None:
        return f"{format_prompt(replace(prompt, place=None))} @{format_place(prompt.place)}"
    if prompt.kind == "text":
        shown = _escape(prompt.text)
    else:
        shown = prompt.path if prompt.kind == "image" else str(prompt.seed)
    if prompt.stop != -math.inf:
        return f"{shown}:{_format_number(prompt.weight)}:{_format_number(prompt.stop)}"
    path_looks_numbered = prompt.kind == "image" and _is_numeric(shown.rpartition(":")[2])
    if prompt.weight != 1.0 or path_looks_numbered:
        return f"{shown}:{_format_number(prompt.weight)}"
    return shown


def web_address(path: object) -> str:
    """The address that somebody gave as a path ("https:/a" where one made "//" "/"), else ""."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/+", str(path))  # one letter is a drive
    return f"{found[1]}://{str(path)[found.end() :]}" if found else ""


def one_line(text: object, width: int = 160) -> str:
    """Any text (a path, user input) on one printable line of at most `width`, for messages."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _stages(number: int) -> str:
    return f"{number} stage{'s' if number > 1 else ''}"


def _unescape(text: str) -> list[_Char]:
    _refuse_control_characters(text)
    characters: list[_Char] = []
    position = 0
    while position < len(text):
        char, following = text[position], text[position + 1 : position + 2]
        if char == "\\" and not following:
            raise PromptError(
                r"unbalanced escape: the prompt ends in a backslash; write \\ for a backslash",
                text,
                position,
            )
        if char == "\\" and following in _SPECIAL:
            characters.append(_Char(following, position, escaped=True))
            position += 2
        else:
            characters.append(_Char(char, position))
            position += 1
    return characters


def _escape(text: str) -> str:
    """Marks always; colons and "@" only before what would be read as a number or a place."""
    text = re.sub(r"([\\|^])", r"\\\1", text)
    at = _place_mark([_Char(char, place) for place, char in enumerate(text)])
    if at is not None and read_place(text[at + 1 :]) is not None:
        text = f"{text[:at]}\\{text[at:]}"
    fields = text.split(":")
    shown = fields[0]
    for field in fields[1:]:
        shown += f"\\:{field}" if _is_numeric(field) else f":{field}"
    return shown


def _split(characters: list[_Char], mark: str, end: int) -> list[tuple[list[_Char], int]]:
    """Pieces between unescaped marks, each with the position where it ends."""
    pieces, piece = [], list[_Char]()
    for item in characters:
        if item.is_mark(mark):
            pieces.append((piece, item.position))
            piece = []
        else:
            piece.append(item)
    return [*pieces, (piece, end)]


def _parse_part(part: list[_Char], end: int, text: str) -> Prompt:
    place, part, end = _take_place(part, end, text)
    part, end, numbers = _take_numbers(part, end)
    if place is None and numbers:  # it may stand before them
        place, part, end = _take_place(part, end, text)
        if place is not None and _take_numbers(part, end)[2]:
            raise PromptError("there are numbers on both sides of the place", text, end)
    if place is not None and (again := _take_place(part, end, text))[0] is not None:
        raise PromptError("a part has one place; leave the other out", text, again[2])
    words = " ".join(_joined(part).split())
    if _is_blank(words):
        if numbers or place is not None:
            what = "weight" if numbers else "place"
            form = "text:weight" if numbers else "text @place"
            raise PromptError(f"a {what} without text; write {form}", text, end)
        raise PromptError("a part of the prompt is empty; write text or remove the mark", text, end)
    weight, stop = 1.0, -math.inf
    if numbers:
        weight = _read_number("weight", *numbers[-1], text)
    if len(numbers) == 2:
        stop = _read_number("stop", *numbers[0], text)
    return Prompt(text=words, weight=weight, stop=stop, place=place)


def _take_numbers(part: list[_Char], end: int) -> tuple[list[_Char], int, list[tuple[str, int]]]:
    """A part without its trailing numbers, where it ends then, and they with their positions, from
    the end: stop, weight; or weight alone."""
    numbers: list[tuple[str, int]] = []
    while len(numbers) < 2:
        colon = next((k for k in reversed(range(len(part))) if part[k].is_mark(":")), None)
        if colon is None or not _is_numeric(_joined(part[colon + 1 :])):
            break
        value = part[colon + 1 :]
        first = next(item.position for item in value if not item.char.isspace())
        numbers.append((_joined(value).strip(), first))
        end, part = part[colon].position, part[:colon]
    return part, end, numbers


def _place_mark(part: list[_Char]) -> int | None:
    """The last "@" that begins a word, None where there is none."""
    for at in reversed(range(len(part) - 1)):
        starts = at == 0 or part[at - 1].char.isspace()
        if part[at].is_mark("@") and starts and not part[at + 1].char.isspace():
            return at
    return None


def _take_place(part: list[_Char], end: int, text: str) -> tuple[Place | None, list[_Char], int]:
    """The place that ends a part, if one does, the part without it, and where that ends."""
    at = _place_mark(part)
    found = None if at is None else read_place(_joined(part[at + 1 :]))
    if at is None or found is None:
        return None, part, end
    if isinstance(found, str):
        raise PromptError(found, text, part[at].position)
    return found, part[:at], part[at].position


def _read_numbers(text: str, fields: list[str], num_numbers: int) -> tuple[float, float]:
    """Weight and stop from the last `num_numbers` colon-separated fields of `text`."""
    values, position = [1.0, -math.inf], len(text)
    for index in reversed(range(num_numbers)):
        field = fields[len(fields) - num_numbers + index]
        position -= len(field)
        first = position + len(field) - len(field.lstrip())
        values[index] = _read_number(("weight", "stop")[index], field.strip(), first, text)
        position -= 1
    return values[0], values[1]


def _read_number(name: str, number: str, position: int, text: str) -> float:
    if not _NUMBER.fullmatch(number) or abs(float(number)) > MAX_NUMBER:
        raise PromptError(_out_of_range(name, number), text, position)
    return float(number) + 0.0  # -0 becomes 0


def _out_of_range(name: str, number: str) -> str:
    remedy = "; leave it out for no stop" if name == "stop" and "inf" in number.lower() else ""
    return (
        f"the {name} is {one_line(repr(number), 60)}; "
        f"expected a number between -{MAX_NUMBER:.0f} and {MAX_NUMBER:.0f}{remedy}"
    )


def _is_numeric(field: str) -> bool:
    """Would this field be taken for a weight, good or bad?"""
    field = field.strip()
    return bool(_NUMBER.fullmatch(field) or _NOT_FINITE.fullmatch(field))


def _format_number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _refuse_control_characters(text: str, only_nul: bool = False) -> None:
    for position, char in enumerate(text):
        if char == "\0" or (
            not only_nul and unicodedata.category(char) in ("Cc", "Cs") and not char.isspace()
        ):
            raise PromptError(
                f"the prompt holds the control character U+{ord(char):04X}; remove it",
                text,
                position,
            )


def _is_blank(text: str) -> bool:
    """Nothing visible: only spaces and invisible format characters."""
    return all(char.isspace() or unicodedata.category(char) == "Cf" for char in text)


def _joined(characters: Iterable[_Char]) -> str:
    return "".join(item.char for item in characters)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # name too long, for one
        return False


__all__ = [
    "MAX_NUMBER",
    "MAX_PARTS",
    "MAX_PARTS_TOGETHER",
    "MAX_PROMPT_CHARS",
    "MAX_SEED",
    "NOT_FETCHED",
    "Prompt",
    "Stage",
    "format_prompt",
    "format_prompts",
    "laid_out",
    "one_line",
    "parse_each",
    "parse_image_prompt",
    "parse_noise_prompt",
    "parse_prompts",
    "parse_stage",
    "parse_stages",
    "web_address",
]
