"""How far things are: a plane without a network, and Depth Anything with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from films.moving import texture
from gouache.errors import ModelError
from gouache.films import camera
from gouache.films import film as film_module
from gouache.films.camera import Window
from gouache.films.config import FilmConfig
from gouache.films.depth import FAR, NEAR, Plane, load_depth, places_in_depth
from gouache.films.film import Film
from gouache.weights.catalogue import find
from tiny import TinyGenerator, TinyPerceptor, tiny_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Depth Anything as transformers writes it, tiny."""
    transformers = pytest.importorskip("transformers")
    backbone = transformers.Dinov2Config(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=518,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=24,
        patch_size=14,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("depth")
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(path)
    return path


def test_a_plane_is_as_far_everywhere() -> None:
    found = load_depth("plane")(texture(0, 20, 30))
    assert torch.equal(found, torch.ones(20, 30))
    assert isinstance(load_depth("plane"), Plane)


def test_a_network(folder: Path) -> None:
    depth = load_depth(str(folder))
    picture = texture(1, 40, 64)
    found = depth(picture)
    assert found.shape == (40, 64)
    assert found.dtype == torch.float32
    assert NEAR <= float(found.min()) < float(found.max()) <= FAR
    assert torch.equal(found, load_depth(str(folder))(picture))


def test_what_the_network_calls_near_is_near(folder: Path) -> None:
    """It tells one over the distance, in no unit."""
    depth = load_depth(str(folder))

    class Answer:
        predicted_depth = torch.linspace(3, 70, 100).view(1, 10, 10)

    class Network:
        device = torch.device("cpu")

        def __call__(self, pixel_values: torch.Tensor) -> Answer:
            assert pixel_values.shape[2] % 14 == pixel_values.shape[3] % 14 == 0
            assert min(pixel_values.shape[2:]) == 518
            return Answer()

    found = type(depth)(Network())(texture(1, 40, 64))
    assert float(found[0, 0]) == pytest.approx(FAR)
    assert float(found[-1, -1]) == pytest.approx(NEAR)
    assert bool((found.flatten().diff() <= 0).all()) or bool((found[:, 0].diff() <= 0).all())


def test_an_even_answer_is_no_trouble(folder: Path) -> None:
    depth = load_depth(str(folder))
    assert bool(torch.isfinite(depth(torch.zeros(3, 16, 16))).all())


def test_it_is_in_the_catalogue() -> None:
    entry = find("depth-anything-v2-small")
    assert entry is not None
    assert (entry.kind, entry.licence) == ("depth", "Apache-2.0")


@pytest.mark.parametrize("damage", ["config", "weights", "truncated", "other", "lacking"])
def test_what_cannot_be_loaded_is_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = tmp_path / "model.safetensors"
    if damage == "config":
        (tmp_path / "config.json").write_text("{")
    elif damage == "weights":
        weights.unlink()
        torch.save({}, tmp_path / "pytorch_model.bin")  # which might hold code
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "other":
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    else:
        from safetensors.torch import load_file, save_file

        tensors = load_file(weights)
        del tensors[max(tensors)]
        save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(ModelError) as caught:
        load_depth(str(tmp_path))
    assert str(caught.value).isprintable()


def test_unknown_names() -> None:
    with pytest.raises(ModelError, match="no depth is called midas"):
        load_depth("midas")
    with pytest.raises(ModelError, match="no depth is called clip-vit-b-32"):
        load_depth("clip-vit-b-32")


def moves(**motion: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The way of a plane, and of what is infinitely far."""
    return camera.move(motion, 40), camera.move({**motion, "translation_z": 0.0}, 40)


WINDOW = Window((40, 60), (30.0, 20.0))
MOTION = {"translation_z": 20.0, "rotation_3d_y": 1.0, "zoom": 1.01, "translation_x": 2.0}


def test_a_plane_moves_as_without_depth() -> None:
    way, far = moves(**MOTION)
    found = places_in_depth(way, far, torch.ones(40, 60), WINDOW)
    assert torch.allclose(found, camera.places(way, WINDOW), atol=1e-9)


@pytest.mark.parametrize("distance", [0.5, 2.0, 1e9])
def test_what_is_near_moves_more(distance: float) -> None:
    """Twice as near, twice the step towards it; what is infinitely far stays."""
    near, far = moves(translation_z=20.0)
    found = places_in_depth(near, far, torch.full((40, 60), distance), WINDOW)
    alike, _ = moves(translation_z=20.0 / distance)
    assert torch.allclose(found, camera.places(alike, WINDOW), atol=1e-6)


def test_two_layers() -> None:
    """Where a near square is before a far ground, each moves by its own distance."""
    distances = torch.full((40, 60), 2.0)
    distances[10:30, 20:40] = 0.5
    way, far = moves(translation_z=10.0)
    found = places_in_depth(way, far, distances, WINDOW)
    for distance, rows, columns in (
        (0.5, slice(15, 25), slice(25, 35)),
        (2.0, slice(0, 4), slice(0, 60)),
    ):
        own, _ = moves(translation_z=10.0 / distance)
        expected = camera.places(own, WINDOW)
        assert torch.allclose(found[rows, columns], expected[rows, columns], atol=1e-3)


def test_a_turning_camera_sees_no_depth() -> None:
    way, far = moves(rotation_3d_y=3.0, angle=5.0)
    distances = 0.5 + torch.rand(40, 60, generator=torch.Generator().manual_seed(0))
    found = places_in_depth(way, far, distances, WINDOW)
    assert torch.allclose(found, camera.places(way, WINDOW), atol=1e-9)


def ramp(picture: torch.Tensor) -> torch.Tensor:
    """Near on the left."""
    return torch.linspace(0.5, 2.0, picture.shape[2]).expand(picture.shape[1:])


def test_films_move_through_depth_and_go_on_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_module, "load_depth", lambda *_: ramp)
    models = {"generator": TinyGenerator(), "perceptor": TinyPerceptor()}

    def build(depth: str) -> Film:
        film = FilmConfig(frames=5, steps_per_frame=2, translation_z="6", depth=depth)
        return Film.build(tiny_config(steps=(3,)), film, **models)

    def painted(film: Film) -> list[torch.Tensor]:
        return [film.picture()[0].clone() for _ in film if film.frame_done]

    deep = painted(build("ramp"))
    flat = painted(build("plane"))
    assert torch.equal(deep[0], flat[0])
    assert not torch.equal(deep[2], flat[2])
    film = build("ramp")
    while not (film.frame == 2 and film.frame_done):
        next(film)
    rest = painted(Film.from_state(film.state_dict(), **models))
    assert all(torch.equal(a, b) for a, b in zip(deep[3:], rest, strict=True))
