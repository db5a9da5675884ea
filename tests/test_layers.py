"""Imports go up only, and `import gouache` is light."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gouache

SOURCE = Path(gouache.__file__).parent
# From the ground up; components (level 3) never import one another, except output's picture files.
LEVELS = {
    "ops": 1,
    "styles": 2,
    "weights": 2,
    "generators": 3,
    "perceptors": 3,
    "latents": 3,
    "cutouts": 3,
    "losses": 3,
    "output": 3,
    "priors": 4.5,  # they propose with shared networks
    "networks": 4,
    "engine": 5,
    "systems": 4,  # the paper's; they paint on their own
    "runs": 6,
    "editing": 7,
    "figures": 8,
    "films": 8.5,
    "sweeps": 8.7,
    "apps": 9,
}
GROUND = ("settings",)  # rooms that stand with the root modules
FILES = sorted(SOURCE.rglob("*.py"))
REPOSITORY = Path(__file__).parents[1]
TRAINING = sorted((REPOSITORY / "src" / "gouache_training").glob("*.py"))  # stays in the repository


def part_of(module: str) -> str:
    """ "gouache.ops.warp" -> "ops"; root modules -> ""."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 and (SOURCE / pieces[1]).is_dir() else ""


def imports_of(path: Path, package: str = "gouache") -> list[str]:
    """Modules of `package` that a file imports when it is imported or run."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += names if node.module == package else [node.module]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if name.split(".")[0] == package]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_up_only(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0] if path.parent != SOURCE else ""
    own = "" if own in GROUND else own
    if own == "" or path.name == "__main__.py":
        level = 10 if path.name in ("__init__.py", "__main__.py") else 0
    else:
        level = LEVELS[own]
    for module in imports_of(path):
        other = part_of(module)
        if other in ("", own, *GROUND):
            continue
        if path == SOURCE / "notebook.py" and module == "gouache.apps.notebook":
            continue  # the public name of it
        if path == SOURCE / "protocols.py" and module == "gouache.ops.images":
            continue  # `Step.to_pil` imports it when called
        assert LEVELS[other] < level, f"{path} (level {level}) imports {module}"


def test_what_is_installed_does_not_need_what_stays_in_the_repository() -> None:
    """Only the command line knows training, and asks first whether it is there."""
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        wheel = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/gouache"]}
    assert TRAINING
    for package in ("gouache_training", "gouache_bench"):
        knowing = [path for path in FILES if imports_of(path, package)]
        assert knowing in ([], [SOURCE / "apps" / "cli" / "main.py"])


@pytest.mark.parametrize("name", ["fcntl", "msvcrt", "GifImagePlugin"])
def test_what_a_package_does_is_not_done_again(name: str) -> None:
    """Locks are filelock's; of Pillow only what it promises is used."""
    assert not [path for path in FILES if name in path.read_text(encoding="utf-8")]


def test_one_kind_of_bar() -> None:
    drawn = [path.name for path in FILES if "BarColumn(" in path.read_text(encoding="utf-8")]
    assert drawn == ["progress.py"]
    preview = SOURCE / "apps" / "preview.py"
    assert "gouache.apps.progress" not in imports_of(preview), "progress imports preview"


def files_imported(path: Path) -> set[Path]:
    """The files of gouache that one imports, also inside functions; not for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # What is imported of a package may be a file of its own.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if file_of(name) else node.module for name in names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {file for name in names if (file := file_of(name)) is not None}
    return found - {path}


def file_of(module: str) -> Path | None:
    place = SOURCE.parent.joinpath(*module.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file() and SOURCE in path.parents:
            return path
    return None


def circles(imported: dict[Path, set[Path]]) -> list[list[Path]]:
    """One way round for each circle that a walk along the imports comes back on."""
    done: set[Path] = set()
    found = []

    def walk(path: Path, way: list[Path]) -> None:
        if path in way:
            found.append([*way[way.index(path) :], path])
        elif path not in done:
            for other in sorted(imported[path]):
                walk(other, [*way, path])
            done.add(path)

    for path in imported:
        walk(path, [])
    return found


def test_no_file_imports_itself_by_way_of_others() -> None:
    found = circles({path: files_imported(path) for path in FILES})
    assert not [[str(path.relative_to(SOURCE)) for path in circle] for circle in found]


def test_circles_are_found(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    assert circles({a: {b}, b: {c}, c: set()}) == []
    assert circles({a: {b}, b: {c}, c: {b}}) == [[b, c, b]]


def test_each_room_says_what_belongs_in_it_and_what_does_not() -> None:
    for room in (path for path in SOURCE.iterdir() if list(path.glob("*.py"))):
        tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
        told = ast.get_docstring(tree) or ""
        assert "\n\nNot here: " in told, room.name


def test_the_map_lists_each_room() -> None:
    told = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in (path.name for path in SOURCE.iterdir() if list(path.glob("*.py"))):
        assert f"\n  {room}/ " in told, room


def test_no_file_is_too_long_to_read() -> None:
    # Tables of data are looked up, not read.
    tables = {"sources.py"}
    long = {
        path.name: count
        for path in (*FILES, *TRAINING)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 600
        and path.name not in tables
    }
    assert not long


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import gouache", "torch"),
        ("import gouache.settings.config, gouache.prompts, gouache.protocols", "torch"),
        ("import gouache.apps.cli.main", "torch"),
        ("import gouache.apps.cli.main", "PIL"),
        ("import gouache; gouache.paint", "transformers"),
        ("import gouache; gouache.paint", "huggingface_hub"),
        ("import gouache; gouache.paint", "av"),
    ],
)
def test_light_imports(code: str, absent: str) -> None:
    program = f"import sys; {code}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_public_names_exist() -> None:
    for name in gouache.__all__:
        assert getattr(gouache, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gouache.nothing  # noqa: B018
