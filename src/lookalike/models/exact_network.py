"""The built-in network in PyTorch, for GPUs: the very vectors that onnxruntime computes with integers.

An activation of 8 bits, or a weight of 7, times its scale of 2^k or 3 * 2^k has at most 10 significant bits.
So all of them are exact in TF32 (11 bits), and so are their sums in float32 (24 bits): what is left is to
round where the file does. docs/model.md tells why it has such scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from lookalike.models.onnx_graph import Graph, Node, read_graph

Tensor = Any  # torch.Tensor


def exact_network(data: bytes) -> ExactNetwork:
    """The network in the bytes of a file by tools/build_model.py; raises `ValueError` for another kind."""
    return ExactNetwork(read_graph(data))


class ExactNetwork(nn.Module):
    """Takes float32 (B, 3, S, S), from 0 to 255, and gives features float32 (B, D)."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._weights = _dequantised(graph)
        self.steps = nn.ModuleList(
            _step(node, graph, self._weights) for node in graph.nodes if node.outputs[0] not in self._weights
        )
        # What is rounded to numbers from 0 on may be rectified before, which cuDNN does as it adds the bias.
        rectified = {step.inputs[0] for step in self.steps if isinstance(step, _Round) and step.is_from_zero}
        for step in self.steps:
            if isinstance(step, _Convolve) and step.output in rectified:
                step.is_rectified = True
        self._last = {name: at for at, step in enumerate(self.steps) for name in step.inputs}

    def forward(self, given: Tensor) -> Tensor:
        tensors = {self.steps[0].inputs[0]: given}
        for at, step in enumerate(self.steps):
            tensors[step.output] = step(*(tensors[name] for name in step.inputs))
            for name in step.inputs:
                if self._last[name] == at:  # its memory is needed
                    tensors.pop(name, None)
        return tensors[self.steps[-1].output]


class _Step(nn.Module):
    """One operator: the names of the tensors that it takes, and of the one that it gives."""

    def __init__(self, node: Node, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.inputs, self.output = inputs, node.outputs[0]


class _Same(_Step):
    """The tensor itself: a change of layout, or integers that are held as the numbers they stand for."""

    def forward(self, given: Tensor) -> Tensor:
        return given


class _Dequantise(_Step):
    """Pixels as the numbers that they stand for."""

    def __init__(self, node: Node, scale: float, zero: int) -> None:
        super().__init__(node, node.inputs[:1])
        self._scale, self._zero = scale, zero

    def forward(self, given: Tensor) -> Tensor:
        return (given - self._zero) * self._scale


class _Round(_Step):
    """Round to the numbers that 8-bit integers can stand for, halves to even."""

    def __init__(self, node: Node, scale: float, zero: int) -> None:
        super().__init__(node, node.inputs[:1])
        self._scale, self._low, self._high = scale, -zero, 255 - zero
        self.is_from_zero = zero == 0

    def forward(self, given: Tensor) -> Tensor:
        if given.device.type == "mps":  # which has no kernel for all of it
            return given.div(self._scale).round_().clamp_(self._low, self._high).mul_(self._scale)
        # Zero stays out of it, so that nothing is added before rounding.
        return torch.fake_quantize_per_tensor_affine(given, self._scale, 0, self._low, self._high)


class _Convolve(_Step):
    def __init__(self, node: Node, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        super().__init__(node, node.inputs[:1])
        held = torch.from_numpy(weight).contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", held)
        self.register_buffer("bias", torch.from_numpy(bias))
        self._stride, (self._groups,) = tuple(node.numbers["strides"]), node.numbers["group"]
        top, left, bottom, right = node.numbers["pads"]
        self._even = (top, left) if (top, left) == (bottom, right) else None
        self._pads = (left, right, top, bottom)
        self.is_rectified = False

    def forward(self, given: Tensor) -> Tensor:
        given = given if self._even else functional.pad(given, self._pads)
        if self.is_rectified and self._groups == 1 and given.is_cuda:  # with groups it is slower
            return torch.cudnn_convolution_relu(
                given, self.weight, self.bias, self._stride, self._even or (0, 0), (1, 1), 1
            )
        return functional.conv2d(
            given, self.weight, self.bias, self._stride, self._even or (0, 0), 1, self._groups
        )


class _Add(_Step):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class _Pool(_Step):
    """The mean over the places."""

    def forward(self, given: Tensor) -> Tensor:
        return given.mean((2, 3))


_PLAIN: dict[str, type[_Step]] = {
    "Transpose": _Same,
    "Flatten": _Same,
    "Add": _Add,
    "GlobalAveragePool": _Pool,
}


def _step(node: Node, graph: Graph, weights: dict[str, NDArray[np.float32]]) -> _Step:
    if node.operator in _PLAIN:
        return _PLAIN[node.operator](node, node.inputs)
    if node.operator == "Conv":
        return _Convolve(node, weights[node.inputs[1]], weights[node.inputs[2]])
    if node.operator == "QuantizeLinear":
        return _Round(node, *_linear(node, graph))
    if node.operator != "DequantizeLinear":
        raise ValueError(f"the operator {node.operator} is not one of the built-in network's")
    if any(node.inputs[0] in one.outputs for one in graph.nodes if one.operator == "QuantizeLinear"):
        return _Same(node, node.inputs[:1])  # `_Round` gave the numbers themselves
    return _Dequantise(node, *_linear(node, graph))


def _dequantised(graph: Graph) -> dict[str, NDArray[np.float32]]:
    """The numbers that constant integers stand for; each channel has a scale, and zero is 0."""
    found = {}
    for node in graph.nodes:
        if node.operator == "DequantizeLinear" and node.inputs[0] in graph.constants:
            integers, scale, _ = (graph.constants[name] for name in node.inputs)
            found[node.outputs[0]] = integers.astype(np.float32) * scale.reshape(
                -1, *[1] * (integers.ndim - 1)
            )
    return found


def _linear(node: Node, graph: Graph) -> tuple[float, int]:
    """The scale and the zero of a tensor's integers."""
    return float(graph.constants[node.inputs[1]]), int(graph.constants[node.inputs[2]])
