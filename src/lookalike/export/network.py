"""The network of a collection's model as a file that onnxruntime-web runs in a browser, and heads on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import ModelError
from lookalike.export.vector_format import float32_file
from lookalike.models.head_model import Branch, described, is_head, read_head
from lookalike.models.known import BUILT_IN
from lookalike.models.model import LoadedModel
from lookalike.models.onnx_model import NETWORK
from lookalike.models.onnx_network import Network
from lookalike.models.onnx_weights import files_of
from lookalike.models.published import is_published
from lookalike.models.registry import find_base

# Visitors have to load it, and a browser's memory for scripts ends at 4 GB.
MOST_BYTES = 200_000_000
_FILE = "efficientnet_lite0.onnx"
_TYPES = ("uint8", "float32")
_WITHOUT = "leave `with_model` out: visitors then search by the site's own pictures"


@dataclass(frozen=True)
class BrowserNetwork:
    """A network for a browser, its file `path`, and the `layers` of heads by name.

    `entry` is what a browser has to know to run them.
    """

    path: Path
    layers: dict[str, bytes]
    entry: dict[str, Any]

    @property
    def is_built_in(self) -> bool:
        return self.path.name == _FILE


def browser_network(model: LoadedModel) -> BrowserNetwork:
    """The network of a model, and the heads that it is under.

    Raises `ModelError` if it has none, one that no browser can run, or one that takes or gives numbers that a
    browser does not know.
    """
    heads: list[tuple[Branch, ...]] = []
    base = model
    while base.path and is_head(Path(base.path)):
        spec, path, branches = read_head(Path(base.path))
        heads.insert(0, branches)
        found = find_base(spec, path)
        if found is None:
            raise ModelError(f"{base.name} takes stored vectors and no pictures", _WITHOUT)
        base = found
    file = _network_file(base)
    layers: dict[str, bytes] = {}
    entry = _network_entry(base, file) | {"name": model.name, "dim": model.dim}
    entry["heads"] = [_head(branches, layers) for branches in heads]
    return BrowserNetwork(file, layers, entry)


def _head(branches: Sequence[Branch], layers: dict[str, bytes]) -> dict[str, Any]:
    """A head as a browser reads it; adds its layers: rows of the matrix, and then the offset."""
    entries = []
    for layer in (layer for branch in branches for layer in branch.layers):
        name, data = f"layer-{len(layers)}.bin", float32_file(np.vstack([layer.matrix, layer.offset]))
        layers[name] = data
        entries.append({"file": f"model/{name}", "sha256": hashlib.sha256(data).hexdigest()})
    usual = {"power": 1.0, "end": "", "weight": 1.0}
    return {"branches": [usual | described(one) for one in branches], "layers": entries}


def _network_file(model: LoadedModel) -> Path:
    """The ONNX file of a model; raises `ModelError` if it has none, or one that no browser can run."""
    if model.name == BUILT_IN:
        return Path(str(files("lookalike.models") / _FILE))
    path = Path(model.path) / NETWORK if Path(model.path).is_dir() else Path(model.path)
    if not model.path or path.suffix != ".onnx" or not path.is_file():
        made = f"build with the folder that `lookalike.export_model({model.name!r}, out=folder)` makes, or "
        raise ModelError(
            f"the model {model.name} does not run in a browser, only networks in ONNX files do",
            made + _WITHOUT if is_published(model.name) else _WITHOUT,
        )
    if len(files_of(path)) > 1:
        raise ModelError(f"{path} has its weights in other files, which no browser can read", _WITHOUT)
    if path.stat().st_size > MOST_BYTES:
        raise ModelError(
            f"{path} has {path.stat().st_size / 1e6:,.0f} MB, the limit for a browser is "
            f"{MOST_BYTES / 1e6:,.0f} MB",
            f"export it in 8 bits, or {_WITHOUT}",
        )
    return path


def _network_entry(model: LoadedModel, path: Path) -> dict[str, Any]:
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
