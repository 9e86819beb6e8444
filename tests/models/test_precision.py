"""The precision of a published model is a part of its identity, and a collection remembers it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hubs import save_timm, scene, use_hub

import lookalike
from lookalike.errors import ModelError
from lookalike.models.registry import load_model

reference = pytest.mark.reference
NAME = "timm:test_vit.r160_in1k"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> None:
    save_timm(tmp_path / "hub", "test_vit.r160_in1k")
    use_hub(monkeypatch, tmp_path / "hub")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        scene(seed, (200, 180)).save(folder / f"{seed}.png")
    return folder


@reference
@pytest.mark.parametrize(("precision", "least"), [("bfloat16", 0.999), ("float16", 0.9999)])
def test_two_bytes_give_nearly_the_vectors_of_four_and_are_another_model(hub, precision, least):
    whole, half = load_model(NAME), load_model(NAME, precision=precision)
    pictures = [scene(seed, (200, 180)) for seed in range(4)]
    cosines = (whole.embed(pictures) * half.embed(pictures)).sum(axis=1)
    assert least < cosines.min() < 1
    assert (whole.spec.precision, half.spec.precision) == ("", precision)
    assert whole.spec != half.spec


@reference
def test_float32_is_what_a_model_has_without_a_precision(hub):
    assert load_model(NAME, precision="float32").spec == load_model(NAME).spec


@reference
def test_a_collection_remembers_the_precision_for_searches_and_later_builds(hub, photos, tmp_path):
    target = tmp_path / "c.lookalike"
    made = lookalike.build(photos, target, model=NAME, precision="bfloat16")

    assert json.loads((target / "collection.json").read_text())["model"]["precision"] == "bfloat16"
    asked = load_model(NAME, precision="bfloat16").embed(photos / "1.png")
    assert lookalike.open(target).search(photos / "1.png", k=1).ids == ["1.png"]
    np.testing.assert_allclose(made.embeddings()[1], asked, atol=1e-6)
    scene(9, (200, 180)).save(photos / "9.png")
    assert lookalike.build(photos, target).report.embedded == 1


@reference
def test_another_precision_is_refused_and_rebuilding_takes_it(hub, photos, tmp_path):
    target = tmp_path / "c.lookalike"
    lookalike.build(photos, target, model=NAME, precision="bfloat16")

    with pytest.raises(ModelError, match="was built with the precision bfloat16, not float32"):
        lookalike.build(photos, target, precision="float32")
    made = lookalike.build(photos, target, precision="float32", rebuild=True)
    whole = load_model(NAME).embed(photos / "0.png")
    np.testing.assert_allclose(made.embeddings()[0], whole, atol=1e-6)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "pixels", "./net.onnx", "my-model/"])
def test_a_model_that_is_not_published_has_no_precision_to_choose(name):
    with pytest.raises(ModelError) as caught:
        load_model(name, precision="bfloat16")
    assert str(caught.value) == (
        f"{name} computes as its file or its code says, so it has no precision to choose; leave out "
        "`precision`, which is for timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG"
    )


def test_a_build_refuses_a_precision_before_it_writes_anything(photos, tmp_path):
    with pytest.raises(ModelError, match="efficientnet-lite0 computes as its file or its code says"):
        lookalike.build(photos, tmp_path / "c.lookalike", precision="float16")
    assert not (tmp_path / "c.lookalike").exists()


def test_an_unknown_precision_is_an_error_that_names_the_known_ones():
    with pytest.raises(ModelError, match="unknown precision 'int4'; known are: float32, float16, bfloat16"):
        load_model("pixels", precision="int4")
