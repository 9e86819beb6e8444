"""What is in the place of a model's file and is none is refused at once, with what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from networks import DIM, write_network

from lookalike import add_model, load_model
from lookalike.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    add_model(write_network(tmp_path / "net.onnx"), out=tmp_path / "made")
    return tmp_path / "made"


def test_a_description_cannot_promise_an_arithmetic_or_a_revision_that_the_file_has_not(folder):
    spec = load_model(str(folder)).spec

    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": "float16", "revision": "v2"}))
    assert load_model(str(folder)).spec == spec


@pytest.mark.parametrize("file", ["words.json", "words.npy"])
def test_a_pipe_in_the_place_of_words_is_not_waited_for(folder, file):
    (folder / "words.json").write_text('{"names": ["cat"]}')
    np.save(folder / "words.npy", np.ones((1, DIM), np.float32))
    (folder / file).unlink()
    os.mkfifo(folder / file)

    with pytest.raises(ModelError, match=f"{file} is not a file"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("head", "kind 'head', and head.npz, its layers, is missing"),
        ("tree", "'tree', and none is known but"),
    ],
)
def test_a_description_of_another_kind_of_model_is_not_taken_for_that_of_a_network(folder, kind, said):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": kind}))

    with pytest.raises(ModelError, match=said):
        load_model(str(folder))


def test_a_model_is_not_fetched_from_an_address():
    with pytest.raises(ModelError, match=r"not fetched from an address: https://a\.b/net\.onnx"):
        load_model("https://a.b/net.onnx")


def test_a_published_model_is_exported_and_not_added(tmp_path):
    with pytest.raises(ModelError, match="timm:resnet50 is a published model and no file") as caught:
        add_model("timm:resnet50", out=tmp_path / "model")
    assert caught.value.hint == "`lookalike.export_model('timm:resnet50', out=folder)` makes its folder"
