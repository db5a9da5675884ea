"""What each frame is asked: stages in turn, faded into one another; numbers by frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from gouache.engine.targets import plan_stages
from gouache.errors import ConfigError
from gouache.films.config import FilmConfig
from gouache.films.script import Script, mixed, slerp
from gouache.networks.models import Models
from tiny import TinyGenerator, TinyPerceptor, tiny_config


def script(prompt="a ^ b ^ c", config=None, **film) -> Script:
    settings = tiny_config(prompt=prompt, **(config or {}))
    models = Models.load(settings, TinyGenerator(), TinyPerceptor())
    return Script(settings, FilmConfig().updated(**film), plan_stages(settings, models))


def texts(told: Script) -> list[str]:
    return [told.asked(frame).targets[0].prompt.text for frame in range(told.num_frames)]


def test_stages_share_the_frames_and_fade():
    assert texts(script(frames=9, crossfade=0)) == [*"aaabbbccc"]
    found = texts(script(frames=9, crossfade=99))  # half a stage at most
    assert found == ["a", "a", "a", "a -> b", "b", "b", "b -> c", "c", "c"]


def test_a_cycle_comes_round_to_the_first():
    found = script(frames=12, crossfade=2, cycle=True)
    assert texts(found)[-4:] == ["b -> c", "b -> c", "c -> a", "c -> a"]
    assert texts(script(frames=12, crossfade=2, loop=True)) == texts(found)
    shares = [found._place(frame)[2] for frame in (10, 11)]
    assert shares == pytest.approx([1 / 3, 2 / 3]), "the next one is the first again"


def test_cross_fades_go_along_the_embeddings():
    told = script("one ^ two", frames=40, crossfade=9)
    first, last = (told.asked(frame).targets[0].embeddings[0] for frame in (19, 29))
    way = [told.asked(frame).targets[0].embeddings[0] for frame in range(19, 30)]
    for one in way:
        assert torch.allclose(one.norm(), torch.tensor(1.0))
    angles = [float((a * b).sum().clamp(-1, 1).acos()) for a, b in pairwise(way)]
    assert angles == pytest.approx([angles[0]] * 10, abs=2e-3)
    assert sum(angles) == pytest.approx(float((first * last).sum().acos()), abs=1e-2)


def test_prompts_without_a_counterpart_fade_by_weight():
    first, second = script("one:2 | two ^ three:4").stages
    plan = mixed(first, second, 0.25)
    assert [(t.prompt.text, t.prompt.weight) for t in plan.targets] == [
        ("one -> three", 2.5),
        ("two", 0.75),
    ]


def test_slerp_keeps_its_ends_and_stands_the_opposite():
    a, b = torch.eye(3)[:1], torch.eye(3)[1:2]
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)
    assert torch.allclose(slerp(a, b, 0.5), (a + b) / 2**0.5)
    assert torch.isfinite(slerp(a, -a, 0.3)).all()
    assert torch.allclose(slerp(a, a, 0.3), a)


def test_schedules_of_settings_count_frames():
    told = script("a", {"learning_rate": "0:(0.1), 10:(0.3)"}, frames=11, frame_lr=0.5)
    rates = [told.settings(frame).optimization.learning_rate for frame in (0, 5, 10)]
    assert rates == pytest.approx([0.1, 0.1, 0.15])


def rates(told: Script) -> list[float]:
    frames = range(told.num_frames)
    return [told.settings(frame).optimization.learning_rate for frame in frames]


def test_where_prompts_change_the_picture_may_follow():
    plain = script("a ^ b", {"learning_rate": 1.0}, frames=8, crossfade=2, crossfade_whole=False)
    assert rates(plain) == pytest.approx([1, 0.1, 0.1, 0.1, 0.3, 0.3, 0.1, 0.1])
    assert plain.most_steps == 12
    older = FilmConfig(frame_lr=0.7).to_dict()
    for name in ("crossfade_lr", "border_lr", "crossfade_whole"):
        del older[name]
    found = FilmConfig.from_dict(older)
    assert (found.crossfade_lr, found.border_lr, found.crossfade_whole) == (0.7, 0.7, False)


def test_a_short_change_is_painted_as_much_as_one_of_twelve_frames():
    def painted(**film) -> list[float]:
        told = script("a ^ b", {"learning_rate": 1.0}, steps_per_frame=10, **film)
        return [told.steps(frame) * rate for frame, rate in enumerate(rates(told)) if frame]

    long = painted(frames=48, crossfade=12)
    assert long == pytest.approx([1.0] * 23 + [3.0] * 12 + [1.0] * 12)
    for frames, crossfade in ((40, 8), (12, 99), (6, 99), (6, 0), (2, 0)):
        short = painted(frames=frames, crossfade=crossfade)
        changing = [one for one in short if one > 1.0]
        assert len(changing) == min(crossfade, frames // 4) + 1, "and the first that is new"
        assert sum(changing) == pytest.approx(36, rel=0.1)


def test_short_changes_take_more_of_the_learning_rate_before_more_steps():
    told = script("a ^ b", {"learning_rate": 1.0}, frames=16, crossfade=4, steps_per_frame=10)
    assert told.most_steps == 10
    assert rates(told)[7:14] == pytest.approx([0.1, *[0.72] * 5, 0.1])
    told = script("a ^ b", {"learning_rate": 1.0}, frames=6, crossfade=4, steps_per_frame=10)
    assert [told.steps(frame) for frame in range(1, 6)] == [10, 10, 18, 18, 10]
    assert max(rates(told)) == 1.0
    assert told.num_steps == told.config.steps[0] + 66
    assert told.steps_before(4) == told.config.steps[0] + 38


def test_the_end_of_a_short_cycle_is_painted_as_much():
    told = script("a ^ b", {"learning_rate": 1.0}, frames=8, cycle=True, steps_per_frame=10)
    assert [told.steps(frame) for frame in range(1, 8)] == [10, 10, 10, 12, 12, 12, 18]


def test_frames_have_random_streams_of_their_own():
    told = script("a", frames=50)
    assert told.seed(0) == 0
    assert len({told.seed(frame) for frame in range(50)}) == 50


def test_steps():
    told = script("a", {"steps": 7}, frames=3, steps_per_frame=2)
    assert [told.steps(frame) for frame in range(3)] == [7, 2, 2]
    assert [told.steps_before(frame) for frame in range(4)] == [0, 7, 9, 11]
    assert told.num_steps == 11


@pytest.mark.parametrize(
    ("film", "told"),
    [
        ({"zoom": "0"}, "zoom is 0 in frame 1"),
        ({"zoom": "1-t/2"}, "zoom is 0 in frame 2"),
        ({"zoom": "0:(1), 2:(-1)"}, "zoom is 0 in frame 1"),
        ({"zoom": "1e300"}, "frame 1"),
        ({"zoom": "1-t/4", "loop": True, "frames": 4}, "zoom is 0 in frame 4"),
        ({"translation_x": "-1e300"}, "translation_x"),
        ({"translation_z": "200"}, "before the camera"),
        ({"translation_z": "100*t"}, "frame 2"),
        ({"rotation_3d_x": "90"}, "before the camera"),
        ({"rotation_3d_y": "-170"}, "before the camera"),
    ],
)
def test_motions_that_leave_nothing_to_see(film, told):
    with pytest.raises(ConfigError, match=told):
        script("a", **{"frames": 3, **film}).check()


def test_the_first_frame_comes_from_nowhere():
    script("a", zoom="t", frames=3).check()
