"""Peak memory of loading: little more than the weights that are kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from gouache.generators.vqgan import VQGAN, VQGANConfig

# In a process of its own. What importing torch takes is not counted: a small model is loaded first.
PROGRAM = """
import sys
from pathlib import Path
from gouache.generators import load_generator
from gouache.generators.loading import convert

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10

load_generator("pocket")
before = peak()
if sys.argv[2] == "bfloat16":
    import torch
    from gouache.generators.naming import select
    from gouache.weights.safe import read_checkpoint
    model = read_checkpoint(sys.argv[1], select, torch.bfloat16)
elif sys.argv[2]:
    convert(Path(sys.argv[1]), None, Path(sys.argv[2]))
else:
    model = load_generator(sys.argv[1])
print(peak() - before)
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A VQGAN of 200 MB with as much again of what only training needs; and its size."""
    config = VQGANConfig(ch=96, ch_mult=(1, 2, 4), num_res_blocks=3, attn_resolutions=(64,))
    with torch.device("meta"):
        model = VQGAN(config)
    state = {name: torch.zeros(v.shape) for name, v in model.state_dict().items()}
    del state["code_prior"]
    kept = sum(value.nbytes for value in state.values())
    loss = {f"loss.vgg.{n}": torch.zeros(1 << 22) for n in range(kept >> 24)}
    folder = tmp_path_factory.mktemp("large")
    torch.save({"state_dict": {**state, **loss}, "epoch": 3}, folder / "m.ckpt")
    save_file({**state, **loss}, folder / "m.safetensors")
    shape = {key: value for key, value in config.to_dict().items() if key != "gumbel"}
    params = {"embed_dim": shape["embed_dim"], "n_embed": shape["n_embed"], "ddconfig": shape}
    values = {"model": {"target": "taming.models.vqgan.VQModel", "params": params}}
    (folder / "m.yaml").write_text(yaml.safe_dump(values))
    return folder, kept


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("suffix", "target"), [("ckpt", ""), ("safetensors", "out.safetensors")])
def test_loading_and_converting_stay_below_1_3_times_what_is_kept(
    checkpoint: tuple[Path, int], suffix: str, target: str, tmp_path: Path
) -> None:
    folder, kept = checkpoint
    assert kept > 180 << 20
    arguments = [str(folder / f"m.{suffix}"), str(tmp_path / target) if target else ""]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1.3 * kept, int(done.stdout) / kept


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_what_is_cast_while_reading_takes_what_it_will_take(
    checkpoint: tuple[Path, int], suffix: str
) -> None:
    folder, kept = checkpoint
    arguments = [str(folder / f"m.{suffix}"), "bfloat16"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1.3 * kept / 2, int(done.stdout) / kept
