"""Pickles read as data: nothing in them is imported, called or run.

`pickletools` splits a pickle into instructions and carries out none. Those that build plain
containers are followed here. What a pickle refers to by name stays a text (`Name`), and what it
would make by calling one is up to a subclass of `Walk`, as a rule a `StandIn`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol


class Stream(Protocol):
    """Where a pickle comes from."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


class Refused(Exception):
    """The pickle refers to what the file it lies in has no use for."""


@dataclass(frozen=True)
class Name:
    """A global that the pickle mentions: "module attribute"."""

    text: str

    @property
    def dotted(self) -> str:
        """As Python writes it."""
        return self.text.replace(" ", ".")


class StandIn(dict[Any, Any]):
    """In the place of an object of some class: takes items, elements and attributes, does nothing.

    `kind` names the class; items are its own, `elements` what was appended, `state` what the object
    would have been given as its attributes.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.elements: list[Any] = []
        self.state: Any = None

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class Walk:
    """Follows one pickle. Subclasses say what names, calls and persistent ids mean."""

    def refer(self, module: str, name: str) -> Any:
        """A global is mentioned."""
        return Name(f"{module} {name}")

    def persistent(self, key: Any) -> Any:
        """An object that is stored outside the pickle, by its id."""
        raise Refused("it refers to something outside")

    def new(self, kind: Any, arguments: Any) -> Any:
        """An object without a call of its class."""
        return StandIn(_text(kind))

    def made(self, maker: Any, arguments: Any) -> Any:
        """The result of a call."""
        return StandIn(_text(maker))

    def build(self, value: Any, state: Any) -> None:
        """An object is given its state."""
        if isinstance(value, StandIn):
            value.state = state

    def run(self, stream: Stream | bytes) -> Any:
        """What the pickle holds. Damage raises what Python raises there, foreign things `Refused`.

        Of a stream exactly the pickle is read.
        """
        return _Machine(self).run(stream)


class _Machine:
    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: Stream | bytes) -> Any:
        # One signature for both, in a library without types.
        instructions: Iterable[tuple[Any, Any, Any]] = pickletools.genops(stream)  # type: ignore[arg-type]
        for instruction, argument, _ in instructions:
            name = instruction.name
            if name == "STOP":
                return self.stack.pop()
            if name in _CONSTANTS:
                self.stack.append(argument)
            elif (follow := _FOLLOWED.get(name)) is not None:
                follow(self, argument)
            else:
                raise Refused(f"it uses the instruction {name}")
        raise ValueError("a pickle ends too early")

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def drop_mark(self, _: Any) -> None:
        self.pop_mark()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def tuple_of(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, StandIn):
            target.elements.extend(items)
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise ValueError("it appends to what is no list")

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError("it gives items to what has none")
        target.update(_items(pairs))

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def refer_stacked(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("it refers to a name that is no text")
        self.push(self.walk.refer(module, name))

    def refer(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.push(self.walk.refer(module, name))

    def new(self, _: Any) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        self.push(self.walk.new(kind, arguments))

    def new_with_keywords(self, _: Any) -> None:
        self.stack.pop()
        self.new(_)

    def reduce(self, _: Any) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        self.push(self.walk.made(maker, arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        self.walk.build(self.stack[-1], state)


_CONSTANTS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
_FOLLOWED: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.drop_mark,
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push([]),  # nobody asks what is in one
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": lambda machine, _: machine.push(machine.pop_mark()),
    "FROZENSET": lambda machine, _: machine.push(machine.pop_mark()),
    "DICT": lambda machine, _: machine.push(dict(_items(machine.pop_mark()))),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_mark()),
    "ADDITEMS": lambda machine, _: machine.append(machine.pop_mark()),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    **dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"),
        lambda machine, place: machine.memo.update({place: machine.stack[-1]}),
    ),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"),
        lambda machine, place: machine.push(machine.memo[place]),
    ),
    "GLOBAL": _Machine.refer,
    "STACK_GLOBAL": _Machine.refer_stacked,
    "BINPERSID": lambda machine, _: machine.push(machine.walk.persistent(machine.stack.pop())),
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}


def _items(pairs: list[Any]) -> Iterable[tuple[Any, Any]]:
    # Tuples in tuples, each twice in the next, would take forever to be hashed: no key is one.
    plain = (str, bytes, int, float, Name, StandIn, type(None))
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if isinstance(key, plain):
            yield key, value


def _text(kind: Any) -> str:
    return kind.dotted if isinstance(kind, Name) else type(kind).__name__


__all__ = ["Name", "Refused", "StandIn", "Stream", "Walk"]
