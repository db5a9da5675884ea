"""Where painting starts: the best of several tries, each picture's own, the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.engine import Session, resume_session, save_session, starts
from gouache.engine.build import prepare
from gouache.engine.objective import score
from gouache.engine.starts import Rehearse, choose_start
from gouache.engine.targets import StagePlan, asked_for, plan_stages
from gouache.networks.canvas import Canvas
from gouache.networks.models import Guide, Models
from gouache.ops.seeding import picture_rngs
from gouache.priors import loading
from gouache.protocols import LossContext
from gouache.settings.config import PaintConfig
from tiny import CODE_DIM, TinyGenerator, TinyPerceptor, tiny_config, tiny_session

REHEARSED: dict[str, Any] = {"start_tries": 3, "start_steps": 2}
SMALL: dict[str, Any] = {**REHEARSED, "start_scale": 0.5}


def start_of(**settings: Any) -> Tensor:
    return tiny_session(**settings).latent()


def scored(starts: Tensor, **settings: Any) -> Tensor:
    """The guides' score of what latents (B,code_dim,h,w) decode to."""
    config, models, canvas, stage = world(**settings)
    codes, _ = models.generator.quantize(starts)
    return score(config, models, stage, models.decode(codes, canvas))


def world(**settings: Any) -> tuple[PaintConfig, Models, Canvas, StagePlan]:
    config = tiny_config(**settings)
    models = Models.load(config, TinyGenerator(), [Guide(TinyPerceptor())])
    canvas = Canvas(*config.size, models.generator.downsampling)
    return config, models, canvas, plan_stages(config, models)[0]


def chosen(rehearse: Rehearse | None = None, together: int = 1, **settings: Any) -> Tensor:
    """`choose_start` with a given rehearsal."""
    config, models, canvas, stage = world(**settings)
    rngs = picture_rngs(config.seed, config.count)
    return choose_start(config, models, canvas, stage, rngs, rehearse or unwanted, together)[0]


