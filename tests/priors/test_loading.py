"""The proposer: from files to codes and pictures, and the files that it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gouache.errors import ModelError
from gouache.generators import load_generator
from gouache.perceptors import load_perceptor
from gouache.perceptors.pocket import PocketPerceptor
from gouache.priors.loading import Proposer
from priors.tiny_prior import rngs, save_prior
from tiny import TinyGenerator


def rows_of(codes: Tensor, codebook: Tensor) -> bool:
    """Whether every cell of (N,code_dim,h,w) holds a row of the codebook."""
    flat = codes.movedim(1, -1).reshape(-1, codebook.shape[1])
    return bool((flat[:, None] == codebook.float()).all(2).any(1).all())


def test_proposals_are_codes_of_the_generator(files: Path) -> None:
    proposer = Proposer()
    codes = proposer.codes(["a cat", "a boat at sea"], rngs(0, 1))
    assert codes.shape == (2, 3, 4, 4)
    assert codes.dtype == torch.float32
    assert rows_of(codes, proposer.generator.codebook)
    assert not any(parameter.requires_grad for parameter in proposer.prior.parameters())


def test_proposals_follow_text_and_chance_and_nothing_else(files: Path) -> None:
    def codes(texts: Sequence[str], *seeds: int) -> Tensor:
        return Proposer().codes(texts, rngs(*seeds))

    one = codes(["a cat"], 3)
    assert torch.equal(one, codes(["a cat"], 3))
    assert not torch.equal(one, codes(["a cat"], 4))
    assert not torch.equal(one, codes(["a blue boat"], 3))
    # Neighbours, a longer one among them, change neither codes nor padding.
    assert torch.equal(one[0], codes(["a large red boat at sea", "a cat"], 8, 3)[1])


def test_long_texts_are_cut_in_silence(files: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert Proposer().codes(["a cat and a dog " * 9], rngs(0)).shape == (1, 3, 4, 4)
    assert not recwarn.list


def test_pictures_fill_other_shapes_with_their_edges(files: Path) -> None:
    proposer = Proposer()
    codes = proposer.codes(["a cat"], rngs(0))
    square = proposer.pictures(codes, (32, 32))
    assert square.shape == (1, 3, 32, 32)
    assert square.min() >= 0
    assert square.max() <= 1
    torch.testing.assert_close(square, proposer.generator.decode(codes).clamp(0, 1))
    wide, tall = proposer.pictures(codes, (32, 47)), proposer.pictures(codes, (47, 32))
    assert wide.shape == (1, 3, 32, 47)
    assert tall.shape == (1, 3, 47, 32)
    torch.testing.assert_close(wide[..., 7:39], square)
    torch.testing.assert_close(tall[..., 7:39, :], square)
    assert (wide[..., :7] == wide[..., 7:8]).all()
    assert (tall[..., 39:, :] == tall[..., 38:39, :]).all()
    assert proposer.pictures(codes, (100, 120)).shape == (1, 3, 100, 120)


def test_the_generator_at_hand_is_used_where_it_is_the_right_one(files: Path) -> None:
    mine = load_generator(str(files / "generator.safetensors"))
    assert Proposer(mine).generator is mine
    other = Proposer(TinyGenerator()).generator
    assert other.fingerprint == mine.fingerprint


def refused(match: str) -> None:
    with pytest.raises(ModelError, match=match) as error:
        Proposer()
    assert "\n" not in str(error.value)


def test_priors_of_other_generators_are_refused(files: Path) -> None:
    save_prior(files / "prior.safetensors", "0" * 64)
    refused("codes of another generator")


@pytest.mark.parametrize(
    "changes",
    [{"depth": 3}, {"width": "wide"}, {"patch": 4}, {"codebook_size": 21}, {"grid": None}],
)
def test_files_that_are_no_priors_are_refused(files: Path, changes: dict[str, Any]) -> None:
    fingerprint = load_generator(str(files / "generator.safetensors")).fingerprint
    save_prior(files / "prior.safetensors", fingerprint, **changes)
    refused(r"prior\.safetensors")


def test_a_model_of_another_kind_is_refused(files: Path) -> None:
    content = (files / "generator.safetensors").read_bytes()
    (files / "prior.safetensors").write_bytes(content)
    refused("is not a token prior")


def test_a_missing_file_is_said(files: Path) -> None:
    (files / "prior.safetensors").unlink()
    refused(r"prior\.safetensors")


# ---- the shipped ones


def test_the_shipped_prior_proposes_codes_of_the_shipped_generator() -> None:
    proposer = Proposer()
    one, again, other = (proposer.codes(["a cat"], rngs(seed)) for seed in (1, 1, 2))
    assert one.shape == (1, proposer.generator.code_dim, 16, 16)
    assert rows_of(one, proposer.generator.codebook)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_shipped_referee_reads_with_the_words_of_the_perceptor() -> None:
    referee, guide = load_perceptor("referee"), load_perceptor("pocket")
    assert isinstance(referee, PocketPerceptor)
    assert isinstance(guide, PocketPerceptor)
    assert torch.equal(referee.text_tower.table, guide.text_tower.table)
    assert torch.equal(referee.text_tower.table_scale, guide.text_tower.table_scale)
    assert referee.fingerprint != guide.fingerprint
    assert referee.bank is None
