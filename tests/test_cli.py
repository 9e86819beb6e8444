"""The command line: results on stdout, everything else on stderr, and an exit code that says how it went."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build, command, write_picture, write_pictures

import lookalike
from lookalike.cli import main
from lookalike.cli.parser import COMMANDS, make_parser

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; gives the exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words])
        except SystemExit as stopped:  # argparse
            code = int(stopped.code or 0)
        return code, *capsys.readouterr()

    return call


def strict_json(text: str) -> object:
    """Parse JSON as other languages do: NaN and Infinity are not in it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_build_says_what_it_did_on_stderr(run, folder, target):
    code, stdout, stderr = run("build", folder, "-c", target, "--model", "colors")

    assert (code, stdout) == (0, "")
    assert re.fullmatch(r"embedding: 12 of 12, [\d,]+ images/s, 0 s left\n12 embedded\n", stderr)
    assert len(lookalike.open(target)) == 12


def test_build_keeps_the_collection_beside_the_folder(run, folder):
    assert run("build", folder, "--model", "colors")[0] == 0
    assert len(lookalike.open(folder.with_name("pictures.lookalike"))) == 12


@pytest.mark.parametrize("source", [".", "./", "sea/.."])
def test_build_of_the_folder_one_is_in_keeps_the_collection_beside_it(run, folder, monkeypatch, source):
    monkeypatch.chdir(folder)

    assert run("build", source, "--model", "colors")[0] == 0
    assert len(lookalike.open(folder.with_name("pictures.lookalike"))) == 12


def test_a_second_build_counts_what_it_left_alone(run, folder, target):
    run("build", folder, "-c", target, "--model", "colors")
    (folder / "sea" / "sea-002.png").unlink()
    (folder / "bad.jpg").touch()

    code, _, stderr = run("build", folder, "-c", target)

    assert code == 0
    assert stderr.splitlines()[-1] == (
        f"0 embedded, 11 unchanged, 1 removed, 1 failed (see: lookalike failures {target})"
    )


def test_the_command_that_a_message_names_can_be_run_as_it_stands(run, tmp_path):
    folder = write_pictures(tmp_path / "my pictures", 3)
    (folder / "bad.jpg").touch()

    stderr = run("build", folder, "--model", "colors")[2]

    named = re.search(r"\(see: lookalike (.*)\)$", stderr)[1]
    assert run(*shlex.split(named))[1].startswith("decode    bad.jpg  the file is empty")


def test_build_prints_its_counts_as_json(run, folder, target):
    (folder / "bad.jpg").touch()
    code, stdout, _ = run("build", folder, "-c", target, "--model", "colors", "--json")

    assert code == 0
    assert strict_json(stdout) == {
        "collection": str(target),
        "embedded": 12,
        "failed": 1,
        "unchanged": 0,
        "removed": 0,
    }


def test_every_option_of_build_reaches_the_builder(run, folder, target, tmp_path):
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    write_picture(folder / "large.png", 100, size=(1100, 1000))
    words = "--label folder --model pixels --dtype float16 --threads 1 --max-megapixels 1 --part-size 5"

    code, _, _ = run("build", folder, "-c", target, *words.split(), "--metadata", tmp_path / "notes.csv")

    collection = lookalike.open(target)
    assert code == 0
    assert (collection.manifest.model.name, collection.manifest.dtype) == ("pixels", "float16")
    assert len(collection.parts()) == 3
    assert collection.items()["price"].drop_null().to_pylist() == [3]
    assert collection.items()["label"][0].as_py() == "brick"
    assert collection.failures()["id"].to_pylist() == ["large.png"]


def test_build_of_pictures_that_all_fail_is_not_done(run, tmp_path, target):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.jpg").touch()

    code, _, stderr = run("build", tmp_path / "bad", "-c", target, "--model", "colors")

    assert code == 1
    assert stderr.splitlines()[-1] == f"0 embedded, 1 failed (see: lookalike failures {target})"


