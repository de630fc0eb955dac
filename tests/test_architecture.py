"""The house keeps its shape: imports run one way, files stay small, the front door needs nothing installed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "workbench"
ROOMS = ("catalogs", "evaluation", "language", "models", "training", "insight", "plots", "widgets")
DOOR = ("environment", "pages", "notebooks", "doctor", "__main__")  # it may open every room; no room looks back at it
ORDER = ROOMS + DOOR
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "transformers", "accelerate", "safetensors", "sklearn", "umap", "plotly", "ipywidgets", "anywidget"}


def called(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


def imported_modules(source: str, *, inside: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a source imports, at its top, inside functions, or by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = inside.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def imports_against_the_order(source: str, *, inside: str) -> list[str]:
    """The imports of a source that lead to a later room; `inside` is the dotted name of the module."""
    own = inside.split(".")[1] if "." in inside else "__main__"
    wrong = []
    for line, name in imported_modules(source, inside=inside):
        room = name.split(".")[1] if name.startswith("workbench.") else ""
        if room in ORDER and ORDER.index(room) > ORDER.index(own):
            wrong.append(f"line {line}: {own} imports {room}")
    return wrong


def dotted(path: Path) -> str:
    """`workbench.catalogs.schema`; for a room's own file `workbench.catalogs.__init__`, so that `.` means the room."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


@pytest.mark.parametrize("path", FILES, ids=called)
def test_imports_run_one_way(path: Path) -> None:
    if path.parent == PACKAGE and path.stem not in ORDER:
        assert path.stem == "__init__", f"{path.name} is neither a room nor part of the front door"
        assert not list(imported_modules(path.read_text(encoding="utf-8"), inside="workbench.__init__"))
    else:
        assert imports_against_the_order(path.read_text(encoding="utf-8"), inside=dotted(path)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import workbench.models",
        "from workbench.models import GPT2Recommender",
        "from workbench import models",
        "def later():\n    from workbench.models.ranking import top_k",
        "from ..models import ranking",
        "from .. import models",
        "import importlib\nimportlib.import_module('workbench.models')",
    ],
)
def test_every_way_to_write_an_import_against_the_order_is_found(source: str) -> None:
    assert len(imports_against_the_order(source, inside="workbench.catalogs.schema")) == 1
    assert imports_against_the_order(source, inside="workbench.training.trainer") == []


def test_every_room_in_the_package_has_its_place_in_the_order() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert rooms <= set(ROOMS)


@pytest.mark.parametrize(
    ("rooms", "forbidden"), [(("catalogs", "evaluation"), HEAVY | {"tokenizers"}), (("language",), {"torch"})]
)
def test_the_early_rooms_are_tables_and_numpy_only(rooms: tuple[str, ...], forbidden: set[str]) -> None:
    found = [
        f"{called(path)}:{line} {name}"
        for room in rooms
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for line, name in imported_modules(path.read_text(encoding="utf-8"), inside=dotted(path))
        if name.split(".")[0] in forbidden
    ]
    assert found == []


@pytest.mark.parametrize("room", ["catalogs", "evaluation", "language"])
def test_importing_an_early_room_does_not_import_torch(room: str) -> None:
    code = f"import workbench.{room}, sys; assert 'torch' not in sys.modules, 'torch came along'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_umap_is_imported_inside_the_function_that_needs_it() -> None:
    found = [
        called(path)
        for path in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom) and "umap" in ast.unparse(node).split()
    ]
    assert found == []


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py", "environment.py"])
def test_the_front_door_needs_only_the_standard_library(name: str) -> None:
    source = (PACKAGE / name).read_text(encoding="utf-8")
    at_the_top = "\n".join(ast.unparse(n) for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom))
    roots = {module.split(".")[0] for _, module in imported_modules(at_the_top, inside="workbench.door")}
    assert roots <= sys.stdlib_module_names | {"workbench"}
    rooms = {
        module.split(".")[1]
        for _, module in imported_modules(at_the_top, inside="workbench.door")
        if "workbench." in module
    }
    assert rooms <= {"environment"}


def test_the_front_door_opens_without_any_package_installed() -> None:
    bare = [getattr(sys, "_base_executable", sys.executable), "-S", "-E", "-m", "workbench", "--help"]
    shown = subprocess.run(bare, cwd=PACKAGE.parent, capture_output=True, text=True, check=True).stdout
    assert "open the notebooks in JupyterLab" in shown


@pytest.mark.parametrize("path", FILES, ids=called)
def test_files_are_at_most_300_lines_and_functions_60_without_their_docstring(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 300
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            described = node.body[0] if ast.get_docstring(node) else None
            explained = described.end_lineno - described.lineno + 1 if described else 0
            assert node.end_lineno - node.lineno + 1 - explained <= 60, f"{node.name} is too long"


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    names = {path.stem.lower() for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc", "manager", "core", "base"}
