"""`gouache styles`: each with words that ask for it."""

from __future__ import annotations

import json
from typing import Any

from gouache.styles import examples


def test_all_are_listed_as_lines_and_as_json(gouache: Any) -> None:
    plain, machine = gouache("styles"), gouache("styles", "--json")
    assert (plain.code, plain.err, machine.code, machine.err) == (0, "", 0, "")
    assert {one["name"]: one["example"] for one in json.loads(machine.out)} == examples()
    lines = plain.out.splitlines()
    assert len(lines) == len(examples())
    for line, (name, example) in zip(lines, examples().items(), strict=True):
        assert line.startswith(name)
        assert line.endswith(example)
