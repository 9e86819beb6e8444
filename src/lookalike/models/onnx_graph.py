"""The operators and constants of an ONNX file, read without the package `onnx` and without running it.

It reads files such as tools/build_model.py writes: constants as raw bytes, attributes that are whole numbers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.models.protobuf import fields

# Numbers of fields, and of types (onnx.proto of ONNX 1.17).
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_CONSTANT = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 3, 8
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8"}


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: its name, those of the tensors that it takes and gives, and its whole numbers."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Graph:
    """The operators in the order in which they run, and the constants by name."""

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]


def read_graph(data: bytes) -> Graph:
    """Read the bytes of an ONNX file; raises `ValueError` for one that is damaged, or of another kind."""
    graphs = _message(data)[_MODEL_GRAPH]
    if len(graphs) != 1:
        raise ValueError("it holds no graph")
    try:
        graph = _message(graphs[0])
        constants = [_message(one) for one in graph[_GRAPH_CONSTANT]]
        return Graph(
            tuple(_node(_message(one)) for one in graph[_GRAPH_NODE]),
            {_text(one[_TENSOR_NAME]): _array(one) for one in constants},
        )
    except (TypeError, AttributeError, IndexError):  # a number in place of bytes, or nothing
        raise ValueError("it is damaged, or something else") from None


def _node(fields: dict[int, list[Any]]) -> Node:
    attributes = [_message(one) for one in fields[_NODE_ATTRIBUTE]]
    numbers = {_text(one[_ATTRIBUTE_NAME]): one[_ATTRIBUTE_INTS] + one[_ATTRIBUTE_INT] for one in attributes}
    inputs, outputs = (tuple(one.decode() for one in fields[key]) for key in (_NODE_INPUT, _NODE_OUTPUT))
    return Node(_text(fields[_NODE_OPERATOR]), inputs, outputs, numbers)


def _array(fields: dict[int, list[Any]]) -> NDArray[Any]:
    kind = _TYPES.get(fields[_TENSOR_TYPE][0])
    if kind is None or not fields[_TENSOR_RAW]:
        raise ValueError(f"the constant {_text(fields[_TENSOR_NAME])} is of a type that is not read here")
    return np.frombuffer(fields[_TENSOR_RAW][0], kind).reshape(fields[_TENSOR_DIMS])


def _text(values: list[bytes]) -> str:
    return values[0].decode() if values else ""


def _message(data: bytes) -> defaultdict[int, list[Any]]:
    """The values of each field of a protobuf message, by its number: whole numbers, or bytes."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for number, value in fields(data, 0, len(data)):
        found[number].append(data[value] if isinstance(value, slice) else value)
    return found
