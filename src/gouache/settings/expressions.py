"""Numbers that people write as formulas: `1 + 0.02*sin(2*pi*t/30)`, `where(t % 24 < 2, 1.1, 1)`.

A small language of its own, read by hand and computed in floats: numbers, names, brackets,
`+ - * / // % **`, comparisons, `& | ~`, `and or not`, and the functions of `FUNCTIONS`. There is
nothing else in it, so nothing can be run, looked up or made large; texts, depths and results have
bounds. It means what numexpr means where both have it, as formulas of Deforum are written for
that: `%` has the sign of what is divided, `/` is never whole, `&` binds before `<`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from gouache.errors import ConfigError
from gouache.registry import nearest

MAX_CHARACTERS = 2000  # of one formula
MAX_DEPTH = 32
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")  # as people write it
WORD = re.compile(r"[A-Za-z_]+")

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_CONSTANTS = {"pi": math.pi, "e": math.e}
_KEYWORDS = ("and", "or", "not")
_MANY = 64  # arguments of min and max
_Node = Callable[[Mapping[str, float]], float]


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _log(x: float, base: float = math.e) -> float:
    return math.log(x) if base == math.e else math.log(x, base)


FUNCTIONS: Mapping[str, tuple[Callable[..., float], int, int]] = {  # and how many arguments
    **{name: (getattr(math, name), 1, 1) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: (getattr(math, name), 1, 1) for name in ("asin", "acos", "atan", "sqrt", "exp")},
    **{name: (getattr(math, name), 1, 1) for name in ("log10", "log1p", "expm1")},
    "arcsin": (math.asin, 1, 1),  # numexpr's names
    "arccos": (math.acos, 1, 1),
    "arctan": (math.atan, 1, 1),
    "arctan2": (math.atan2, 2, 2),
    "log": (_log, 1, 2),
    "abs": (abs, 1, 1),
    "sign": (_sign, 1, 1),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "round": (round, 1, 1),
    "trunc": (math.trunc, 1, 1),
    "min": (min, 2, _MANY),
    "max": (max, 2, _MANY),
    "clip": (_clip, 3, 3),
    "where": (lambda condition, yes, no: yes if condition else no, 3, 3),
}


def _whole(x: float) -> int:
    if x != math.floor(x):
        raise ValueError
    return int(x)


def _inverted(x: float) -> float:
    return not x if isinstance(x, bool) else float(~_whole(x))


def _both(first: float, second: float) -> float:
    return float(_whole(first) & _whole(second))


def _either(first: float, second: float) -> float:
    return float(_whole(first) | _whole(second))


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
# From what binds least to what binds most, as in Python; longer signs before their beginnings.
_LEFT: tuple[Mapping[str, Callable[[float, float], float]], ...] = (
    {"|": _either},
    {"&": _both},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "//": operator.floordiv, "/": operator.truediv, "%": math.fmod},
)


class Scanner:
    """A text and how far it is read; mistakes are `ConfigError`s of one line with a caret."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name, self.place = text, name, 0

    def skip(self) -> None:
        while self.text[self.place : self.place + 1].isspace():
            self.place += 1

    def ahead(self, mark: str) -> bool:
        self.skip()
        return self.text.startswith(mark, self.place)

    def given(self, mark: str) -> bool:
        here = self.ahead(mark)
        self.place += len(mark) * here
        return here

    def take(self, mark: str, what: str) -> None:
        if not self.given(mark):
            self.fail(what)

    def end(self, what: str) -> None:
        self.skip()
        if self.place < len(self.text):
            self.fail(what)

    def number(self, what: str) -> float:
        self.skip()
        found = NUMBER.match(self.text, self.place)
        if found is None or not math.isfinite(float(found[0])):
            self.fail(what)
        self.place = found.end()
        return float(found[0])

    def fail(self, what: str, place: int | None = None) -> NoReturn:
        place = self.place if place is None else place
        while self.text[place : place + 1].isspace():
            place += 1
        self.refuse(f"expected {what}", place)

    def refuse(self, why: str, place: int) -> NoReturn:
        before, after = self.text[max(0, place - 30) : place], self.text[place : place + 30]
        shown = "".join(c if c.isprintable() else "?" for c in f"{before}^{after}")
        raise ConfigError(f"{self.name}: {why} at character {place + 1}: {shown}")


