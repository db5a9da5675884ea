"""Prompts of very many parts."""

from __future__ import annotations


def test_too_many_parts_are_refused_before_anything_is_loaded(gouache, tmp_path):
    result = gouache("a | " * 900 + "a", "--out", "x.png")
    assert result.code == 2
    message, text, caret = result.err.splitlines()
    assert message == "gouache: the prompt has 901 parts; at most 256 are read; leave some out"
    assert caret.strip() == "^"
    assert text[caret.index("^")] == "|"
    assert not list(tmp_path.iterdir())
