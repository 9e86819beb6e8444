"""The models that need no network, against slow loops; and what asking for a model can go wrong with."""

from __future__ import annotations

import colorsys
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import taught
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.errors import ImageError, ModelError
from lookalike.models.model import Model, load_model

CLASSICAL = ["pixels", "colors", "sift"]


def random_pixels(count: int, size_px: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size_px, size_px, 3), np.uint8)


@pytest.fixture(params=CLASSICAL)
def model(request: pytest.FixtureRequest) -> Model:
    return taught(request.param)


# Asking for a model


@pytest.mark.parametrize("name", ["resnet", "Pixels", "", "lookalike.models.pixels"])
def test_an_unknown_model_is_an_error_that_names_the_known_ones(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert str(caught.value) == f"unknown model {name!r}; known are: efficientnet-lite0, pixels, colors, sift"


@pytest.mark.parametrize("name", [*CLASSICAL, "efficientnet-lite0"])
@pytest.mark.parametrize("device", ["gpu", "CPU", "", "cuda:0"])
def test_an_unknown_device_is_an_error_that_names_the_known_ones(name: str, device: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name, device=device)
    assert str(caught.value) == f"unknown device {device!r}; known are: cpu, cuda"


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime runs on CUDA"
)
def test_cuda_where_onnxruntime_has_none_is_an_error_with_the_package_that_has_it() -> None:
    with pytest.raises(ModelError) as caught:
        load_model("efficientnet-lite0", device="cuda")
    assert "the device cuda cannot be used" in caught.value.message
    assert "pip install onnxruntime-gpu" in caught.value.hint


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_classical_model_asked_for_on_cuda_says_that_it_runs_on_the_cpu(name: str) -> None:
    on_cuda = load_model(name, device="cuda")
    assert on_cuda.device == "cpu"
    assert on_cuda.spec == load_model(name).spec


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_model_is_loaded_once(name: str) -> None:
    assert load_model(name) is load_model(name)


def test_two_models_never_have_one_checksum() -> None:
    checksums = {load_model(name).sha256 for name in CLASSICAL}
    assert len(checksums) == 3
    assert all(len(checksum) == 64 and int(checksum, 16) for checksum in checksums)


@pytest.mark.parametrize(
    "name, dim, size_px", [("pixels", 3072, 32), ("colors", 192, 64), ("sift", 2048, 224)], ids=CLASSICAL
)
def test_the_spec_of_a_classical_model(name: str, dim: int, size_px: int) -> None:
    model = load_model(name)
    assert (model.name, model.dim, model.size_px, model.crop) == (name, dim, size_px, 1.0)
    assert model.cover_px == max(size_px, 192)  # the thumbnail may be larger than what the model sees


# Vectors


def test_pixels_are_their_distances_from_middle_grey_scaled_to_length_1() -> None:
    model, pixels = load_model("pixels"), random_pixels(3, 32)
    for picture, vector in zip(pixels, model.embed_pixels(pixels), strict=True):
        values = [float(value) - 127.5 for value in picture.ravel().tolist()]
        length = sum(value * value for value in values) ** 0.5
        np.testing.assert_allclose(vector, [value / length for value in values], atol=1e-6)


def test_colors_are_the_mean_luma_and_chroma_of_8_by_8_cells_scaled_to_length_1() -> None:
    model, pixels = load_model("colors"), random_pixels(2, 64)
    for picture, vector in zip(pixels, model.embed_pixels(pixels), strict=True):
        values = []
        for row in range(0, 64, 8):
            for column in range(0, 64, 8):
                cell = picture[row : row + 8, column : column + 8].reshape(64, 3).tolist()
                red, green, blue = (sum(pixel[i] for pixel in cell) / 64 for i in range(3))
                luma = 0.299 * red + 0.587 * green + 0.114 * blue
                # ITU-R BT.601: the differences to luma, scaled to the range of one channel.
                values += [luma - 127.5, (blue - luma) / 1.772, (red - luma) / 1.402]
        length = sum(value * value for value in values) ** 0.5
        np.testing.assert_allclose(vector, [value / length for value in values], atol=2e-4)


