"""Files from the Hugging Face hub, by its own client.

huggingface_hub brings its cache, tokens, HF_ENDPOINT, HF_HUB_OFFLINE and resuming. It checks sizes;
sums are compared by `cache`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gouache.errors import ModelError, OutputError
from gouache.weights.catalogue import HubFile
from gouache.weights.watch import SourceError, Watch, human_size, need, offline

# What a perceptor may consist of, besides its weights; absent ones are not missed.
_SMALL = (
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
# Family -> its configuration and weights, the best first: safetensors cannot hold code.
TOKENIZER = "tokenizer_config.json"
_SENTENCEPIECES = {"spiece.model", "tokenizer.model", "sentencepiece.bpe.model"}
_PACKAGES = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
_PIECE = re.compile(r"-of-(\d{1,6})\.")
_LAYOUTS = {
    "transformers": (
        "config.json",
        (
            "model.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
        ),
    ),
    "open_clip": (
        "open_clip_config.json",
        ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
    ),
}


@dataclass(frozen=True)
class HubCopy:
    """A file in the hub's cache. `new` if this call fetched it: then it may be removed again."""

    path: Path
    new: bool

    def discard(self) -> None:
        """Removes the file, where nobody had it before."""
        if self.new:
            with contextlib.suppress(OSError):
                blob = self.path.resolve()
                self.path.unlink()
                blob.unlink(missing_ok=True)


def fetch_file(source: HubFile, watch: Watch) -> HubCopy:
    """One file, from the hub's cache or from the network; `SourceError` where neither has it."""
    hub = _hub()
    found = hub.try_to_load_from_cache(source.repo, source.path, revision=source.revision)
    if isinstance(found, str):
        return HubCopy(Path(found), new=False)
    with _source_errors(source.repo):
        path = hub.hf_hub_download(
            source.repo, source.path, revision=source.revision, tqdm_class=_bar(hub, watch)
        )
    return HubCopy(Path(path), new=True)


@dataclass(frozen=True)
class HubFolder:
    """Configuration, tokenizer and weights of a model in the hub's cache.

    `sums` has the sha256 of those files of which the hub states one.
    """

    path: Path
    commit: str
    sums: Mapping[str, str]


def fetch_folder(repo: str, revision: str, family: str, watch: Watch) -> HubFolder:
    """The model in `repo`, in the layout of `family` if it has that, else in another that it has.

    Without a network what the hub's cache has is taken. `SourceError` where it is not enough.
    """
    hub = _hub()
    reason = "HF_HUB_OFFLINE is set"
    if not offline():
        try:
            with _source_errors(repo):
                info = hub.HfApi().model_info(repo, revision=revision, files_metadata=True)
        except SourceError as error:
            reason = str(error)
        else:
            wanted = choose([item.rfilename for item in info.siblings], family)
            if not wanted:
                raise SourceError(f"holds no model that gouache reads (revision {info.sha:.12})")
            folder = _fetch_listed(hub, repo, info, wanted, watch)
            with contextlib.suppress(Exception):
                # The hub's cache then knows which commit the revision is, for those offline.
                hub.hf_hub_download(repo, wanted[0], revision=revision)
            return folder
    for config, _ in _LAYOUTS.values():
        found = hub.try_to_load_from_cache(repo, config, revision=revision)
        if isinstance(found, str) and choose([p.name for p in Path(found).parent.iterdir()]):
            return HubFolder(Path(found).parent, Path(found).parent.name, {})
    raise SourceError(reason)


def _fetch_listed(hub: Any, repo: str, info: Any, wanted: list[str], watch: Watch) -> HubFolder:
    sizes = {item.rfilename: item.size or 0 for item in info.siblings}
    sums = {item.rfilename: item.lfs.sha256 for item in info.siblings if item.lfs is not None}
    missing = [
        name
        for name in wanted
        if not isinstance(hub.try_to_load_from_cache(repo, name, revision=info.sha), str)
    ]
    if TOKENIZER in wanted and _SENTENCEPIECES & set(wanted):
        with _source_errors(repo):  # tiny: what it needs is known before anything large is here
            found = hub.hf_hub_download(repo, TOKENIZER, revision=info.sha)
        check_packages(Path(found).parent, wanted)
    if missing:
        total = sum(sizes[name] for name in missing)
        watch.note(f"fetching {repo} from the Hugging Face hub: {human_size(total)}")
    folder = Path()
    for name in wanted:
        with _source_errors(repo):
            bar = _bar(hub, watch)
            path = hub.hf_hub_download(repo, name, revision=info.sha, tqdm_class=bar)
        folder = Path(path).parent
    return HubFolder(folder, info.sha, {n: sums[n] for n in wanted if n in sums})


