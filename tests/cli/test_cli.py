"""The command line: results on stdout, everything else on stderr, and an exit code that says how it went."""

from __future__ import annotations

import re
import shlex
import sys

import pytest
from conftest import build, strict_json, write_picture

import lookalike
from lookalike.cli.parser import COMMANDS, _parsers, actions_of, command_parsers, make_parser
from lookalike.storage.parts import list_parts


def test_an_error_is_a_line_and_its_hint_another(run, folder, target):
    build(folder, target)

    code, stdout, stderr = run("build", folder, "-c", target, "--model", "pixels")

    assert (code, stdout) == (1, "")
    assert stderr == (
        f"lookalike: {target} was built with the model colors, not pixels\n"
        "  give another --collection, or start again from nothing with --rebuild\n"
    )


def test_info_says_what_a_collection_holds(run, collection, photos):
    code, stdout, stderr = run("info", collection.path)

    assert (code, stderr) == (0, "")
    facts = dict(line.split(None, 1) for line in stdout.splitlines())
    size = sum(path.stat().st_size for path in collection.path.rglob("*") if path.is_file())
    assert facts == {
        "collection": str(collection.path),
        "images": "42",
        "failures": "0",
        "parts": "3",
        "bytes": f"{size:,} ({size / 1e6:.1f} MB)",
        "model": "colors",
        "dimensions": "192",
        "dtype": "float32",
        "sources": photos.as_uri() + "/",
        "labels": "brick 14, meadow 14, sea 14",
        "fingerprint": collection.fingerprint(),
        "index": f"none yet: lookalike index {collection.path}",
        "clusters": f"none yet: lookalike cluster {collection.path}",
        "duplicates": f"none yet: lookalike duplicates {collection.path}",
        "outliers": f"none yet: lookalike outliers {collection.path}",
        "map": f"none yet: lookalike map {collection.path}",
    }


def test_info_says_what_is_older_than_the_collection_and_how_to_make_it_again(run, folder, target):
    build(folder, target)
    run("map", target)
    run("outliers", target, "-k", 3)
    assert {"map           up to date", "outliers      up to date"} < set(lines(run, target))

    write_picture(folder / "sea" / "new.png", 99)
    build(folder, target)
    facts = target / "derived" / "outliers.json"
    facts.write_text("{")

    again = f"lookalike map {target} --method pca --seed 0"
    assert f"map           older than the collection: {again}" in lines(run, target)
    assert f"outliers      unusable: remove it: {facts}" in lines(run, target)
    made = strict_json(run("info", target, "--json")[1])["made"]
    assert made["map"] == {"state": "stale", "command": again}


def lines(run, target):
    return run("info", target)[1].splitlines()


def test_info_names_the_columns_that_came_with_the_pictures(run, folder, target, tmp_path):
    (tmp_path / "t.csv").write_text("path,kind,price\nsea/sea-002.png,lake,3\n")
    build(folder, target, metadata=tmp_path / "t.csv")

    assert "columns       kind, price" in lines(run, target)
    assert strict_json(run("info", target, "--json")[1])["columns"] == ["kind", "price"]


def test_info_leaves_out_labels_and_columns_that_there_are_none_of(run, folder, target):
    build(folder, target)

    assert {line.split()[0] for line in lines(run, target)} & {"labels", "columns"} == set()


def test_info_prints_json(run, collection):
    facts = strict_json(run("info", collection.path, "--json")[1])

    assert facts["images"] == 42
    assert facts["labels"] == {"brick": 14, "meadow": 14, "sea": 14}
    assert facts["fingerprint"] == collection.fingerprint()


def test_failures_are_listed_with_their_reasons(run, folder, target):
    (folder / "bad.jpg").touch()
    (folder / "link.jpg").symlink_to("nowhere.jpg")
    build(folder, target)

    code, stdout, stderr = run("failures", target)

    assert code == 0
    assert stdout == "list      link.jpg  a broken link\ndecode    bad.jpg  the file is empty\n"
    assert stderr == "2 images could not be read; fix or remove them, then build again\n"
    rows = strict_json(run("failures", target, "--json")[1])
    assert [(row["id"], row["stage"], row["error"]) for row in rows] == [
        ("link.jpg", "list", "a broken link"),
        ("bad.jpg", "decode", "the file is empty"),
    ]


def test_no_failures_are_said_to_be_none(run, collection):
    assert run("failures", collection.path) == (0, "", "every image was read\n")
    assert run("failures", collection.path, "--json") == (0, "[]\n", "")


def test_verify_of_a_whole_collection_finds_nothing(run, collection):
    assert run("verify", collection.path) == (0, "", f"{collection.path}: 42 images, nothing wrong\n")


def test_verify_of_a_damaged_collection_lists_the_problems(run, copied, damage):
    path = list_parts(copied.path)[1].thumbnails_path()
    damage(path)

    code, stdout, stderr = run("verify", copied.path)

    assert code == 1
    assert stdout == f"{path}: the checksum does not match, the file is damaged\n"
    assert stderr.startswith("1 problem")
    code, stdout, _ = run("verify", copied.path, "--json")
    assert code == 1
    assert strict_json(stdout)["problems"] == [f"{path}: the checksum does not match, the file is damaged"]


@pytest.mark.parametrize("name", ["info", "failures", "verify", "serve", "search"])
def test_a_collection_that_is_not_there_is_an_error(run, tmp_path, name):
    code, stdout, stderr = run(name, tmp_path / "nowhere", *(["query.jpg"] if name == "search" else []))

    assert (code, stdout) == (1, "")
    assert stderr.startswith(f"lookalike: there is no collection at {tmp_path}/nowhere\n")


