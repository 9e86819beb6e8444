"""The library's hints are Python; the command line says them with its own flags and commands."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from conftest import build

import lookalike
from lookalike.cli.parser import make_parser
from lookalike.cli.remedies import in_flags
from lookalike.errors import LookalikeError

SOURCE = Path(lookalike.__file__).parent


@pytest.mark.parametrize(
    ("command", "hint", "said"),
    [
        ("build", "raise `max_megapixels`", "raise --max-megapixels"),
        ("build", "give another `collection`", "give another --collection"),
        ("build", "start again with `rebuild=True`", "start again with --rebuild"),
        ("cluster", "use `k=1` for a single group", "use --k 1 for a single group"),
        ("outliers", "use a smaller `k`", "use a smaller -k"),
        ("evaluate", "use smaller `ks` and `voters`", "use smaller -k and --voters"),
        ("cluster", "`method='kmeans'` takes a number", "--method kmeans takes a number"),
        ("map", "raise it to `max_memory_bytes=2000001`", "raise it to --max-memory 3MB"),
        ("search", "name it as `url_column`", "name it as --url-column"),
        ("search", "ask with `Id('a.jpg')` or `Text(...)`", "ask with id:a.jpg or text:…"),
    ],
)
def test_an_argument_is_said_as_the_flag_of_the_command(command, hint, said):
    assert in_flags(hint, command) == said


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("`lookalike.open('/a b.lookalike').verify()`", "lookalike verify '/a b.lookalike'"),
        ("`lookalike.open('c').index(max_memory_bytes=2000000)`", "lookalike index c --max-memory 2MB"),
        ("`lookalike.open('c').map(method='umap', write=True)`", "lookalike map c --method umap"),
        (
            "`lookalike.build(source, collection='c', rebuild=True)`",
            "lookalike build SOURCE -c c --rebuild",
        ),
        ("`lookalike.analysis.moving.undo_moves('trash')`", "lookalike duplicates --undo trash"),
        (
            "`lookalike.add_model('a b.onnx', size_px=224, out=folder)`",
            "lookalike model add 'a b.onnx' --size 224 -o FOLDER",
        ),
        ("`lookalike.acquire.pack.pack(folder, 's3://b/x')`", "lookalike pack FOLDER s3://b/x"),
    ],
)
def test_a_call_is_said_as_a_command_that_can_be_run(hint, said):
    assert in_flags(hint) == said
    make_parser().parse_args(shlex.split(said)[1:])


@pytest.mark.parametrize(
    "hint",
    ["a column `embedding`", "`timm.list_pretrained()` lists all", "it is `not python`", "an odd `mark"],
)
def test_code_that_is_no_flag_stays_as_it_is(hint):
    assert in_flags(hint, "build") == hint


def test_the_library_names_no_flag_and_no_command():
    files = [path for path in SOURCE.rglob("*.py") if "cli" not in path.relative_to(SOURCE).parts]
    said = [
        ast.unparse(one) for path in files for one in ast.walk(ast.parse(path.read_text())) if _raises(one)
    ]

    assert len(said) > 200
    assert [
        text for text in said if re.search(r"(?<![-\w])--?[a-z][a-z-]+\b|\blookalike [a-z]+\b|\.md\b", text)
    ] == []


def _raises(node):
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return False
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    return re.fullmatch(r"[A-Z]\w+Error", name) is not None


def test_an_error_in_python_names_what_python_takes(folder, target):
    build(folder, target)

    with pytest.raises(LookalikeError, match=r"give another `collection`, or .* with `rebuild=True`"):
        lookalike.build(folder, target, model="pixels")


@pytest.mark.parametrize("source", [["a.jpg"], ("a.jpg",), 5, None, b"photos"])
def test_a_source_that_is_no_path_is_a_clear_error(source, target):
    with pytest.raises(LookalikeError, match="source is text or a path, not"):
        lookalike.build(source, target)


@pytest.mark.parametrize("path", [5, None, ["c.lookalike"]])
def test_a_collection_that_is_no_path_is_a_clear_error(path):
    with pytest.raises(LookalikeError, match="path is text or a path, not"):
        lookalike.open(path)
