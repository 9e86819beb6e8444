"""The command train: where its labels come from, and what it finds out before it learns."""

from __future__ import annotations

import pytest
from conftest import build, strict_json, write_pictures


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """42 pictures in three folders, without a column of labels."""
    folder = tmp_path_factory.mktemp("train")
    return build(write_pictures(folder / "pictures", 42), folder / "c.lookalike")[0].path


@pytest.mark.parametrize(
    "words", [["train", "-o", "m"], ["outliers"], ["evaluate"], ["identify", "--ask", 1]]
)
def test_an_unknown_column_of_labels_is_an_error(words, run, unlabelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, stdout, stderr = run(words[0], unlabelled, *words[1:], "--label", "kind")

    assert (code, stdout) == (1, "")
    assert "has no column" in stderr


def test_folders_are_labels_to_learn_from(run, unlabelled, tmp_path):
    code, stdout, stderr = run("train", unlabelled, "--label", "folder", "-o", tmp_path / "m", "--json")

    report = strict_json(stdout)["report"]
    assert (report["label"], report["items"], report["classes"]) == ("folder", 42, 3)
    assert code == int("nothing was kept" in stderr)


def test_folders_are_labels_to_evaluate_by(run, unlabelled):
    code, stdout, _ = run("evaluate", unlabelled, "--label", "folder", "--json")

    assert code == 0
    assert [one["label"] for one in strict_json(stdout)["classes"]] == ["brick", "meadow", "sea"]


def test_folders_are_labels_to_find_mislabelled_items_by(run, unlabelled):
    code, stdout, _ = run("outliers", unlabelled, "--label", "folder", "--json")

    answer = strict_json(stdout)
    assert (code, answer["label"], answer["labelled"]) == (0, "folder", 42)


def test_folders_are_labels_to_identify_by(run, unlabelled):
    code, stdout, _ = run("identify", unlabelled, "id:sea/sea-002.png", "--label", "folder", "--json")

    assert (code, strict_json(stdout)[0]["label"]) == (0, "sea")


def test_a_folder_cannot_be_given(run, unlabelled):
    code, _, stderr = run("identify", unlabelled, "id:sea/sea-002.png", "--label", "folder", "--as", "lake")

    assert code == 1
    assert stderr.startswith("lookalike: the folder of an item is where its file is")


@pytest.mark.parametrize("way", [["--label", "folder"], ["--events", "no.csv"]])
def test_a_place_that_cannot_be_written_to_is_found_before_learning(run, unlabelled, tmp_path, way):
    (tmp_path / "file").write_text("in the way")

    code, stdout, stderr = run("train", unlabelled, *way, "-o", tmp_path / "file" / "models" / "m")

    assert (code, stdout) == (1, "")
    assert stderr == f"lookalike: cannot write {tmp_path / 'file'}: Not a directory\n"


def test_folders_above_a_new_model_are_made_when_it_is_saved(run, unlabelled, tmp_path):
    run("train", unlabelled, "--label", "no", "-o", tmp_path / "models" / "m")

    assert list(tmp_path.iterdir()) == []
