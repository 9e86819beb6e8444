"""Imports point one way: a module may import those that stand before it in this list, and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lookalike"

# From the ground up. A package is one entry: its files may import each other.
ORDER = [
    "errors",
    "samples",
    "stores",
    "files",
    "leases",
    "tfrecords",
    "images",
    "models",
    "parquet_files",
    "parts",
    "labels",
    "fetch",
    "sources",
    "listing",
    "acquire",
    "learned",
    "collection",
    "background",
    "reconcile",
    "builder",
    "index",
    "vectors",
    "vector_files",
    "query",
    "results",
    "where",
    "search",
    "recommend",
    "pile",
    "evaluation",
    "derived",
    "analysis",
    "petals",
    "drawing",
    "demo",
    "server",
    "export",
    "cli",
    "__main__",
]

# A method is where a reader looks for search; the import stands inside it.
EXCEPTIONS = [
    ("collection", "search", "Collection.search"),
    ("collection", "recommend", "Collection.recommend"),
]


def modules() -> dict[str, list[Path]]:
    """The files of each entry of the order, but the package's own `__init__.py`."""
    found: dict[str, list[Path]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if path != SOURCE / "__init__.py":
            found.setdefault(path.relative_to(SOURCE).parts[0].removesuffix(".py"), []).append(path)
    return found


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every import of a file but those for type checkers, with the function that it stands in."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")).body, "")


def _imports(statements: list[ast.stmt], inside: str) -> Iterator[tuple[str, str]]:
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from ((alias.name, inside) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, "imports name the package"
            module = statement.module or ""
            if module == "lookalike" or (SOURCE.parent / Path(*module.split("."))).is_dir():
                yield from ((f"{module}.{alias.name}", inside) for alias in statement.names)
            else:
                yield module, inside
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _imports(statement.body, f"{inside}.{statement.name}".strip("."))
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            yield from _imports(statement.orelse, inside)
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _imports(getattr(statement, field, []), inside)
            for handler in getattr(statement, "handlers", []):
                yield from _imports(handler.body, inside)


def test_every_module_has_its_place_in_the_order():
    assert sorted(modules()) == sorted(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_down(module):
    below = ORDER[: ORDER.index(module)]
    upwards = []
    for path in modules()[module]:
        for name, inside in imports(path):
            parts = name.split(".")
            own_or_foreign = parts[0] != "lookalike" or parts[1] in (module, "__version__")
            if own_or_foreign or parts[1] in below or (module, parts[1], inside) in EXCEPTIONS:
                continue
            upwards.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert upwards == []


@pytest.mark.parametrize("module, imported, inside", EXCEPTIONS)
def test_the_exceptions_are_still_there(module, imported, inside):
    found = [name for name, place in imports(SOURCE / f"{module}.py") if place == inside]

    assert found == [f"lookalike.{imported}"]


def test_the_package_itself_imports_nothing_that_is_heavy():
    names = {name.split(".")[0] for name, _ in imports(SOURCE / "__init__.py")}

    assert names == {"__future__", "importlib", "typing"}


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("faiss", {"analysis", "index"}),
        ("cv2", {"acquire", "analysis", "models"}),
        ("duckdb", {"where"}),
        ("onnxruntime", {"models"}),
        ("simplejpeg", {"images"}),
        ("aiohttp", {"fetch"}),
        ("filelock", {"collection", "acquire"}),
        ("google_crc32c", {"tfrecords"}),
        ("fsspec", {"stores"}),
        ("tqdm", {"cli"}),
        ("starlette", {"server"}),
        ("uvicorn", {"server"}),
        ("prometheus_client", {"server"}),
    ],
)
def test_a_library_with_one_use_is_imported_in_one_place(library, only):
    users = {
        module
        for module, paths in modules().items()
        for path in paths
        if any(name.split(".")[0] == library for name, _ in imports(path))
    }

    assert users <= only


def test_only_the_command_line_prints_or_exits():
    found = []
    for module, paths in modules().items():
        for path in paths:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit"):
                    found.append((module, ast.unparse(node.func)))

    assert {module for module, _ in found} == {"cli", "__main__"}
