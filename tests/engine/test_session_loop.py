"""Laws of the loop: reproducible, independent per picture, honest about what it shows."""

import math
import random
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from gouache.engine import Guide, Session
from gouache.engine.optimizer import optimizer_names
from gouache.engine.words import TEMPLATES
from gouache.errors import ConfigError, DivergedError, PromptError
from gouache.protocols import LossContext
from tiny import TinyGenerator, TinyPerceptor, tiny_config, tiny_session


def final(session: Session) -> Tensor:
    for _ in session:
        pass
    return session.picture()


def test_same_seed_same_pixels_other_seed_others() -> None:
    one = final(tiny_session(seed=4))
    assert torch.equal(one, final(tiny_session(seed=4)))
    assert not torch.equal(one, final(tiny_session(seed=5)))


@pytest.mark.parametrize("start", ["random", "pixels", "gradient", "fractal"])
def test_each_picture_of_a_batch_is_the_one_painted_alone(start: str) -> None:
    settings = {"start": start, "clip_grad": 0.05, "latent_average": 0.5}
    batch = final(tiny_session(count=3, seed=10, **settings))
    for number in range(3):
        alone = final(tiny_session(seed=10 + number, **settings))
        torch.testing.assert_close(batch[number], alone[0], atol=1e-4, rtol=1e-4)


def test_no_global_random_state_is_used_or_disturbed() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    one = final(tiny_session(noise_prompts=("3:0.5",)))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    torch.manual_seed(99)
    assert torch.equal(one, final(tiny_session(noise_prompts=("3:0.5",))))


def test_the_learning_rate_of_the_schedule_is_the_one_used() -> None:
    """Adam's first update has the size of the learning rate in every cell that has a gradient."""
    session = tiny_session(learning_rate=0.2, lr_warmup=5)
    assert session.learning_rate == pytest.approx(0.04)
    before = session.state_dict().tensors["latent/z"]
    next(session)
    update = (session.state_dict().tensors["latent/z"] - before).abs()
    assert float(update.median()) == pytest.approx(0.04, rel=1e-3)
    assert session.learning_rate == pytest.approx(0.08)


def test_leaving_the_loop_and_going_on() -> None:
    session = tiny_session()
    indices = []
    for step in session:
        indices.append(step.index)
        if step.index == 2:
            break
    assert session.step_index == 3
    assert not session.finished
    indices += [step.index for step in session]
    assert indices == list(range(6))
    assert session.finished
    assert next(session, None) is None
    assert torch.equal(session.picture(), final(tiny_session()))


def test_the_loss_goes_down() -> None:
    steps = list(tiny_session(steps=30, bank_size=4))
    first, last = steps[0].losses, steps[-1].losses
    assert set(first) == {"prompt/0", "contrast/0", "latent"}
    for name in ("prompt/0", "contrast/0"):
        assert float(last[name]) < 0.8 * float(first[name])


def test_the_image_of_a_step_is_the_one_that_was_scored() -> None:
    seen: list[Tensor] = []

    class Spy:
        name = "spy"

        def __call__(self, context: LossContext) -> Tensor:
            seen.append(context.image.detach().clone())
            return context.image.flatten(1).sum(1) * 0

    session = Session.build(
        tiny_config(size=(30, 21), count=2),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        losses=[Spy()],
    )
    for number, step in enumerate(session):
        assert step.image.shape == (2, 3, 21, 30)  # as asked, though cells are 4 x 4
        assert torch.equal(step.image, seen[number])
        assert not step.image.requires_grad
        assert step.image.min() >= 0
        assert step.image.max() <= 1
        assert step.total.shape == (2,)
        assert "spy" in step.losses


def test_the_picture_is_one_step_newer_and_decoded_once() -> None:
    session = tiny_session(steps=3)
    generator = session.models.generator
    assert isinstance(generator, TinyGenerator)
    next(session)
    picture = session.picture()
    decodes = generator.decodes
    assert session.picture() is picture
    assert generator.decodes == decodes
    step = next(session)
    assert torch.equal(step.image, picture)
    assert generator.decodes == decodes + 1  # one decode per step
    assert session.picture() is not picture


def test_stages_switch_prompts_and_keep_noise_prompts() -> None:
    session = tiny_session(
        prompt="a red apple ^ a blue boat | a cup:0.5 ^ a tree",
        steps=(2, 3, 1),
        noise_prompts=("7:0.2",),
    )
    found = [(step.stage, sorted(set(step.losses) - {"latent"})) for step in session]
    one = ["noise/0", "prompt/0"]
    assert found == [(0, one)] * 2 + [(1, [*one, "prompt/1"])] * 3 + [(2, one)]


