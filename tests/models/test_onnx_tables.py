"""The table of a text tower's tokens in 8 bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from lookalike.models.onnx_tables import quantise_tables

TOKENS = np.array([[1, 0, 2], [2, 2, 1]])


def gathering(table: np.ndarray, *more: onnx.NodeProto, axis: int = 0) -> onnx.ModelProto:
    """A network that takes rows of a table by tokens."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "tokens"], ["rows"], axis=axis), *more],
        "table",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, None, None])],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rows_of(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["rows"], {"tokens": TOKENS})[0]


def test_each_row_has_a_scale_of_its_own():
    model = gathering(np.array([[127, 1.4, -127], [0.0127, 0.00004, 0], [0, 0, 0]], np.float32))

    quantise_tables(model.graph)

    expected = np.array([[127, 1, -127], [0.0127, 0, 0], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(rows_of(model), expected[TOKENS], rtol=1e-6)


def test_it_takes_a_quarter_of_the_bytes_and_turns_rows_by_hardly_anything():
    table = np.random.default_rng(0).normal(size=(1000, 512)).astype(np.float32)
    model = gathering(table)

    quantise_tables(model.graph)

    assert len(model.SerializeToString()) < table.nbytes * 0.26
    found, whole = rows_of(model), table[TOKENS]
    cosines = np.sum(found * whole, -1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(whole, axis=-1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize(
    "model",
    [
        gathering(np.ones((3, 3), np.float32), axis=1),
        gathering(np.ones((3, 3), np.float16)),
        gathering(np.ones((3, 3, 3), np.float32)),
        gathering(np.ones((3, 3), np.float32), helper.make_node("Neg", ["table"], ["other"])),
    ],
    ids=["columns", "of float16", "of matrices", "used elsewhere"],
)
def test_what_is_no_table_of_float32_rows_stays(model):
    before = model.SerializeToString()

    quantise_tables(model.graph)

    assert model.SerializeToString() == before
