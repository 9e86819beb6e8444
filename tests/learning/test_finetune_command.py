"""The command line of fine-tuning, where PyTorch is missing."""

from __future__ import annotations

import sys

import pytest
from conftest import build, write_pictures


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    return build(write_pictures(folder / "pictures", 12), folder / "c.lookalike", label="folder")[0].path


def test_without_torch_it_says_what_to_install(collection, tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)

    code, _, err = run(
        "train", collection, "--label", "label", "-o", tmp_path / "out", "--method", "finetune"
    )

    assert code == 1
    assert "fine-tuning needs " in err
    assert "-m pip install" in err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_says_how_to_go_on(collection, tmp_path, run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lookalike.cli.training.learn_and_save", interrupted)
    words = ("train", collection, "--label", "label", "-o", tmp_path / "out")

    code, _, err = run(*words, "--method", "finetune")

    assert code == 130
    assert "to go on from the last checkpoint, run the same command again" in err.splitlines()


def test_an_interrupted_run_of_another_method_names_no_checkpoint(collection, tmp_path, run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lookalike.cli.training.learn_and_save", interrupted)

    assert "checkpoint" not in run("train", collection, "--label", "label", "-o", tmp_path / "out")[2]


def test_a_flag_of_fine_tuning_is_refused_for_another_method(collection, tmp_path, run):
    code, _, err = run("train", collection, "--label", "label", "-o", tmp_path / "out", "--loss", "triplet")

    assert code == 1
    assert "--loss is for --method finetune" in err
