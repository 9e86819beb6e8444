"""Reading an ONNX file without running it: where its weights are, and what is no ONNX file."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import write_network
from onnx import TensorProto, helper

import lookalike
from lookalike import add_model, load_model
from lookalike.errors import ModelError
from lookalike.models.onnx_weights import FIELDS, checksum_of, files_of


@pytest.mark.parametrize("message", FIELDS)
def test_every_way_to_a_tensor_is_followed(message):
    described = getattr(onnx, message).DESCRIPTOR.fields
    followed = {*FIELDS, "StringStringEntryProto"}
    inner = {one.number: one.message_type.name for one in described if one.message_type is not None}

    assert FIELDS[message] == {
        number: name
        for number, name in inner.items()
        if name in followed and (name != "StringStringEntryProto" or described_as_data(message, number))
    }


def described_as_data(message: str, number: int) -> bool:
    """Whether a field of pairs tells where data is; others are notes."""
    field = next(one for one in getattr(onnx, message).DESCRIPTOR.fields if one.number == number)
    return field.name == "external_data"


def test_the_files_of_a_network_are_listed_by_name(tmp_path):
    path = write_network(tmp_path / "net.onnx")
    model = onnx.load(path)
    for name in ("b.bin", "parts/a.bin", "b.bin"):
        tensor = TensorProto(name=name, dims=[1], data_type=TensorProto.FLOAT, data_location=1)
        tensor.external_data.add(key="location", value=name)
        tensor.external_data.add(key="offset", value="0")
        model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    (tmp_path / "parts").mkdir()
    for name in ("b.bin", "parts/a.bin"):
        (tmp_path / name).write_bytes(b"1234")

    assert files_of(path) == [path, tmp_path / "b.bin", tmp_path / "parts" / "a.bin"]


def test_the_checksum_is_that_of_the_file_unless_there_are_others(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"net")
    (tmp_path / "w.bin").write_bytes(b"weights")

    assert checksum_of([tmp_path / "net.onnx"]) == hashlib.sha256(b"net").hexdigest()
    assert checksum_of([tmp_path / "net.onnx", tmp_path / "w.bin"]) == (
        "4e5e1e2b3e2f8b2a27b651e6c581b583b6be470facbe7b3f3fe724ddcc4b29ba"
    )


@given(data=st.data())
def test_a_damaged_network_is_read_or_refused_and_never_names_a_file_outside(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    path = write_network(folder / "whole.onnx")
    found = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=4)):
        found[place] = data.draw(st.integers(0, 255))
    damaged = Path(folder / "damaged.onnx")
    damaged.write_bytes(found[: data.draw(st.integers(0, len(found)))])

    try:
        assert files_of(damaged)[0] == damaged
    except ModelError as error:
        assert "damaged.onnx" in error.message


@given(found=st.binary(max_size=60))
def test_whatever_is_no_network_is_refused(tmp_path_factory, found):
    path = tmp_path_factory.getbasetemp() / "none.onnx"
    path.write_bytes(found)

    try:
        files_of(path)
    except ModelError as error:
        assert "none.onnx" in error.message


def test_a_file_of_more_than_two_gigabytes_is_refused_unread(tmp_path):
    with (tmp_path / "net.onnx").open("wb") as file:
        file.truncate(2**31)

    with pytest.raises(ModelError, match=r"net\.onnx has 2\.1 GB, an ONNX file has at most 2\.1") as caught:
        files_of(tmp_path / "net.onnx")
    assert "external data" in caught.value.hint


def test_a_pipe_in_the_place_of_a_network_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "net.onnx")

    with pytest.raises(ModelError, match=r"net.onnx is not a file"):
        lookalike.load_model(str(tmp_path / "net.onnx"))


def test_nor_is_one_that_is_added(tmp_path):
    os.mkfifo(tmp_path / "net.onnx")

    with pytest.raises(ModelError, match=r"net.onnx is a pipe"):
        lookalike.add_model(tmp_path / "net.onnx", out=tmp_path / "model")


def test_a_hole_of_zeros_is_refused_at_its_first_byte(tmp_path):
    with (tmp_path / "net.onnx").open("wb") as file:
        file.truncate(2_000_000_000)

    with pytest.raises(ModelError, match=r"net\.onnx is not an ONNX file: it is damaged, or something else"):
        files_of(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "..\\secret.bin", "C:secret", "", "."]
)
@pytest.mark.parametrize("place", ["initializer", "attribute", "branch"])
def test_weights_outside_of_the_folder_are_refused(tmp_path, location, place):
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    path = write_network(tmp_path / "inner" / "net.onnx")
    model = onnx.load(path)
    outside = TensorProto(name="outside", dims=[2], data_type=TensorProto.FLOAT, data_location=1)
    outside.external_data.add(key="location", value=location)
    if place == "initializer":
        model.graph.initializer.append(outside)
    else:
        inner = helper.make_graph([helper.make_node("Constant", [], ["o"], value=outside)], "inner", [], [])
        node = (
            inner.node[0] if place == "attribute" else helper.make_node("If", ["c"], ["o"], then_branch=inner)
        )
        model.graph.node.append(node)
    path.write_bytes(model.SerializeToString())

    with pytest.raises(ModelError, match="which is not a file in its folder"):
        load_model(str(path))


def test_a_link_to_weights_outside_of_the_folder_is_refused(tmp_path):
    source = onnx.load(write_network(tmp_path / "net.onnx"))
    (tmp_path / "big").mkdir()
    big = tmp_path / "big" / "net.onnx"
    onnx.save(source, big, save_as_external_data=True, location="weights.bin", size_threshold=0)
    shutil.move(tmp_path / "big" / "weights.bin", tmp_path / "elsewhere.bin")
    with pytest.raises(ModelError, match=r"takes weights from weights\.bin, which is missing"):
        load_model(str(big))

    (tmp_path / "big" / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")

    with pytest.raises(ModelError, match="a link to outside of its folder"):
        load_model(str(big))


@pytest.mark.parametrize("left", [0, 100])
def test_weights_that_are_cut_off_are_told_by_the_checksum_of_the_description(tmp_path, left):
    source = onnx.load(write_network(tmp_path / "net.onnx"))
    (tmp_path / "big").mkdir()
    big = tmp_path / "big" / "net.onnx"
    onnx.save(source, big, save_as_external_data=True, location="weights.bin", size_threshold=0)
    add_model(big, out=tmp_path / "model")
    weights = tmp_path / "model" / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:left])

    with pytest.raises(ModelError, match=r"image\.onnx is not the network that model\.json describes"):
        load_model(f"{tmp_path}/model/")