def test_an_error_is_a_line_and_its_hint_another(run, folder, target):
    build(folder, target)

    code, stdout, stderr = run("build", folder, "-c", target, "--model", "pixels")

    assert (code, stdout) == (1, "")
    assert stderr == (
        f"lookalike: {target} was built with the model colors, not pixels\n"
        "  give another path with -c, or start again from nothing with --rebuild\n"
    )


def test_search_prints_rank_score_label_and_id(run, collection, photos):
    code, stdout, stderr = run("search", collection.path, photos / "sea" / "sea-002.png", "-k", 3)

    assert (code, stderr) == (0, "")
    lines = stdout.splitlines()
    assert lines[0] == "   1   1.000  100%  sea  sea/sea-002.png"
    assert len(lines) == 3
    assert all(
        re.fullmatch(r"   [1-3]   [01]\.\d{3}  [ \d]+%  sea  sea/sea-\d{3}\.png", line) for line in lines
    )


def test_search_takes_an_item_of_the_collection(run, collection):
    assert run("search", collection.path, "id:sea/sea-002.png", "-k", 1)[1].startswith("   1   0.")


def test_search_prints_json(run, collection, photos):
    code, stdout, stderr = run(
        "search", collection.path, "id:sea/sea-002.png", "-k", 2, "--include-query", "--json"
    )

    answer = strict_json(stdout)
    assert (code, stderr) == (0, "")
    assert answer["query"] == ["id:sea/sea-002.png"]
    assert len(answer["hits"]) == 2
    assert answer["hits"][0]["id"] == "sea/sea-002.png"
    assert answer["hits"][0]["score"] == pytest.approx(1, abs=1e-6)
    assert answer["hits"][0]["uri"] == (photos / "sea" / "sea-002.png").as_uri()


def test_json_has_no_number_that_is_none_and_text_as_it_is(run, folder, target, tmp_path):
    write_picture(folder / "雪.png", 100)
    columns = {
        "id": ["雪.png"],
        "price": [float("nan")],
        "limit": [float("inf")],
        "when": pa.array([0], pa.timestamp("us")),
        "raw": [b"\xff"],
        "many": [[1, 2]],
    }
    pq.write_table(pa.table(columns), tmp_path / "notes.parquet")
    build(folder, target, metadata=tmp_path / "notes.parquet")

    _, stdout, _ = run("search", target, "id:雪.png", "-k", 1, "--include-query", "--json")

    (hit,) = strict_json(stdout)["hits"]
    assert (hit["id"], hit["price"], hit["limit"]) == ("雪.png", None, None)
    assert (hit["when"], hit["many"]) == ("1970-01-01 00:00:00", [1, 2])
    assert "雪" in stdout


def test_search_says_when_it_has_given_all(run, collection):
    code, stdout, stderr = run("search", collection.path, "id:sea/sea-002.png", "-k", 100)

    assert (code, len(stdout.splitlines())) == (0, 41)  # all but the one that was asked with
    assert stderr == "the collection has 42 images; that is all of them\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["id:sea/sea-02.png"], "has no item 'sea/sea-02.png'\n  did you mean sea/sea-"),
        (["nowhere.jpg"], "cannot read nowhere.jpg: No such file or directory"),
        ([__file__], "not an image that can be read"),
        (["id:sea/sea-002.png", "-k", "0"], "k is the number of results, at least 1, not 0"),
        (["id:sea/sea-002.png", "-k", "-3"], "k is the number of results, at least 1, not -3"),
    ],
)
def test_a_search_that_cannot_be_done_says_why(run, collection, words, message):
    code, stdout, stderr = run("search", collection.path, *words)

    assert (code, stdout) == (1, "")
    assert stderr.startswith("lookalike: ")
    assert message in stderr


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
    assert stderr == "2 images failed; build again once they are mended\n"
    rows = strict_json(run("failures", target, "--json")[1])
    assert [(row["id"], row["stage"], row["error"]) for row in rows] == [
        ("link.jpg", "list", "a broken link"),
        ("bad.jpg", "decode", "the file is empty"),
    ]