def test_the_stage_decides_what_is_painted() -> None:
    def after(prompt: str) -> Tensor:
        session = tiny_session(prompt=prompt, steps=(3, 3), learning_rate=1.0)
        return torch.stack([step.image for step in session])

    staged = after("an apple ^ a boat")
    same = after("an apple ^ an apple")
    # the first update towards the new prompt shows in the step after it
    assert torch.equal(staged[:4], same[:4])
    assert not torch.equal(staged[5], same[5])


def test_one_number_of_steps_is_for_each_stage() -> None:
    assert tiny_session(prompt="a ^ b ^ c", steps=2).num_steps == 6


def test_negative_weight_pushes_away() -> None:
    def distance(weight: int) -> float:
        session = tiny_session(prompt=f"a red apple:{weight}", steps=25, latent_rule="off")
        return [float(step.losses["prompt/0"]) * weight for step in session][-1]

    assert distance(-1) > distance(1) + 0.5


def test_stop_threshold_freezes_the_picture() -> None:
    stopped = tiny_session(prompt="a red apple:1:100", latent_rule="off")
    start = stopped.picture()
    assert torch.equal(final(stopped), start)
    moving = tiny_session(prompt="a red apple:1:-100", latent_rule="off")
    assert torch.equal(final(moving), final(tiny_session(latent_rule="off")))
    assert not torch.equal(final(moving), start)


def test_image_prompts_alone_are_enough(tmp_path: "object") -> None:
    from pathlib import Path

    from PIL import Image

    path = Path(str(tmp_path)) / "sea.png"
    Image.new("RGB", (50, 20), (10, 80, 200)).save(path)
    session = tiny_session(prompt="", image_prompts=(f"{path}:2",), steps=25, learning_rate=0.5)
    losses = [float(step.losses["image/0"]) for step in session]
    assert losses[-1] < losses[0]


def test_init_image_is_what_the_run_starts_from() -> None:
    from PIL import Image

    sea = Image.new("RGB", (64, 64), (10, 80, 200))
    session = Session.build(
        tiny_config(count=2, latent_rule="stepwise", latent_weight=1.5, latent_drop_every=2),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        init_image=sea,
    )
    first = next(session)
    assert torch.equal(first.image[0], first.image[1])
    assert not first.losses["latent"].any()  # the pull leads to the init image itself
    assert session.edits == [{"step": 0, "edit": "init_image"}]
    assert not torch.equal(final(session)[0], session.picture()[1])  # other cutouts each


def test_stepwise_pull_restarts_the_optimiser() -> None:
    session = tiny_session(
        latent_rule="stepwise", latent_weight=1.0, latent_drop=0.5, latent_drop_every=3
    )
    counts = []
    for _ in session:
        counts.append(float(session.state_dict().tensors["optimizer/0/step"]))
    assert counts == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_whatever_the_caller_has_switched_off(context: type) -> None:
    def run(generator: TinyGenerator, perceptor: TinyPerceptor) -> Tensor:
        config = tiny_config(latent_rule="stepwise")
        start = torch.zeros(3, 24, 32)
        session = Session.build(config, generator=generator, perceptor=perceptor, init_image=start)
        next(session)
        session.set_prompt("a boat")
        session.set_image(torch.ones(3, 24, 32))
        session.picture()
        session.load_state_dict(session.state_dict())
        return final(session)

    models = TinyGenerator(), TinyPerceptor(3)
    with context():
        inside = run(*models)
        assert not torch.is_grad_enabled()
    assert torch.equal(run(*models), inside)


class NotANumber:
    """A loss that is fine for some steps, then not."""

    name = "odd"

    def __init__(self, since: int, value: float = math.nan) -> None:
        self.since, self.value = since, value

    def __call__(self, context: LossContext) -> Tensor:
        value = self.value if context.step >= self.since else 1.0
        return context.image.flatten(1).mean(1) * value


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_keeps_the_last_good_picture_and_says_what_to_change(value: float) -> None:
    session = Session.build(
        tiny_config(learning_rate=2.0),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        losses=[NotANumber(3, value)],
    )
    images = [step.image for step in islice(session, 3)]
    assert not torch.equal(images[-1], session.picture())  # so it matters which one is kept
    before = session.state_dict()
    with pytest.raises(DivergedError, match=r"loss odd .* step 3; lower learning_rate") as error:
        next(session)
    assert torch.equal(error.value.image, images[-1])
    assert error.value.step == 3
    after = session.state_dict()
    assert after.meta == before.meta
    assert all(torch.equal(v, after.tensors[k]) for k, v in before.tensors.items())


