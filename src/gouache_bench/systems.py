"""The paper's other systems at their published sizes: `python -m gouache_bench.systems --page`.

Writes folders as they are published, with random weights, then loads each and takes two steps, each
in a process of its own; tells processor seconds and peak memory. Needs 9 GB of disk and 6 GB of
memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gouache_bench.processes import measure

MODULE = "gouache_bench.systems"
SYSTEMS = ("mindalle", "glide-free", "glide-clip")
NAMES = {
    "mindalle": "minDALL-E, 1.3 B",
    "glide-free": "GLIDE, 385 M + 398 M",
    "glide-clip": "GLIDE with its noised CLIP",
}
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- systems: begin -->", "<!-- systems: end -->"
GB = 1e9
MINDALLE = """\
stage1:
  embed_dim: 256
  n_embed: 16384
  hparams: {double_z: false, z_channels: 256, resolution: 256, in_channels: 3, out_ch: 3, ch: 128,
    ch_mult: [1, 1, 2, 2, 4], num_res_blocks: 2, attn_resolutions: [16], pdrop: 0.0}
stage2:
  vocab_size_txt: 16384
  vocab_size_img: 16384
  hparams: {embed_dim: 1536, n_layers: 42, n_heads: 24, ctx_len_img: 256, ctx_len_txt: 64}
"""


def write(name: str, folder: Path) -> None:
    """A folder as it is published, with random weights in single precision."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "mindalle":
        _write_mindalle(folder)
    else:
        _write_glide(folder)


def _write_mindalle(folder: Path) -> None:
    import torch
    import yaml

    from gouache.generators.vqgan import VQGAN
    from gouache.systems.mindalle import CONFIG, TRANSFORMER_FILE, VQGAN_FILE, _shapes
    from gouache.systems.text_to_codes import TextToCodes
    from gouache.weights.blank import blank

    (folder / CONFIG).write_text(MINDALLE)
    letters = [chr(97 + k) for k in range(26)]
    words = ["[UNK]", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "tokenizer").mkdir(exist_ok=True)
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "tokenizer" / "bpe-16k-vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer" / "bpe-16k-merges.txt").write_text("#version: 0.2\n")
    shape, vqgan = _shapes(yaml.safe_load(MINDALLE), folder / CONFIG)
    with blank():
        parts = {VQGAN_FILE: VQGAN(vqgan, "f16"), TRANSFORMER_FILE: TextToCodes(shape)}
    for file, network in parts.items():
        state = _random(network)
        state.pop("code_prior", None)
        torch.save({"state_dict": state, "epoch": 0}, folder / file)
        del state


def _write_glide(folder: Path) -> None:
    import torch

    from gouache.perceptors.clip_tokenizer import CLIP_VOCABULARY, byte_letters
    from gouache.systems import glide
    from gouache.systems.noised_clip import NoisedClip, NoisedClipConfig
    from gouache.systems.unet import UNet, UNetConfig
    from gouache.weights.blank import blank

    letters = byte_letters()
    pairs = [f"{left} {right}" for left in letters for right in letters]
    (folder / glide.MERGES).write_text("#version: 0.2\n" + "\n".join(pairs[:50000]) + "\n")
    with gzip.open(folder / "bpe_simple_vocab_16e6.txt.gz", "wt") as packed:
        packed.write("\n".join(["header", *pairs[: CLIP_VOCABULARY - 2 * len(letters) - 2]]))
    told = {part: dict(values) | {"timestep_respacing": "2"} for part, values in
            glide.PUBLISHED.items()}  # fmt: skip
    (folder / glide.OPTIONS).write_text(json.dumps(told))
    for file, part in ((glide.BASE, "base"), (glide.UPSAMPLER, "upsample")):
        with blank():
            unet = UNet(UNetConfig.from_options(told[part], len(letters) + 50001))
        torch.save(_random(unet), folder / file)
    with blank():
        clip = NoisedClip(NoisedClipConfig())
    torch.save(_random(clip.text), folder / glide.CLIP_TEXT)
    torch.save(_random(clip.image), folder / glide.CLIP_IMAGE)


def _random(network: Any) -> dict[str, Any]:
    import torch

    rng = torch.Generator().manual_seed(0)
    return {
        name: 0.02 * torch.randn(value.shape, generator=rng)
        for name, value in network.state_dict().items()
    }


def work(name: str, folder: Path, steps: bool) -> dict[str, float]:
    """Loads a system, and takes two steps with it if they are wished for: what that took."""
    import torch

    from gouache.systems.glide import load_glide
    from gouache.systems.mindalle import load_mindalle
    from gouache.systems.text_to_codes import Memory

    torch.set_num_threads(1)  # two wait for each other on a busy machine, which counts as work
    before = _resident()
    begun = time.process_time()
    if name == "mindalle":
        system: Any = load_mindalle(folder)
        networks = [system.transformer, system.generator]
    else:
        system = load_glide(folder, guided_by="clip" if name == "glide-clip" else "free")
        networks = [system.base.unet, system.upsampler.unet]
        networks += [] if system.clip is None else [system.clip.network]
    found = {
        "seconds": time.process_time() - begun,
        "peak": _peak() - before,
        "kept": _resident() - before,
        "parameters": sum(p.numel() for net in networks for p in net.parameters()),
        "weights": sum(p.nbytes for net in networks for p in net.parameters()),
    }
    if not steps:
        return found
    begun = time.process_time()
    with torch.no_grad():
        if name == "mindalle":
            memory = Memory.empty(system.transformer, 1)
            logits = system.transformer.read_text(system.words(["a castle"]), memory)
            for _ in range(2):
                logits = system.transformer.read_code(logits.argmax(-1), memory)
            system.decode(torch.zeros(1, 256, dtype=torch.long))
        else:
            rng = torch.Generator().manual_seed(0)
            small = system.small(["a castle"], system.base.noise(rng))
            found["base"] = (time.process_time() - begun) / len(system.base.diffusion)
            halfway, noise = time.process_time(), system.upsampler.noise(rng)(1)
            system.large(["a castle"], small, noise)
            found["upsampler"] = (time.process_time() - halfway) / len(system.upsampler.diffusion)
    return found | {"steps_seconds": time.process_time() - begun, "steps_peak": float(_peak())}