def test_no_failures_are_said_to_be_none(run, collection):
    assert run("failures", collection.path) == (0, "", "no image failed\n")
    assert run("failures", collection.path, "--json") == (0, "[]\n", "")


def test_verify_of_a_whole_collection_finds_nothing(run, collection):
    assert run("verify", collection.path) == (0, "", f"{collection.path}: 42 images, nothing wrong\n")


def test_verify_of_a_damaged_collection_lists_the_problems(run, copied, damage):
    path = copied.parts()[1].thumbnails_path()
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
        ["search", "c"],
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


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(run, name):
    options = re.findall(r"^  (-\S+.*)$", run(name, "--help")[1], re.M)

    unexplained = [line for line in options if not re.search(r"\S  +\S", line)]
    following = run(name, "--help")[1].splitlines()
    for line in unexplained:
        after = following[following.index(f"  {line}") + 1] if f"  {line}" in following[:-1] else ""
        assert after.startswith(" " * 20), f"{name} {line} has no explanation"


def serving(*words: object) -> tuple[int, str, str]:
    """Run a command that serves until its page answers, then press Ctrl-C; exit code, page, stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *map(str, words), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    for line in process.stderr:
        said += line
        if address := re.search(r"http://\S+", line):
            break
    with urllib.request.urlopen(address[0], timeout=10) as answer:
        page = answer.read().decode()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    return process.returncode, page, said + stderr


def test_serve_opens_a_page_until_ctrl_c(collection):
    code, page, stderr = serving("serve", collection.path)

    assert code in (0, 130)
    assert "<html" in page
    assert re.fullmatch(r"42 images at http://127\.0\.0\.1:\d+/ \(Ctrl-C stops\)\n(.*\n)?", stderr)


def test_a_path_alone_builds_and_serves(folder):
    code, page, stderr = serving(folder, "--model", "colors")

    assert code in (0, 130)
    assert "<html" in page
    assert re.search(r"12 embedded\n12 images at http://", stderr)
    assert len(lookalike.open(folder.with_name("pictures.lookalike"))) == 12


def test_a_collection_alone_is_served(collection):
    assert "42 images at http://" in serving(collection.path)[2]


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


def test_demo_without_a_place_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    code, stdout, _ = run("demo", "--count", 3, "--no-serve")

    assert (code, len(stdout.splitlines())) == (0, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["-m", "lookalike", "--help"], ["-c", "import lookalike; dir(lookalike)"]])
def test_help_and_import_are_instant_and_load_nothing_heavy(words):
    durations_s = []
    for _ in range(3):
        started_s = time.perf_counter()
        timed = [sys.executable, "-X", "importtime", *words]
        ended = subprocess.run(timed, capture_output=True, text=True, check=False)
        durations_s.append(time.perf_counter() - started_s)
        assert ended.returncode == 0
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ended.stderr.splitlines()}

    assert "lookalike" in loaded
    assert not loaded & {
        "numpy",
        "pyarrow",
        "onnxruntime",
        "PIL",
        "simplejpeg",
        "starlette",
        "uvicorn",
        "tqdm",
    }
    assert min(durations_s) < 0.3


def test_the_public_names_are_there():
    assert sorted(lookalike.__all__) == dir(lookalike)
    assert all(getattr(lookalike, name) is not None for name in lookalike.__all__)
    with pytest.raises(AttributeError, match="module 'lookalike' has no attribute 'nosuch'"):
        _ = lookalike.nosuch


def test_the_installed_command_is_the_same(collection):
    script = Path(sys.executable).with_name("lookalike")
    words = [script, "info", collection.path, "--json"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert strict_json(ended.stdout)["images"] == 42


def test_a_reader_that_goes_away_is_no_traceback(collection):
    words = [sys.executable, "-m", "lookalike", "search", str(collection.path), "id:sea/sea-002.png"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered)
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()

    assert (process.wait(), stderr) == (1, b"")


def test_names_that_the_terminal_cannot_show_are_shown_as_escapes(folder, target):
    write_picture(folder / "雪.png", 100)
    build(folder, target)
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}

    ended = command("search", target, "id:sea/sea-002.png", "-k", 12, env=plain)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert r"\u96ea.png" in ended.stdout


def test_a_collection_whose_name_is_not_utf8_is_read(folder, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    build(folder, Path(name))

    for words in (["info", name], ["info", name, "--json"], ["verify", name, "--json"]):
        ended = command(*words, errors="replace", env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
        assert "Traceback" not in ended.stderr
        assert ended.returncode == 0


def test_ctrl_c_while_it_starts_is_no_traceback(collection):
    words = [sys.executable, "-m", "lookalike", "verify", str(collection.path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while "numpy" not in maps.read_text():  # it is importing
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate()[1]

    assert (process.returncode, stderr) == (130, "\nlookalike: stopped; what was committed is kept\n")


def test_import_makes_a_collection_of_vectors(run, tmp_path, target):
    np.save(tmp_path / "v.npy", np.eye(3, 8, dtype=np.float32))

    code, stdout, stderr = run("import", tmp_path / "v.npy", "-c", target)

    assert (code, stdout) == (0, "")
    assert stderr == f"3 vectors of 8 dimensions in {target}\n"
    assert run("search", target, "id:1", "-k", 1)[0] == 0
    assert run("search", target, tmp_path / "v.npy")[2].startswith("lookalike: the vectors of")


def test_search_takes_a_condition(run, collection):
    code, stdout, _ = run(
        "search", collection.path, "id:sea/sea-002.png", "--where", "label = 'brick'", "-k", 3
    )

    assert code == 0
    assert [line.split()[3] for line in stdout.splitlines()] == ["brick"] * 3


def test_a_condition_with_an_unknown_column_is_an_error_that_lists_them(run, collection):
    code, _, stderr = run("search", collection.path, "id:sea/sea-002.png", "--where", "colour = 1")

    assert code == 1
    assert "width" in stderr


def test_index_says_what_it_built_and_why(run, folder, target):
    build(folder, target)

    code, stdout, _ = run("index", target)

    assert code == 0
    assert stdout.startswith("flat: ")
    assert "recall@10 1.000" in stdout


def test_a_build_brings_the_index_up_to_date(run, folder, target):
    build(folder, target)
    run("index", target, "--type", "flat")
    write_picture(folder / "new.png", 100)

    assert run("build", folder, "-c", target, "--model", "colors")[0] == 0
    code, stdout, stderr = run("search", target, folder / "new.png", "-k", 1)

    assert (code, stderr) == (0, "")
    assert stdout.endswith("new.png\n")


def test_a_search_says_that_the_index_is_older_than_the_collection(run, folder, target):
    build(folder, target)
    run("index", target, "--type", "flat")
    write_picture(folder / "new.png", 100)
    build(folder, target)

    code, _, stderr = run("search", target, "id:new.png", "-k", 1)

    assert code == 0
    assert stderr.startswith("the index is older than the collection, so the search was exact")


@pytest.mark.parametrize("words", [["--type", "nosuch"], ["--max-memory", "1kB"], ["--min-recall", "1.5"]])
def test_an_index_that_cannot_be_is_an_error(run, folder, target, words):
    build(folder, target)

    code, stdout, stderr = run("index", target, *words)

    assert (code, stdout) == (1, "")
    assert stderr.startswith("lookalike: ")


@pytest.mark.parametrize(
    "library, words",
    [("faiss", ["index"]), ("duckdb", ["search", "--where", "width > 3", "id:sea/sea-002.png"])],
)
def test_a_missing_library_is_named_with_its_extra(run, folder, target, monkeypatch, library, words):
    build(folder, target)
    monkeypatch.setitem(sys.modules, library, None)

    code, _, stderr = run(words[0], target, *words[1:])

    assert code == 1
    assert stderr.endswith("  pip install 'lookalike[search]'\n")
