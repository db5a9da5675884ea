"""`gouache paint --system`: pictures by other systems, painted again, chosen, told of."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import gouache as package
from gouache.engine.judging import similarity
from gouache.errors import ConfigError, PromptError
from gouache.halting import Halted, check
from gouache.output.pictures import read_metadata, save_picture
from gouache.perceptors import load_perceptor
from gouache.runs.by_system import BySystem, system_config
from gouache.runs.executors import Inline
from gouache.runs.job import Job
from gouache.systems.known import systems
from gouache.systems.mindalle import load_mindalle
from gouache.weights import catalogue as catalogue_module
from gouache.weights import download as download_module
from gouache.weights.catalogue import Entry, File
from weights.flaky import Flaky, flaky_server, serve

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CPU = torch.device("cpu")


class Flat:
    """Paints flat colours that its seed decides."""

    sums: Mapping[str, str] = {"flat.pt": "0" * 64}

    def __init__(self, device: str = "cpu") -> None:
        self.asked: list[tuple[str, int]] = []

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"kind": "flat", "sums": self.sums}

    def paint(self, prompt: str, seed: int) -> Image.Image:
        check()
        self.asked.append((prompt, seed))
        color = torch.randint(256, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
        return Image.new("RGB", (20, 12), tuple(color))

    def paint_over(
        self, prompt: str, seed: int, picture: Image.Image, mask: Image.Image
    ) -> Image.Image:
        return Image.composite(self.paint(prompt, seed).resize(picture.size), picture, mask)


@pytest.fixture(autouse=True)
def flat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flat:
    monkeypatch.setenv("GOUACHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    one = Flat()
    systems.names()
    monkeypatch.setitem(systems._references, "flat", lambda device: one)
    return one


def color(path: str | Path) -> Any:
    return Image.open(path).getpixel((0, 0))


def test_a_picture_by_an_added_model_and_again(gouache) -> None:
    folder = shutil.copytree(GOLDEN / "mindalle", "1.3B")
    assert gouache("models", "add", folder, "--name", "dalle").code == 0
    assert "dalle" in gouache("models", "list").out
    shutil.move("cache", "away")
    assert "no system is called 'dalle'" in gouache("paint", "--system", "dalle", "a cup").err
    shutil.move("away", "cache")
    asked = ["--system", "dalle", "--seed", "3", "--device", "cpu", "--json"]
    painted = gouache("paint", "a red cup", *asked)
    assert painted.code == 0, painted.err
    told = json.loads(painted.out)
    assert (told["out"], told["system"], told["seeds"]) == (["a-red-cup.png"], "dalle", [3])
    expected = load_mindalle(GOLDEN / "mindalle").paint("a red cup", 3)
    assert Image.open("a-red-cup.png").tobytes() == expected.tobytes()
    document = read_metadata("a-red-cup.png")
    assert document["settings"]["model"] == "minDALL-E"
    assert str(folder) not in json.dumps(document)
    info = gouache("info", "a-red-cup.png").out
    assert (
        "stage2_last.ckpt (sha256 " + document["settings"]["sums"]["stage2_last.ckpt"][:12] in info
    )
    again = gouache("replay", "a-red-cup.png", "--out", "b.png", "-q")
    assert (again.code, again.err) == (0, "")
    assert Path("b.png").read_bytes() == Path("a-red-cup.png").read_bytes()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Flaky]:
    """A catalogue of minDALL-E, small, and the server that has its archive."""
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(GOLDEN / "mindalle", "1.3B")
    with flaky_server() as flaky:
        flaky.routes["/1.3B.tar.gz"] = [serve(packed.getvalue())]
        flaky.routes["/cut.tar.gz"] = [serve(packed.getvalue()[:-9000])]
        md5 = hashlib.md5(packed.getvalue()).hexdigest()
        part = File("1.3B.tar.gz", (f"{flaky.url}/1.3B.tar.gz",), md5=md5)
        entry = Entry("mindalle", "system", "mindalle", native_size=16, parts=(part,))
        monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"mindalle": entry})
        yield flaky


def test_published_weights_are_fetched_once(gouache, served: Flaky, tmp_path: Path) -> None:
    painted = gouache("paint", "a cup", "--system", "mindalle", "--out", "x.png")
    assert painted.code == 0, painted.err
    assert "fetching 1.3B.tar.gz of mindalle" in painted.err
    assert Image.open("x.png").size == (16, 16)
    served.routes.clear()
    assert gouache("paint", "a cup", "--system", "mindalle", "--out", "y.png").code == 0
    assert Path("y.png").read_bytes() == Path("x.png").read_bytes()
    assert gouache("models", "verify", "mindalle").out.strip() == "mindalle: as recorded"
    assert sorted(path.name for path in (tmp_path / "cache" / "downloads").rglob("*")) == []
    assert gouache("models", "remove", "mindalle").code == 0
    gone = gouache("paint", "a cup", "--system", "mindalle", "--out", "z.png", "-q")
    assert gone.code == 2
    assert "mindalle could not be fetched" in gone.err
    assert "place 1.3B.tar.gz" in gone.err
    # By hand, under the published name.
    shutil.copytree(GOLDEN / "mindalle", "own")
    assert gouache("models", "add", "own", "--name", "mindalle").code == 0
    assert gouache("paint", "a cup", "--system", "mindalle", "--out", "z.png").code == 0
    assert gouache("models", "add", "own", "--name", "mindalle").code == 2


@pytest.mark.parametrize(
    ("route", "message"), [("/cut.tar.gz", "has md5"), ("/page", "404 Not Found")]
)
def test_what_is_sent_instead_is_one_line(
    gouache, served: Flaky, tmp_path: Path, route: str, message: str
) -> None:
    if route in served.routes:
        served.routes["/1.3B.tar.gz"] = served.routes[route]
    else:
        del served.routes["/1.3B.tar.gz"]
    failed = gouache("models", "fetch", "mindalle", "-q")
    lines = [line for line in failed.err.splitlines() if "fetching" not in line]
    assert (failed.code, len(lines)) == (2, 1), failed.err
    assert message in failed.err
    assert not list((tmp_path / "cache").rglob("*.ckpt*"))
    assert not list((tmp_path / "cache").rglob("*.tar.gz"))


def test_several_words_and_seeds_their_grid_and_each_again(gouache, flat: Flat) -> None:
    painted = gouache("paint", "a cup", "a hat", "--system", "flat", "--seed", "5", "--count", "3")
    assert painted.out.split() == ["a-cup-a-hat-1.png", "a-cup-a-hat-2.png", "a-cup-a-hat-3.png",
                                   "a-cup-a-hat.png"]  # fmt: skip
    assert flat.asked == [("a cup", 5), ("a hat", 6), ("a cup", 7)]
    flat.asked.clear()
    assert gouache("replay", "a-cup-a-hat-2.png", "--out", "again.png", "-q").code == 0
    assert flat.asked == [("a hat", 6)]
    assert Path("again.png").read_bytes() == Path("a-cup-a-hat-2.png").read_bytes()
    assert "2 of 3" in gouache("info", "again.png").out
    assert gouache("replay", "a-cup-a-hat.png", "--out", "grid.png", "-q").code == 0
    assert Path("grid.png").read_bytes() == Path("a-cup-a-hat.png").read_bytes()
    assert Path("grid-3.png").read_bytes() == Path("a-cup-a-hat-3.png").read_bytes()
    # Another batch does not pass for a part of this one.
    gouache("paint", "a fish", "--system", "flat", "--count", "2", "--out", "fish.png")
    shutil.copy("fish-1.png", "grid-1.png")
    other = gouache("paint", "a cup", "--system", "flat", "--count", "2", "--out", "grid.png")
    assert (other.code, "is no part of" in other.err) == (2, True)


def test_the_best_of_several_is_what_the_guide_likes_best(gouache, flat: Flat) -> None:
    prompt = "a castle: by night"  # no weight, as it would be for our own loop
    asked = ["--system", "flat", "--best-of", "3", "--seed", "2", "--perceptor", "pocket"]
    painted = gouache("paint", prompt, *asked, "--out", "x.png", "--json")
    assert painted.code == 0, painted.err
    assert flat.asked == [(prompt, seed) for seed in (6, 7, 8)]
    guide = load_perceptor("pocket")
    liked = [similarity(guide, Flat().paint("", s), r"a castle\: by night", CPU) for s in (6, 7, 8)]
    best = 6 + liked.index(max(liked))
    told, document = json.loads(painted.out), read_metadata("x.png")
    assert (told["seeds"], told["scores"]) == ([best], [round(max(liked), 4)])
    assert (document["seed"], document["best_of"]) == (best, 3)
    assert document["guide"] == {"name": "pocket", "fingerprint": guide.fingerprint}
    assert Image.open("x.png").tobytes() == Flat().paint("", best).tobytes()
    flat.asked.clear()
    assert gouache("replay", "x.png", "--out", "y.png", "-q").code == 0
    assert flat.asked == [(prompt, best)]  # nobody has to choose again
    assert Path("y.png").read_bytes() == Path("x.png").read_bytes()
    assert "chosen by" in gouache("info", "y.png").out


def test_a_part_of_a_picture_is_painted_anew(gouache) -> None:
    Image.new("RGB", (8, 6), "navy").save("sea.png")
    mask = Image.new("L", (8, 6))
    mask.paste(255, (4, 0, 8, 6))
    mask.save("m.png")
    over = ["--init-image", "sea.png", "--mask", "m.png"]
    assert gouache("paint", "a boat", "--system", "flat", *over, "--out", "x.png").code == 0
    left, right = (Image.open("x.png").getpixel(place) for place in ((0, 0), (7, 0)))
    assert left == (0, 0, 128)
    assert right == Flat().paint("", 0).getpixel((0, 0))
    assert [one["setting"] for one in read_metadata("x.png")["inputs"]] == ["init_image", "mask"]
    assert "sea.png as init_image" in gouache("info", "x.png").out
    assert gouache("replay", "x.png", "--out", "y.png").code == 0
    assert Path("y.png").read_bytes() == Path("x.png").read_bytes()
    Path("sea.png").unlink()
    gone = gouache("replay", "x.png", "--out", "z.png")
    assert (gone.code, "--init-image PATH" in gone.err) == (2, True)


def test_ctrl_c_keeps_what_is_finished(gouache, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    paint = Flat.paint

    def interrupted(self: Flat, prompt: str, seed: int) -> Image.Image:
        if seed == 1:
            signal.raise_signal(signal.SIGINT)
        return paint(self, prompt, seed)

    monkeypatch.setattr(Flat, "paint", interrupted)
    stopped = gouache("paint", "a cup", "--system", "flat", "--count", "3", "-q")
    assert (stopped.code, stopped.out.split()) == (130, ["a-cup-1.png"])
    assert "stopped; 1 of 3 pictures are finished" in stopped.err
    assert sorted(path.name for path in Path().glob("*.png")) == ["a-cup-1.png"]


def test_what_is_done_of_a_picture_is_told(gouache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gouache.apps.progress.SECONDS", 0)
    shutil.copytree(GOLDEN / "mindalle", "m")
    assert gouache("models", "add", "m", "--name", "dalle").code == 0
    told = gouache("paint", "a cup", "--system", "dalle").err.splitlines()
    assert told[0] == "1 of 15 of this picture"
    assert told[13] == "14 of 15 of this picture"
    assert told[-1].startswith("picture 1/1")


def test_ctrl_c_ends_within_a_picture(gouache, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from gouache.systems.text_to_codes import TextToCodes

    read = TextToCodes.read_code
    codes: list[int] = []

    def interrupted(self: TextToCodes, *given: Any) -> Any:
        codes.append(1)
        if len(codes) == 3:
            signal.raise_signal(signal.SIGINT)
        return read(self, *given)

    shutil.copytree(GOLDEN / "mindalle", "m")
    assert gouache("models", "add", "m", "--name", "dalle").code == 0
    monkeypatch.setattr(TextToCodes, "read_code", interrupted)
    stopped = gouache("paint", "a cup", "--system", "dalle", "-q")
    assert (stopped.code, stopped.out, len(codes)) == (130, "", 3)
    assert not list(Path().glob("*.png"))


def test_options_are_told_and_painted_with_again(gouache) -> None:
    shutil.copytree(GOLDEN / "mindalle", "m")
    assert gouache("models", "add", "m", "--name", "dalle").code == 0
    asked = ["--system", "dalle", "--top-k", "1", "--temperature", "0.5"]
    for seed in ("1", "2"):  # the likeliest code, whatever the seed
        painted = gouache("paint", "a cup", *asked, "--seed", seed, "--out", f"{seed}.png")
        assert painted.code == 0, painted.err
    assert Image.open("1.png").tobytes() == Image.open("2.png").tobytes()
    assert read_metadata("1.png")["options"] == {"temperature": 0.5, "top_k": 1}
    assert gouache("replay", "1.png", "--out", "again.png", "-q").err == ""
    assert Path("again.png").read_bytes() == Path("1.png").read_bytes()
    Path("asked.yaml").write_text("top_k: 1\ntemperature: 0.5\nseed: 1\n")
    filed = gouache("paint", "a cup", "--system", "dalle", "--config", "asked.yaml", "-o", "c.png")
    assert filed.code == 0, filed.err
    assert Path("c.png").read_bytes() == Path("1.png").read_bytes()
    from_python = package.paint("a cup", system="dalle", seed=1, top_k=1, temperature=0.5)
    assert from_python.image.tobytes() == Image.open("1.png").tobytes()


def test_other_weights_than_those_that_painted_are_told(gouache, monkeypatch) -> None:
    assert gouache("paint", "a cup", "--system", "flat", "--out", "x.png").code == 0
    monkeypatch.setattr(Flat, "sums", {"flat.pt": "1" * 64})
    told = gouache("replay", "x.png", "--out", "y.png", "-q")
    assert (told.code, told.err.count("\n")) == (0, 1)
    assert "other sums of flat" in told.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--system", "flut", "x"], "did you mean flat"),
        (["--system", "flat"], "nothing to paint"),
        (["--system", "flat", "x", "--steps", "3"], "flat has no setting steps"),
        (["--system", "flat", "x", "--size", "64x64"], "flat has no setting size"),
        (["--system", "flat", "x", "--perceptor", "pocket"], "add best_of"),
        (["--system", "flat", "x", "--best-of", "0"], "best_of is 0; expected 1 to 100"),
        (["--system", "flat", "x", "--run-dir", "r"], "leave --run-dir out"),
        (["--system", "flat", "x", "--timelapse", "t.mp4"], "leave --timelapse out"),
        (["--system", "flat", "x", "--preview"], "leave --preview out"),
        (["--system", "flat", "x", "--dry-run"], "leave --dry-run out"),
        (["--system", "flat", "x", "--save-every", "3"], "leave --save-every out"),
        (["--system", "flat", "x", "--preset", "paper"], "flat has no presets"),
        (["--system", "flat", "x", "--init-image", "p.png"], "mask is missing"),
        (["--system", "flat", "x", "--mask", "p.png"], "init_image is missing"),
        (["--system", "min-dalle", "x"], "needs the package min_dalle"),
        (["--system", "flat", "x", "--seed", "-1"], "seed is -1"),
        (["--system", "flat", "x", "--device", "moon"], "device is 'moon'"),
        (["x", "--best-of", "3"], "add --system NAME"),
        (["x", "--mask", "p.png"], "add --system NAME"),
        (["x", "--top-k", "3"], "--top-k is for pictures by other systems; add --system NAME"),
        (["--system", "flat", "x", "--top-k", "3"], "flat has no setting top_k; leave it out"),
        (["--system", "pocket-ar", "x", "--sampler", "ddim"], "pocket-ar has no setting sampler"),
        (["--system", "pocket-ar", "x", "--top-p", "0"], "top_p is 0.0"),
        (["--system", "glide", "x", "--steps", "7", "--respacing", "7"], "say the same"),
        (["--system", "min-dalle", "x", "--top-k", "3"], "min-dalle has no setting top_k"),
    ],
)
def test_mistakes_are_one_line(gouache, arguments: list[str], message: str) -> None:
    Image.new("RGB", (8, 8)).save("p.png")
    result = gouache("paint", *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err
    assert [path.name for path in Path().glob("*.png")] == ["p.png"]


@pytest.mark.parametrize(
    "damage",
    [
        {"prompt": 3},
        {"seed": "x"},
        {"seed": -4},
        {"system": 7},
        {"settings": []},
        {"batch": 3},
        {"picture": None},
        {"picture": None, "batch": {"prompts": ["x"], "seed": 0, "count": 2, "best_of": "many"}},
        {"picture": None, "batch": {"prompts": ["x"], "seed": 0, "count": 2, "best_of": 3}},
        {"inputs": [{"setting": "init_image"}]},
        {"options": 3},
        {"options": {"top_k": "many"}},
        {"options": {"seed": 3}},
        {"version": "9.0", "format": 7},
    ],
)
def test_damaged_documents_are_one_line(gouache, damage: dict[str, Any]) -> None:
    gouache("paint", "x", "--system", "flat", "--out", "x.png")
    save_picture(Image.open("x.png"), "y.png", read_metadata("x.png") | damage)
    result = gouache("replay", "y.png", "--out", "z.png")
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert not Path("z.png").exists()


def test_painted_from_python(flat: Flat) -> None:
    painting = package.paint(["a cup", "a hat"], system="flat", seed=4)
    assert [image.getpixel((0, 0)) for image in painting.images] == [
        Flat().paint("", seed).getpixel((0, 0)) for seed in (4, 5)
    ]
    assert painting.records[1]["prompt"] == "a hat"
    assert "flat" in painting._repr_html_()
    own = package.paint("a cup", system=Flat(), best_of=2, perceptor="pocket")
    assert len(own.scores) == 1
    assert own.records[0]["system"] == "Flat"
    with pytest.raises(ConfigError, match="no setting steps"):
        package.paint("a cup", system="flat", steps=3)
    for system in ("flat", Flat()):
        with pytest.raises(PromptError):
            package.paint("", system=system)
        with pytest.raises(ConfigError, match="best_of is"):
            package.paint("a cup", system=system, best_of=0)
    with pytest.raises(ConfigError, match="init image of a system is a path"):
        package.paint("a cup", system="flat", init_image=Image.new("RGB", (8, 8)))


def test_a_job_by_a_system_is_done_like_any() -> None:
    config = system_config("flat", {"prompt": "a cup", "seed": 9})
    outcome = Inline().submit(Job(config, system=BySystem("flat"))).result()
    assert outcome.records[0]["seed"] == 9
    assert outcome.pictures[0].tobytes() == Flat().paint("", 9).tobytes()


def test_a_try_that_fails_leaves_the_run_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    painter = BySystem("flat").prepare(system_config("flat", {"prompt": "a cup"}))

    def halted(*_: Any) -> Any:
        raise Halted

    with monkeypatch.context() as patch:
        patch.setattr(Flat, "paint", halted)
        with pytest.raises(Halted):
            next(painter)
    assert painter.step_index == 0
    next(painter)
    assert painter.finished


def test_a_picture_of_a_figure_is_painted_again(gouache) -> None:
    Path("lines.txt").write_text("a fish\n")
    asked = ["--prompts", "lines.txt", "--systems", "flat", "--tries", "2", "--judge", ""]
    made = gouache("figures", "12", *asked, "--perceptor", "pocket", "--out", "f", "-q")
    assert made.code == 0, made.err
    (picture,) = Path("f").glob("01-*.png")
    assert gouache("replay", picture, "--out", "again.png", "-q").code == 0
    assert Path("again.png").read_bytes() == picture.read_bytes()


def test_what_varies_pictures_says_that_it_has_no_settings(gouache) -> None:
    gouache("paint", "x", "--system", "flat", "--out", "x.png")
    result = gouache("vary", "x.png")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "holds no settings of a painting" in result.err


def test_a_picture_is_no_run_that_could_go_on(gouache) -> None:
    gouache("paint", "x", "--system", "flat", "--out", "x.png")
    result = gouache("resume", "x.png")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "x.png is a file, not the folder of a run; a picture is painted again" in result.err
