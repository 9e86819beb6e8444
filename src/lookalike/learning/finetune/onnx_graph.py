"""Writes EfficientNet-Lite0 as an ONNX file, in 8-bit integers or in floats: pixels in, features out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lookalike.learning.finetune.folding import Array, Conv
from lookalike.learning.finetune.quantising import (
    PIXEL_SCALE,
    PIXEL_ZERO,
    Quantisation,
    activation_quantisations,
    corrected_bias,
    expected,
    weight_scales,
)

SIZE_PX, DIM = 224, 1280


class Graph:
    """Collects the nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def dequantise(self, name: str, scale: Any, integers: NDArray[Any]) -> str:
        """A constant stored as integers with one scale for each channel."""
        constants = [
            self.constant(f"{name}_integers", integers),
            self.constant(f"{name}_scale", np.asarray(scale, np.float32)),
            self.constant(f"{name}_zero", np.zeros(len(integers), integers.dtype)),
        ]
        return self.add("DequantizeLinear", constants, name, axis=0)

    def requantise(self, tensor: str, source: str, quantisation: Quantisation) -> None:
        """Round `source` to integers and call the result `tensor`; runtimes fuse this with its operator."""
        parameters = [
            self.constant(f"{tensor}_scale", np.float32(quantisation.scale)),
            self.constant(f"{tensor}_zero", np.uint8(quantisation.zero)),
        ]
        integers = self.add("QuantizeLinear", [source, *parameters], f"{tensor}_integers")
        self.add("DequantizeLinear", [integers, *parameters], tensor)

    def convolve(self, conv: Conv, inputs: list[str], output: str, size_px: int) -> str:
        kernel = conv.weight.shape[2]
        out_px = -(-size_px // conv.stride)
        padding = max((out_px - 1) * conv.stride + kernel - size_px, 0)
        before, after = (
            padding // 2,
            padding - padding // 2,
        )  # TensorFlow's SAME: more after than before
        return self.add(
            "Conv",
            inputs,
            output,
            group=conv.groups,
            kernel_shape=[kernel, kernel],
            pads=[before, before, after, after],
            strides=[conv.stride, conv.stride],
        )

    def finish(self, properties: Mapping[str, str]) -> onnx.ModelProto:
        """Pool the head to `features`."""
        self.add("GlobalAveragePool", ["head"], "pooled")
        self.add("Flatten", ["pooled"], "features")
        return self.model("features", [DIM], properties)

    def model(self, output: str, shape: list[int | None], properties: Mapping[str, str]) -> onnx.ModelProto:
        """The graph from `pixels` to a tensor; opset 17 and IR 8, which runtimes since 2022 read."""
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIZE_PX, SIZE_PX, 3])
        found = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *shape])
        graph = helper.make_graph(self.nodes, "efficientnet_lite0", [pixels], [found], self.constants)
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        helper.set_model_props(model, dict(properties))
        onnx.checker.check_model(model, full_check=True)
        return model


def float32_model(network: list[Conv], properties: Mapping[str, str]) -> onnx.ModelProto:
    """The network as published: same input and output as the 8-bit one."""
    graph, size_px = Graph(), SIZE_PX
    planes = graph.add("Transpose", ["pixels"], "planes", perm=[0, 3, 1, 2])
    floats = graph.add("Cast", [planes], "floats", to=TensorProto.FLOAT)
    centred = graph.add("Sub", [floats, graph.constant("zero", np.float32(127))], "centred")
    graph.add("Mul", [centred, graph.constant("scale", np.float32(1 / 128))], "pixels_float")
    limits = [
        graph.constant("relu6_low", np.float32(0)),
        graph.constant("relu6_high", np.float32(6)),
    ]
    for conv in network:
        weight = graph.constant(f"{conv.name}_weight", conv.weight.astype(np.float32))
        bias = graph.constant(f"{conv.name}_bias", conv.bias.astype(np.float32))
        inputs = [_tensor(conv.source), weight, bias]
        linear = f"{conv.name}_linear" if conv.relu6 else conv.name
        graph.convolve(conv, inputs, linear, size_px)
        size_px = -(-size_px // conv.stride)
        if conv.relu6:
            graph.add("Clip", [linear, *limits], conv.name)
        if conv.shortcut:
            graph.add("Add", [conv.name, conv.shortcut], conv.output)
    return graph.finish(properties)


def int8_model(network: list[Conv], properties: Mapping[str, str]) -> onnx.ModelProto:
    """The network in QDQ form: everything between DequantizeLinear and QuantizeLinear runs in integers."""
    return _int8_graph(network).finish(properties)


def int8_front(network: list[Conv]) -> onnx.ModelProto:
    """The first convolutions of a network, as `int8_model` has them: pixels to the maps of the last one."""
    graph, last = _int8_graph(network), network[-1].output
    return graph.model(last, [None, None, None], {})


def _int8_graph(network: list[Conv]) -> Graph:
    graph, size_px = Graph(), SIZE_PX
    quantisations, statistics = activation_quantisations(network), expected(network)
    planes = graph.add("Transpose", ["pixels"], "planes", perm=[0, 3, 1, 2])
    scale = graph.constant("pixels_scale", np.float32(PIXEL_SCALE))
    zero = graph.constant("pixels_zero", np.uint8(PIXEL_ZERO))
    graph.add("DequantizeLinear", [planes, scale, zero], "pixels_float")
    for conv in network:
        source_mean, _ = statistics[conv.source]
        inputs = quantised_weights(graph, conv, quantisations[conv.source].scale, source_mean)
        sums = graph.convolve(conv, [_tensor(conv.source), *inputs], f"{conv.name}_exact", size_px)
        size_px = -(-size_px // conv.stride)
        graph.requantise(conv.name, sums, quantisations[conv.name])
        if conv.shortcut:
            total = graph.add("Add", [conv.name, conv.shortcut], f"{conv.output}_exact")
            graph.requantise(conv.output, total, quantisations[conv.output])
    return graph


def quantised_weights(graph: Graph, conv: Conv, source_scale: float, source_mean: Array) -> list[str]:
    """Add a convolution's weights, 7-bit integers in int8, and its bias in int32."""
    scales = weight_scales(conv, source_scale)
    broad = scales[:, None, None, None]
    integers = np.rint(conv.weight / broad)
    bias = np.rint(corrected_bias(conv, integers * broad, source_mean) / (source_scale * scales))
    return [
        graph.dequantise(f"{conv.name}_weight", scales, integers.astype(np.int8)),
        graph.dequantise(f"{conv.name}_bias", source_scale * scales, bias.astype(np.int32)),
    ]


def _tensor(source: str) -> str:
    return "pixels_float" if source == "pixels" else source
