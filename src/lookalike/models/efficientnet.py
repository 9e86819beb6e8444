"""The built-in network: EfficientNet-Lite0, 8-bit, run by onnxruntime.

Tan and Le, EfficientNet, 2019 (arXiv:1905.11946). docs/model.md explains how the file is made.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.onnx_session import start
from lookalike.models.spec import ModelSpec


def load(device: str) -> LoadedModel:
    """Load the file that the package ships; raises `ModelError` if the device is missing."""
    data = (files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()
    session = start(data, device)

    def features(pixels: Pixels) -> NDArray[np.float32]:
        (pooled,) = session.run(None, {"pixels": pixels})
        return np.asarray(pooled, dtype=np.float32)

    checksum = hashlib.sha256(data).hexdigest()
    spec = ModelSpec("efficientnet-lite0", checksum, dim=1280, size_px=224, crop=1.0)
    return LoadedModel(
        spec, features, device, _text_vector, _tags, _word_vectors, _presence, _common_tags, _tags_of
    )


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