@pytest.mark.parametrize("name", ["info", "failures", "verify", "build"])
def test_a_damaged_part_is_an_error_and_no_traceback(run, copied, photos, name):
    path = copied.path / "items" / "part-000001.parquet"
    path.write_bytes(path.read_bytes()[:-8])

    code, stdout, stderr = run(name, *([photos, "-c"] if name == "build" else []), copied.path)

    if name == "failures":
        assert code == 0
    else:
        assert code == 1
        assert str(path) in stdout + stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["build"],
        ["search"],
        ["build", "x", "--nosuch"],
        ["build", "x", "--threads", "0"],
        ["build", "x", "--part-size", "many"],
        ["build", "x", "--dtype", "float64"],
        ["search", "c", "q", "-k", "many"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_two_and_says_what_is_wrong(run, words):
    code, stdout, stderr = run(*words)

    assert (code, stdout) == (2, "")
    assert "error: " in stderr


def test_a_misspelled_command_is_guessed(run):
    assert run("serch")[2].endswith("lookalike: error: there is no command serch; did you mean search?\n")
    assert run("xyzzy")[2].endswith("lookalike: error: there is no command xyzzy\n")


def test_a_wrong_word_with_control_characters_is_shown_with_escapes(run):
    assert run("\x1b[31mred")[2].endswith(r"there is no command \x1b[31mred" + "\n")
    assert run("info", "c", "--\x1b[31m")[2].endswith(r"unknown argument --\x1b[31m" + "\n")


def test_an_unknown_flag_is_guessed_below_the_usage_of_its_command(run):
    stderr = run("index", "c", "--max-memoy", "1GB")[2]

    assert stderr.startswith("usage: lookalike index ")
    assert stderr.endswith(
        "lookalike index: error: unknown argument --max-memoy; did you mean --max-memory?\n"
    )


def test_without_a_command_the_help_is_shown(run):
    code, stdout, stderr = run()

    assert (code, stderr) == (0, "")
    assert all(name in stdout for name in COMMANDS)


def test_the_version_is_printed(run):
    assert run("--version") == (0, f"lookalike {lookalike.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_an_example_that_can_be_parsed(run, name):
    code, stdout, _ = run(name, "--help")

    assert code == 0
    example = re.search(r"example:\n  lookalike (.+)\n", stdout)[1]
    assert shlex.split(example)[0] == name
    make_parser().parse_args(shlex.split(example))


def test_all_commands_call_a_folder_and_a_column_the_same():
    parsers = command_parsers().values()
    called = {action.metavar for parser in parsers for action in actions_of(parser)}

    assert {name for name in called if isinstance(name, str) and len(name) > 2} == set(
        "A,B COLUMN DEVICE FILE FILE|NAME FOLDER LABEL NAME PICTURE QUERY R,G,B RATE RULE SECRET SHARE SIZE "
        "SOURCE SQL TEXT TYPE URL WORD".split()
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(run, name):
    options = re.findall(r"^  (-\S+.*)$", run(name, "--help")[1], re.M)

    unexplained = [line for line in options if not re.search(r"\S  +\S", line)]
    following = run(name, "--help")[1].splitlines()
    for line in unexplained:
        after = following[following.index(f"  {line}") + 1] if f"  {line}" in following[:-1] else ""
        assert after.startswith(" " * 20), f"{name} {line} has no explanation"


def test_a_path_that_is_not_there_is_said_to_be_missing(run):
    code, _, stderr = run("./nowhere/")

    assert code == 1
    assert "there is no folder nowhere" in stderr


def test_demo_draws_embeds_and_searches(run, tmp_path):
    code, stdout, stderr = run("demo", "--count", 12, "--out", tmp_path, "--no-serve")

    assert code == 0
    assert len(lookalike.open(tmp_path / "flowers.lookalike")) == 12
    assert len(stdout.splitlines()) == 10
    assert re.search(r"^   1   1\.000  ", stdout)
    assert "lookalike search" in stderr


@pytest.mark.slow
def test_the_first_pictures_of_the_demo_are_of_all_kinds(run, tmp_path):
    run("demo", "--count", 24, "--out", tmp_path, "--no-serve")

    labels = lookalike.open(tmp_path / "flowers.lookalike").items()["label"].to_pylist()
    assert labels[:3] == ["daisy", "sunflower", "tulip"]
    assert len(set(labels[:12])) == 12


def test_a_demo_that_cannot_be_written_says_so(run, tmp_path):
    (tmp_path / "file").touch()

    code, _, stderr = run("demo", "--count", 12, "--out", tmp_path / "file", "--no-serve")

    assert (code, stderr) == (1, f"lookalike: cannot write {tmp_path}/file/flowers: Not a directory\n")


def test_demo_without_a_place_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    code, stdout, _ = run("demo", "--count", 3, "--no-serve")

    assert (code, len(stdout.splitlines())) == (0, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_the_command_that_installs_it(run, collection, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)

    code, _, stderr = run("map", collection.path, "--method", "umap")

    assert code == 1
    assert re.search(rf"\n  {sys.executable} -m pip install 'umap-learn>=[\d.]+'\n$", stderr)


def test_only_the_command_that_is_used_has_its_arguments_made():
    parser, commands = _parsers.__wrapped__()

    parser.parse_args(["info", "photos.lookalike"])

    assert [name for name, command in commands.items() if command.add_all is None] == ["info"]
