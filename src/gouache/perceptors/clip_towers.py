"""The towers of CLIP (Radford et al. 2021, arXiv 2103.00020) with OpenAI's names for the weights.

A vision transformer or a ResNet looks at the picture; a causal transformer reads the text. They are
built from a `ClipConfig`, as a rule on the meta device, and filled by `weights.safe.load_state`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.ops.attention import attend
from gouache.ops.precision import cast_products
from gouache.weights.saving import PlainConfig

QUICK = 1.702  # OpenAI's fast stand-in for GELU is x * sigmoid(1.702 x)


@dataclass(frozen=True)
class ClipConfig(PlainConfig):
    """Shape of a CLIP. `vision_layers` has four numbers for a ResNet; then `patch_size` is 0."""

    embed_dim: int
    image_size: int
    vision_layers: tuple[int, ...]
    vision_width: int
    vision_heads: int
    patch_size: int
    context: int
    vocabulary: int
    text_width: int
    text_layers: int
    text_heads: int
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"

    @property
    def is_resnet(self) -> bool:
        return self.patch_size == 0


def weight(*shape: int) -> nn.Parameter:
    """A weight whose values come from a file."""
    return nn.Parameter(torch.empty(shape))


class Attention(nn.Module):
    """Self-attention over (N,L,width), causal or not."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.in_proj_weight = weight(3 * width, width)
        self.in_proj_bias = weight(3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        split = qkv.view(n, length, 3, self.heads, width // self.heads)
        split = split.permute(2, 0, 3, 1, 4).contiguous()  # one copy here saves six in the products
        query, key, value = split.unbind(0)  # (N,heads,L,width/heads) each
        mixed = attend(query, key, value, causal=self.causal)
        return self.out_proj(mixed.transpose(1, 2).reshape(n, length, width))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers, four times as wide in between."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.quick = activation == "quick_gelu"
        self.folded = False
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.c_fc(x)
        if self.folded:
            h = F.silu(h)
        else:
            # OpenAI trained with this approximation of GELU; the exact one gives other features.
            h = h * torch.sigmoid(QUICK * h) if self.quick else F.gelu(h)
        return self.c_proj(h)  # type: ignore[no-any-return]

    @torch.no_grad()
    def fold(self) -> None:
        """Moves the factor of the fast GELU into the weights, once: what remains is one SiLU."""
        if self.quick and not self.folded:
            self.c_fc.weight.mul_(QUICK)
            self.c_fc.bias.mul_(QUICK)
            self.c_proj.weight.div_(QUICK)
            self.folded = True


class Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int, activation: str, causal: bool) -> None:
        super().__init__()
        self.attn = Attention(width, heads, causal)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width, activation)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """(N,L,width) -> (N,L,width)."""

    def __init__(
        self, width: int, layers: int, heads: int, activation: str, *, causal: bool
    ) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(
            Block(width, heads, activation, causal) for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class VisionTransformer(nn.Module):
    """Normalised pictures (N,3,S,S) -> features (N,embed_dim)."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width, patch = config.vision_width, config.patch_size
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = weight(width)
        self.positional_embedding = weight((config.image_size // patch) ** 2 + 1, width)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(
            width, config.vision_layers[0], config.vision_heads, config.activation, causal=False
        )
        self.ln_post = nn.LayerNorm(width)
        self.proj = weight(width, config.embed_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self._patches(pixels.to(self.conv1.weight.dtype))  # (N,L,width)
        first = self.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ self.proj  # type: ignore[no-any-return]

    def _patches(self, pixels: Tensor) -> Tensor:
        """`conv1` as one matrix product: going back, the convolution's kernel for bf16 on CPUs
        takes as long as half a dozen layers."""
        side = self.conv1.stride[0]
        high, wide = pixels.shape[2] // side, pixels.shape[3] // side
        squares = pixels.view(len(pixels), 3, high, side, wide, side)
        rows = squares.permute(0, 2, 4, 1, 3, 5).reshape(len(pixels), high * wide, -1)
        return F.linear(rows, self.conv1.weight.flatten(1))

    def prepare(self, dtype: torch.dtype) -> None:
        """Folds and casts the weights for painting, in place."""
        for block in self.transformer.resblocks:
            assert isinstance(block, Block)
            block.mlp.fold()
            for name in ("in_proj_weight", "in_proj_bias"):
                projection = getattr(block.attn, name)
                projection.data = projection.data.to(dtype)
        cast_products(self, dtype)


class FrozenNorm(nn.Module):
    """BatchNorm with the statistics of training, (N,C,H,W) -> (N,C,H,W)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = weight(channels)
        self.bias = weight(channels)
        self.register_buffer("running_mean", torch.empty(channels))
        self.register_buffer("running_var", torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; average pooling instead of strides."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = FrozenNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = FrozenNorm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = FrozenNorm(4 * width)
        self.downsample: nn.ModuleDict | None = None
        if stride > 1 or channels != 4 * width:
            # "0" and "1" are the names in the file, whose first layer is the pooling.
            shortcut = nn.Conv2d(channels, 4 * width, 1, bias=False)
            self.downsample = nn.ModuleDict({"0": shortcut, "1": FrozenNorm(4 * width)})

    def _pool(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.stride) if self.stride > 1 else x

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        h = self.bn3(self.conv3(self._pool(h)))
        if self.downsample is not None:
            x = self.downsample["1"](self.downsample["0"](self._pool(x)))
        return F.relu(x + h)


class AttentionPool(nn.Module):
    """(N,C,h,w) -> (N,embed_dim): the mean cell attends to all cells and to itself."""

    def __init__(self, side: int, channels: int, heads: int, embed_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = weight(side * side + 1, channels)
        self.k_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.c_proj = nn.Linear(channels, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        cells = x.flatten(2).transpose(1, 2)  # (N,L,C)
        cells = torch.cat([cells.mean(1, keepdim=True), cells], dim=1) + self.positional_embedding
        query, key, value = (
            projection(part).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, part in (
                (self.q_proj, cells[:, :1]),
                (self.k_proj, cells),
                (self.v_proj, cells),
            )
        )
        mixed = attend(query, key, value)  # (N,heads,1,C/heads)
        return self.c_proj(mixed.flatten(1))  # type: ignore[no-any-return]


class ModifiedResNet(nn.Module):
    """Normalised pictures (N,3,S,S) -> features (N,embed_dim); 32 pixels become one cell."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = FrozenNorm(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = FrozenNorm(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = FrozenNorm(width)
        channels = width
        for number, depth in enumerate(config.vision_layers):
            inner = width << number
            blocks = []
            for block in range(depth):
                blocks.append(Bottleneck(channels, inner, 2 if number and not block else 1))
                channels = 4 * inner
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
        self.num_stages = len(config.vision_layers)
        self.attnpool = AttentionPool(
            config.image_size // 32, channels, config.vision_heads, config.embed_dim
        )

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.to(self.conv1.weight.dtype, memory_format=torch.channels_last)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.avg_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        for number in range(self.num_stages):
            x = self.get_submodule(f"layer{number + 1}")(x)
        return self.attnpool(x)  # type: ignore[no-any-return]

    def prepare(self, dtype: torch.dtype) -> None:
        """Casts the weights for painting, in place."""
        cast_products(self, dtype)


__all__ = ["ClipConfig", "ModifiedResNet", "Transformer", "VisionTransformer", "weight"]
