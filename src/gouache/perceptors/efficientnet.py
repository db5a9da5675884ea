"""EfficientNet-Lite (Tan and Le 2019; the Lite variants by Google, 2020): pictures to class scores.

Inverted residuals with ReLU6 and no squeeze-and-excitation. The normalisations are folded into the
convolutions: the weights are frozen, so this is the same function with fewer passes over memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gouache.ops.frozen import conv, conv_relu6
from gouache.weights.saving import PlainConfig

# Kernel, stride, expansion of each stage, and channels and repeats of Lite0.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM = 32
HEAD = 1280


@dataclass(frozen=True)
class EfficientNetConfig(PlainConfig):
    """Shape of a network. `channels` and `repeats` are those of the seven stages."""

    channels: tuple[int, ...] = tuple(stage[3] for stage in STAGES)
    repeats: tuple[int, ...] = tuple(stage[4] for stage in STAGES)
    stem: int = STEM
    head: int = HEAD
    classes: int = 1000


class Block(nn.Module):
    """Widens, looks at each channel's neighbourhood, narrows; adds its input where it fits."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.expand = nn.Conv2d(inner, wide, 1) if expansion != 1 else None
        self.depthwise = nn.Conv2d(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outer, 1)
        self.adds = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else conv_relu6(self.expand, x)
        out = conv(self.project, same_relu6(self.depthwise, wide))
        return x + out if self.adds else out


class EfficientNet(nn.Module):
    """(N,3,H,W) in [0,1] -> (N,classes) logits. Any size that the strides leave a pixel of."""

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(3, config.stem, 3, 2)
        blocks: list[Block] = []
        inner = config.stem
        for (kernel, stride, expansion, _, _), outer, repeat in zip(
            STAGES, config.channels, config.repeats, strict=True
        ):
            for number in range(repeat):
                blocks.append(Block(inner, outer, kernel, 1 if number else stride, expansion))
                inner = outer
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(inner, config.head, 1)
        self.classify = nn.Linear(config.head, config.classes)

    def stages(self, image: Tensor, most: int = 6) -> list[Tensor]:
        """What stands before each halving, (N,C,H/2^k,W/2^k) for k = 1 to 5, and last the head's.

        A perceptual loss compares these; the first `most` of them may be enough for it.
        """
        x = same_relu6(self.stem, (image * 255 - 127) / 128)
        found: list[Tensor] = []
        for block in self.blocks:
            if isinstance(block, Block) and block.depthwise.stride[0] == 2:
                found.append(x)
                if len(found) == most:
                    return found
            x = block(x)
        found.append(x)
        if len(found) == most:
            return found
        return [*found, conv_relu6(self.head, x)]

    def features(self, image: Tensor) -> Tensor:
        """(N,head), the mean over places of what the classes are read from."""
        return self.stages(image)[-1].mean((2, 3))

    def forward(self, image: Tensor) -> Tensor:
        return self.classify(self.features(image))  # type: ignore[no-any-return]


def same_relu6(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """ReLU6 of a convolution padded as TensorFlow's "same": what is odd goes to the right and the
    bottom."""
    return conv_relu6(layer, x, _across(layer, x, 1) + _across(layer, x, 0))


def _across(layer: nn.Conv2d, x: Tensor, axis: int) -> tuple[int, int]:
    """What is padded before and after, of rows (0) or columns (1)."""
    side, kernel, step = x.shape[2 + axis], layer.kernel_size[axis], layer.stride[axis]
    missing = max(0, (-(-side // step) - 1) * step + kernel - side)
    return missing // 2, missing - missing // 2


def fold_published(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], EfficientNetConfig]:
    """The public PyTorch port's tensors -> those of `EfficientNet`, normalisations folded.

    Widths and repeats are read from the tensors. Raises `KeyError` where one is missing and
    `ValueError` where the blocks are not those of a Lite network.
    """
    numbers = sorted({int(name.split(".")[1]) for name in state if name.startswith("_blocks.")})
    widths = [len(state[f"_blocks.{n}._project_conv.weight"]) for n in numbers]
    kernels = [state[f"_blocks.{n}._depthwise_conv.weight"].shape[-1] for n in numbers]
    config = EfficientNetConfig(
        *_stages_of(widths, kernels),
        stem=len(state["_conv_stem.weight"]),
        head=len(state["_conv_head.weight"]),
        classes=len(state["_fc.weight"]),
    )
    folded = {"classify.weight": state["_fc.weight"], "classify.bias": state["_fc.bias"]}
    pairs = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for n in numbers:
        inside = f"_blocks.{n}."
        pairs += [
            (f"blocks.{n}.{ours}", f"{inside}{theirs}", f"{inside}{norm}")
            for ours, theirs, norm in (
                ("expand", "_expand_conv", "_bn0"),
                ("depthwise", "_depthwise_conv", "_bn1"),
                ("project", "_project_conv", "_bn2"),
            )
            if f"{inside}{theirs}.weight" in state
        ]
    for ours, layer, norm in pairs:
        gain = state[f"{norm}.weight"] * torch.rsqrt(state[f"{norm}.running_var"] + 1e-3)
        folded[f"{ours}.weight"] = state[f"{layer}.weight"] * gain[:, None, None, None]
        folded[f"{ours}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return folded, config


def _stages_of(
    widths: Sequence[int], kernels: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels and repeats of the stages, from each block's width and kernel."""
    channels: list[int] = []
    repeats: list[int] = []
    for number, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        if number and width == widths[number - 1]:
            repeats[-1] += 1
            continue
        if len(channels) == len(STAGES) or kernel != STAGES[len(channels)][0]:
            raise ValueError(f"block {number} has a kernel of {kernel}; this is no Lite network")
        channels.append(width)
        repeats.append(1)
    if len(channels) != len(STAGES):
        raise ValueError(f"it has {len(channels)} stages; expected {len(STAGES)}")
    return tuple(channels), tuple(repeats)


__all__ = ["EfficientNet", "EfficientNetConfig", "fold_published", "same_relu6"]
