"""Networks in ONNX files as models: the vectors of a plain loop, and the folder that says how to get them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import picture
from networks import DIM, MEAN, STD, plain_vector, write_model, write_network
from PIL import Image

import lookalike
from lookalike import add_model, load_model
from lookalike.errors import ModelError

BUILT_IN = Path(lookalike.__file__).parent / "models" / "efficientnet_lite0.onnx"

SIZES = [(64, 48), (50, 77), (32, 32), (300, 41)]


def pictures() -> list[Image.Image]:
    return [picture(seed, (90, 120, 200), size) for seed, size in enumerate(SIZES)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path)


# Vectors


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("batch", ["batch", 1, 3])
def test_its_vectors_are_those_of_a_plain_loop(tmp_path, layout, dtype, batch):
    net = write_network(tmp_path / "net.onnx", layout=layout, dtype=dtype, batch=batch)
    single = write_network(tmp_path / "single.onnx", layout=layout, dtype=dtype)
    expected = [plain_vector(single, one, layout=layout) for one in pictures()]

    model = add_model(net, mean=MEAN, std=STD, out=tmp_path / "model")

    pixels = np.stack([model.pixels(one) for one in pictures()])
    assert np.allclose(model.embed_pixels(pixels), expected, atol=2e-3 if dtype == "float16" else 1e-5)
    cosines = (model.embed(pictures()) * expected).sum(axis=1)
    assert cosines.min() >= 0.9999


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_network_of_whole_numbers_gets_the_pixels_as_they_are(tmp_path, layout):
    net = write_network(tmp_path / "net.onnx", layout=layout, dtype="uint8")

    model = load_model(str(net))

    expected = [plain_vector(net, one, layout=layout) for one in pictures()]
    assert np.allclose(model.embed(pictures()), expected, atol=1e-5)
    assert (model.name, model.dim, model.size_px, model.spec.mean) == ("net", DIM, 32, ())


@pytest.mark.parametrize("gives", ["map", "tokens"])
def test_features_of_places_are_averaged_if_that_is_said(tmp_path, gives):
    net = write_network(tmp_path / "net.onnx", gives=gives)

    model = add_model(net, mean=MEAN, std=STD, pooling="mean", out=tmp_path / "model")

    expected = [plain_vector(net, one) for one in pictures()]
    assert np.allclose(model.embed(pictures()), expected, atol=1e-5)


def test_a_bare_file_gets_values_from_0_to_1(tmp_path):
    net = write_network(tmp_path / "net.onnx")

    found = load_model(str(net)).embed(pictures())

    expected = [plain_vector(net, one, mean=(0, 0, 0), std=(1, 1, 1)) for one in pictures()]
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_a_photograph_is_decoded_so_that_the_vector_is_that_of_the_whole(tmp_path):
    net = write_network(tmp_path / "net.onnx", size="side")
    model = add_model(net, size_px=112, mean=MEAN, std=STD, out=tmp_path / "model")
    details = np.random.default_rng(7).integers(0, 256, (562, 750, 3), np.uint8)
    Image.fromarray(details).resize((3001, 2249)).save(tmp_path / "photo.jpg", quality=95)

    whole = Image.open(tmp_path / "photo.jpg").resize((149, 112), Image.Resampling.BICUBIC)
    seen = model.pixels(tmp_path / "photo.jpg").astype(float)
    assert np.abs(seen - np.asarray(whole)[:, 18:130]).mean() < 0.5  # of 255; 1.5 if it is reduced to 112 px
    assert (
        model.embed(tmp_path / "photo.jpg") @ plain_vector(net, Image.open(tmp_path / "photo.jpg"), size=112)
        >= 0.9999
    )


def test_blue_comes_first_if_that_is_said(tmp_path):
    net = write_network(tmp_path / "net.onnx")
    model = add_model(net, mean=MEAN, std=STD, channels="BGR", out=tmp_path / "model")
    (one, *_) = pictures()

    swapped = Image.fromarray(np.asarray(one)[..., ::-1])

    assert np.allclose(model.embed(one), plain_vector(net, swapped), atol=1e-5)


def test_the_output_that_is_named_is_taken(tmp_path):
    net = write_network(tmp_path / "net.onnx", outputs=["logits", "features"])

    model = add_model(net, output="features", out=tmp_path / "model")

    assert (model.dim, model.spec.output) == (DIM, "features")


def test_the_file_of_the_built_in_model_is_the_built_in_model():
    model = load_model(str(BUILT_IN))

    assert model.spec == load_model("efficientnet-lite0").spec
    assert model.text_vector is not None


def test_the_network_of_the_built_in_model_in_a_folder_gives_the_same_of_the_same_pixels(tmp_path):
    model = add_model(BUILT_IN, name="mine", out=tmp_path / "mine")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)

    assert np.array_equal(model.features(pixels), load_model("efficientnet-lite0").features(pixels))


def test_a_model_comes_through_a_pickle(folder):
    model = load_model(str(folder))

    again = pickle.loads(pickle.dumps(model))

    assert again.spec == model.spec
    assert np.array_equal(again.embed(pictures()), model.embed(pictures()))


# Folders


def test_a_folder_says_all_that_decides_a_vector(folder):
    written = json.loads((folder / "model.json").read_bytes())

    assert written == {
        "format": "lookalike-model",
        "version": 1,
        "name": "my-net",
        "sha256": written["sha256"],
        "dim": 8,
        "size_px": 32,
        "crop": 1.0,
        "resize": "crop",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert sorted(path.name for path in folder.iterdir()) == ["image.onnx", "model.json"]
    assert load_model(f"{folder}/").spec.to_fields() == {
        name: value for name, value in written.items() if name not in ("format", "version")
    }


def test_a_folder_that_was_written_by_hand_needs_no_more_than_a_name(folder):
    (folder / "model.json").write_text('{"name": "by-hand", "author": "a field of theirs"}')

    spec = load_model(str(folder)).spec

    assert (spec.name, spec.size_px, spec.crop, spec.resize) == ("by-hand", 32, 1.0, "crop")
    assert (spec.mean, spec.std) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("resize", ["square", "crop", "squash"])
def test_what_was_added_is_what_is_loaded(tmp_path, resize):
    net = write_network(tmp_path / "net.onnx")

    made = add_model(net, crop=0.875, resize=resize, interpolation="bilinear", out=tmp_path / "model")

    assert load_model(str(tmp_path / "model")).spec == made.spec
    assert (made.spec.resize, made.spec.interpolation, made.spec.crop) == (resize, "bilinear", 0.875)


def test_weights_beside_the_network_are_part_of_it(tmp_path):
    source = onnx.load(write_network(tmp_path / "net.onnx"))
    (tmp_path / "big").mkdir()
    big = tmp_path / "big" / "net.onnx"
    onnx.save(source, big, save_as_external_data=True, location="weights.bin", size_threshold=0)

    model = add_model(big, name="big", out=tmp_path / "model")

    assert np.array_equal(model.embed(pictures()), load_model(str(tmp_path / "net.onnx")).embed(pictures()))
    weights = bytearray((tmp_path / "model" / "weights.bin").read_bytes())
    weights[5] ^= 1
    (tmp_path / "changed.bin").write_bytes(weights)
    (tmp_path / "changed.bin").replace(tmp_path / "model" / "weights.bin")
    with pytest.raises(ModelError, match=r"is not the network that model\.json describes"):
        load_model(str(tmp_path / "model"))


def test_a_model_that_did_not_change_is_loaded_once(folder):
    assert load_model(str(folder)).features is load_model(f"{folder}/").features
