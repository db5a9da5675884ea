"""A finished picture is larger than it was painted: by a drawing decoder, or by Lanczos."""

from __future__ import annotations

import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageFilter
from torch import Tensor

from gouache.editing import EditConfig
from gouache.editing.editor import make_plan, start
from gouache.engine import Session, resume_session, save_session
from gouache.errors import ConfigError, ModelError
from gouache.generators import load_generator
from gouache.generators.drawing import FILE, DrawingDecoder
from gouache.generators.vqgan import VQGAN
from gouache.networks import pool
from gouache.networks.pool import Pool
from gouache.ops.images import to_pil, to_tensor
from gouache.ops.smoothing import evened
from gouache.protocols import DRAWN, Drawable
from gouache.runs import finish
from gouache.runs.drive import Run, drive
from gouache.runs.finish import Drawn, Enlarged, ScaleWarning
from gouache.runs.painting import paint
from gouache.settings.config import PaintConfig, make_config
from gouache.weights.saving import save_model
from tiny import (
    TINY_DRAWING,
    TinyGenerator,
    TinyPerceptor,
    save_tiny_vqgan,
    tiny_config,
    tiny_session,
)

PLAIN: dict[str, Any] = {"smooth": 0, "sharpen": 0, "levels": 0}  # as the decoder drew it


@pytest.fixture
def generator(tmp_path: Path) -> VQGAN:
    found = load_generator(save_tiny_vqgan(tmp_path))
    assert isinstance(found, VQGAN)
    return found


def session(generator: VQGAN, **settings: Any) -> Session:
    return Session.build(
        tiny_config(**{"steps": 2, **settings}), generator=generator, perceptor=TinyPerceptor()
    )


def done(generator: VQGAN, **settings: Any) -> Run:
    return drive(Run(session(generator, **settings)))


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


# ---- settings


@pytest.mark.parametrize("scale", [0, 3, 8, -1, "3", 2.5, "large", True])
def test_other_scales_are_refused_in_one_line(scale: object) -> None:
    with pytest.raises(ConfigError, match=r"^scale is [^\n]*(1, 2, 4|whole number)[^\n]*$"):
        make_config(scale=scale)


@pytest.mark.parametrize(("size", "scale"), [("2048x1100", 4), ("4096x16", 4), ("4096x2100", 2)])
def test_a_size_that_becomes_too_large_says_the_limit(size: str, scale: int) -> None:
    make_config(size=size, scale=1)
    with pytest.raises(ConfigError, match="at most 16,777,216 pixels and 8192 a side") as error:
        make_config(size=size, scale=scale)
    assert "\n" not in str(error.value)
    assert make_config(size="1024x1024", scale=4).drawn_size == (4096, 4096)


