"""The commands that make a collection or its index: build, import, index."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import build, strict_json, write_picture, write_pictures

import lookalike
from lookalike.cli import main
from lookalike.models.registry import load_model
from lookalike.storage.parts import Part, list_parts


def test_build_says_what_it_did_on_stderr(run, folder, target):
    code, stdout, stderr = run("build", folder, "-c", target, "--model", "colors")

    assert (code, stdout) == (0, "")
    assert re.fullmatch(r"embedding: 12 of 12, [\d,]+ images/s\n12 embedded\n", stderr)
    assert len(lookalike.open(target)) == 12


def test_build_keeps_the_collection_beside_the_folder_and_says_so(run, folder):
    code, _, stderr = run("build", folder, "--model", "colors")

    path = folder.with_name("pictures.lookalike")
    assert code == 0
    assert stderr.splitlines()[-2:] == [
        "12 embedded",
        f"the collection is in {path}; search it with: lookalike search {path} PICTURE.jpg",
    ]
    assert len(lookalike.open(path)) == 12


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

    named = re.search(r"\(see: lookalike (.*)\)$", stderr, re.M)[1]
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
        "passed_over": {},
        "moved_from": "",
    }


def test_every_option_of_build_reaches_the_builder(run, folder, target, tmp_path):
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    write_picture(folder / "large.png", 100, size=(1100, 1000))
    words = "--label folder --model pixels --dtype float16 --threads 1 --max-megapixels 1 --part-size 5"

    code, _, _ = run("build", folder, "-c", target, *words.split(), "--metadata", tmp_path / "notes.csv")

    collection = lookalike.open(target)
    assert code == 0
    assert (collection.manifest.model.name, collection.manifest.dtype) == ("pixels", "float16")
    assert len(list_parts(collection.path)) == 3
    assert collection.items()["price"].drop_null().to_pylist() == [3]
    assert collection.items()["label"][0].as_py() == "brick"
    assert collection.failures()["id"].to_pylist() == ["large.png"]


def test_build_of_pictures_that_all_fail_is_not_done(run, tmp_path, target):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.jpg").touch()

    code, _, stderr = run("build", tmp_path / "bad", "-c", target, "--model", "colors")

    assert code == 1
    assert stderr.splitlines()[-2:] == [
        f"0 embedded, 1 failed (see: lookalike failures {target})",
        "most often: the file is empty",
    ]


def test_a_list_without_a_column_of_urls_names_the_flag_of_build(run, tmp_path, target):
    (tmp_path / "urls.csv").write_text("where,label\nhttp://x/a.jpg,a\n")

    code, _, stderr = run("build", tmp_path / "urls.csv", "-c", target)

    assert code == 1
    assert stderr.splitlines()[-1] == "  name it as --image-column"


def test_urls_at_private_addresses_name_the_flag_that_allows_them(run, tmp_path, target):
    (tmp_path / "urls.txt").write_text("http://127.0.0.1:9/a.jpg\n")

    code, _, stderr = run("build", tmp_path / "urls.txt", "-c", target, "--model", "colors")

    assert code == 1
    assert stderr.splitlines()[-1] == (
        "most often: 127.0.0.1 is not a public address; allow it with --allow-private"
    )


@pytest.mark.parametrize("line", ["file:///photos/a.jpg", "/photos/a.jpg", "./a.jpg"])
def test_a_list_of_paths_that_is_taken_for_urls_says_where_paths_go(run, tmp_path, target, line):
    (tmp_path / "list.txt").write_text(f"{line}\n")

    code, _, stderr = run("build", tmp_path / "list.txt", "-c", target)

    assert code == 1
    assert "but a path; give paths on the standard input, with - as the source" in stderr


def test_import_makes_a_collection_of_vectors(run, tmp_path, target):
    np.save(tmp_path / "v.npy", np.eye(3, 8, dtype=np.float32))

    code, stdout, stderr = run("import", tmp_path / "v.npy", "-c", target)

    assert (code, stdout) == (0, "")
    assert stderr == f"3 vectors of 8 dimensions in {target}\n"
    assert run("search", target, "id:1", "-k", 1)[0] == 0
    assert run("search", target, tmp_path / "v.npy")[2].startswith("lookalike: the vectors of")


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


@pytest.mark.parametrize("words", [["--type", "nosuch"], ["--max-memory", "1kB"], ["--min-recall", "1.5"]])
def test_an_index_that_cannot_be_is_an_error(run, folder, target, words):
    build(folder, target)

    code, stdout, stderr = run("index", target, *words)

    assert (code, stdout) == (1, "")
    assert stderr.startswith("lookalike: ")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions work in another way here")
def test_beside_a_folder_where_nothing_can_be_written_it_says_where_it_could(run, folder, target, capsys):
    build(folder, target)  # all that a build imports is there before permissions bind
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        pictures = write_pictures(Path(parent) / "pictures", 3)
        user = os.geteuid()
        os.chmod(parent, 0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            code = main(["build", str(pictures), "--model", "colors"])
        finally:
            os.seteuid(user)
            os.chmod(parent, 0o755)
        left = sorted(path.name for path in Path(parent).iterdir())

    stderr = capsys.readouterr().err
    assert (code, left) == (1, ["pictures"])
    assert stderr == (
        f"lookalike: cannot write {parent}/pictures.lookalike/.lock: Permission denied\n"
        f"  keep the collection elsewhere: lookalike build {pictures} -c {Path.home()}/pictures.lookalike\n"
    )


def test_a_device_that_is_not_the_cpu_is_named(run, folder, target, monkeypatch):
    loaded = replace(load_model("pixels"), device="cuda:1")
    monkeypatch.setattr("lookalike.builder.order.pinned_model", lambda *_: loaded)

    code, _, stderr = run("build", folder, "-c", target, "--model", "pixels")

    assert code == 0
    assert stderr.startswith("pixels runs on cuda:1\n")


def test_a_device_that_auto_had_to_leave_is_named_with_the_reason(run, folder, target, monkeypatch):
    loaded = replace(load_model("pixels"), device_note="cuda has 0.1 GB left")
    monkeypatch.setattr("lookalike.builder.order.pinned_model", lambda *_: loaded)

    code, _, stderr = run("build", folder, "-c", target, "--model", "pixels")

    assert code == 0
    assert stderr.startswith("pixels runs on the cpu: cuda has 0.1 GB left\n")


def test_a_gpu_asked_for_a_model_without_a_network_is_left_and_that_is_said(run, folder, target):
    code, _, stderr = run("build", folder, "-c", target, "--model", "pixels", "--device", "cuda")

    assert code == 0
    assert stderr.startswith("pixels runs on the cpu: it has no network that could run on cuda\n")


def test_no_thumbnails_makes_none(run, folder, target):
    code, _, _ = run("build", folder, "-c", target, "--model", "pixels", "--no-thumbnails")

    assert code == 0
    assert list(lookalike.open(target).verify()) == []
    assert {*Part(target, 0).items(["thumb_size"])["thumb_size"].to_pylist()} == {0}