@dataclass(frozen=True)
class Expression:
    """A formula that was read. Equal ones have the same text."""

    text: str
    names: frozenset[str] = field(compare=False)  # the variables that it asks for
    _node: _Node = field(compare=False, repr=False)

    @classmethod
    def parse(
        cls, text: str, name: str = "the formula", variables: tuple[str, ...] = ()
    ) -> Expression:
        """Reads all of `text`; `ConfigError` shows where `name` is not as the module says.

        variables: names it may have; none given are any.
        """
        scanner = Scanner(text, name)
        found = read_expression(scanner, variables)
        scanner.end("an operator such as + or *, or the end")
        return found

    def value(self, names: Mapping[str, float]) -> float:
        """The finite number for the values of `names`; `ConfigError` where there is none."""
        return float(self._node(names))

    def __str__(self) -> str:
        return self.text


def read_expression(scanner: Scanner, variables: tuple[str, ...] = ()) -> Expression:
    """Reads a formula as far as it goes: to a `,` or `:`, a bracket of others, another word."""
    scanner.skip()
    start = scanner.place
    reader = _Reader(scanner, variables)
    node = reader.expression()
    text = " ".join(scanner.text[start : scanner.place].split())
    while _bracketed(text):
        text = text[1:-1].strip()
    return Expression(text, frozenset(reader.names), node)


