"""EfficientNet-Lite0 as plain convolutions: each batch normalisation folded into the one before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

BATCH_NORM_EPSILON = 1e-3  # TensorFlow's default, which the weights were trained with

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


def convolutions(network: nn.Sequential) -> list[Conv]:
    """The 49 convolutions of a network that `lite0` made, in the order in which they run."""
    stem, *blocks, head = network
    found = [_fold(stem, "stem", "pixels")]
    for number, block in enumerate(blocks):
        name, source = f"block{number:02}", found[-1].output
        if block.expand is not None:
            found.append(_fold(block.expand, f"{name}_expand", source))
        found.append(_fold(block.depthwise, f"{name}_depthwise", found[-1].output))
        shortcut = source if block.adds else None
        found.append(_fold(block.project, f"{name}_project", found[-1].output, shortcut))
    return [*found, _fold(head, "head", found[-1].output)]


def _fold(convolution: Any, name: str, source: str, shortcut: str | None = None) -> Conv:
    """Fold norm(conv(x)) into one convolution (Jacob et al. 2018, section 3.2)."""
    shift, gain = _numbers(convolution.shift), _numbers(convolution.gain)
    factor = gain / np.sqrt(_numbers(convolution.variance) + BATCH_NORM_EPSILON)
    return Conv(
        name=name,
        source=source,
        weight=_numbers(convolution.weight) * factor[:, None, None, None],
        bias=shift - _numbers(convolution.mean) * factor,
        mean=shift,
        deviation=np.abs(gain),
        stride=convolution.stride,
        relu6=not convolution.linear,
        shortcut=shortcut,
    )


def _numbers(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy(), np.float64)
