"""The network of a collection's model as a file that onnxruntime-web runs in a browser."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from lookalike.errors import ModelError
from lookalike.models.model import LoadedModel
from lookalike.models.onnx_model import NETWORK
from lookalike.models.onnx_network import Network
from lookalike.models.onnx_weights import files_of
from lookalike.models.registry import DEFAULT_MODEL

# Visitors have to load it, and a browser's memory for scripts ends at 4 GB.
_MOST_BYTES = 200_000_000
_BUILT_IN = "efficientnet_lite0.onnx"
_TYPES = ("uint8", "float32")
_WITHOUT = "leave `with_model` out: visitors then search by the site's own pictures"


def network_file(model: LoadedModel) -> Path:
    """The ONNX file of a model; raises `ModelError` if it has none, or one that no browser can run."""
    if model.name == DEFAULT_MODEL:
        return Path(str(files("lookalike.models") / _BUILT_IN))
    path = Path(model.path) / NETWORK if Path(model.path).is_dir() else Path(model.path)
    if not model.path or path.suffix != ".onnx" or not path.is_file():
        raise ModelError(
            f"the model {model.name} does not run in a browser, only networks in ONNX files do", _WITHOUT
        )
    if len(files_of(path)) > 1:
        raise ModelError(f"{path} has its weights in other files, which no browser can read", _WITHOUT)
    if path.stat().st_size > _MOST_BYTES:
        raise ModelError(
            f"{path} has {path.stat().st_size / 1e6:,.0f} MB, the limit for a browser is "
            f"{_MOST_BYTES / 1e6:,.0f} MB",
            f"export it in 8 bits, or {_WITHOUT}",
        )
    return path


def network_entry(model: LoadedModel, path: Path) -> dict[str, Any]:
    """What a browser has to know to run the file: the model's spec, and the input and output of the network.

    Raises `ModelError` if it takes or gives numbers that a browser does not know.
    """
    network = Network.open(path, "cpu")
    output = model.spec.output or next(iter(network.outputs))
    types = {one.name: one.type for one in network.session.get_outputs()}
    if network.dtype.__name__ not in _TYPES or types[output] != "tensor(float)":
        raise ModelError(
            f"{path} takes {network.dtype.__name__} and gives {types[output]}, a browser needs float32",
            _WITHOUT,
        )
    return {
        "file": f"model/{path.name}",
        **asdict(model.spec),
        "output": output,
        "input": {
            "name": network.input_name,
            "type": network.dtype.__name__,
            "channels_first": network.channels_first,
            "batch": network.batch or 1,
        },
    }