def test_vectors_are_float32_of_length_1(model: Model) -> None:
    vectors = model.embed_pixels(random_pixels(5, model.size_px))
    assert (vectors.shape, vectors.dtype) == ((5, model.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_picture_has_one_vector_whatever_the_batch(model: Model) -> None:
    pixels = random_pixels(7, model.size_px)
    one_by_one = np.concatenate([model.embed_pixels(pixels[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(model.embed_pixels(pixels), one_by_one, atol=1e-6)


def test_an_empty_batch_gives_no_vectors(model: Model) -> None:
    assert model.embed_pixels(random_pixels(0, model.size_px)).shape == (0, model.dim)
    assert model.embed([]).shape == (0, model.dim)


def test_embedding_leaves_the_pixels_as_they_are(model: Model) -> None:
    pixels = random_pixels(2, model.size_px)
    before = pixels.copy()
    model.embed_pixels(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_threads_that_share_a_model_get_the_vectors_of_one_alone(model: Model) -> None:
    batches = [random_pixels(count, model.size_px) for count in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(model.embed_pixels, batches))
    for batch, vectors in zip(batches, together, strict=True):
        np.testing.assert_array_equal(vectors, model.embed_pixels(batch))


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("shade", [0, 127, 128, 255])
def test_a_picture_of_one_grey_has_a_vector_of_length_1(name: str, shade: int) -> None:
    (vector,) = taught(name).embed([np.full((80, 80), shade, np.uint8)])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_a_chequerboard_that_averages_to_middle_grey_is_still_its_own_neighbour(model: Model) -> None:
    rows, columns = np.mgrid[0 : model.size_px, 0 : model.size_px]
    (vector,) = model.embed([((rows + columns) % 2 * 255).astype(np.uint8)])
    assert vector @ vector == pytest.approx(1, abs=1e-6)


@settings(max_examples=50, deadline=None, database=None)
@given(st.sampled_from(["pixels", "colors"]), st.floats(0, 1), st.integers(20, 200), st.integers(20, 200))
def test_a_picture_is_nearer_to_its_resized_self_than_to_one_of_the_opposite_hue(
    name: str, hue: float, width: int, height: int
) -> None:
    def flag(hue: float, size: tuple[int, int]) -> Image.Image:
        """A vertical ramp from black to the hue."""
        color = np.array(colorsys.hsv_to_rgb(hue, 1, 1)) * 255
        ramp = np.linspace(0, 1, 100)[:, None, None] * np.ones((1, 100, 1)) * color
        return Image.fromarray(ramp.astype(np.uint8)).resize(size)

    original, resized, opposite = load_model(name).embed(
        [flag(hue, (100, 100)), flag(hue, (width, width)), flag(hue + 0.5, (height, height))]
    )
    assert original @ resized > 0.98
    assert original @ resized > original @ opposite


# Pictures of every kind


def test_a_path_its_bytes_its_array_and_its_pillow_image_have_one_vector(
    model: Model, tmp_path: Path
) -> None:
    pixels = random_pixels(1, 100)[0]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    path = tmp_path / "a.png"
    vectors = model.embed([path, str(path), file.getvalue(), pixels, Image.fromarray(pixels)])
    np.testing.assert_array_equal(vectors, np.repeat(vectors[:1], 5, axis=0))


def test_the_central_square_of_a_picture_is_what_counts(model: Model) -> None:
    square = random_pixels(1, 64)[0]
    wide = np.pad(square, ((0, 0), (64, 64), (0, 0)), mode="edge")
    one, other = model.embed([square, wide])
    # A detail at the edge may be another, and stand alone at its centre.
    assert one @ other > (0.9 if model.name == "sift" else 0.999)


def test_something_that_is_no_picture_is_an_image_error(model: Model, tmp_path: Path) -> None:
    for image in (b"no picture", tmp_path / "missing.jpg", np.zeros((4, 4), np.float32)):
        with pytest.raises(ImageError):
            model.embed([image])
