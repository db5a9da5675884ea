"""With several heads per layer, which the fixtures lack: against the CLIP of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.perceptors.clip_loading import load_clip

transformers = pytest.importorskip("transformers")

WIDTH = 128  # two heads of 64


def random_clip() -> Any:
    torch.manual_seed(3)
    layers = {
        "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 2, "projection_dim": 24, "hidden_act": "quick_gelu",
    }  # fmt: skip
    text = {"vocab_size": 50, "max_position_embeddings": 9, "eos_token_id": 49, **layers}
    config = transformers.CLIPConfig(
        text_config=text,
        vision_config={"image_size": 32, "patch_size": 8, **layers},
        projection_dim=24,
    )
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def tower(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The layers of one tower by OpenAI's names."""
    found = {}
    for number in range(2):
        old, new = f"{prefix}.encoder.layers.{number}", f"transformer.resblocks.{number}"
        for kind in ("weight", "bias"):
            parts = [state[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{new}.attn.in_proj_{kind}"] = torch.cat(parts)
            for mine, theirs in {
                "attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1",
                "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
            }.items():  # fmt: skip
                found[f"{new}.{mine}.{kind}"] = state[f"{old}.{theirs}.{kind}"]
    return found


def by_openai_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    seen, read = "vision_model", "text_model"
    found = {f"visual.{name}": value for name, value in tower(state, seen).items()}
    found |= tower(state, read)
    for kind in ("weight", "bias"):
        # transformers spells it so
        found[f"visual.ln_pre.{kind}"] = state[f"{seen}.pre_layrnorm.{kind}"]
        found[f"visual.ln_post.{kind}"] = state[f"{seen}.post_layernorm.{kind}"]
        found[f"ln_final.{kind}"] = state[f"{read}.final_layer_norm.{kind}"]
    return found | {
        "visual.conv1.weight": state[f"{seen}.embeddings.patch_embedding.weight"],
        "visual.class_embedding": state[f"{seen}.embeddings.class_embedding"],
        "visual.positional_embedding": state[f"{seen}.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T.contiguous(),
        "token_embedding.weight": state[f"{read}.embeddings.token_embedding.weight"],
        "positional_embedding": state[f"{read}.embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T.contiguous(),
        "logit_scale": state["logit_scale"],
    }


@torch.no_grad()
def test_two_heads_give_the_same_features(tmp_path: Path) -> None:
    other = random_clip()
    torch.save(by_openai_names(other.state_dict()), tmp_path / "clip.pt")
    model = load_clip(tmp_path / "clip.pt", vocabulary=False)
    assert (model.config.vision_heads, model.config.text_heads) == (2, 2)
    pixels = torch.randn(3, 3, 32, 32)
    tokens = torch.tensor([[48, 3, 7, 49, 0, 0, 0, 0, 0], [48, 9, 9, 8, 7, 6, 5, 4, 49]])
    for found, wanted in (
        (model.image_features(pixels), other.get_image_features(pixel_values=pixels)),
        (model.text_features(tokens), other.get_text_features(input_ids=tokens)),
    ):
        wanted = wanted if torch.is_tensor(wanted) else wanted.pooler_output
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
