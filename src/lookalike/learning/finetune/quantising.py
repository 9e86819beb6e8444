"""The recipe for a network of 8-bit integers that computes the same on every CPU; docs/model.md explains it.

No pictures are needed: every range comes from batch normalisation. Integer inference: Jacob et al. 2018
(arXiv:1712.05877); ranges and bias correction without data, Nagel et al. 2019 (arXiv:1906.04721).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf

import numpy as np

from lookalike.learning.finetune.folding import Array, Conv

PIXEL_SCALE, PIXEL_ZERO = 1 / 128, 127  # the published preprocessing, (rgb - 127) / 128
RELU6_SCALE = 3 / 128  # 255 steps reach 5.98: saturation at 255 is the ReLU6, no operator is needed
RANGE_DEVIATIONS = 6  # mean ± 6 deviations, as in Nagel et al. (section 5)
WEIGHT_LIMIT = 64  # 7 bits: 2 * 255 * 64 < 2**15, so a 16-bit sum of two products never saturates
BIAS_LIMIT = 2**20  # keeps the sums of channels with tiny weights exact in float32 (24 bits)


@dataclass(frozen=True)
class Quantisation:
    """value = scale * (integer - zero), with integers from 0 to 255."""

    scale: float
    zero: int


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
