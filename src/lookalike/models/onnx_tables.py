"""Tables of vectors in an ONNX network, such as that of the tokens in a text tower, in 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST = 127
_LEAST_SCALE = np.float32(1e-30)  # of a row of zeros


def quantise_tables(graph: Any) -> None:
    """Replace float32 tables (V, D) from which `Gather` takes rows by int8 (V, D) and a scale for each row.

    `graph` is a `GraphProto` of the package onnx. Of a row x the network then sees scale * round(x / scale),
    where the scale is the largest magnitude in the row divided by 127. A table that is also used otherwise
    stays.
    """
    tables = {one.name: one for one in graph.initializer}
    used = [name for node in graph.node for name in node.input]
    nodes: list[Any] = []
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or not _is_rows(node, table) or used.count(table.name) > 1:
            nodes.append(node)
            continue
        graph.initializer.remove(table)
        constants, steps = _in_8_bits(node, table)
        graph.initializer.extend(constants)
        nodes += steps
    del graph.node[:]
    graph.node.extend(nodes)


def _is_rows(node: Any, table: Any) -> bool:
    from onnx import TensorProto

    is_along_rows = all(one.i == 0 for one in node.attribute if one.name == "axis")
    return is_along_rows and table.data_type == TensorProto.FLOAT and len(table.dims) == 2


def _in_8_bits(node: Any, table: Any) -> tuple[list[Any], list[Any]]:
    """The constants and the operators that stand for a `Gather` from a table."""
    from onnx import TensorProto, helper, numpy_helper

    rows = numpy_helper.to_array(table)
    scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True) / _MOST, _LEAST_SCALE)
    integers = np.rint(rows / scales).astype(np.int8)
    of_integers, of_scales = f"{table.name}_int8", f"{table.name}_scale"
    taken, floats, scale = (f"{node.output[0]}_{one}" for one in ("int8", "float", "scale"))
    steps = [
        helper.make_node("Gather", [of_integers, node.input[1]], [taken]),
        helper.make_node("Cast", [taken], [floats], to=TensorProto.FLOAT),
        helper.make_node("Gather", [of_scales, node.input[1]], [scale]),
        helper.make_node("Mul", [floats, scale], [node.output[0]]),
    ]
    constants = [numpy_helper.from_array(integers, of_integers), numpy_helper.from_array(scales, of_scales)]
    return constants, steps