def unwanted(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
    raise AssertionError("nothing was to be rehearsed")


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Makes try k of picture b be full of 10 b + k and score as the returned list says."""
    points: list[Tensor] = []

    def draw(asked: Any, kind: str) -> list[Tensor]:
        rngs, tries = asked.rngs, asked.tries
        pictures = torch.arange(len(rngs)).view(-1, 1, 1, 1).expand(-1, CODE_DIM, 6, 8)
        return [10.0 * pictures + k for k in range(tries)]

    given = iter(points)
    monkeypatch.setattr(starts._Draws, "of_kind", draw)
    monkeypatch.setattr(starts, "score", lambda *arguments: next(given))
    return points


def test_each_picture_takes_its_own_best_try(marked: list[Tensor]) -> None:
    marked += [torch.tensor(row) for row in ([0.1, 0.9, 0.2], [0.3, 0.5, 0.1], [0.2, 0.6, 0.7])]
    start = chosen(count=3, start_tries=3)
    assert start[:, 0, 0, 0].tolist() == [1, 10, 22]
    assert all((picture == picture[0, 0, 0]).all() for picture in start)


def test_equal_scores_take_the_first(marked: list[Tensor]) -> None:
    marked += [torch.zeros(2)] * 4
    assert chosen(count=2, start_tries=4)[:, 0, 0, 0].tolist() == [0, 10]


def test_what_is_rehearsed_is_what_is_painted_on(marked: list[Tensor]) -> None:
    marked += [torch.tensor([0.1]), torch.tensor([0.4])]
    calls: list[tuple[float, int]] = []

    def rehearse(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
        calls.append((float(start.mean()), rngs[0].initial_seed()))
        return start + 0.25

    assert (chosen(rehearse, start_tries=2, start_steps=5) == 1.25).all()
    assert [start for start, _ in calls] == [0, 1]
    assert calls[0][1] != calls[1][1]  # other cutouts for each try


def test_tries_are_painted_in_groups(marked: list[Tensor]) -> None:
    marked += [torch.zeros(2)] * 4 + [torch.ones(2)]
    groups: list[list[float]] = []
    seeds: list[int] = []

    def rehearse(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
        groups.append(start[:, 0, 0, 0].tolist())
        seeds.extend(rng.initial_seed() for rng in rngs)
        return start + 0.25

    start = chosen(rehearse, together=3, count=2, start_tries=5, start_steps=1)
    assert groups == [[0, 10, 1, 11, 2, 12], [3, 13, 4, 14]]
    assert len(set(seeds)) == 10  # each try of each picture has a chance of its own
    assert start[:, 0, 0, 0].tolist() == [4.25, 14.25]


def test_one_try_is_not_scored(marked: list[Tensor]) -> None:
    assert not chosen(start_tries=1).any()
    assert (chosen(lambda start, rngs, canvas: start + 0.25, start_steps=2) == 0.25).all()


def test_small_rehearsals_are_enlarged_to_the_canvas() -> None:
    seen: list[tuple[Canvas, tuple[int, ...]]] = []

    def rehearse(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
        seen.append((canvas, tuple(start.shape)))
        codes = TinyGenerator().codebook[[1, 2]]  # the left half one code, the right another
        left = torch.arange(start.shape[-1]) < start.shape[-1] // 2
        halves = torch.where(left, codes[0, :, None, None], codes[1, :, None, None])
        return halves.expand_as(start).contiguous()

    settings = {"start_scale": 0.5, "start_tries": 2, "start_steps": 3, "count": 3}
    start = chosen(rehearse, size=(64, 40), **settings)
    assert seen == [(Canvas(32, 20, 4), (3, CODE_DIM, 5, 8))] * 2
    assert start.shape == (3, CODE_DIM, 10, 16)
    _, models, canvas, _ = world(size=(64, 40))
    picture = models.decode(start, canvas)
    codes = TinyGenerator().codebook[[1, 2]].view(2, CODE_DIM, 1, 1).expand(-1, -1, 3, 3)
    for code, columns in zip(codes, (slice(10, 20), slice(44, 54)), strict=True):
        wanted = models.decode(code[None], Canvas(12, 12, 4))[0, :, 5, 5]
        # the tiny encoder cannot make good what the tiny decoder blurs or cuts off
        found = picture[..., 8:32, columns].mean((0, 2, 3))
        torch.testing.assert_close(found, wanted, atol=0.1, rtol=0)


@pytest.mark.parametrize(("scale", "small"), [(0.25, (8, 6)), (0.3, (10, 7)), (1.0, (32, 24))])
def test_tries_are_painted_at_their_share_of_the_size(scale: float, small: tuple[int, int]) -> None:
    sizes: set[tuple[int, int]] = set()

    def rehearse(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
        sizes.add((canvas.width, canvas.height))
        assert start.shape[-2:] == canvas.grid
        return start

    start = chosen(rehearse, start_scale=scale, start_steps=1)
    assert sizes == {small}
    assert start.shape == (1, CODE_DIM, 6, 8)


def test_no_try_is_smaller_than_a_cell() -> None:
    assert start_of(size=(8, 8), start_scale=0.25, start_steps=1).shape == (1, CODE_DIM, 2, 2)


def test_small_tries_of_the_best_picture_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    points = iter([torch.tensor([0.1, 0.5]), torch.tensor([0.4, 0.2])])
    monkeypatch.setattr(starts, "score", lambda *arguments: next(points))
    book = TinyGenerator().codebook
    calls: list[Tensor] = []

    def rehearse(start: Tensor, rngs: list[torch.Generator], canvas: Canvas) -> Tensor:
        code = book[len(calls)].view(1, -1, 1, 1).expand_as(start).contiguous()
        calls.append(code)
        return code

    start = chosen(rehearse, start_scale=0.5, start_tries=2, start_steps=1, count=2)
    again: list[Tensor] = []
    for code in calls:
        points = iter([torch.zeros(2)])
        again.append(
            chosen(lambda s, r, c, code=code: code, start_scale=0.5, start_steps=1, count=2)  # type: ignore[misc]
        )
    assert torch.equal(start[0], again[1][0])
    assert torch.equal(start[1], again[0][1])
    assert not torch.equal(start[0], again[0][0])


@pytest.mark.parametrize("start", ["random", "pixels", "gradient", "fractal"])
def test_more_tries_find_better_starts(start: str) -> None:
    settings = {"start": start, "count": 4, "seed": 20}
    one, many = (start_of(start_tries=tries, **settings) for tries in (1, 12))
    best, first = scored(many, **settings), scored(one, **settings)
    assert (best >= first).all()  # the first try is the one that is taken without a choice
    assert best.mean() > first.mean() + 0.01


def test_what_is_not_wished_for_is_avoided() -> None:
    """Scores count with the prompts' weights, so of an unwanted thing the least is best."""
    many = start_of(prompt="a red apple:-1", start_tries=12)
    one = start_of(prompt="a red apple:-1")
    assert scored(many, prompt="a red apple") < scored(one, prompt="a red apple")


def test_the_first_stage_decides() -> None:
    both = start_of(prompt="a red apple ^ a blue boat", start_tries=8)
    assert torch.equal(both, start_of(prompt="a red apple", start_tries=8))
    assert not torch.equal(both, start_of(prompt="a blue boat", start_tries=8))


@pytest.mark.parametrize("settings", [{"start_tries": 4}, REHEARSED, SMALL])
@pytest.mark.parametrize("start", ["random", "fractal"])
def test_each_picture_starts_as_if_it_were_alone(start: str, settings: dict[str, Any]) -> None:
    batch = start_of(start=start, count=3, seed=5, **settings)
    for number in range(3):
        alone = start_of(start=start, seed=5 + number, **settings)
        torch.testing.assert_close(batch[number], alone[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("settings", [REHEARSED, SMALL])
def test_same_seed_same_start(settings: dict[str, Any]) -> None:
    one = start_of(seed=3, **settings)
    torch.manual_seed(99)
    assert torch.equal(one, start_of(seed=3, **settings))
    assert not torch.equal(one, start_of(seed=4, **settings))


def test_rehearsed_starts_fit_better_than_unrehearsed_ones() -> None:
    settings = {"count": 4, "steps": 12, "start_tries": 2}
    plain, rehearsed = (scored(start_of(start_steps=n, **settings)) for n in (0, 12))
    assert rehearsed.mean() > plain.mean() + 0.05


def test_rehearsing_takes_the_steps_of_the_run_and_no_more() -> None:
    seen: list[int] = []

    class Spy:
        name = "spy"

        def __call__(self, context: LossContext) -> Tensor:
            seen.append(context.step)
            return context.image.flatten(1).sum(1) * 0

    def rehearsed(**settings: Any) -> list[int]:
        seen.clear()
        Session.build(
            tiny_config(**settings),
            generator=TinyGenerator(),
            perceptor=TinyPerceptor(),
            losses=[Spy()],
        )
        return list(seen)

    assert rehearsed(start_tries=3, start_steps=2) == [0, 1] * 3
    assert rehearsed(start_tries=2, start_steps=50) == [0, 1, 2, 3, 4, 5] * 2
    assert rehearsed(start_tries=1, start_steps=2) == [0, 1]
    assert rehearsed(start_tries=3) == []
    assert rehearsed(**SMALL) == []  # given losses may know the picture's size


def test_rehearsals_aim_at_the_first_stage_only() -> None:
    settings = {"steps": (2, 4), "start_tries": 2, "start_steps": 5}
    one = start_of(prompt="a red apple ^ a blue boat", **settings)
    assert torch.equal(one, start_of(prompt="a red apple ^ a green frog", **settings))


@pytest.mark.parametrize("latent", ["quantized", "multiscale"])
@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_run_with_a_choice_paints_and_goes_on(latent: str, average: float) -> None:
    for scale in (1.0, 0.5):
        session = tiny_session(
            latent=latent,
            latent_average=average,
            start_tries=2,
            start_steps=2,
            start_scale=scale,
            count=2,
        )
        assert session.step_index == 0
        steps = list(session)
        assert [step.index for step in steps] == list(range(6))
        assert torch.isfinite(session.picture()).all()


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_choice_works_whatever_the_caller_has_switched_off(context: type) -> None:
    def run(generator: TinyGenerator, perceptor: TinyPerceptor) -> Tensor:
        config = tiny_config(**REHEARSED)
        session = Session.build(config, generator=generator, perceptor=perceptor)
        for _ in session:
            pass
        return session.picture()

    models = TinyGenerator(), TinyPerceptor()
    with context():
        inside = run(*models)
    assert torch.equal(run(*models), inside)


@pytest.mark.parametrize("settings", [REHEARSED, SMALL])
@pytest.mark.parametrize("at", [0, 3])
def test_a_resumed_run_with_a_choice_is_still_exact(
    at: int, settings: dict[str, Any], tmp_path: Path
) -> None:
    def finish(session: Session) -> Tensor:
        return torch.stack([step.image for step in session])

    session = tiny_session(count=2, bank_size=4, **settings)
    list(islice(session, at))
    save_session(session, tmp_path / "state")
    again = resume_session(
        tmp_path / "state", generator=TinyGenerator(), perceptor=TinyPerceptor(4)
    )
    assert torch.equal(finish(again), finish(session))
    assert torch.equal(again.picture(), session.picture())


def test_an_init_image_leaves_nothing_to_choose() -> None:
    sea = Image.new("RGB", (32, 24), (10, 80, 200))

    def start(**settings: Any) -> Tensor:
        return prepare(
            tiny_config(**settings),
            generator=TinyGenerator(),
            perceptor=TinyPerceptor(),
            init_image=sea,
        ).start

    assert torch.equal(start(), start(**SMALL))


class FakeProposer:
    """Proposes codes full of the number of each row, or pictures of one grey."""

    made: list[FakeProposer] = []  # noqa: RUF012

    def __init__(self, generator: Any, device: Any) -> None:
        self.generator = generator
        self.texts: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        FakeProposer.made.append(self)

    def codes(self, texts: Sequence[str], rngs: Sequence[torch.Generator]) -> Tensor:
        assert len(texts) == len(rngs)
        self.texts = list(texts)
        draws = [torch.rand((), generator=rng) for rng in rngs]
        return torch.stack(draws).view(-1, 1, 1, 1).expand(-1, CODE_DIM, 4, 4)

    def pictures(self, codes: Tensor, size: tuple[int, int]) -> Tensor:
        self.sizes.append(size)
        return codes[:, :1, :1, :1].expand(-1, 3, *size)


@pytest.fixture
def proposer(monkeypatch: pytest.MonkeyPatch) -> type[FakeProposer]:
    FakeProposer.made = []
    monkeypatch.setattr(loading, "Proposer", FakeProposer)
    return FakeProposer


def test_proposals_that_fit_the_canvas_are_taken_as_they_are(proposer: type[FakeProposer]) -> None:
    start = start_of(start="prior", size=(16, 16), count=2, seed=6)
    (made,) = proposer.made
    assert made.texts == ["a red apple"] * 2
    assert made.sizes == []
    rngs = [torch.Generator().manual_seed(seed) for seed in (6, 7)]
    expected = torch.stack([torch.rand((), generator=rng) for rng in rngs])
    assert torch.equal(start[:, 0, 0, 0], expected)


def test_other_sizes_and_generators_get_proposals_as_pictures(
    proposer: type[FakeProposer], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start_of(start="prior", size=(40, 24)).shape == (1, CODE_DIM, 6, 10)
    assert proposer.made[0].sizes == [(24, 40)]  # height before width
    monkeypatch.setattr(FakeProposer, "generator", None, raising=False)

    class Other(FakeProposer):
        def __init__(self, generator: Any, device: Any) -> None:
            super().__init__(TinyGenerator(), device)

    monkeypatch.setattr(loading, "Proposer", Other)
    start_of(start="prior", size=(16, 16))
    assert proposer.made[1].sizes == [(16, 16)]


def test_proposals_become_pictures_in_the_precision_of_the_run(
    proposer: type[FakeProposer], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = FakeProposer.pictures
    half: list[bool] = []

    def pictures(self: FakeProposer, codes: Tensor, size: tuple[int, int]) -> Tensor:
        half.append(torch.is_autocast_enabled("cpu"))
        return plain(self, codes, size)

    monkeypatch.setattr(FakeProposer, "pictures", pictures)
    for precision in ("bf16", "fp32"):
        start_of(start="prior", size=(40, 24), precision=precision)
    assert half == [True, False]


def test_proposals_are_chosen_among_like_other_starts(proposer: type[FakeProposer]) -> None:
    settings: dict[str, Any] = {"start": "prior", "size": (16, 16), "start_tries": 3, "seed": 2}
    batch = start_of(count=2, **settings)
    assert len(proposer.made) == 1
    assert len(proposer.made[0].texts) == 6
    assert torch.equal(batch[:1], start_of(**settings))


def test_without_wished_words_chance_proposes(proposer: type[FakeProposer], tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (10, 80, 200)).save(tmp_path / "sea.png")
    for settings in (
        {"prompt": "", "image_prompts": (str(tmp_path / "sea.png"),)},
        {"prompt": "rain:-1"},
    ):
        assert torch.equal(start_of(start="prior", **settings), start_of(**settings))
    assert not proposer.made


def test_what_is_asked_for_is_said_heaviest_first() -> None:
    prompt = "a boat:0.5 | rain:-2 | a red apple:2 | a cup ^ a tree:9"
    stage = world(prompt=prompt, noise_prompts=("3:5",), steps=(2, 2))[-1]
    assert asked_for(stage) == "a red apple, a cup, a boat"


def test_each_picture_is_proposed_by_its_own_words(proposer: type[FakeProposer]) -> None:
    prompts = ("a red apple", "rain:-1", "a cup:0.5 | a boat | rain:-1", "fog:-1")
    settings: dict[str, Any] = {"start": "prior", "size": (16, 16), "start_tries": 3}
    batch = start_of(prompt="", prompts=prompts, count=5, seed=6, **settings)
    (made,) = proposer.made
    assert made.texts == ["a red apple", "a boat, a cup", "a red apple"] * 3
    for number in range(5):
        own = {**settings, "prompt": prompts[number % 4], "seed": 6 + number}
        torch.testing.assert_close(batch[number], start_of(**own)[0], atol=1e-4, rtol=1e-4)


def test_as_many_pictures_as_the_settings_allow_can_be_tried_at_once() -> None:
    """Tries are painted in one batch, which is no larger than a batch of pictures may be."""
    settings: dict[str, Any] = {"size": (4, 4), "num_cutouts": 1, "start_tries": 6}
    assert len(start_of(count=100, start_steps=1, **settings)) == 100
