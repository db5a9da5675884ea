"""Masks and pictures with transparency come through the studio as they come through files."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import icc
from gouache.apps.studio.http import make_app
from gouache.apps.studio.worker import Studio
from gouache.editing.editor import edit_of
from gouache.engine import resume_session
from gouache.output.state import load_state, save_state
from studio_client import file_of, upload
from studio_tiny import reaches, until

INSIDE = np.zeros((24, 32), bool)
INSIDE[6:18, 10:22] = True
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)


def strokes() -> Image.Image:
    image = Image.new("RGBA", (32, 24), (255, 0, 0, 0))
    image.paste((255, 0, 0, 255), (10, 6, 22, 18))
    return image


@pytest.mark.parametrize(
    "mask", [strokes(), Image.fromarray(np.where(INSIDE, 255, 0).astype(np.uint16))]
)
def test_an_uploaded_mask_and_a_source_that_keeps_its_own(
    tmp_path: Path, mask: Image.Image
) -> None:
    studio = Studio(tmp_path / "runs")
    try:
        client = TestClient(make_app(studio))
        source = Image.fromarray(NOISE, "RGBA")
        sent = [file_of(source, icc_profile=icc.swapped()), file_of(mask)]
        image, painted = (client.post("/api/images", content=data).json()["id"] for data in sent)
        body = {
            "prompt": "a pear",
            "image": image,
            "edit": {"mask": painted, "settings": {"feather": 0}},
            "settings": {"steps": 2, "num_cutouts": 2},
        }
        run = client.post("/api/runs", json=body).json()["id"]
        for _ in range(1000):
            told = client.get(f"/api/runs/{run}").json()
            if told["status"] in ("done", "failed"):
                break
            time.sleep(0.05)
        assert told["status"] == "done", told
        found = Image.open(io.BytesIO(client.get(f"/api/runs/{run}/picture.png").content))
        assert found.mode == "RGBA"
        assert found.info["icc_profile"] == icc.swapped()
        after = np.asarray(found)
        assert (after[~INSIDE] == NOISE[~INSIDE]).all()
        assert (after[INSIDE] != NOISE[INSIDE]).any()
    finally:
        studio.close()


def test_an_edit_goes_on_in_another_server_from_its_state_alone(tmp_path: Path) -> None:
    """Its picture and its mask are in the state: what is outside the mask is never painted."""
    source = Image.fromarray(NOISE[..., :3].copy())
    studio = Studio(tmp_path / "runs")
    client = TestClient(make_app(studio))
    image, mask = upload(client, file_of(source)), upload(client, file_of(strokes()))
    body = {
        "prompt": "a pear",
        "image": image,
        "edit": {"mask": mask, "settings": {"composite": True, "feather": 0}},
        "settings": {"steps": 12, "num_cutouts": 2, "size": "64x48", "latent": "multiscale"},
    }
    run = studio.runs[client.post("/api/runs", json=body).json()["id"]]
    until(lambda: run.step >= 2)
    studio.close()
    assert run.status == "interrupted"
    shutil.rmtree(run.path / "inputs")
    shutil.rmtree(tmp_path / "runs" / "images")
    later = Studio(shutil.copytree(tmp_path / "runs", tmp_path / "moved"))
    try:
        found = later.runs[run.id]
        later.go_on(found)
        reaches(found, "done", "failed")
        assert found.error == ""
        after = np.asarray(Image.open(found.picture_path))
        assert (after[~INSIDE] == NOISE[~INSIDE][:, :3]).all()
        assert (after[INSIDE] != NOISE[INSIDE][:, :3]).any()
        state = resume_session(found.path / "state.safetensors")
        assert np.array_equal(edit_of(state).mask.selected.numpy(), INSIDE)
    finally:
        later.close()


def test_an_edit_by_an_earlier_studio_says_that_it_cannot_go_on(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "runs")
    client = TestClient(make_app(studio))
    body = {
        "prompt": "a pear",
        "image": upload(client, file_of(Image.fromarray(NOISE[..., :3].copy()))),
        "edit": {},
        "settings": {"steps": 30, "num_cutouts": 2, "size": "64x48"},
    }
    run = studio.runs[client.post("/api/runs", json=body).json()["id"]]
    until(lambda: run.step >= 2)
    studio.close()
    root = shutil.copytree(tmp_path / "runs", tmp_path / "moved")
    state = root / "runs" / run.id / "state.safetensors"
    tensors, meta = load_state(state)
    del meta["edit"]
    save_state(state, tensors, meta)
    later = Studio(root)
    try:
        found = later.runs[run.id]
        later.go_on(found)
        reaches(found, "failed", "done")
        assert found.status == "failed"
        assert "an edit by an earlier version of gouache" in found.error
        assert "\n" not in found.error
    finally:
        later.close()