def test_a_gradient_that_is_not_finite_is_noticed() -> None:
    class Cliff:
        name = "cliff"

        def __call__(self, context: LossContext) -> Tensor:
            return (context.latent * 0).abs().sqrt().flatten(1).sum(1)  # slope inf * 0

    session = Session.build(
        tiny_config(), generator=TinyGenerator(), perceptor=TinyPerceptor(), losses=[Cliff()]
    )
    with pytest.raises(DivergedError, match="the gradient is not a finite number at step 0"):
        next(session)


def test_several_perceptors_share_the_prompts() -> None:
    one, two = TinyPerceptor(), TinyPerceptor(seed=8)
    both = Session.build(
        tiny_config(), generator=TinyGenerator(), perceptor=[Guide(one, 0.5), Guide(two, 1.5)]
    )
    single = [
        Session.build(tiny_config(), generator=TinyGenerator(), perceptor=perceptor)
        for perceptor in (one, two)
    ]
    scores = [float(session.scores()) for session in single]
    assert float(both.scores()) == pytest.approx(0.25 * scores[0] + 0.75 * scores[1], rel=1e-4)
    steps = [next(session) for session in single]
    expected = [float(step.losses["prompt/0"]) for step in steps]
    found = next(both)
    assert float(found.losses["prompt/0"]) == pytest.approx(
        0.5 * expected[0] + 1.5 * expected[1], rel=1e-5
    )
    assert torch.equal(found.losses["latent"], steps[0].losses["latent"])  # counted once


def test_scores_rank_and_do_not_disturb() -> None:
    session, undisturbed = tiny_session(steps=12, count=2), tiny_session(steps=12, count=2)
    before = session.scores()
    for _ in session:
        session.scores()
    assert session.scores().shape == (2,)
    assert (session.scores() > before).all()
    assert torch.equal(session.scores(), session.scores())
    assert torch.equal(session.picture(), final(undisturbed))


def test_scores_look_at_all_pictures_alike_and_bend_nothing() -> None:
    def scores(**settings: object) -> Tensor:
        return Session.build(
            tiny_config(count=2, **settings),
            generator=TinyGenerator(),
            perceptor=TinyPerceptor(),
            init_image=torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(2)),
        ).scores()

    assert scores()[0] == scores()[1]
    assert torch.equal(scores(), scores(augment=(), num_cutouts=2, seed=9))


@pytest.mark.parametrize("name", optimizer_names())
def test_every_optimiser_paints(name: str) -> None:
    session = tiny_session(optimizer=name.upper(), steps=3, learning_rate=0.05)
    assert torch.isfinite(final(session)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": (3, 4)}, "steps has 2 numbers and the prompt 1 stage;"),
        ({"prompt": "a ^ b ^ c", "steps": (3, 4)}, "prompt 3 stages"),
        ({"optimizer": "Adm"}, "did you mean Adam"),
        ({"optimizer": "lbfgs"}, "several times per step"),
        ({"latent": "quantised"}, "did you mean quantized"),
        ({"device": "gpu"}, "write auto, cpu, cuda"),
        ({"device": "cuda:99"}, "CUDA devices"),
        ({"precision": "fp16"}, "graphics cards"),
        ({"prompt": "an apple:0"}, "weight 0"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        tiny_session(**settings)
    assert "\n" not in str(error.value)


def test_nothing_to_paint() -> None:
    for prompt in ("", "  "):
        with pytest.raises(PromptError):
            tiny_session(prompt=prompt)


def test_guidance_settings_reach_the_losses() -> None:
    session = tiny_session(templates=True, tv_weight=0.5, contrast_weight=0.0, bank_size=3)
    assert set(next(session).losses) == {"prompt/0", "latent", "tv"}
    phrases = [template.replace("{}", "a red apple") for template in TEMPLATES]
    mean = TinyPerceptor().embed_text(phrases).mean(0, keepdim=True)
    (embedding,) = session.stages[0].targets[0].embeddings
    torch.testing.assert_close(embedding, torch.nn.functional.normalize(mean, dim=-1))


def test_clipped_gradients_name_no_remedy_that_is_on_already() -> None:
    session = Session.build(
        tiny_config(clip_grad=1.0, precision="bf16"),
        generator=TinyGenerator(),
        perceptor=TinyPerceptor(),
        losses=[NotANumber(0)],
    )
    with pytest.raises(DivergedError, match="set precision to fp32") as error:
        next(session)
    assert "clip_grad" not in str(error.value)
    assert torch.isfinite(error.value.image).all()
