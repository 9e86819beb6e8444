"""A collection of a model of the user's own: built, searched, and what another process is told."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import build, command_process
from conftest import picture as picture_of
from PIL import Image

import lookalike
from lookalike.errors import ModelError
from lookalike.models import registry


class Means:
    """The mean of each colour."""

    name, dim, size_px = "means", 3, 8

    def __init__(self, version: str = "1", scale: float = 1) -> None:
        self.sha256, self.scale = version, scale

    def features(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=(1, 2)) * self.scale


@pytest.fixture(autouse=True)
def forgetting(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", {})


def test_a_collection_is_built_with_an_object_and_searched_by_its_name(folder, target):
    build(folder, target, model=Means())

    hits = lookalike.open(target).search(folder / "sea" / "sea-002.png", k=1)

    assert hits[0].id == "sea/sea-002.png"
    assert hits[0].score == pytest.approx(1, abs=1e-6)


def test_its_manifest_names_the_model(folder, target):
    collection, _ = build(folder, target, model=Means())

    spec = lookalike.open(target).manifest.model
    assert (spec.name, spec.dim, spec.size_px, spec.crop) == ("means", 3, 8, 1.0)
    assert spec == collection.model.spec


def test_a_second_build_goes_on_with_it(folder, target):
    build(folder, target, model=Means())
    (folder / "sea" / "sea-002.png").unlink()

    assert build(folder, target, model=Means())[1].removed == 1
    assert build(folder, target, model=None)[1].unchanged == 11


def test_where_it_is_not_registered_a_search_says_what_to_do(folder, target, monkeypatch):
    build(folder, target, model=Means())
    monkeypatch.setattr(registry, "_registered", {})

    collection = lookalike.open(target)

    with pytest.raises(ModelError, match=r"unknown model 'means'; .* lookalike\.register\(model\)"):
        collection.search(picture_of(1))
    assert len(collection.search(lookalike.Id("sea/sea-002.png"), k=3)) == 3


@pytest.mark.process
def test_the_terminal_says_that_the_model_is_unknown(folder, target):
    build(folder, target, model=Means())

    ended = command_process("search", target, folder / "sea" / "sea-002.png")

    assert ended.returncode == 1
    assert "lookalike: unknown model 'means'" in ended.stderr


def test_another_version_of_it_is_refused(folder, target, monkeypatch):
    build(folder, target, model=Means())
    monkeypatch.setattr(registry, "_registered", {})
    lookalike.register(Means(version="2"))

    with pytest.raises(ModelError, match="was embedded with another version of means"):
        lookalike.open(target).search(picture_of(1))


def test_one_that_gives_no_numbers_is_refused_before_anything_is_written(folder, target):
    with pytest.raises(ModelError, match=r"means\.features gave NaN or infinity"):
        build(folder, target, model=Means(scale=np.inf))
    assert not target.exists()


def test_one_that_fails_later_stops_the_build_and_keeps_what_is_committed(folder, target):
    class Failing(Means):
        calls = 0

        def features(self, pixels: np.ndarray) -> np.ndarray:
            self.calls += 1
            return super().features(pixels) if self.calls < 4 else np.full((len(pixels), 3), np.nan)

    with pytest.raises(ModelError, match=r"means\.features gave NaN or infinity"):
        build(folder, target, model=Failing(), part_size=4, threads=1)
    collection = lookalike.open(target)
    assert len(collection) == 8
    assert list(collection.verify()) == []


def test_one_that_fails_on_a_single_picture_stops_the_build_and_names_it(folder, target):
    black = folder / "sea" / "black.png"
    Image.new("RGB", (9, 9)).save(black)

    class Dividing(Means):
        def features(self, pixels: np.ndarray) -> np.ndarray:
            means = super().features(pixels)
            with np.errstate(invalid="ignore"):
                return means / np.linalg.norm(means, axis=1, keepdims=True)

    with pytest.raises(ModelError) as caught:
        build(folder, target, model=Dividing(), threads=1)

    assert caught.value.message == "means.features gave NaN or infinity, on the picture sea/black.png"
    black.unlink()
    assert build(folder, target, model=Dividing())[1].embedded == 12


def test_a_loaded_model_may_be_given_in_place_of_its_name(folder, target):
    assert build(folder, target, model=lookalike.load_model("pixels"))[0].manifest.model.name == "pixels"


def test_models_are_compared_by_name_or_as_objects(folder, tmp_path):
    from lookalike.analysis.comparison import compare

    compared = compare(folder, ["pixels", Means()], "folder", tmp_path / "compared")

    assert {one.model for one in compared.contenders} == {"pixels", "means"}
