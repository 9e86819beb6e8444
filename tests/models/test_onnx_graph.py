"""The constants and operators of an ONNX file are those that the package onnx reads."""

from __future__ import annotations

from contextlib import suppress
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


def number(field: int, value: int) -> bytes:
    """A field of a message that is a whole number."""
    digits = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([field << 3, *(one | 0x80 for one in digits[:-1]), digits[-1]])


def inside(field: int, contents: bytes) -> bytes:
    """A field of a message that is bytes, fewer than 128."""
    return bytes([field << 3 | 2, len(contents)]) + contents


@given(st.binary(max_size=200))
def test_any_bytes_are_a_graph_or_an_error(data: bytes) -> None:
    with suppress(ValueError):
        read_graph(data)


@pytest.mark.parametrize(
    "data",
    [
        number(7, 1),
        inside(7, number(1, 1)),
        inside(7, inside(1, number(1, 1))),
        inside(7, inside(1, number(4, 1))),
        inside(7, inside(5, inside(9, b"1234"))),
        inside(7, inside(5, number(2, 1) + number(9, 1))),
    ],
    ids=["graph", "node", "input", "operator", "constant without a type", "contents"],
)
def test_numbers_in_place_of_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is damaged, or something else"):
        read_graph(data)


@given(st.integers(0, 400))
def test_a_file_that_was_cut_off_is_an_error(size: int) -> None:
    data = (files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()
    with pytest.raises(ValueError, match="it "):
        read_graph(data[:size])
