"""Networks in ONNX files, and folders of models, that are refused, and why."""

from __future__ import annotations

import json
from pathlib import Path

import networks
import numpy as np
import onnx
import onnxruntime
import pytest
from networks import MEAN, STD, write_model, write_network
from onnx import TensorProto, helper

from lookalike import add_model, load_model
from lookalike.errors import ModelError


def description(folder: Path, **changes: object) -> Path:
    """Change fields of a `model.json`; those that are `...` are removed."""
    path = folder / "model.json"
    fields = {**json.loads(path.read_bytes()), **changes}
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not ...}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"no network", b"\x00" * 100, b"\xff" * 100, b"GIF89a....", b"\x08\x08"]
)
def test_a_file_that_is_no_network_is_refused(tmp_path, data):
    (tmp_path / "net.onnx").write_bytes(data)

    with pytest.raises(ModelError, match=r"net\.onnx is not an ONNX file"):
        load_model(str(tmp_path / "net.onnx"))


def test_a_network_that_is_cut_off_is_refused(tmp_path):
    net = write_network(tmp_path / "net.onnx")
    net.write_bytes(net.read_bytes()[:-10])

    with pytest.raises(ModelError, match=r"net\.onnx is not an ONNX file: it is cut off or damaged"):
        load_model(str(net))


def test_a_network_with_an_unknown_operator_is_refused_with_what_onnxruntime_says(tmp_path):
    model = onnx.load(write_network(tmp_path / "net.onnx"))
    model.graph.node[1].op_type = "Convolute"
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())

    with pytest.raises(ModelError, match=r"onnxruntime cannot run .*net\.onnx: .*Convolute"):
        load_model(str(tmp_path / "net.onnx"))


def test_a_gpu_that_does_not_start_says_why_and_nothing_is_printed(tmp_path, monkeypatch, capsys):
    start = onnxruntime.InferenceSession._create_inference_session

    def without_a_driver(session, providers, *options):
        if providers != ["CPUExecutionProvider"]:
            raise RuntimeError("CUDA failure 35: CUDA driver version is insufficient; GPU=0")
        start(session, providers, *options)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime.InferenceSession, "_create_inference_session", without_a_driver)

    with pytest.raises(ModelError, match=r"net\.onnx: CUDA failure 35: CUDA driver version is insufficient"):
        load_model(str(write_network(tmp_path / "net.onnx")), device="cuda")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["a", "b"]}, r"net\.onnx has 2 outputs: a \(batch, 8\), b \(batch, 8\)"),
        (
            {"gives": "map"},
            r"the output features of .* has the shape \(2, 8, 8, 8\), not \(batch, dimensions\)",
        ),
        ({"size": "side"}, "takes pictures of any size"),
        ({"weight": np.inf}, "the output features of .* has NaN or infinity"),
    ],
    ids=["outputs", "map", "size", "nan"],
)
def test_a_network_of_which_more_has_to_be_said_is_refused(tmp_path, options, message):
    with pytest.raises(ModelError, match=message):
        load_model(str(write_network(tmp_path / "net.onnx", **options)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size_px": 64}, "takes 32 x 32 px, not 64 x 64"),
        ({"output": "logits"}, r"has no output 'logits', but features \(batch, 8\)"),
        ({"name": "a/b"}, "a model cannot be called 'a/b'"),
        ({"name": "../up"}, r"a model cannot be called '\.\./up'"),
        ({"name": "sift"}, "sift is the name of a built-in model"),
        ({"crop": 0}, "the crop of net is 0"),
        ({"mean": [0.5]}, r"mean is \[0\.5\], it has to be three numbers"),
        ({"mean": [0.5, 1.1, 0.5]}, r"the mean of net is \[0.5, 1.1, 0.5\], but the values of pixels"),
        ({"std": [1, 0, 1]}, r"std is \[1, 0, 1\], none of its numbers may be 0"),
        ({"resize": "stretch"}, "resize is 'stretch', it has to be one of: square, crop, squash"),
        ({"pooling": "mean"}, r"has the shape \(2, 8\), without places to pool"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_network_is_refused_before_anything_is_written(tmp_path, options, message):
    net = write_network(tmp_path / "net.onnx")

    with pytest.raises(ModelError, match=message):
        add_model(net, out=tmp_path / "model", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_mean_of_values_from_0_to_255_is_told_with_what_to_do(tmp_path):
    net = write_network(tmp_path / "net.onnx")

    with pytest.raises(ModelError) as caught:
        add_model(net, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], out=tmp_path / "model")

    assert caught.value.hint == "divide mean and std by 255"


def test_a_mean_at_the_end_of_the_range_of_pixels_is_taken(tmp_path):
    net = write_network(tmp_path / "net.onnx")

    assert add_model(net, mean=[1, 0, -1], out=tmp_path / "model").spec.mean == (1.0, 0.0, -1.0)


def test_mean_and_std_for_a_network_of_whole_numbers_are_refused(tmp_path):
    net = write_network(tmp_path / "net.onnx", dtype="uint8")

    with pytest.raises(
        ModelError, match="takes whole numbers from 0 to 255, so mean and std have no meaning"
    ):
        add_model(net, mean=MEAN, std=STD, out=tmp_path / "model")


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (TensorProto.FLOAT, ["b", 3, 32], r"takes tensor\(float\) of shape \(b, 3, 32\)"),
        (TensorProto.FLOAT, ["b", 1, 28, 28], r"takes tensor\(float\) of shape \(b, 1, 28, 28\)"),
        (TensorProto.FLOAT, ["b", 3, 32, 48], r"takes tensor\(float\) of shape \(b, 3, 32, 48\)"),
        (TensorProto.INT64, ["b", 3, 32, 32], r"takes tensor\(int64\)"),
    ],
    ids=str,
)
def test_a_network_that_does_not_take_square_pictures_is_refused_with_the_shape(
    tmp_path, kind, shape, message
):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixels"], ["same"])],
        "same",
        [helper.make_tensor_value_info("pixels", kind, shape)],
        [helper.make_tensor_value_info("same", kind, shape)],
    )

    with pytest.raises(ModelError, match=message):
        load_model(str(networks.save(tmp_path / "net.onnx", graph)))


