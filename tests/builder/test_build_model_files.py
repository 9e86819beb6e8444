"""A collection of a model that is a file: what its manifest says, and where the model is found later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import build
from networks import MEAN, STD, plain_vector, write_network
from PIL import Image

import lookalike
from lookalike import Id, add_model
from lookalike.analysis.comparison import compare
from lookalike.errors import ModelError
from lookalike.models import registry


@pytest.fixture(autouse=True)
def forgetting(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    net = write_network(tmp_path / "net.onnx")
    add_model(net, name="my-net", mean=MEAN, std=STD, out=tmp_path / "my-model")
    return tmp_path / "my-model"


def test_its_vectors_are_those_of_a_plain_loop(folder, target, model):
    collection, _ = build(folder, target, model=str(model))

    for id_ in collection.ids:
        (vector,) = collection.embeddings([id_])
        assert vector @ plain_vector(model / "image.onnx", Image.open(folder / id_)) >= 0.9999


def test_its_manifest_says_what_it_is_and_where_it_was(folder, target, model):
    build(folder, target, model=f"{model}/")

    manifest = json.loads((target / "collection.json").read_bytes())
    described = json.loads((model / "model.json").read_bytes())
    assert manifest["model"] == {
        name: value for name, value in described.items() if name not in ("format", "version")
    }
    assert manifest["model_path"] == str(model)


def test_the_collection_finds_it_where_it_was(folder, target, model):
    build(folder, target, model=str(model))

    hits = lookalike.open(target).search(folder / "sea" / "sea-002.png", k=1)

    assert hits[0].id == "sea/sea-002.png"
    assert hits[0].score == pytest.approx(1, abs=1e-5)
    assert build(folder, target, model=None)[1].unchanged == 12
    assert build(folder, target, model="my-net")[1].unchanged == 12


def test_a_model_that_is_gone_is_an_error_that_says_where_it_was(folder, target, model):
    build(folder, target, model=str(model))
    shutil.rmtree(model)
    collection = lookalike.open(target)

    with pytest.raises(ModelError, match=f"the model my-net, which embedded .*, was at {model} and is not"):
        collection.search(folder / "sea" / "sea-002.png")
    with pytest.raises(ModelError, match="was at") as caught:
        build(folder, target, model=None)
    assert caught.value.hint == (
        f"bring it back, or say where it is: `lookalike.build(source, collection='{target}', model=path)`"
    )
    assert len(collection.search(Id("sea/sea-002.png"), k=3)) == 3


def test_a_model_that_moved_is_given_when_the_collection_is_opened(folder, target, model):
    build(folder, target, model=str(model))
    moved = shutil.move(model, model.with_name("moved"))

    collection = lookalike.open(target, model=str(moved))

    assert collection.search(folder / "sea" / "sea-002.png", k=1).ids == ["sea/sea-002.png"]


def test_a_build_remembers_where_a_model_moved_to(folder, target, model):
    build(folder, target, model=str(model))
    before = lookalike.open(target).fingerprint()
    moved = shutil.move(model, model.with_name("moved"))

    report = build(folder, target, model=str(moved))[1]

    assert (report.embedded, report.unchanged) == (0, 12)
    assert lookalike.open(target).manifest.model_path == str(moved)
    assert lookalike.open(target).fingerprint() == before
    assert build(folder, target, model=None)[1].unchanged == 12


def test_a_model_that_changed_is_refused(folder, target, model):
    build(folder, target, model=str(model))
    write_network(model.with_name("other.onnx"), seed=1)
    shutil.rmtree(model)
    add_model(model.with_name("other.onnx"), name="my-net", mean=MEAN, std=STD, out=model)

    for refused in (
        lambda: lookalike.open(target).search(folder / "sea" / "sea-002.png"),
        lambda: build(folder, target, model=None),
        lambda: build(folder, target, model=str(model)),
    ):
        with pytest.raises(ModelError, match="was embedded with another version of my-net"):
            refused()


def test_a_model_that_is_described_otherwise_is_refused(folder, target, model):
    build(folder, target, model=str(model))
    description = json.loads((model / "model.json").read_bytes())
    (model / "model.json").write_text(json.dumps({**description, "mean": [0.5, 0.5, 0.5]}))

    with pytest.raises(ModelError, match="was embedded with another version of my-net"):
        lookalike.open(target).search(folder / "sea" / "sea-002.png")


def test_another_model_cannot_go_on(folder, target, model):
    build(folder, target, model=str(model))

    with pytest.raises(ModelError, match="was built with the model my-net, not net"):
        build(folder, target, model=str(model.with_name("net.onnx")))


def test_a_model_that_cannot_be_read_leaves_no_collection(folder, target, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no network")

    with pytest.raises(ModelError, match="is not an ONNX file"):
        build(folder, target, model=str(tmp_path / "net.onnx"))
    assert not target.exists()


def test_a_rebuild_goes_on_with_the_model_that_was_there(folder, target, model):
    build(folder, target, model=str(model))

    assert build(folder, target, model=None, rebuild=True)[1].embedded == 12
    assert lookalike.open(target).manifest.model_path == str(model)


def test_two_models_of_one_name_are_told_apart_by_what_differs(model):
    lookalike.register(lookalike.load_model(str(model)))
    other = model.with_name("other")
    add_model(model / "image.onnx", name="my-net", resize="squash", mean=MEAN, std=STD, out=other)

    with pytest.raises(ModelError) as caught:
        lookalike.register(lookalike.load_model(str(other)))
    assert caught.value.message == ("another model is registered as my-net: resize crop, not resize squash")


def test_models_are_compared_by_their_paths(folder, model, tmp_path):
    compared = compare(folder, ["colors", str(model)], "folder", tmp_path / "compared")

    assert {one.model for one in compared.contenders} == {"colors", "my-net"}
