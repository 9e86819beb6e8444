"""The built-in network: EfficientNet-Lite0, 8-bit, run by onnxruntime, or by PyTorch on a GPU.

Tan and Le, EfficientNet, 2019 (arXiv:1905.11946). docs/model.md explains how the file is made.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.images.picture import Pixels
from lookalike.models.devices import CPU
from lookalike.models.known import BUILT_IN
from lookalike.models.model import LoadedModel, unit
from lookalike.models.onnx_session import start
from lookalike.models.runner import Features, batch_size
from lookalike.models.spec import ModelSpec

# Vectors of another device may differ by this much: a mean is summed in another order there.
_TOLERANCE = 1e-5


def load(device: str) -> LoadedModel:
    """Load the file that the package ships.

    Raises `ModelError` if the device is missing or does not compute the same vectors as the CPU, and
    `ExtraError` without PyTorch on any device but the CPU.
    """
    data = (files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()
    checksum = hashlib.sha256(data).hexdigest()
    spec = ModelSpec(BUILT_IN, checksum, dim=1280, size_px=224, crop=1.0)
    features = _on_cpu(data) if device == CPU else _on_gpu(data, spec, device)
    return LoadedModel(
        spec, features, device, _text_vector, _tags, _word_vectors, _presence, _common_tags, _tags_of
    )


def _on_cpu(data: bytes) -> Features:
    session = start(data, CPU)

    def features(pixels: Pixels) -> NDArray[np.float32]:
        (pooled,) = session.run(None, {"pixels": pixels})
        return np.asarray(pooled, dtype=np.float32)

    return features


def _on_gpu(data: bytes, spec: ModelSpec, device: str) -> Features:
    """The network by PyTorch, after trying whether it gives the vectors of the CPU there."""
    from lookalike.models.torch_runner import TorchFeatures, check_torch_device

    check_torch_device(device)
    from lookalike.models.exact_network import exact_network  # imports PyTorch

    features = TorchFeatures(exact_network(data), spec, device)
    pixels = _patterns(spec.size_px)
    times = batch_size(device) // len(
        pixels
    )  # as many as a build sends: other sizes may be computed otherwise
    ours, theirs = features(np.tile(pixels, (times, 1, 1, 1))), np.tile(_on_cpu(data)(pixels), (times, 1))
    difference = float(np.abs(unit(ours) - unit(theirs)).max())
    if difference > _TOLERANCE:
        raise ModelError(
            f"{device} computes other vectors than the CPU: they differ by up to {difference:.1g}",
            "run on the `device='cpu'`",
        )
    return features


def _patterns(size_px: int) -> Pixels:
    """Two pictures uint8 (2, S, S, 3) with edges, waves and all levels of grey."""
    y, x = np.mgrid[:size_px, :size_px]
    waves = np.stack([x * x // 97 + y, x + y * y // 89, x * y // 61], axis=-1)
    blocks = np.stack([x // 16 * 73 + y // 24 * 31, x // 9 * 151, y // 13 * 199], axis=-1)
    return np.asarray(np.stack([waves, blocks]) % 256, np.uint8)


def _text_vector(text: str) -> NDArray[np.float32]:
    from lookalike.models.words import text_vector  # half a megabyte that few searches need

    return text_vector(text)


def _tags(features: NDArray[np.float32]) -> list[list[tuple[str, float]]]:
    from lookalike.models.tags import tags

    return tags(features)


def _presence(text: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    from lookalike.models.tags import presence

    return presence(text, vectors)


def _common_tags(vectors: NDArray[np.float32]) -> list[str]:
    from lookalike.models.tags import common_tags

    return common_tags(vectors)


def _tags_of(names: tuple[str, ...], vectors: NDArray[np.float32]) -> list[list[tuple[str, float]]]:
    from lookalike.models.chosen_tags import tags_of

    return tags_of(names, vectors)


def _word_vectors() -> NDArray[np.float32]:
    from lookalike.models.words import class_vectors

    return class_vectors()