def _bracketed(text: str) -> bool:
    """Whether the first bracket closes at the end."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return 0 < place == len(text) - 1
    return False


def _hint(word: str, names: list[str]) -> str:
    close = nearest(word, [*names, *FUNCTIONS])
    some = ", ".join([*names, "sin", "cos", "min", "max", "where"])
    return close if close.startswith("did you mean") else f"known are {some} and the like"


class _Reader:
    """Recursive descent; what it returns computes its part from the variables."""

    def __init__(self, scanner: Scanner, variables: tuple[str, ...]) -> None:
        self._scanner, self._variables, self._depth = scanner, variables, 0
        self._start = scanner.place
        self._asked = 0  # how often a variable was asked for
        self.names: set[str] = set()

    def expression(self) -> _Node:
        self._deeper()
        node = self._or()
        self._depth -= 1
        if self._scanner.place - self._start > MAX_CHARACTERS:
            self._scanner.refuse(
                f"a formula is longer than {MAX_CHARACTERS} characters", self._start
            )
        return node

    def _or(self) -> _Node:
        parts = [self._and()]
        while self._word("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda v: any(part(v) for part in parts)

    def _and(self) -> _Node:
        parts = [self._not()]
        while self._word("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda v: all(part(v) for part in parts)

    def _not(self) -> _Node:
        if not self._word("not"):
            return self._comparison()
        self._deeper()
        node = self._not()
        self._depth -= 1
        return lambda v: not node(v)

    def _comparison(self) -> _Node:
        parts, signs = [self._left(0)], []
        while sign := self._sign(_COMPARISONS):
            signs.append(_COMPARISONS[sign])
            parts.append(self._left(0))
        if not signs:
            return parts[0]

        def compared(values: Mapping[str, float]) -> float:
            numbers = [part(values) for part in parts]
            pairs = zip(signs, numbers, numbers[1:], strict=False)
            return all(sign(first, second) for sign, first, second in pairs)

        return compared

    def _left(self, level: int) -> _Node:
        """Signs of a level and of all that bind more, from the left to the right."""
        if level == len(_LEFT):
            return self._unary()
        asked, first = self._asked, self._left(level + 1)
        rest: list[tuple[Callable[..., float], _Node]] = []
        self._scanner.skip()
        place = self._scanner.place
        while sign := self._sign(_LEFT[level]):
            rest.append((self._guarded(_LEFT[level][sign], place), self._left(level + 1)))
            self._scanner.skip()
            place = self._scanner.place
        if not rest:
            return first

        def computed(values: Mapping[str, float]) -> float:
            found = first(values)
            for operation, operand in rest:
                found = operation(found, operand(values))
            return found

        return self._folded(computed, asked)

    def _unary(self) -> _Node:
        self._scanner.skip()
        place = self._scanner.place
        sign = self._scanner.text[place : place + 1]
        if sign not in ("+", "-", "~"):
            return self._power()
        self._scanner.place += 1
        self._deeper()
        node = self._unary()  # -2**2 is -(2**2)
        self._depth -= 1
        if sign == "+":
            return node
        operation = self._guarded(operator.neg if sign == "-" else _inverted, place)
        return lambda v: operation(node(v))

    def _power(self) -> _Node:
        asked, base = self._asked, self._primary()
        self._scanner.skip()
        place = self._scanner.place
        if self._scanner.ahead("^"):
            self._scanner.refuse("expected ** for a power", place)
        if not self._scanner.given("**"):
            return base
        self._deeper()
        exponent = self._unary()  # from the right
        self._depth -= 1
        operation = self._guarded(math.pow, place)
        return self._folded(lambda v: operation(base(v), exponent(v)), asked)

    def _primary(self) -> _Node:
        scanner = self._scanner
        scanner.skip()
        place = scanner.place
        if scanner.given("("):
            node = self.expression()
            scanner.take(")", "')'")
            return node
        if found := _NAME.match(scanner.text, place):
            scanner.place = found.end()
            return self._named(found[0], place)
        found = NUMBER.match(scanner.text, place)
        if found is None or not math.isfinite(float(found[0])):
            scanner.fail("a number, a name or a bracket")
        scanner.place = found.end()
        if _NAME.match(scanner.text, scanner.place):
            scanner.fail("an operator such as * between a number and a name")
        number = float(found[0])
        return lambda v: number

    def _named(self, word: str, place: int) -> _Node:
        scanner = self._scanner
        if word in FUNCTIONS:
            return self._call(word, place)
        if word in _KEYWORDS:
            scanner.fail("a number, a name or a bracket", place)
        if self._variables and word not in (*self._variables, *_CONSTANTS):
            hint = _hint(word, [*self._variables, *_CONSTANTS])
            scanner.refuse(f"nothing is called {word[:40]} ({hint})", place)
        if scanner.ahead("("):
            scanner.refuse(f"no function is called {word[:40]} ({_hint(word, [])})", place)
        if word in _CONSTANTS and word not in self._variables:
            number = _CONSTANTS[word]
            return lambda v: number
        self.names.add(word)
        self._asked += 1

        def looked_up(values: Mapping[str, float]) -> float:
            if word not in values:
                scanner.refuse(f"nothing is called {word[:40]}", place)
            return float(values[word])

        return looked_up

    def _call(self, word: str, place: int) -> _Node:
        scanner = self._scanner
        function, fewest, most = FUNCTIONS[word]
        scanner.take("(", f"'(' after {word}")
        asked, parts = self._asked, [self.expression()]
        while scanner.given(","):
            parts.append(self.expression())
        scanner.take(")", f"',' or ')' in {word}(...)")
        if not fewest <= len(parts) <= most:
            count = f"{fewest} to {most} numbers"
            if fewest == most:
                count = f"{most} number{'s' * (most > 1)}"
            scanner.refuse(f"expected {count} in {word}(...), not {len(parts)},", place)
        if word == "where":  # what is not chosen need not exist: where(t > 0, 1/t, 1)
            condition, yes, no = parts
            return lambda v: yes(v) if condition(v) else no(v)
        operation = self._guarded(function, place)
        return self._folded(lambda v: operation(*(part(v) for part in parts)), asked)

    def _folded(self, node: _Node, asked: int) -> _Node:
        """What asks for no variable is computed now, so that its mistakes are told at once."""
        if self._asked > asked:
            return node
        number = node({})
        return lambda v: number

    def _guarded(self, function: Callable[..., float], place: int) -> Callable[..., float]:
        return partial(_finite, self._scanner, place, function)

    def _sign(self, signs: Mapping[str, object]) -> str:
        """The sign that comes, read; "" for others. `*` is none where `**` begins."""
        self._scanner.skip()
        for sign in signs:
            if self._scanner.ahead(sign):
                if sign == "*" and self._scanner.ahead("**"):
                    return ""
                self._scanner.place += len(sign)
                return sign
        return ""

    def _word(self, word: str) -> bool:
        self._scanner.skip()
        found = _NAME.match(self._scanner.text, self._scanner.place)
        if found is None or found[0] != word:
            return False
        self._scanner.place = found.end()
        return True

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._scanner.refuse(
                f"a formula is nested deeper than {MAX_DEPTH} levels", self._scanner.place
            )


def _finite(scanner: Scanner, place: int, function: Callable[..., float], *numbers: float) -> float:
    try:
        found = function(*numbers)
        if math.isfinite(found):
            return found if isinstance(found, bool) else float(found)
    except (ArithmeticError, ValueError):
        pass
    asked = ", ".join(f"{float(number):g}" for number in numbers[:3])
    scanner.refuse(f"a formula has no finite value (for {asked})", place)


__all__ = ["FUNCTIONS", "NUMBER", "WORD", "Expression", "Scanner", "read_expression"]