def guided_step() -> dict[str, float]:
    """One step of GLIDE's base at full size with and without a pull by its noised CLIP, of which
    nothing is read from files: processor seconds each, and the peak of the whole process."""
    import torch

    from gouache.systems import glide
    from gouache.systems.diffusion import Diffusion
    from gouache.systems.noised_clip import NoisedClip, NoisedClipConfig
    from gouache.systems.unet import UNet, UNetConfig
    from gouache.weights.blank import blank

    torch.set_num_threads(1)
    options = glide.PUBLISHED["base"]
    with blank():
        unet = UNet(UNetConfig.from_options(options, 50257)).to(torch.bfloat16)
        clip = NoisedClip(NoisedClipConfig())
    for network in (unet, clip):
        state = {
            name: torch.full_like(value, 0.01, device="cpu")
            for name, value in network.state_dict().items()
        }
        network.load_state_dict(state, assign=True)
        network.eval().requires_grad_(False)
    ids = torch.zeros(1, unet.config.text_ctx, dtype=torch.long)
    words = unet.read(ids, ids == 0)
    tokens = torch.ones(1, clip.config.max_text_len, dtype=torch.long)
    wanted = clip.embed_text(tokens, torch.tensor([4]))
    way = Diffusion(str(options["noise_schedule"]), 1000, "100")
    noised = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, pull in (
        ("plain", None),
        ("guided", lambda noised, steps: clip.pull(wanted, noised, steps)),
    ):
        begun = time.process_time()
        with torch.no_grad():
            way.ancestral(lambda x, t: unet(x, t, words), noised, 50, noised, pull)
        found[name], found[f"{name} peak"] = time.process_time() - begun, float(_peak())
    return found


def _peak() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _each(told: dict[str, float]) -> str:
    if "base" not in told:
        return ""
    return f" ({told['base']:.1f} a step of the base, {told['upsampler']:.1f} of the upsampler)"


def _size(name: str, folder: Path) -> int:
    """Bytes of the files of weights that a system is loaded from."""
    files = [path for path in folder.iterdir() if path.suffix in (".pt", ".ckpt")]
    unused = () if name != "glide-free" else ("clip_image_enc.pt", "clip_text_enc.pt")
    return sum(path.stat().st_size for path in files if path.name not in unused)


def rows(names: list[str], room: Path, tell: Callable[[str], object]) -> list[str]:
    """The table: one row for each system, written, loaded and used in processes of their own."""
    lines = [
        "| system | parameters | files | weights in memory | peak while loading | of the weights | "
        "of the files | loading, processor s | two steps, processor s | peak, whole process |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        folder = room / name.partition("-")[0]
        if not folder.exists():
            seconds, _ = measure("-m", MODULE, "--write", name, str(folder))
            tell(f"{folder.name} written in {seconds:.0f} s")
        result = room / "result.json"
        told: dict[str, float] = {}
        for kind in ("--load", "--use"):
            measure("-m", MODULE, kind, name, str(folder), str(result))
            told |= json.loads(result.read_text())
        files = _size(name, folder)
        lines.append(
            f"| {NAMES[name]} | {told['parameters'] / 1e6:.0f} M | {files / GB:.2f} GB | "
            f"{told['weights'] / GB:.2f} GB | {told['peak'] / GB:.2f} GB | "
            f"{told['peak'] / told['weights']:.2f} | {told['peak'] / files:.2f} | "
            f"{told['seconds']:.0f} | {told['steps_seconds']:.0f}{_each(told)} | "
            f"{told['steps_peak'] / GB:.2f} GB |"
        )
        tell(lines[-1])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SYSTEMS)}; all if left out")
    parser.add_argument("--folder", type=Path, help="where folders are kept for the next time")
    parser.add_argument("--page", action="store_true", help="renew the table in the docs")
    for kind in ("--write", "--load", "--use"):
        parser.add_argument(kind, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--guided-step", action="store_true", help="only one step, without files")
    given = parser.parse_args()
    if given.guided_step:
        print(json.dumps(guided_step()))
        return
    if given.write:
        write(given.write[0], Path(given.write[1]))
        return
    if child := given.load or given.use:
        found = work(child[0], Path(child[1]), steps=bool(given.use))
        Path(child[2]).write_text(json.dumps(found))
        return
    room = given.folder or Path(tempfile.mkdtemp(prefix="systems-"))
    room.mkdir(parents=True, exist_ok=True)
    try:
        lines = rows(given.names or list(SYSTEMS), room, lambda line: print(line, flush=True))
    finally:
        if given.folder is None:
            shutil.rmtree(room)
    if given.page:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        table = "\n".join(["", *lines, ""])
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