def test_pictures_of_earlier_versions_were_not_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the default is by now."""
    record = make_config(prompt="x").to_dict()
    assert PaintConfig.from_dict({**record, "scale": 2}).scale == 2
    del record["scale"]
    defaults = zip(fields(PaintConfig), PaintConfig.__init__.__defaults__ or (), strict=True)
    larger = tuple(4 if field.name == "scale" else value for field, value in defaults)
    monkeypatch.setattr(PaintConfig.__init__, "__defaults__", larger)
    assert make_config().scale == 4
    assert make_config("pocket").scale == make_config("paper").scale == 1
    for guides in (["pocket"], ["pocket", "photo"], ["clip-vit-b-32"]):
        assert PaintConfig.from_dict({**record, "perceptor": guides}).scale == 1


# ---- pictures


@pytest.mark.parametrize("size", [(32, 24), (33, 27), (8, 8), (50, 9)])
def test_it_is_drawn_from_the_codes(generator: VQGAN, size: tuple[int, int]) -> None:
    """Sizes that are whole cells, and others, which are cropped as they were painted."""
    small, run = done(generator, size=size), done(generator, size=size, scale=4, **PLAIN)
    painted = run.session
    assert torch.equal(small.session.picture(), painted.picture())  # steps know nothing of it
    (picture,) = run.pictures()
    assert picture.size == (size[0] * 4, size[1] * 4)
    network = generator.load_drawing()
    with torch.no_grad():
        whole = generator.draw(network, painted.codes())
    left, _, top, _ = painted.canvas.margins
    cut = whole[0, :, 4 * top : 4 * (top + size[1]), 4 * left : 4 * (left + size[0])]
    assert same(picture, to_pil(cut))
    assert run.record(0)["finish"] == [{"name": "drawing", "scale": 4, "sha256": generator.drawing}]
    assert "finish" not in small.record(0)
    (half,) = done(generator, size=size, scale=2, **PLAIN).pictures()
    blocks = np.asarray(cut.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean((2, 4)))
    assert half.size == (size[0] * 2, size[1] * 2)
    assert np.abs(np.asarray(half).transpose(2, 0, 1) / 255 - blocks).max() < 0.6 / 255


def test_what_is_drawn_is_sharpened(generator: VQGAN) -> None:
    plain, sharp, more = (
        done(generator, scale=scale, **PLAIN | {"sharpen": sharpen})
        for scale, sharpen in ((2, 0.0), (2, 0.5), (4, 0.5))
    )
    assert torch.equal(plain.session.picture(), sharp.session.picture())
    for run, radius in ((sharp, 1.5), (more, 3)):  # as wide in the picture
        (own,), scale = run.pictures(), run.session.config.scale
        (soft,) = done(generator, scale=scale, **PLAIN).pictures()
        assert same(own, soft.filter(ImageFilter.UnsharpMask(radius, 50, 0)))
        assert not same(own, soft)
    (told,) = sharp.record(0)["finish"]
    assert told == {
        "name": "drawing", "scale": 2, "sha256": generator.drawing, "sharpen": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("scale", [2, 4])
def test_faint_texture_is_evened_out_and_edges_stay(scale: int) -> None:
    """As wide in the picture at each scale, and the same in strips as in one piece."""
    half = 160 * scale // 2
    noise = torch.randn(1, 3, 160 * scale, 24 * scale, generator=torch.Generator().manual_seed(0))
    drawn = 0.3 + 0.02 * noise
    drawn[:, :, half:] += 0.5
    large = drawn.repeat_interleave(DRAWN // scale, 2).repeat_interleave(DRAWN // scale, 3)
    plain, smooth = (
        np.asarray(finish.retouched(large, scale, amount, 0, 0)) / 255 for amount in (0, 0.1)
    )
    radius = {2: 5, 4: 10}[scale]
    for part in (slice(0, half - 3 * radius), slice(half + 3 * radius, None)):
        assert smooth[part].std() < 0.25 * plain[part].std()
    step = smooth[half + 1].mean() - smooth[half - 2].mean()
    assert 0.42 < step < 0.52  # of 0.5
    whole = evened(drawn, radius, 0.1)  # (1,3,H,W), taller than a strip
    assert np.abs(smooth.transpose(2, 0, 1) - whole[0].numpy()).max() < 0.51 / 255


def test_the_darkest_and_the_brightest_are_pulled_to_black_and_white() -> None:
    def stretched(picture: Tensor, share: float) -> Tensor:
        drawn = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return to_tensor(finish.retouched(drawn, 2, 0, 0, share))

    even = torch.linspace(0.2, 0.9, 100).expand(1, 3, 100, 100)
    assert torch.equal(stretched(even, 0), to_tensor(to_pil(even[0])))
    half, whole = stretched(even, 0.5), stretched(even, 1)
    assert float(half.min()) == pytest.approx(0.1, abs=0.02)
    assert float(half.max()) == pytest.approx(0.95, abs=0.02)
    assert (float(whole.min()), float(whole.max())) == (0, 1)
    assert bool((whole.diff(dim=3) >= 0).all())  # nothing changes places

    # A few pixels are not the darkest part; all channels are moved alike.
    spots = even.clone()
    spots[:, :, :3, :3] = 0
    assert bool(stretched(spots, 0.5)[..., 3:, :].isclose(half[..., 3:, :], atol=0.012).all())
    red = even.clone()
    red[:, 1:] = 0.5
    assert float(stretched(red, 0.5)[0, 1:].std()) == pytest.approx(0, abs=1e-6)

    # A pale thing on white stays pale, a dark one on black dark.
    pale = torch.full((1, 3, 40, 40), 0.95)
    pale[:, :, 10:30, 10:30] = 0.6
    assert float(stretched(pale, 1)[..., 20, 20].mean()) == pytest.approx(0.3 / 0.65, abs=0.02)
    dark = torch.full((1, 3, 40, 40), 0.05)
    dark[:, :, 10:30, 10:30] = 0.3
    assert float(stretched(dark, 1)[..., 20, 20].mean()) == pytest.approx(0.25 / 0.75, abs=0.02)


def test_retouching_is_done_in_order_and_recorded(generator: VQGAN) -> None:
    run = done(generator, scale=2, smooth=0.2, sharpen=0.5, levels=0.4)
    (picture,) = run.pictures()
    painted = run.session
    drawn = painted.models.draw(generator.load_drawing(), painted.codes(), painted.canvas)
    rows = torch.nn.functional.avg_pool2d(drawn, 2)
    soft = to_pil(evened(rows, 5, 0.2)[0])
    sharp = soft.filter(ImageFilter.UnsharpMask(1.5, 50, 0))
    again = torch.from_numpy(np.asarray(sharp).copy()).permute(2, 0, 1)[None] / 255
    large = again.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert same(picture, finish.retouched(large, 2, 0, 0, 0.4))
    assert not same(picture, sharp)
    (told,) = run.record(0)["finish"]
    assert told == {
        "name": "drawing", "scale": 2, "sha256": generator.drawing,
        "smooth": 0.2, "sharpen": 0.5, "levels": 0.4,
    }  # fmt: skip


def test_what_is_enlarged_is_not_retouched() -> None:
    settings = {"scale": 2, "smooth": 0.2, "sharpen": 0.5, "levels": 0.4}
    with pytest.warns(ScaleWarning):
        run = drive(Run(tiny_session(steps=1, **settings)))
    (picture,) = run.pictures()
    small = to_pil(run.session.picture()[0])
    assert same(picture, small.resize((64, 48), Image.Resampling.LANCZOS))


def test_pictures_on_the_way_stay_small(generator: VQGAN) -> None:
    run = Run(session(generator, scale=4, steps=3))
    sizes: list[Any] = []
    drive(run, [lambda event, run: sizes.append(getattr(event, "step", None))])
    steps = [step for step in sizes if hasattr(step, "image")]
    assert [run.pictures(step.image)[0].size for step in steps] == [(32, 24)] * 3
    last = run.pictures(run.session.picture(), run.session.codes())[0]
    assert same(last, run.pictures()[0])  # a film may draw its frames so
    assert "finish" not in run.record(0, scaled=False)


def test_each_of_a_batch_is_drawn(generator: VQGAN) -> None:
    run = done(generator, scale=4, count=3, prompt=("a cat", "a dog"))
    pictures = run.pictures()
    assert [picture.size for picture in pictures] == [(128, 96)] * 3
    small = run.session.picture()
    for k, picture in enumerate(pictures):
        alone = run.pictures(small[k : k + 1], run.session.codes()[k : k + 1])
        assert same(picture, alone[0])
    assert not same(pictures[0], pictures[1])


def test_python_gets_large_pictures(generator: VQGAN, tmp_path: Path) -> None:
    found = paint(
        "a cat", generator=generator, perceptor=TinyPerceptor(), size="32x24", steps=1,
        num_cutouts=2, scale=4, start="random", start_tries=1, start_steps=0, device="cpu",
    )  # fmt: skip
    assert found.image.size == (128, 96)
    assert found.records[0]["config"]["scale"] == 4
    (path,) = found.save(tmp_path / "a.png")
    assert Image.open(path).size == (128, 96)


def test_a_state_goes_on_at_the_small_size(tmp_path: Path) -> None:
    place = str(save_tiny_vqgan(tmp_path))
    config = tiny_config(generator=place, scale=4, steps=4)
    whole = Run(Session.build(config))
    state = tmp_path / "state.safetensors"

    def keep(event: Any, run: Run) -> None:
        if run.session.step_index == 2 and not state.exists():
            save_session(run.session, state)

    drive(whole, [keep])
    resumed = Run(resume_session(state))
    assert resumed.session.picture().shape == (1, 3, 24, 32)
    assert same(drive(resumed).pictures()[0], whole.pictures()[0])


# ---- the network


def test_it_is_loaded_once_and_only_where_it_is_asked_for(
    generator: VQGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "shared", Pool(1 << 30))
    loads: list[object] = []
    load = VQGAN.load_drawing

    def counted(self: VQGAN) -> DrawingDecoder:
        loads.append(self)
        return load(self)

    monkeypatch.setattr(VQGAN, "load_drawing", counted)
    done(generator, scale=1).pictures()
    assert not loads
    for scale in (4, 2, 4):
        done(generator, scale=scale).pictures()
    assert loads == [generator]


def test_large_pictures_are_drawn_in_pieces(
    generator: VQGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without seams, and what is computed at once does not grow with them."""
    network, seen = generator.load_drawing(), []
    residual = DrawingDecoder.residual

    def watched(self: DrawingDecoder, picture: Tensor, *more: Any) -> Tensor:
        seen.append(max(picture.shape[2:]))
        return residual(self, picture, *more)

    monkeypatch.setattr(DrawingDecoder, "residual", watched)
    rng = torch.Generator().manual_seed(0)
    codes = generator.codebook[torch.randint(24, (1, 70, 40), generator=rng)].movedim(-1, 1)
    drawn = generator.draw(network, codes)
    assert max(seen) <= 8 * (32 + 2 * network.reach)
    assert len(seen) == 6
    monkeypatch.setattr(DrawingDecoder, "tiled", lambda self, *all_: self(*all_))
    assert torch.allclose(drawn, generator.draw(network, codes), atol=1e-3)


