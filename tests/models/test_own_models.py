"""A model of the user's own: what it must have, what is refused, and how it is found by its name."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike.errors import ModelError
from lookalike.models import registry
from lookalike.models.model import LoadedModel, as_model
from lookalike.models.registry import load_model, register
from lookalike.models.spec import ModelSpec


@dataclass(frozen=True)
class Means:
    """The mean of each colour, and nothing more than a model must have."""

    name: str = "means"
    dim: int = 3
    size_px: int = 8

    def features(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=(1, 2))


def giving(found: Any, **attributes: Any) -> Any:
    """A model of 3 dimensions whose features are always the same."""
    fields = {"name": "odd", "dim": 3, "size_px": 4, "features": lambda pixels: found, **attributes}
    return SimpleNamespace(**fields)


@pytest.fixture(autouse=True)
def forgetting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", {})
    yield


# Taken in


def test_a_model_needs_a_name_two_sizes_and_features() -> None:
    model = as_model(Means())
    assert model.spec == ModelSpec("means", hashlib.sha256(b"means").hexdigest(), 3, 8, 1.0)
    assert (model.device, model.text_vector, model.tags, model.word_vectors) == ("cpu", None, None, None)


def test_its_features_become_float32_vectors_of_length_1() -> None:
    vector = as_model(Means()).embed(np.full((5, 5, 3), (0, 30, 40), np.uint8))
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, [0, 0.6, 0.8], atol=1e-6)


def test_features_may_be_whole_numbers_or_lists() -> None:
    model = as_model(giving([[0, 3, 4], [0, 3, 4]]))
    assert model.features(np.zeros((2, 4, 4, 3), np.uint8)).tolist() == [[0, 3, 4], [0, 3, 4]]


def test_it_is_tried_on_two_grey_pictures_of_its_size() -> None:
    seen = []

    def features(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels)
        return np.ones((len(pixels), 3))

    as_model(giving(None, features=features))
    assert [(one.shape, one.dtype, one.min(), one.max()) for one in seen] == [
        ((2, 4, 4, 3), np.uint8, 128, 128)
    ]


def test_a_checksum_is_kept_and_a_version_is_hashed() -> None:
    ones = np.ones((2, 3))
    assert as_model(giving(ones, sha256="ab" * 32)).sha256 == "ab" * 32
    assert as_model(giving(ones, sha256="v2")).sha256 == hashlib.sha256(b"v2").hexdigest()


def test_its_crop_and_its_device_are_taken() -> None:
    model = as_model(giving(np.ones((2, 3)), crop=0.875, device="cuda:0"))
    assert (model.crop, model.device) == (0.875, "cuda")


def test_its_words_become_vectors_of_length_1_and_its_tags_stay() -> None:
    model = as_model(
        giving(
            np.ones((2, 3)),
            text_vector=lambda text: [0, len(text), 4],
            word_vectors=lambda: [[0, 3, 4], [2, 0, 0]],
            tags=lambda features: [[("a", 0.5)] for _ in features],
        )
    )
    np.testing.assert_allclose(model.embed_text("abc"), [0, 0.6, 0.8], atol=1e-6)
    np.testing.assert_allclose(model.word_vectors(), [[0, 0.6, 0.8], [1, 0, 0]], atol=1e-6)
    assert model.tags(np.ones((1, 3), np.float32)) == [[("a", 0.5)]]


def test_a_loaded_model_stays_as_it_is() -> None:
    model = load_model("pixels")
    assert as_model(model) is model


def test_a_model_whose_object_can_be_pickled_can_be_pickled() -> None:
    model = pickle.loads(pickle.dumps(as_model(Means())))
    assert model.spec == as_model(Means()).spec
    np.testing.assert_allclose(
        model.embed(np.full((5, 5, 3), (0, 30, 40), np.uint8)), [0, 0.6, 0.8], atol=1e-6
    )


# Refused


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (np.ones((2, 4)), "odd.features gave float64 of shape (2, 4)"),
        (np.ones((1, 3)), "odd.features gave float64 of shape (1, 3)"),
        (np.ones(3, np.float32), "odd.features gave float32 of shape (3,)"),
        (np.ones((2, 3, 1), np.float16), "odd.features gave float16 of shape (2, 3, 1)"),
        (np.ones((2, 3), bool), "odd.features gave a ndarray of bool"),
        (np.ones((2, 3), complex), "odd.features gave a ndarray of complex128"),
        ([["a", "b", "c"]] * 2, "odd.features gave a list of <U1"),
        (None, "odd.features gave a NoneType of object"),
        ([[1, 2], [1]], "odd.features gave a list, which is not an array: "),
        ([[1, 2, np.nan]] * 2, "odd.features gave NaN or infinity"),
        ([[1, 2, 3], [1, 2, -np.inf]], "odd.features gave NaN or infinity"),
        (np.full((2, 3), 1e39), "odd.features gave NaN or infinity"),  # too large for float32
    ],
)
def test_what_cannot_be_features_is_refused_and_said(found: Any, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        as_model(giving(found))
    assert caught.value.message.startswith(says)
    assert caught.value.hint == "it has to return finite numbers of shape (2, 3)"


def test_a_model_that_fails_on_grey_is_refused_with_the_reason() -> None:
    def features(pixels: np.ndarray) -> np.ndarray:
        raise RuntimeError("expected 4 channels,\ngot 3")

    with pytest.raises(ModelError) as caught:
        as_model(giving(None, features=features))
    assert caught.value.message == (
        "odd.features failed on uint8 (2, 4, 4, 3): RuntimeError: expected 4 channels, got 3"
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_what_is_no_model_is_refused_with_all_that_it_lacks() -> None:
    with pytest.raises(ModelError, match="SimpleNamespace is not a model: it has no dim and no features"):
        as_model(SimpleNamespace(name="half", size_px=4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("name", "", "the name of SimpleNamespace is ''"),
        ("name", 7, "the name of SimpleNamespace is 7"),
        ("sha256", " ", "the sha256 of SimpleNamespace is ' '"),
        ("sha256", None, "the sha256 of SimpleNamespace is None"),
        ("dim", 0, "the dim of odd is 0"),
        ("dim", 3.0, "the dim of odd is 3.0"),
        ("size_px", -1, "the size_px of odd is -1"),
        ("size_px", (4, 4), "the size_px of odd is (4, 4)"),
        ("crop", 0, "the crop of odd is 0"),
        ("crop", 1.01, "the crop of odd is 1.01"),
        ("crop", "0.9", "the crop of odd is '0.9'"),
    ],
)
def test_an_attribute_that_makes_no_sense_is_refused(attribute: str, value: Any, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        as_model(giving(np.ones((2, 3)), **{attribute: value}))
    assert caught.value.message == says


def test_features_of_a_later_batch_are_checked_too() -> None:
    def features(pixels: np.ndarray) -> np.ndarray:
        return np.where(pixels[:, 0, 0] == 7, np.nan, 1.0) if len(pixels) < 3 else np.ones((2, 3))

    model = as_model(giving(None, features=features))
    with pytest.raises(ModelError, match=r"odd.features gave float64 of shape \(2, 3\); .* shape \(4, 3\)"):
        model.embed_pixels(np.zeros((4, 4, 4, 3), np.uint8))
    with pytest.raises(ModelError, match=r"odd.features gave NaN or infinity"):
        model.embed(np.full((4, 4, 3), 7, np.uint8))


def test_words_are_checked_when_they_are_asked_for() -> None:
    model = as_model(giving(np.ones((2, 3)), text_vector=lambda text: [1, 2], word_vectors=lambda: [1, 2, 3]))
    with pytest.raises(ModelError, match=r"odd.text_vector gave int64 of shape \(2,\); .* shape \(3,\)"):
        model.embed_text("a")
    with pytest.raises(ModelError, match=r"odd.word_vectors gave int64 of shape \(3,\); .* shape \(W, 3\)"):
        model.word_vectors()


def test_tags_are_checked_when_they_are_asked_for() -> None:
    model = as_model(giving(np.ones((2, 3)), tags=lambda features: [[("a", 0.5)]]))
    with pytest.raises(ModelError, match=r"odd.tags gave 1 lists for 2 pictures"):
        model.tags(np.ones((2, 3), np.float32))


# Known by name


def test_a_registered_model_is_loaded_by_its_name() -> None:
    model = lookalike.register(Means())
    assert isinstance(model, LoadedModel)
    assert load_model("means") is model
    assert load_model("means", device="cuda") is model  # it runs where its object does


def test_a_model_object_is_not_a_name_to_load() -> None:
    with pytest.raises(ModelError) as caught:
        load_model(Means())  # type: ignore[arg-type]
    assert caught.value.message == "load_model takes a name, not Means"
    assert caught.value.hint == "your own: lookalike.register(model)"


def test_an_unknown_name_near_a_registered_one_offers_it() -> None:
    register(Means())
    with pytest.raises(ModelError, match=r"did you mean means\? known are: .*, means, .*; make your own"):
        load_model("mean")


def test_the_same_model_may_be_registered_again() -> None:
    register(Means())
    again = register(Means())
    assert load_model("means") is again


def test_another_model_of_a_registered_name_is_refused_and_the_first_stays() -> None:
    first = register(Means())
    with pytest.raises(ModelError, match=r"another model is registered as means: .*size_px 8.*size_px 9"):
        register(Means(size_px=9))
    assert load_model("means") is first


def test_the_name_of_a_built_in_model_is_refused() -> None:
    with pytest.raises(ModelError, match="pixels is the name of a built-in model; give yours another name"):
        register(Means(name="pixels"))


def test_a_built_in_model_is_known_already() -> None:
    assert register(load_model("pixels")) is load_model("pixels")
    assert "pixels" not in registry._registered


def test_a_built_in_model_that_was_changed_is_refused() -> None:
    model = load_model("pixels")
    with pytest.raises(ModelError, match="pixels is the name of a built-in model"):
        register(replace(model, spec=replace(model.spec, crop=0.5)))
