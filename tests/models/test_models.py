"""The models that need no network, against slow loops; and what asking for a model can go wrong with."""

from __future__ import annotations

import colorsys
import io
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import taught
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.errors import ExtraError, ImageError, ModelError
from lookalike.models.model import LoadedModel, unit
from lookalike.models.onnx_session import start
from lookalike.models.registry import load_model
from lookalike.models.torch_network import library

CLASSICAL = ["pixels", "colors", "sift"]


def random_pixels(count: int, size_px: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size_px, size_px, 3), np.uint8)


@pytest.fixture(params=CLASSICAL)
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return taught(request.param)


PROVIDERS = {
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}

# Asking for a model


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet", "did you mean resnet50? "), ("", ""), ("lookalike.models.pixels", "")],
)
def test_an_unknown_model_is_an_error_that_names_the_known_ones(name: str, near: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert caught.value.message == f"unknown model {name!r}"
    assert caught.value.hint == (
        f"{near}known are: efficientnet-lite0, pixels, colors, sift, siglip2-base, siglip-base, "
        "clip-vit-b32, mobileclip-s1, dinov2-small, dinov2-base, dinov3-small, resnet50, "
        "timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG; make your own known with lookalike.register(model)"
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Pixels", "pixels"),
        ("efficientnet", "efficientnet-lite0"),
        ("color", "colors"),
        ("clip", "clip-vit-b32"),
        ("siglip2", "siglip2-base or siglip-base"),
    ],
)
def test_an_unknown_model_is_an_error_that_offers_the_name_that_is_nearest(name: str, near: str) -> None:
    with pytest.raises(ModelError, match=f"did you mean {near}\\? known are: "):
        load_model(name)


def test_an_address_with_a_misspelled_kind_is_not_taken_for_a_path() -> None:
    with pytest.raises(ModelError) as caught:
        load_model("openclip:ViT-B-32/openai")

    assert "did you mean open_clip:ViT-B-32/openai?" in caught.value.hint


def test_a_short_name_given_as_a_repository_is_offered() -> None:
    with pytest.raises(ModelError) as caught:
        load_model("hf:siglip2_base")

    assert caught.value.hint == "did you mean siglip2-base?"


def test_a_repository_without_its_kind_is_told_with_the_kinds() -> None:
    with pytest.raises(ModelError) as caught:
        load_model("facebook/dinov2-small")

    assert str(caught.value) == (
        "there is no file or folder facebook/dinov2-small; "
        "check the path, or say which published model it is: "
        "hf:facebook/dinov2-small, timm:facebook/dinov2-small or open_clip:facebook/dinov2-small"
    )


@pytest.mark.parametrize("name", [*CLASSICAL, "efficientnet-lite0"])
@pytest.mark.parametrize("device", ["gpu", "CPU", "", "cuda:x"])
def test_an_unknown_device_is_an_error_that_names_the_known_ones(name: str, device: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name, device=device)
    assert str(caught.value) == (
        f"unknown device {device!r}; known are: auto, cpu, cuda, cuda:1, mps, coreml, directml, openvino"
    )


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime runs on CUDA"
)
def test_cuda_where_onnxruntime_has_none_is_an_error_with_the_package_that_has_it() -> None:
    with pytest.raises(ModelError) as caught:
        start("net.onnx", "cuda")
    assert "the device cuda cannot be used" in caught.value.message
    assert caught.value.hint == "in place of onnxruntime, install onnxruntime-gpu"


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (
            "coreml",
            "no CoreMLExecutionProvider, so the device coreml cannot be used",
        ),
        ("directml", "no DmlExecutionProvider, so .*; in place of onnxruntime, install onnxruntime-directml"),
        ("openvino", "no OpenVINOExecutionProvider, so .*, install onnxruntime-openvino"),
        ("mps", "no provider for it, so the device mps cannot be used"),
    ],
)
def test_a_device_that_this_onnxruntime_lacks_is_an_error(device: str, said: str) -> None:
    if PROVIDERS.get(device) in onnxruntime.get_available_providers():
        pytest.skip("it has it")

    with pytest.raises(ModelError, match=said):
        start("net.onnx", device)


@pytest.mark.parametrize("device", ["coreml", "directml", "openvino"])
def test_the_built_in_model_does_not_run_on_devices_of_onnx_files_alone(device: str) -> None:
    with pytest.raises(ModelError, match=f"PyTorch does not run on {device}; "):
        load_model("efficientnet-lite0", device=device)


def test_the_built_in_model_on_a_gpu_without_pytorch_is_an_error_that_names_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExtraError, match="this needs PyTorch") as caught:
        load_model("efficientnet-lite0", device="cuda")
    assert caught.value.extra == "torch"


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


