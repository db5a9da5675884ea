"""The drawing decoder's trainer: pairs, a few steps, a checkpoint, what it tells and refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from gouache.errors import TrainingError
from gouache.generators.drawing import SCALE, DrawingDecoder, enlarged
from gouache.generators.vqgan import VQGAN
from gouache.ops.slopes import contrast
from gouache.perceptors.efficientnet import EfficientNet, EfficientNetConfig
from gouache.styles.banks import banks, pen
from gouache.styles.filters import STYLES, stylize
from gouache_training import renderings
from gouache_training.compose import Composer
from gouache_training.drawing import (
    DrawingTrainer,
    DrawingTraining,
    Painted,
    lattice_difference,
    load_drawing_checkpoint,
    read_painted,
    sharpness_difference,
)
from gouache_training.drawing_judge import feature_distance, lanczos, lattice
from gouache_training.drawing_pairs import Disturbance, Pair, Pairs
from gouache_training.feed import Feed, Recipe
from gouache_training.loop import Budget
from gouache_training.pack import PictureSet, write_pack
from gouache_training.renderings import draw_renderings, load_renderings
from tiny import TINY_VQGAN
from training.dataset_samples import pictures, sample

SIDE = 128
SETTINGS = DrawingTraining(
    batch=2,
    crops=2,
    side=8,
    lower=((16, 1), (8, 1)),
    upper=((8, 1), (8, 1), (4, 1)),
    judge_every=10**6,
    judged=2,
)


@cache
def large() -> PictureSet:
    """The sample drawn at 128 pixels."""
    path = Path(mkdtemp()) / "renderings.zip"
    draw_renderings(pictures(), sample(), path, 100, SIDE)
    return load_renderings(pictures(), path)


def vqgan(patch_size: int = 2) -> VQGAN:
    torch.manual_seed(0)
    shape = replace(TINY_VQGAN, patch_size=patch_size)
    return VQGAN(shape).eval().requires_grad_(False)


def lite() -> EfficientNet:
    torch.manual_seed(1)
    shape = EfficientNetConfig(channels=(8,) * 7, repeats=(1,) * 7, stem=8, head=8, classes=4)
    return EfficientNet(shape).eval().requires_grad_(False)


def trainer(steps: int = 4, painted: Path | None = None, **settings: Any) -> DrawingTrainer:
    chosen = replace(SETTINGS, **settings)
    return DrawingTrainer(large(), vqgan(), lite(), chosen, Budget(steps=steps), "cpu", painted)


def pairs(seed: int = 0, disturbance: Disturbance | None = None) -> Pairs:
    rng = torch.Generator().manual_seed(seed)
    return Pairs(vqgan(), Composer(large(), rng, SETTINGS.shares), rng, disturbance)


def batch_of(source: Pairs, count: int) -> Pair:
    return source.pair(source.composer.batch(count, SIDE).image)


def test_renderings_show_what_the_set_shows() -> None:
    found = large()
    assert len(found) == len(pictures())
    pixels = found.pixels[range(len(found))]
    assert pixels.shape == (len(found), 4, SIDE, SIDE)
    assert found.side == SIDE
    small = F.avg_pool2d(torch.from_numpy(pixels).float(), SIDE // pictures().side)
    shown = torch.from_numpy(pictures().pixels.copy()).float()
    for row, (mine, packed) in enumerate(zip(small, shown, strict=True)):
        away = (shown - mine).abs().mean((1, 2, 3))
        assert int(away.argmin()) == row, found.entries[row].name
        assert (mine - packed).abs().mean() < 8
    assert (pixels[:, :3] <= pixels[:, 3:]).all()  # premultiplied


def test_fewer_renderings_are_the_held_out_and_the_weightiest(tmp_path: Path) -> None:
    rows = pictures().entries
    rows = [replace(row, split="held_picture" if n == 5 else "train") for n, row in enumerate(rows)]
    held = replace(pictures(), entries=rows)
    assert draw_renderings(held, sample(), tmp_path / "r.zip", 6, SIDE) == 6
    found = load_renderings(held, tmp_path / "r.zip")
    assert len(found) == 6
    assert [row.split for row in found.entries].count("held_picture") == 1
    assert sum(row.kind == "mono" for row in found.entries) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r.zip"]


def test_renderings_go_on_from_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.zip"
    drawn = []
    draw_one = renderings._draw_one

    def stumble(work: Any) -> Any:
        if len(drawn) == 4:
            raise KeyboardInterrupt
        drawn.append(work.row)
        return draw_one(work)

    monkeypatch.setattr(renderings, "_draw_one", stumble)
    with pytest.raises(KeyboardInterrupt):
        draw_renderings(pictures(), sample(), path, 100, SIDE)
    assert [file.name for file in tmp_path.iterdir()] == ["r.zip"]
    first = load_renderings(pictures(), path)
    assert len(first) == 4
    assert drawn != sorted(drawn)  # a fair sample, not the first source
    drawn.clear()
    with pytest.raises(KeyboardInterrupt):
        draw_renderings(pictures(), sample(), path, 100, SIDE)
    assert len(load_renderings(pictures(), path)) == 8
    monkeypatch.setattr(renderings, "_draw_one", draw_one)
    assert draw_renderings(pictures(), sample(), path, 100, SIDE) == len(pictures())
    assert set(large().entries) == set(load_renderings(pictures(), path).entries)
    assert draw_renderings(pictures(), sample(), path, 100, 2 * SIDE) == len(pictures())
    assert load_renderings(pictures(), path).side == 2 * SIDE
    assert draw_renderings(pictures(), sample(), path, 5, 2 * SIDE) == 5
    assert len(load_renderings(pictures(), path)) == 5


def test_renderings_of_another_set_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    with pytest.raises(TrainingError, match="gouache train renderings"):
        load_renderings(pictures(), path)
    path.write_bytes(b"no archive")
    with pytest.raises(TrainingError, match="make it anew"):
        load_renderings(pictures(), path)
    draw_renderings(pictures(), sample(), path, 3, SIDE)
    other = replace(pictures(), entries=pictures().entries[::-1])
    with pytest.raises(TrainingError, match="another picture set"):
        load_renderings(other, path)
    unknown = replace(
        pictures(), entries=[replace(row, name="other") for row in pictures().entries]
    )
    with pytest.raises(TrainingError, match="no picture could be drawn"):
        draw_renderings(unknown, sample(), tmp_path / "none.zip", 3, SIDE)
    assert not (tmp_path / "none.zip").exists()


def test_pictures_that_the_outlines_do_not_show_are_left_out(tmp_path: Path) -> None:
    turned = replace(pictures(), pixels=pictures().pixels[::-1].copy())
    assert draw_renderings(turned, sample(), tmp_path / "r.zip", 100, SIDE) < len(pictures()) / 2


def test_both_sizes_of_a_pair_show_the_same() -> None:
    """The same composition at a quarter of the size, up to how edges are averaged."""
    pair = batch_of(pairs(), 6)
    assert pair.target.shape == (6, 3, SIDE, SIDE)
    assert pair.picture.shape == (6, 3, 32, 32)
    assert pair.features.shape == (6, 8, 16, 16)
    assert pair.codes.shape == (6, 4, 4, 4)
    alike = Composer(large(), torch.Generator().manual_seed(0), SETTINGS.shares).batch(6, 32).image
    small = F.avg_pool2d(pair.target, SCALE)
    shift = F.avg_pool2d(pair.target.roll(8, 3), SCALE)
    assert (small - alike).abs().mean() < 0.02
    assert (shift - alike).abs().mean() > 2 * (small - alike).abs().mean()


def test_undisturbed_codes_are_those_of_the_encoder() -> None:
    source = pairs()
    target = source.composer.batch(3, SIDE).image
    pair = source.pair(target, disturbed=False)
    image = F.avg_pool2d(target, SCALE)
    with torch.autocast("cpu", torch.bfloat16):
        latent = source.generator.encode_features(image)
    codes, _ = source.generator.quantize(latent.float())
    assert torch.equal(pair.codes, codes)
    assert (pair.picture - source.generator.decode(codes).clamp(0, 1)).abs().max() < 0.05


def test_disturbed_codes_are_codes_and_differ_by_chance() -> None:
    codes = {}
    for seed in (0, 0, 1):
        source = pairs(disturbance=Disturbance(clean=0.0, noise=2.0, replaced=1.0, neighbours=3))
        target = source.composer.batch(4, SIDE).image
        clean = source.pair(target, disturbed=False)
        source.rng.manual_seed(seed)
        wild = source.pair(target)
        assert torch.equal(wild.target, clean.target)
        rows = wild.codes.movedim(1, -1).reshape(-1, 4)
        assert torch.cdist(rows, source.generator.codebook).amin(1).max() < 1e-4
        assert 0.1 < (wild.codes != clean.codes).any(1).float().mean() < 1
        if seed in codes:
            assert torch.equal(codes[seed], wild.codes)
        codes[seed] = wild.codes
    assert not torch.equal(codes[0], codes[1])
    source = pairs(disturbance=Disturbance(clean=1.0))
    target = source.composer.batch(4, SIDE).image
    assert torch.equal(source.pair(target).codes, source.pair(target, disturbed=False).codes)


def test_windows_cut_the_same_place_of_all_maps() -> None:
    source = pairs()
    pair = batch_of(source, 3)
    window = source.windows(pair, each=4, side=8)
    assert window.owner.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    where = torch.arange(16 * 16).view(1, 1, 16, 16).float().expand(3, 1, 16, 16)
    small = window.cut(where, 1)
    fine = window.cut(F.interpolate(where, scale_factor=8.0), 8)
    assert fine.shape == (12, 1, 64, 64)
    assert torch.equal(F.avg_pool2d(fine, 8), small)
    whole = source.windows(pair, each=1, side=99)
    assert torch.equal(whole.cut(pair.target, 8), pair.target)


def test_windows_prefer_edges() -> None:
    source = pairs()
    pair = batch_of(source, 1)
    target = torch.zeros(1, 3, SIDE, SIDE)
    target[..., ::2, 96:] = 1
    left = source.windows(replace(pair, target=target), each=200, side=4).left
    assert (left >= 8).float().mean() > 0.7
    assert (left < 6).any()  # even ground is not forgotten


def test_half_of_the_steps_learn_what_is_shown_halved() -> None:
    work = trainer(halved=1.0)
    busy(work.model)
    pair = work.next_pair()
    assert (pair.times, pair.picture.shape[-1]) == (2, SIDE // 2)
    window = work.windows(pair)
    assert (len(window.owner), window.side) == (2, 16)  # one twice as wide for four
    drawn = work.draw(pair, window)
    assert drawn.shape == window.cut(pair.target, 4).shape == (2, 3, 64, 64)
    with torch.no_grad(), work.autocast():
        whole = work.model(pair.codes, pair.picture, pair.features)
    assert (drawn - window.cut(F.avg_pool2d(whole, 2), 4)).abs().median() < 0.01
    kinds = [trainer(halved=0.5, seed=seed).next_pair().times for seed in range(8)]
    assert set(kinds) == {2, 4}


def test_an_uneven_spread_of_edges_is_seen() -> None:
    flat = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    blocks = F.interpolate(flat[..., ::4, ::4], scale_factor=4.0)
    assert lattice_difference(flat) < 0.1
    assert lattice_difference(blocks) > 1
    assert lattice_difference(blocks, blocks) < 1e-3
    leaf = enlarged(flat[..., ::4, ::4]).requires_grad_()
    lattice_difference(leaf).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert leaf.grad.abs().max() > 0


def test_an_untrained_decoder_enlarges() -> None:
    work = trainer()
    pair = batch_of(work.pairs, 2)
    assert torch.equal(work.model(pair.codes, pair.picture, pair.features), enlarged(pair.picture))


def test_what_a_window_draws_is_what_the_whole_draws() -> None:
    work = trainer()
    busy(work.model)
    pair = batch_of(work.pairs, 1)
    window = work.pairs.windows(pair, 1, 99)
    drawn = work.draw(pair, window)
    with torch.no_grad(), work.autocast():
        whole = work.model(pair.codes, pair.picture, pair.features)
    assert (drawn - whole).abs().max() < 0.02


def busy(model: DrawingDecoder) -> None:
    """Weights that let every layer speak."""
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng))


def test_steps_lower_the_loss() -> None:
    work = trainer(60, learning_rate=3e-3, disturbance=Disturbance(clean=1.0))
    pair = batch_of(work.pairs, 2)
    window = work.pairs.windows(pair, 2, 8)
    work.next_pair = lambda: pair  # type: ignore[method-assign]
    work.pairs.windows = lambda *_: window  # type: ignore[method-assign]
    real = window.cut(pair.target, 8)

    @torch.no_grad()
    def away() -> float:
        return float((work.draw(pair, window) - real).abs().mean())

    before = away()
    while work.budget.progress() < 1:
        work.step()
    assert away() < 0.8 * before


def same(one: DrawingTrainer, two: DrawingTrainer) -> bool:
    states = [{**t.model.state_dict(), **t.critic.state_dict()} for t in (one, two)]
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    save_file({"latents": torch.randn(5, 4, 4, 4)}, tmp_path / "00000.safetensors")
    settings: dict[str, Any] = {"adversarial_from": 0.2, "painted": tmp_path}
    through = trainer(4, **settings)
    through.run(tmp_path / "through.pt")
    first = trainer(4, **settings)
    first.step()
    first.step()
    torch.save(first.state(), tmp_path / "half.pt")
    second = trainer(4, **settings)
    second.restore(tmp_path / "half.pt")
    assert second.budget.step == 2
    assert same(first, second)
    second.run(tmp_path / "second.pt")
    assert same(through, second)
    assert not same(first, second)
    average = load_drawing_checkpoint(tmp_path / "second.pt").state_dict()
    assert all(torch.equal(v, average[k]) for k, v in through.average.state.items())


def test_decibels_of_what_is_encoded_count() -> None:
    trained = []
    for weight in (0.0, 10.0):
        work = trainer(3, decibel_weight=weight)
        for _ in range(3):
            work.step()
        trained.append(work)
    assert not same(*trained)


def test_equal_seeds_train_equal_decoders() -> None:
    found = []
    for seed in (3, 3, 4):
        work = trainer(2, seed=seed)
        work.step()
        work.step()
        found.append(work)
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_checkpoints_of_other_codes_or_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "drawing.pt"
    work = trainer(1)
    work.run(path)
    with pytest.raises(TrainingError, match="another shape"):
        trainer(2, upper=((8, 2), (8, 1), (4, 1))).restore(path)
    other = trainer(2)
    with torch.no_grad():
        other.generator.codebook.add_(1)
    with pytest.raises(TrainingError, match="other codes"):
        other.restore(path)


def test_the_discriminator_plays_from_its_step_on() -> None:
    work = trainer(4, adversarial_from=0.4)
    before = {name: value.clone() for name, value in work.critic.state_dict().items()}
    for step in range(3):
        work.step()
        moved = any(not torch.equal(v, before[k]) for k, v in work.critic.state_dict().items())
        assert moved == (step >= 2)
    assert "critic" in work.meter.values
    quiet = trainer(2)
    quiet.step()
    assert "critic" not in quiet.meter.values


def test_painted_latents_are_drawn_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gouache_training.drawing.READ_EVERY", 2)
    latents = torch.randn(3, 4, 4, 4)
    work = trainer(4, painted=tmp_path, adversarial_from=0.2, painted_share=1.5)
    pair = work.painted_pair(Painted(latents), torch.tensor([2, 0]))
    assert (pair.times, len(pair.codes)) == (4, 2)
    assert torch.equal(pair.target, enlarged(pair.picture))
    larger = work.painted_pair(Painted(torch.randn(1, 4, 8, 8)), torch.tensor([0]))
    assert larger.times == 2  # as by default: halved
    drawn, gradient, told = work.learn_painted([Painted(latents)])
    assert drawn.shape == gradient.shape == (6, 3, 64, 64)
    assert told["painted"] < 1e-3  # an untrained decoder enlarges: cells keep their means
    work.step()
    work.step()
    assert "painted" not in work.meter.values  # there are none yet
    save_file({"latents": latents}, tmp_path / "00000.safetensors")
    work.step()
    assert "painted" in work.meter.values


def overpainted(count: int, trust: int = 255) -> dict[str, torch.Tensor]:
    """Latents, and white pictures that they should become."""
    return {
        "latents": torch.randn(count, 4, 4, 4),
        "wanted": torch.full((count, 3, SIDE, SIDE), 255, dtype=torch.uint8),
        "trust": torch.full((count, 1, 32, 32), trust, dtype=torch.uint8),
    }


def test_what_was_painted_over_becomes_clean() -> None:
    work = trainer(painted_share=1.5)
    clean = Painted(**overpainted(3))
    pair = work.painted_pair(clean, torch.tensor([0, 1]))
    assert torch.equal(pair.target, torch.ones(2, 3, SIDE, SIDE))
    assert clean.wanted is not None
    last = Painted(clean.latents, clean.wanted.clone())
    assert last.wanted is not None
    last.wanted[2] = 0  # each row has its own
    assert work.painted_pair(last, torch.tensor([2, 0])).target.mean((1, 2, 3)).tolist() == [0, 1]
    drawn, gradient, told = work.learn_painted([clean])
    assert told["painted l1"] > 0.1
    assert float((gradient * (1 - drawn.detach())).sum()) < 0  # towards white
    _, gradient, _ = work.learn_painted([Painted(**overpainted(3, trust=0))])
    assert float(gradient.abs().max()) == 0  # nothing is trusted


def test_the_discriminator_leaves_what_is_encoded_alone(tmp_path: Path) -> None:
    work = trainer(4, adversarial_from=0.0, painted=tmp_path)
    pulled: list[int] = []
    work.pulled = lambda fakes, own: (pulled.append(len(fakes)), own)[1]  # type: ignore
    work.budget.step = 1
    work.step()
    save_file(overpainted(2), tmp_path / "a.safetensors")
    work._looked = False
    shapes = []
    train = work.train_critic
    work.train_critic = lambda real, fake: (shapes.append(len(fake)), train(real, fake))[1]  # type: ignore
    work.step()
    assert pulled == [1, 1]
    assert shapes == [2]  # of the one painted picture, not of the encoded ones


def test_a_folder_is_read_now_and_then_and_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    reads: list[int] = []
    work = trainer(painted=tmp_path)

    def read(folder: Path, code_dim: int) -> list[Painted]:
        reads.append(work.budget.step)
        return read_painted(folder, code_dim)

    monkeypatch.setattr("gouache_training.drawing.log", said.append)
    monkeypatch.setattr("gouache_training.drawing.read_painted", read)
    for step in range(3, 1003):
        work.budget.step = step
        assert work.latents() == []
    assert reads == [3, 500, 1000]  # a run that goes on looks at once
    assert len(said) == 1
    assert said[0].startswith("no painted latents, goes on with none: ")
    save_file({"latents": torch.randn(3, 4, 4, 4)}, tmp_path / "00000.safetensors")
    work.budget.step = 1500
    assert [len(found.latents) for found in work.latents()] == [3]
    (tmp_path / "00000.safetensors").unlink()
    work.budget.step = 2000
    assert [len(found.latents) for found in work.latents()] == [3]
    assert said[1] == "3 painted latents"
    assert said[2].startswith("no painted latents, goes on with the painted latents from before: ")


def test_the_discriminator_pulls_in_proportion() -> None:
    work = trainer(4, adversarial_from=0.0, adversarial_weight=0.5)
    fake = torch.rand(2, 3, 64, 64)
    for scale in (1.0, 1e-3):  # whatever the scale of the other losses
        work._playing_since = 299
        work._pull = work._pull * 0
        own = scale * torch.randn(2, 3, 64, 64)
        for _ in range(200):  # the running mean settles
            both = work.pulled([fake], [own])[0]
        assert float((both - own).norm() / own.norm()) == pytest.approx(0.5, rel=0.02)


def test_pictures_may_come_from_processes(tmp_path: Path) -> None:
    pack, some = tmp_path / "set.gpack", pictures()
    write_pack(pack, some.pixels.transpose(0, 2, 3, 1), some.entries, some.concepts, [])
    recipe = Recipe(pack, None, SETTINGS.shares, 32, 4)
    feed = Feed(recipe, 1, seed=5)
    found, captions = feed.batch()
    assert found.shape == (4, 3, 32, 32)
    assert found.dtype == torch.uint8
    here = recipe.composer(5).batch(4, 32)
    assert captions == here.captions
    assert (found.float() / 255 - here.image).abs().max() <= 0.5 / 255 + 1e-6
    assert feed.batch()[1] != captions


def test_painted_latents_are_read(tmp_path: Path) -> None:
    latents = torch.randn(3, 4, 4, 4)
    for name, part in (("b", latents[2:]), ("a", latents[:2])):
        save_file({"latents": part.contiguous()}, tmp_path / f"{name}.safetensors")
    (found,) = read_painted(tmp_path, 4)
    assert torch.equal(found.latents, latents)
    assert found.wanted is None
    larger = torch.randn(1, 4, 8, 8)
    save_file({"latents": larger}, tmp_path / "aa.safetensors")
    assert [len(found.latents) for found in read_painted(tmp_path, 4)] == [3, 1]
    save_file(overpainted(2), tmp_path / "ab.safetensors")
    kinds = [(len(one.latents), one.wanted is not None) for one in read_painted(tmp_path, 4)]
    assert kinds == [(3, False), (2, True), (1, False)]
    with pytest.raises(TrainingError, match=r"expected a tensor `latents` \(N,6,h,w\)"):
        read_painted(tmp_path, 6)
    with pytest.raises(TrainingError, match=r"expected \.safetensors files"):
        read_painted(tmp_path / "none", 4)


def test_held_out_pictures_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = trainer(2, judge_every=2)
    work.run(tmp_path / "drawing.pt")
    told = capsys.readouterr().err
    assert "held out at step 2: clean psnr" in told
    assert "disturbed psnr" in told
    assert [p.name for p in (tmp_path / "drawing-samples").iterdir()] == ["step-000002.png"]


def test_sharp_edges_differ_from_blurred_ones_wherever_they_lie() -> None:
    real = torch.zeros(1, 3, 32, 32)
    real[..., 12:] = 1
    beside = torch.zeros(1, 3, 32, 32)
    beside[..., 13:] = 1
    blurred = F.avg_pool2d(F.pad(real, (3, 3, 0, 0), mode="replicate"), (1, 7), 1)
    assert sharpness_difference(real, real) == 0
    assert sharpness_difference(blurred, real) > 5 * sharpness_difference(beside, real)
    flat, steep = contrast(blurred), contrast(real)
    assert flat.mean() == pytest.approx(float(steep.mean()), rel=0.1)
    assert flat.max() < steep.max() / 4


def test_large_maps_show_what_small_ones_show() -> None:
    small, large = banks(128), banks(384)
    assert (pen(64), pen(128), pen(256), pen(384), pen(512)) == (1, 1, 1, 3, 4)
    for name in ("smooth", "grain", "ramps", "stars"):
        fine, coarse = getattr(large, name), getattr(small, name)
        assert fine.shape == (16, 1, 384, 384)
        shown = F.interpolate(coarse, size=(384, 384), mode="bicubic")
        assert torch.corrcoef(torch.stack([fine.flatten(), shown.flatten()]))[0, 1] > 0.7
    assert large.stars.min() >= 0
    assert large.stars.max() <= 1
    for name, number in (("tiles", 169), ("glass", 64), ("shards", 121), ("strokes", 289)):
        cells = getattr(large, name)
        assert cells.labels.shape == (4, 384 * 384)
        assert cells.num_cells == number
        assert int(cells.labels.min()) >= 0
        assert number - 10 < int(cells.labels.max()) < number
    share = [float(b.tiles.border.mean()) for b in (small, large)]
    assert share[1] == pytest.approx(share[0], rel=0.3)


@pytest.mark.parametrize("style", range(len(STYLES)), ids=[style.name for style in STYLES])
def test_styles_look_alike_at_both_sizes(style: int) -> None:
    """Lines are as wide and dots as large in proportion, not one pixel wide in a large picture."""
    if STYLES[style].name in ("mosaic", "stained glass", "low poly", "oil painting"):
        pytest.skip("large pictures have other partitions")
    found = {}
    for size in (128, 512):
        line = (torch.arange(size) + 0.5) / size - 0.5
        disc = ((0.35 - (line[:, None] ** 2 + line**2).sqrt()) * size + 0.5).clamp(0, 1)
        alpha = disc.view(1, 1, size, size)
        color = torch.tensor([0.9, 0.3, 0.1]).view(1, 3, 1, 1)
        drawn = stylize(color * alpha + 1 - alpha, alpha, style, np.random.default_rng(0))
        found[size] = drawn if size == 128 else F.avg_pool2d(drawn, 4)
    soft = [F.avg_pool2d(image, 16) for image in found.values()]
    assert (soft[0] - soft[1]).abs().mean() < 0.06


def test_a_lattice_is_told() -> None:
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 64, 64, generator=rng)
    assert lattice(image) < 0.05
    assert lattice(F.interpolate(image, scale_factor=4.0)) > 0.9
    assert lattice(F.interpolate(image, scale_factor=2.0)) > 0.4


def test_features_and_lanczos() -> None:
    image = torch.rand(2, 3, 32, 32)
    assert feature_distance(lite(), image, image) == 0
    assert feature_distance(lite(), image, image.flip(3), 3) > 0
    assert len(lite().stages(image)) == 6
    for most in range(1, 6):
        some = lite().stages(image, most)
        assert len(some) == most
        for one, other in zip(some, lite().stages(image), strict=False):
            assert torch.equal(one, other)
    flat = torch.full((1, 3, 8, 8), 51 / 255)
    assert torch.allclose(lanczos(flat), torch.full((1, 3, 32, 32), 51 / 255))


def test_other_patch_sizes_are_refused() -> None:
    rng = torch.Generator()
    with pytest.raises(TrainingError, match="expects 1/2"):
        Pairs(vqgan(1), Composer(large(), rng), rng)
    with pytest.raises(TrainingError, match="covers 8 pixels"):
        trainer(lower=((16, 1),))


def test_even_ground_has_a_gradient() -> None:
    drawn = torch.ones(1, 3, 16, 16, requires_grad=True)
    real = torch.ones(1, 3, 16, 16)
    real[..., 8:] = 0
    sharpness_difference(drawn, real).backward()
    assert drawn.grad is not None
    assert drawn.grad.isfinite().all()
