"""Each field is read from what it is shown as, wherever that comes from."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gouache.editing.config import EditConfig, edit_settings
from gouache.errors import ConfigError
from gouache.settings.codec import Setting
from gouache.settings.config import PaintConfig, make_config, settings
from values import values_of

ALL = [*settings(), *edit_settings()]
NAMED = {one.name: one for one in ALL}


@pytest.mark.parametrize("setting", ALL, ids=[one.name for one in ALL])
@given(data=st.data())
def test_what_is_shown_is_read_back(setting: Setting, data: st.DataObject) -> None:
    value = data.draw(values_of(setting))
    try:
        setting.check(value)
    except ConfigError:
        assume(False)
    assert setting.read(json.loads(json.dumps(setting.plain(value)))) == value
    written = setting.arguments(value)
    if setting.codec.repeats:
        assert setting.read(written) == value
    else:
        assert len(written) == 1
        assert setting.read(written[0]) == value
        assert setting.read(setting.show(value)) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seed", " 12 ", 12),
        ("seed", "0x10", 16),
        ("size", "64", (64, 64)),
        ("size", "64X32", (64, 32)),
        ("steps", "150, 80", (150, 80)),
        ("augment", "none", ()),
        ("augment", "flip, noise", ("flip", "noise")),
        ("templates", "off", False),
        ("learning_rate", "1e-5", 1e-5),
        ("perceptor", "pocket:0.5", ("pocket:0.5",)),
        ("prompt", "12:30", ("12:30",)),
        ("grow", "3", 3),
        ("invert", "yes", True),
    ],
)
def test_texts_are_read_as_what_the_field_holds(name: str, text: str, value: object) -> None:
    found = NAMED[name].read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", "x", "seed is 'x'; expected whole number"),
        ("seed", -1, "seed is -1; expected between 0 and"),
        ("learning_rate", "fast", "learning_rate is 'fast'; expected number, or a schedule"),
        ("learning_rate", True, "learning_rate is True; expected number"),
        ("start_scale", "fast", "start_scale is 'fast'; expected number"),
        ("size", "64y64", "size is '64y64'; write WIDTHxHEIGHT, for example 128x96"),
        ("size", "0x5", "size is 0x5; width and height must lie between 1 and 8192"),
        ("size", [1, 2, 3], "size is (1, 2, 3); expected 2 times whole number"),
        ("steps", "5,x", "steps is '5,x'; write a whole number, or one per stage: 150,80"),
        ("steps", [], "steps is empty; every stage needs between 1 and 1000000 steps"),
        ("augment", "flop", "augment is 'flop'; did you mean flip?"),
        ("start", "prio", "start is 'prio'; did you mean prior?"),
        ("templates", "maybe", "templates is 'maybe'; expected true or false"),
        ("prompt", None, "prompt has no value; leave it out, or write one"),
        ("strength", 0, "strength is 0.0; expected more than 0"),
        ("colors", 1, "colors is 1; expected true or false"),
    ],
)
def test_a_mistake_is_one_line_with_what_was_expected(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        NAMED[name].read(value)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_help_tells_choices_and_defaults() -> None:
    assert NAMED["size"].explain() == "width and height in pixels, WxH [default: 256x256]"
    assert NAMED["perceptor"].explain().endswith("[default: pocket + photo]")
    assert NAMED["augment"].explain().endswith("(flip,affine,perspective,color,erasing,noise)")
    assert (
        NAMED["start"]
        .explain()
        .endswith("(random, pixels, gradient, fractal, prior) [default: prior]")
    )
    assert NAMED["image_prompts"].explain() == "pictures to resemble, PATH:WEIGHT:STOP"


def test_the_document_of_a_field_is_json() -> None:
    for setting in ALL:
        told = setting.document()
        assert json.loads(json.dumps(told)) == told
        assert setting.read(told["default"]) == setting.default
    assert NAMED["size"].document()["mark"] == "x"


def test_records_of_settings_are_json() -> None:
    config = make_config(prompts=["a", "b"], contrast_weight="0:(0), 9:(1) step")
    told = config.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert PaintConfig.from_dict(told) == config
    edit = EditConfig(grow=3)
    assert EditConfig().updated(**json.loads(json.dumps(edit.to_dict()))) == edit
