"""Masks and pictures with transparency come through the studio as they come through files."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import icc
from gouache.apps.studio.http import make_app
from gouache.apps.studio.worker import Studio

INSIDE = np.zeros((24, 32), bool)
INSIDE[6:18, 10:22] = True
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)


def file_of(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


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
            "edit": {"mask": painted, "settings": {"composite": True, "feather": 0}},
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
        kept = Image.open(next((tmp_path / "runs").glob("runs/*/source.png")))
        assert kept.mode == "RGBA"
        assert kept.info["icc_profile"] == icc.swapped()
    finally:
        studio.close()