def test_a_drawing_decoder_of_another_generator_is_none(tmp_path: Path) -> None:
    place = save_tiny_vqgan(tmp_path)
    generator = load_generator(place)
    assert isinstance(generator, Drawable)
    assert len(generator.drawing) == 64
    save_model(place, VQGAN(generator.config).state_dict(), generator.config.to_dict())  # type: ignore[attr-defined]
    assert load_generator(place).drawing == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("damage", ["bytes", "shape", "config"])
def test_a_damaged_one_is_told_before_anything_is_painted(tmp_path: Path, damage: str) -> None:
    place = save_tiny_vqgan(tmp_path)
    generator = load_generator(place)
    values = TINY_DRAWING.to_dict() | {"generator": generator.fingerprint}
    if damage == "bytes":
        (tmp_path / FILE).write_bytes(b"nothing of use")
    elif damage == "shape":
        save_model(tmp_path / FILE, {}, values)
    else:
        save_model(tmp_path / FILE, {}, values | {"code_dim": 9})
    with pytest.raises(ModelError) as error:
        Run(session(generator, scale=4))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    Run(session(generator, scale=1))  # type: ignore[arg-type]


def test_without_one_it_is_enlarged_and_that_is_told() -> None:
    with pytest.warns(ScaleWarning, match="tiny has no drawing decoder; [^\\n]* by Lanczos$"):
        run = Run(tiny_session(steps=1, scale=2))
    (picture,) = drive(run).pictures()
    small = to_pil(run.session.picture()[0])
    assert same(picture, small.resize((64, 48), Image.Resampling.LANCZOS))
    assert run.record(0)["finish"] == [{"name": "lanczos", "scale": 2}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Run(tiny_session(steps=1)).finishing == ()


class OwnDrawing(TinyGenerator):
    """A generator from elsewhere that draws by repeating its pixels."""

    drawing = "d" * 64

    def load_drawing(self) -> object:
        return 4.0

    def draw(self, network: Any, latent: Tensor) -> Tensor:
        small = self.decode(latent).clamp(0, 1)
        return torch.nn.functional.interpolate(small, scale_factor=network)


def test_any_generator_may_have_one() -> None:
    generator = OwnDrawing()
    made = Session.build(
        tiny_config(steps=1, scale=4, **PLAIN), generator=generator, perceptor=TinyPerceptor()
    )
    run = drive(Run(made))
    (picture,) = run.pictures()
    assert isinstance(run.finishing[0], Drawn)
    small = to_pil(made.picture()[0])
    assert same(picture, small.resize((128, 96), Image.Resampling.NEAREST))


# ---- edits


INSIDE = np.zeros((24, 32), bool)
INSIDE[8:16, 8:24] = True


def edited(generator: VQGAN, side: int, scale: int, **settings: Any) -> tuple[Run, Image.Image]:
    """A run on a picture of 32 x 24 times `side`, and that picture."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24 * side, 32 * side, 3), np.uint8)
    picture = Image.fromarray(pixels)
    mask = Image.fromarray(INSIDE.astype(np.uint8) * 255).resize(picture.size)
    edit = EditConfig(composite=True, feather=2, **settings)
    config = tiny_config(prompt="a cat", steps=2, scale=scale, **PLAIN)
    plan = make_plan(picture, edit, mask=mask)
    made = start(plan, config, sized=True, generator=generator, perceptor=TinyPerceptor())
    return drive(Run(made)), picture


@pytest.mark.parametrize(("side", "size"), [(1, (128, 96)), (2, (128, 96)), (6, (192, 144))])
def test_a_composite_is_made_at_the_larger_size(
    generator: VQGAN, side: int, size: tuple[int, int]
) -> None:
    """What is kept has its own detail where it has more, and is enlarged where it has less."""
    run, source = edited(generator, side, scale=4)
    (picture,) = run.pictures()
    assert picture.size == size
    told = [step["name"] for step in run.record(0)["finish"]]
    assert told == ["drawing", "composite"]
    kept = source if size == source.size else source.resize(size, Image.Resampling.LANCZOS)
    differs = np.abs(np.asarray(picture).astype(int) - np.asarray(kept)).max(2) > 0
    where = np.kron(INSIDE, np.ones((size[1] // 24, size[0] // 32), bool)).astype(bool)
    assert differs[where].mean() > 0.9
    rows, columns = np.nonzero(differs)
    edge = 2 * 4 + 1  # the feather, enlarged
    assert 8 * size[0] // 32 - edge <= columns.min() <= 8 * size[0] // 32 + edge
    assert 16 * size[1] // 24 - edge <= rows.max() < 16 * size[1] // 24 + edge


def test_a_composite_that_is_not_enlarged_is_of_the_sources_size(generator: VQGAN) -> None:
    for side in (1, 3):
        run, source = edited(generator, side, scale=1)
        assert run.pictures()[0].size == source.size
        shown = run.pictures(run.session.picture())[0]
        assert shown.size == source.size
    run, source = edited(generator, 1, scale=4)
    assert run.pictures(run.session.picture())[0].size == source.size  # on the way


def test_an_edit_without_a_composite_is_drawn(generator: VQGAN) -> None:
    plan = make_plan(Image.new("RGB", (32, 24), "red"), EditConfig())
    config = tiny_config(prompt="a cat", steps=1, scale=4)
    made = start(plan, config, sized=True, generator=generator, perceptor=TinyPerceptor())
    assert drive(Run(made)).pictures()[0].size == (128, 96)


def test_steps_of_finishing_are_what_they_say() -> None:
    assert finish.scaled(make_config(scale=1), None, None) == ()  # type: ignore[arg-type]
    assert Enlarged(2)(Image.new("RGB", (3, 2)), None).size == (3, 2)