def check_packages(folder: Path, names: Collection[str] | None = None) -> None:
    """Raises `ModelError` where the tokenizer in `folder` needs packages that are not installed.

    `names` are the files of the model, where some of them are not there yet.
    """
    names = [item.name for item in folder.iterdir()] if names is None else names
    if not _SENTENCEPIECES & set(names):
        return
    try:
        kind = str(json.loads((folder / TOKENIZER).read_bytes()).get("tokenizer_class"))
    except (OSError, ValueError, AttributeError, RecursionError):
        kind = ""
    # Whose tokenizer has no other form; of others tokenizer.json is enough.
    if not kind.startswith("Siglip") and "tokenizer.json" in names:
        return
    missing = [name for name, module in _PACKAGES.items() if not _is_installed(module)]
    if missing:
        raise ModelError(
            f"the tokenizer of this perceptor needs {' and '.join(missing)}; run: pip install "
            "'gouache[models]'"
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is missing, or somebody put None in its place
        return False


def choose(names: Collection[str], family: str = "transformers") -> list[str]:
    """Of the files of a repository those that are needed; none where weights or config are missing,
    or one of several pieces of the weights.

    The configuration comes first, `family` is preferred where there are several layouts, and
    weights in several pieces are told by their index.
    """
    layouts = sorted(_LAYOUTS.items(), key=lambda item: item[0] != family)
    for _, (config, candidates) in layouts:
        weights = next((name for name in candidates if name in names), None)
        if config in names and weights is not None:
            break
    else:
        return []
    chosen = [config, *(name for name in _SMALL if name in names), weights]
    if weights.endswith(".index.json"):
        stem, suffix = weights.removesuffix(".index.json").split(".")
        pieces = sorted(n for n in names if n.startswith(f"{stem}-") and n.endswith(f".{suffix}"))
        if len(pieces) != _pieces_of(pieces):
            return []
        chosen += pieces
    return chosen


def _pieces_of(names: Sequence[str]) -> int:
    """How many pieces there should be, as their names say: "model-00001-of-00003.safetensors"."""
    numbers = [int(found[1]) for name in names if (found := _PIECE.search(name))]
    return max(numbers, default=max(len(names), 1))


def _hub() -> Any:
    return need("huggingface_hub", "fetching models from the Hugging Face hub")


@contextlib.contextmanager
def _source_errors(repo: str) -> Any:
    # The client's exceptions come from several libraries and change with its versions.
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _drop_half_files(repo)
            raise OutputError(
                "no space is left for the Hugging Face hub's cache; free some, or choose another "
                "folder by HF_HOME"
            ) from None
        if isinstance(error, (OutputError, ModelError, SourceError)):
            raise
        raise SourceError(_line(error)) from None


def _drop_half_files(repo: str) -> None:
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "blobs"
    for half in folder.glob("*.incomplete"):
        with contextlib.suppress(OSError):
            half.unlink()


def _line(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"answers {status} {getattr(error.response, 'reason_phrase', '')}".strip()  # type: ignore[attr-defined]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:120]


def _bar(hub: Any, watch: Watch) -> type:
    """A progress bar, as the hub's client wants one, that shows nothing and tells `watch`."""
    base: Any = hub.utils.tqdm

    class Bar(base):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # It would not count where it is disabled, which it is without a terminal.
            super().__init__(*args, **{**kwargs, "disable": False})
            self._tell()

        def display(self, *args: Any, **kwargs: Any) -> None:
            return None

        def update(self, n: float | None = 1) -> bool | None:
            super().update(n)
            self._tell()
            return True

        def _tell(self) -> None:
            watch.progress(Path(str(self.desc)).name.rstrip(": "), int(self.n), self.total)

    return Bar


__all__ = ["HubCopy", "HubFolder", "check_packages", "choose", "fetch_file", "fetch_folder"]