def test_a_network_that_gives_a_single_number_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, 32, 32])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])],
    )

    with pytest.raises(ModelError, match=r"the output mean of .*net\.onnx is a single number"):
        load_model(str(networks.save(tmp_path / "net.onnx", graph)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ...}, "does not say its name"),
        ({"name": 7}, "name is 7"),
        ({"dim": 9}, r"gave \(2, 8\), not \(2, 9\)"),
        ({"dim": "8"}, "dim is '8'"),
        ({"size_px": 1e9}, "size_px is 1000000000.0"),
        ({"size_px": 10**9}, "the size of my-net is 1000000000 px"),
        ({"sha256": "0" * 64}, "is not the network that model.json describes"),
        ({"mean": [10**400, 0, 0]}, "10000.* is not a number, or too large a one"),
        ({"std": [1, 1, 1e39]}, r"1e\+39 is not a number, or too large a one"),
        ({"std": [1, 1, -1e-39]}, "none of its numbers may be 0"),
        ({"format": "another"}, "is not the description of a model"),
        ({"version": 2}, "has version 2, this Lookalike reads up to 1"),
        ({"mean": {"r": 1}}, "mean is {'r': 1.0}, it has to be three numbers|mean is {'r': 1}"),
    ],
    ids=str,
)
def test_a_description_that_makes_no_sense_is_refused(folder, changes, message):
    with pytest.raises(ModelError, match=message):
        load_model(str(description(folder, **changes)))


@pytest.mark.parametrize("text", ["", "[]", "{", '"name"', "[" * 100_000, " " * 2_000_000])
def test_a_description_that_is_broken_is_refused(folder, text):
    (folder / "model.json").write_text(text)

    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(str(folder))


@pytest.mark.parametrize("name", ["model.json", "image.onnx"])
def test_a_folder_that_lacks_a_file_is_refused(folder, name):
    (folder / name).unlink()

    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        load_model(str(folder))


def test_a_folder_that_is_there_is_not_replaced(folder, tmp_path):
    with pytest.raises(ModelError, match="exists already"):
        add_model(tmp_path / "net.onnx", out=folder)
