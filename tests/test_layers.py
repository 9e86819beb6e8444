"""Imports point one way: from room to room in the order below, and never in a circle, file by file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lookalike"

# From the ground up: a room, or a module at the top, may import those before it.
ORDER = (
    "extras cache errors checking parallel images models storage sources index search builder acquire "
    "analysis learning page export server demo browsing view collection cli __main__"
).split()


def files() -> dict[str, Path]:
    """Every file of the package by the name that an import calls it."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


FILES = files()


def room_of(name: str) -> str:
    """The room, or the module at the top, that a file belongs to; the package itself is `lookalike`."""
    return name.split(".")[1] if "." in name else name


@cache
def imports(name: str) -> tuple[str, ...]:
    """Everything that a file imports, wherever in it the import stands, but for type checkers alone."""
    return tuple(_imports(tree(name)))


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for statement in node.orelse:
            yield from _imports(statement)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports name the package"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in FILES else str(node.module)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def own_imports(name: str) -> list[str]:
    """The files of the package that a file imports; the version stands in the package itself."""
    return [one for one in imports(name) if one in FILES and one != "lookalike"]


def test_every_room_has_its_place_in_the_order():
    assert {room_of(name) for name in FILES} == {*ORDER, "lookalike"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_from_its_own_room_and_those_before_it(name):
    if name == "lookalike":
        pytest.skip("it names everything, and imports it when it is asked for")
    allowed = ORDER[: ORDER.index(room_of(name)) + 1]

    assert [one for one in own_imports(name) if room_of(one) not in allowed] == []


def test_no_files_import_each_other_in_a_circle():
    graph = {name: own_imports(name) for name in FILES if name != "lookalike"}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_package_itself_imports_nothing_that_is_heavy():
    assert {name.split(".")[0] for name in imports("lookalike")} == {"__future__", "importlib", "typing"}


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("faiss", {"analysis", "index"}),
        ("cv2", {"acquire", "analysis", "images", "models"}),
        ("sqlglot", {"search"}),
        ("onnxruntime", {"models"}),
        ("tokenizers", {"models"}),
        ("simplejpeg", {"images"}),
        ("aiohttp", {"sources"}),
        ("filelock", {"storage", "acquire"}),
        ("google_crc32c", {"sources", "storage"}),
        ("fsspec", {"storage"}),
        ("tqdm", {"cli"}),
        ("starlette", {"server"}),
        ("uvicorn", {"server"}),
        ("prometheus_client", {"server"}),
    ],
)
def test_a_library_with_one_use_is_imported_in_one_place(library, only):
    users = {room_of(name) for name in FILES if library in {one.split(".")[0] for one in imports(name)}}

    assert users <= only


def test_only_the_command_line_prints_or_exits():
    found = {
        room_of(name)
        for name in FILES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and ast.unparse(node.func) in ("print", "sys.exit", "exit", "os._exit")
    }

    assert found == {"cli"}
