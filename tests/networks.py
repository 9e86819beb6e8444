"""Tiny networks as ONNX files, with random weights, and what they give, computed by a plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import lookalike

DIM = 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def write_network(
    path: Path,
    *,
    size: int | str = 32,
    batch: int | str = "batch",
    dtype: str = "float32",
    layout: str = "NCHW",
    gives: str = "vector",
    outputs: Sequence[str] = ("features",),
    seed: int = 0,
    weight: float = 1.0,
) -> Path:
    """Write a network of one convolution (B, 8, H, W); `gives` is a vector, `map` or `tokens`."""
    weights = np.random.default_rng(seed).normal(0, weight, (DIM, 3, 4, 4)).astype(np.float32)
    shape = [batch, 3, size, size] if layout == "NCHW" else [batch, size, size, 3]
    nodes, last = [], "pixels"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [last], ["planes"], perm=[0, 3, 1, 2]))
        last = "planes"
    nodes += [
        helper.make_node("Cast", [last], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["floats", "weights"], ["sums"], strides=[4, 4]),
        helper.make_node("Relu", ["sums"], ["map"]),
    ]
    last = "map"
    if gives == "vector":
        nodes.append(helper.make_node("ReduceMean", ["map"], ["vector"], axes=[2, 3], keepdims=0))
        last = "vector"
    elif gives == "tokens":
        nodes.append(helper.make_node("Reshape", ["map", "places"], ["flat"]))
        nodes.append(helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]))
        last = "tokens"
    to = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.FLOAT
    nodes += [helper.make_node("Cast", [last], [name], to=to) for name in outputs]
    ndim = {"vector": 2, "map": 4, "tokens": 3}[gives]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", _TYPES[dtype], shape)],
        [helper.make_tensor_value_info(name, to, [None] * ndim) for name in outputs],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([0, DIM, -1]), "places"),
        ],
    )
    return save(path, graph)


def save(path: Path, graph: Any) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def write_model(root: Path) -> Path:
    """Write a network, and the folder of a model that has it; returns the folder."""
    net = write_network(root / "net.onnx")
    lookalike.add_model(net, name="my-net", mean=MEAN, std=STD, out=root / "made")
    return root / "made"


def plain_vector(
    network: Path, image: Image.Image, size: int = 32, mean: Any = MEAN, std: Any = STD, layout: str = "NCHW"
) -> np.ndarray:
    """The vector of a picture as a publisher's example computes it: one picture, Pillow and onnxruntime."""
    width, height = image.size
    target = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    left, top = round((target[0] - size) / 2), round((target[1] - size) / 2)
    seen = image.convert("RGB").resize(target, Image.Resampling.BICUBIC)
    seen = seen.crop((left, top, left + size, top + size))
    values = np.asarray(seen)
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    kind = session.get_inputs()[0].type
    if kind != "tensor(uint8)":
        values = (np.asarray(values, np.float32) / 255 - np.float32(mean)) / np.float32(std)
        values = values.astype(np.float16 if kind == "tensor(float16)" else np.float32)
    if layout == "NCHW":
        values = np.moveaxis(values, -1, 0)
    found = session.run(None, {"pixels": values[None]})[0][0].astype(np.float64)
    if found.ndim > 1:  # (D, H, W) or (T, D)
        found = found.mean(axis=(1, 2)) if found.ndim == 3 else found.mean(axis=0)
    return found / np.linalg.norm(found)