def test_vectors_are_float32_of_length_1(model: LoadedModel) -> None:
    vectors = model.embed_pixels(random_pixels(5, model.size_px))
    assert (vectors.shape, vectors.dtype) == ((5, model.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_picture_has_one_vector_whatever_the_batch(model: LoadedModel) -> None:
    pixels = random_pixels(7, model.size_px)
    one_by_one = np.concatenate([model.embed_pixels(pixels[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(model.embed_pixels(pixels), one_by_one, atol=1e-6)


def test_an_empty_batch_gives_no_vectors(model: LoadedModel) -> None:
    assert model.embed_pixels(random_pixels(0, model.size_px)).shape == (0, model.dim)
    assert model.embed([]).shape == (0, model.dim)


def test_embedding_leaves_the_pixels_as_they_are(model: LoadedModel) -> None:
    pixels = random_pixels(2, model.size_px)
    before = pixels.copy()
    model.embed_pixels(pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.slow
def test_threads_that_share_a_model_get_the_vectors_of_one_alone(model: LoadedModel) -> None:
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


def test_a_chequerboard_that_averages_to_middle_grey_is_still_its_own_neighbour(model: LoadedModel) -> None:
    rows, columns = np.mgrid[0 : model.size_px, 0 : model.size_px]
    (vector,) = model.embed([((rows + columns) % 2 * 255).astype(np.uint8)])
    assert vector @ vector == pytest.approx(1, abs=1e-6)


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
    model: LoadedModel, tmp_path: Path
) -> None:
    pixels = random_pixels(1, 100)[0]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    path = tmp_path / "a.png"
    vectors = model.embed([path, str(path), file.getvalue(), pixels, Image.fromarray(pixels)])
    np.testing.assert_array_equal(vectors, np.repeat(vectors[:1], 5, axis=0))


def test_one_picture_has_one_vector_and_no_rows(model: LoadedModel, tmp_path: Path) -> None:
    pixels = random_pixels(1, 100)[0]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    path = tmp_path / "a.png"
    (expected,) = model.embed([pixels])
    for one in (path, str(path), path.read_bytes(), pixels, Image.fromarray(pixels)):
        np.testing.assert_array_equal(model.embed(one), expected)


def test_a_grey_array_of_two_dimensions_is_one_picture(model: LoadedModel) -> None:
    assert model.embed(random_pixels(1, 100)[0, :, :, 0]).shape == (model.dim,)


def test_any_iterable_of_pictures_has_a_row_for_each(model: LoadedModel) -> None:
    pixels = random_pixels(3, 40)
    expected = model.embed(list(pixels))
    assert expected.shape == (3, model.dim)
    np.testing.assert_array_equal(model.embed(pixels), expected)
    np.testing.assert_array_equal(model.embed(tuple(pixels)), expected)
    np.testing.assert_array_equal(model.embed(one for one in pixels), expected)


def test_an_array_of_paths_has_a_row_for_each(model: LoadedModel, tmp_path: Path) -> None:
    Image.fromarray(random_pixels(1, 40)[0]).save(tmp_path / "a.png")
    paths = np.array([str(tmp_path / "a.png")] * 2)
    assert model.embed(paths).shape == (2, model.dim)


def test_a_path_that_is_not_there_is_an_error_with_its_name(model: LoadedModel) -> None:
    with pytest.raises(ImageError, match=r"cannot read missing\.jpg"):
        model.embed("missing.jpg")


# Taken to other processes


@pytest.mark.parametrize("name", [*CLASSICAL, "efficientnet-lite0"])
def test_a_pickled_model_is_the_one_that_is_loaded_by_its_name(name: str) -> None:
    model = taught(name)
    pickled = pickle.dumps(model)
    assert pickle.loads(pickled) is model
    assert len(pickled) < 10_000  # what `sift` learned is 8 kB; the network is read where it is needed


@pytest.mark.process
def test_a_pickled_model_embeds_in_a_process_of_its_own(model: LoadedModel) -> None:
    pixels = random_pixels(2, model.size_px)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(model.embed_pixels, pixels).result()
    np.testing.assert_array_equal(found, model.embed_pixels(pixels))


def test_the_central_square_of_a_picture_is_what_counts(model: LoadedModel) -> None:
    square = random_pixels(1, 64)[0]
    wide = np.pad(square, ((0, 0), (64, 64), (0, 0)), mode="edge")
    one, other = model.embed([square, wide])
    # A detail at the edge may be another, and stand alone at its centre.
    assert one @ other > (0.9 if model.name == "sift" else 0.999)


def test_something_that_is_no_picture_is_an_image_error(model: LoadedModel, tmp_path: Path) -> None:
    for image in (b"no picture", tmp_path / "missing.jpg", np.zeros((4, 4), np.float32)):
        with pytest.raises(ImageError):
            model.embed([image])


def test_features_that_are_all_zero_get_the_direction_in_which_all_numbers_are_equal() -> None:
    features = np.array([[0, 0, 0, 0], [0, 3, 4, 0]], np.float32)
    assert unit(features).tolist() == np.array([[0.5] * 4, [0, 0.6, 0.8, 0]], np.float32).tolist()
    assert unit(features[1]).tolist() == np.array([0, 0.6, 0.8, 0], np.float32).tolist()


def test_a_library_that_is_there_and_broken_is_not_said_to_be_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModelError) as caught:
        library("broken_library", "timm")

    assert (
        caught.value.message == "broken_library is installed and does not load: operator nms does not exist"
    )
    assert caught.value.hint.startswith("torch and torchvision have to be made for each other")


def test_a_library_that_is_missing_is_named_with_its_extra():
    with pytest.raises(ExtraError, match=r"this model needs no_such_library \(No module named") as caught:
        library("no_such_library", "timm")

    assert caught.value.extra == "timm"
