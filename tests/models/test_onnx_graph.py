"""The constants and operators of an ONNX file are those that the package onnx reads."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from lookalike.models.onnx_graph import read_graph


@pytest.fixture(scope="module")
def data() -> bytes:
    return (files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()


def test_the_constants_are_those_that_onnx_reads(data: bytes) -> None:
    expected = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(data).graph.initializer}
    found = read_graph(data).constants
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_the_operators_are_those_that_onnx_reads(data: bytes) -> None:
    expected = onnx.load_from_string(data).graph.node
    found = read_graph(data).nodes
    assert [one.operator for one in found] == [one.op_type for one in expected]
    assert [one.inputs for one in found] == [tuple(one.input) for one in expected]
    assert [one.outputs for one in found] == [tuple(one.output) for one in expected]
    for one, node in zip(found, expected, strict=True):
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            assert one.numbers[attribute.name] == (list(value) if isinstance(value, list) else [value])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_graph_or_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        read_graph(data)


@given(st.integers(0, 400))
def test_a_file_that_was_cut_off_is_an_error(size: int) -> None:
    data = (files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()
    with pytest.raises(ValueError, match="it "):
        read_graph(data[:size])
