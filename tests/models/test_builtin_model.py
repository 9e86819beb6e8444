"""The built-in model keeps its promises on whatever CPU the tests run.

The stored vectors were computed by this file's `made_pictures` and the shipped model:
    np.savez("tests/data/reference_vectors.npz", vectors=model.embed_pixels(made_pictures()))
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import lookalike

HERE = Path(__file__).parents[1]
Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]


def made_pictures() -> Pixels:
    """Four uint8 (4, 224, 224, 3) pictures by integer arithmetic: no decoder or resize can alter them."""
    y, x = np.mgrid[0:224, 0:224]
    gradient = np.stack([x * 255 // 223, y * 255 // 223, (x + y) * 255 // 446], axis=2)
    stripes = np.stack([x // 16 % 2 * 200 + 30, y // 28 % 2 * 120 + 60, (x + y) // 20 % 2 * 90], axis=2)
    inside = (x - 112) ** 2 + (y - 100) ** 2 < 70**2
    core = (x - 112) ** 2 + (y - 100) ** 2 < 30**2
    discs = np.stack([60 + inside * 180, 120 + inside * 90 - core * 150, 60 + core * 20], axis=2)
    noise = np.random.RandomState(7).randint(0, 256, (28, 28, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return np.stack([gradient, stripes, discs, noise]).astype(np.uint8)


def model_bytes() -> bytes:
    return (files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()


def raw_features(level: onnxruntime.GraphOptimizationLevel) -> Vectors:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_bytes(), options, providers=["CPUExecutionProvider"])
    (features,) = session.run(["features"], {"pixels": made_pictures()})
    return np.asarray(features)


def cosines(a: Vectors, b: Vectors) -> Vectors:
    """The cosine of each row of `a` to the same row of `b`."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / lengths)


@pytest.fixture(scope="module")
def model() -> lookalike.Model:
    return lookalike.load_model("efficientnet-lite0")


@pytest.fixture(scope="module")
def vectors(model: lookalike.Model) -> Vectors:
    return model.embed_pixels(made_pictures())


def test_four_pictures_become_four_vectors_of_1280_floats(vectors: Vectors) -> None:
    assert vectors.shape == (4, 1280)
    assert vectors.dtype == np.float32


def test_every_vector_has_unit_length(vectors: Vectors) -> None:
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_the_model_takes_the_whole_central_square_at_224_pixels(model: lookalike.Model) -> None:
    assert (model.name, model.dim, model.size_px, model.crop) == (
        "efficientnet-lite0",
        1280,
        224,
        1.0,
    )


def test_a_picture_has_the_same_vector_alone_and_in_a_batch(model: lookalike.Model, vectors: Vectors) -> None:
    alone = np.concatenate([model.embed_pixels(picture[None]) for picture in made_pictures()])
    np.testing.assert_allclose(alone, vectors, atol=1e-6)


def test_unlike_pictures_have_unlike_vectors(vectors: Vectors) -> None:
    between = (vectors @ vectors.T)[np.triu_indices(4, k=1)]
    assert between.max() < 0.8


@pytest.mark.parametrize(("row", "picture"), [(0, "gradient"), (1, "stripes"), (2, "discs"), (3, "noise")])
def test_the_vector_is_the_stored_one(vectors: Vectors, row: int, picture: str) -> None:
    with np.load(HERE / "data" / "reference_vectors.npz") as stored:
        assert cosines(vectors[row : row + 1], stored["vectors"][row : row + 1])[0] >= 0.999, picture


def test_fused_integer_kernels_equal_unfused_float_arithmetic() -> None:
    """With no graph optimisation each convolution runs in float32, which cannot saturate.

    The scales are chosen so that both are exact (docs/model.md), hence 0.99999 and not 0.999.
    """
    levels = onnxruntime.GraphOptimizationLevel
    fused, unfused = raw_features(levels.ORT_ENABLE_ALL), raw_features(levels.ORT_DISABLE_ALL)
    assert cosines(fused, unfused).min() >= 0.99999


def test_the_features_in_the_file_are_not_normalised() -> None:
    features = raw_features(onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    assert np.linalg.norm(features, axis=1).min() > 2


def test_the_sha256_is_the_one_that_the_build_script_names(model: lookalike.Model) -> None:
    script = HERE.parent / "tools" / "build_model.py"
    expected = re.search(r'^SHA256 = "([0-9a-f]{64})"$', script.read_text(), re.MULTILINE)
    assert expected is not None
    assert model.sha256 == expected[1] == hashlib.sha256(model_bytes()).hexdigest()
