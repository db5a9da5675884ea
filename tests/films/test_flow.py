"""Flow: where things were, and where they were not to be seen."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from films.moving import pan, texture, thing
from gouache.errors import ConfigError
from gouache.films.flow import Flow


@pytest.mark.parametrize("speed", [1, 3, 7])
@pytest.mark.parametrize("side", [32, 96])
def test_a_pan_is_found(speed: int, side: int) -> None:
    """What is at x now was at x + speed: the view goes to the right."""
    flow = Flow.between(pan(0, speed, side), pan(1, speed, side))
    inner = flow.back[:, :, : side - speed - 6]
    assert inner[0].mean() == pytest.approx(speed, abs=0.1)
    assert inner[1].abs().mean() < 0.15
    assert not flow.seen[0, :, side - speed + 1 :].any()  # came in from outside
    assert flow.seen[0, :, : side - speed - 6].float().mean() > 0.97


def test_what_was_hidden_is_not_seen() -> None:
    (before, was), (now, is_) = thing(0), thing(1)
    flow = Flow.between(before, now)
    hidden = was & ~is_  # the ground that the square left
    assert flow.seen[0][hidden].mean() < 0.35
    assert flow.seen[0][is_].mean() > 0.8
    assert flow.seen[0][~(was | is_)].mean() > 0.95
    inner = flow.back[0, 36:56, 24:40]
    assert inner.mean() == pytest.approx(-6, abs=0.3)


def test_carrying_brings_things_where_they_are() -> None:
    before, now = pan(0, 5), pan(1, 5)
    flow = Flow.between(before, now)
    error = ((flow.carry(before) - now).abs() * flow.seen).mean()
    assert error < 0.01 * 1.0
    assert error < (before - now).abs().mean() / 10


def test_flows_in_a_row_are_one_flow() -> None:
    """Sampled once along three flows, a picture is sharper than sampled three times."""
    large = texture(4, 192, 320, 6)  # three pixels of it are one and a half of the frames
    frames = [F.avg_pool2d(large[:, :, 3 * k : 3 * k + 192], 2) for k in range(4)]
    steps = [Flow.between(a, b) for a, b in pairwise(frames)]
    whole = steps[2].after(steps[1].after(steps[0]))
    assert whole.back[0, :, :80].mean() == pytest.approx(4.5, abs=0.15)
    again = frames[0]
    for step in steps:
        again = step.carry(again)
    seen = whole.seen.bool().expand(3, -1, -1)
    once = (whole.carry(frames[0]) - frames[3])[seen].abs().mean()
    assert 1.5 * once < (again - frames[3])[seen].abs().mean()
    assert whole.seen.mean() <= min(step.seen.mean() for step in steps) + 0.02


def test_still_is_neutral() -> None:
    flow = Flow.between(pan(0, 3), pan(1, 3))
    still = Flow.still(96, 96)
    for other in (flow.after(still), still.after(flow)):
        assert torch.allclose(other.back, flow.back, atol=1e-4)
        assert torch.equal(other.seen, flow.seen * other.seen)
    assert torch.allclose(still.carry(pan(0, 3)), pan(0, 3), atol=1e-5)


def test_it_does_not_depend_on_threads() -> None:
    import cv2

    threads = cv2.getNumThreads()
    try:
        flows = []
        for number in (1, 2, 4):
            cv2.setNumThreads(number)
            flows.append(Flow.between(*[thing(k, side=160)[0] for k in (0, 1)]))
            assert cv2.getNumThreads() == number
    finally:
        cv2.setNumThreads(threads)
    assert all(torch.equal(flows[0].back, flow.back) for flow in flows)


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r"pip install 'gouache\[video\]'"):
        Flow.between(pan(0, 1), pan(1, 1))


def test_it_lives_beside_pyav(tmp_path: object) -> None:
    """Both bring libraries of FFmpeg."""
    import av
    import cv2

    assert av.codecs_available
    assert cv2.__version__
