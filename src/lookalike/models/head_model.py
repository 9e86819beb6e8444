"""A head: a few layers on top of another model's unit vectors, in a folder of `model.json` and `head.npz`.

What it gives can be computed from vectors that are stored already, without any picture.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel, unit
from lookalike.models.onnx_model import DESCRIPTION, FORMAT, FORMAT_VERSION, read_description
from lookalike.models.spec import ModelSpec

Floats = NDArray[np.float32]

KIND, LAYERS = "head", "head.npz"

# Of a spec, what belongs to the words of a model and not to its pictures: a head has words of its own.
_OF_WORDS = ("text_sha256", "prompts")


@dataclass(frozen=True)
class Layer:
    """x becomes x @ matrix + offset: `matrix` float32 (D_in, D_out), `offset` float32 (D_out,)."""

    matrix: Floats
    offset: Floats


def apply(layers: Sequence[Layer], vectors: Floats) -> Floats:
    """The unit vectors float32 (N, D_out) of the base's unit vectors (N, D_in); ReLU between the layers."""
    for number, layer in enumerate(layers):
        vectors = np.maximum(vectors, 0) if number else vectors
        vectors = vectors @ layer.matrix + layer.offset
    return unit(vectors)


def to_files(name: str, base: ModelSpec, layers: Sequence[Layer], base_path: str = "") -> dict[str, bytes]:
    """The files of a head by name; raises `ModelError` if its layers do not fit together, or the base."""
    _check(layers, base.dim, name)
    data = io.BytesIO()
    arrays = {
        f"{what}_{number}": np.ascontiguousarray(array, np.float32)
        for number, layer in enumerate(layers)
        for what, array in (("matrix", layer.matrix), ("offset", layer.offset))
    }
    np.savez(data, **arrays)  # type: ignore[arg-type]
    fields = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "kind": KIND,
        "name": name,
        "sha256": _checksum(base, data.getvalue()),
        "dim": int(layers[-1].matrix.shape[1]),
        "base": base.to_fields(),
        **({"base_path": base_path} if base_path else {}),
    }
    text = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    return {DESCRIPTION: text.encode(), LAYERS: data.getvalue()}


def is_head(folder: Path) -> bool:
    """Whether a folder holds a head."""
    return (folder / LAYERS).is_file() and (folder / DESCRIPTION).is_file()


def load(folder: Path, find_base: Callable[[ModelSpec, str], LoadedModel | None]) -> LoadedModel:
    """Load the head in a folder; `find_base` returns the model it sits on, from its spec and path.

    Without a base, which is None where vectors were made elsewhere, it takes vectors and no pictures.
    Raises `ModelError` if something is missing, damaged or does not fit together.
    """
    folder = folder.resolve()
    paths = (folder / DESCRIPTION, folder / LAYERS)
    try:
        stamps = tuple((one.stat().st_size, one.stat().st_mtime_ns, one.stat().st_ino) for one in paths)
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from None
    spec, base_spec, base_path, layers = _read(folder, stamps)
    base = find_base(base_spec, base_path)

    def from_base(vectors: Floats) -> Floats:
        return apply(layers, vectors)

    def features(pixels: Pixels) -> Floats:
        if base is None:
            raise ModelError(
                f"{base_spec.name}, whose vectors {spec.name} takes, is not available here",
                "search by `Id(...)` or by a vector",
            )
        return from_base(base.embed_pixels(pixels))

    device = base.device if base else "cpu"
    return LoadedModel(spec, features, device, path=str(folder), base=base_spec, from_base=from_base)


@lru_cache(maxsize=4)
def _read(folder: Path, stamps: object) -> tuple[ModelSpec, ModelSpec, str, tuple[Layer, ...]]:
    """The spec of a head, the spec and the path of its base, and its layers."""
    fields = read_description(folder / DESCRIPTION)
    try:
        base = ModelSpec.from_fields(fields["base"])
        base_path = fields.get("base_path", "")
        own = {name: fields[name] for name in ("name", "sha256", "dim")}
        spec = ModelSpec.from_fields({**_without_words(base), **own})
        if not isinstance(base_path, str):
            raise TypeError(f"base_path is {base_path!r}")
    except KeyError as error:
        raise ModelError(f"{folder / DESCRIPTION} does not say its {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: {error}") from None
    path = folder / LAYERS
    try:
        data = path.read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            count = sum(name.startswith("matrix_") for name in arrays.files)
            layers = tuple(
                Layer(arrays[f"matrix_{number}"], arrays[f"offset_{number}"]) for number in range(count)
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    _check(layers, base.dim, str(path))
    if layers[-1].matrix.shape[1] != spec.dim:
        raise ModelError(f"{path} gives {layers[-1].matrix.shape[1]} numbers, {DESCRIPTION} says {spec.dim}")
    if _checksum(base, data) != spec.sha256:
        raise ModelError(f"{path} is not the head that {DESCRIPTION} describes", "bring the right one")
    return spec, base, base_path, layers


def _without_words(base: ModelSpec) -> dict[str, Any]:
    return {name: value for name, value in base.to_fields().items() if name not in _OF_WORDS}


def _checksum(base: ModelSpec, data: bytes) -> str:
    """The checksum of a head: of what it computes and of the model whose vectors it takes."""
    return hashlib.sha256(base.sha256.encode() + data).hexdigest()


def _check(layers: Sequence[Layer], dim: int, what: str) -> None:
    """Raise `ModelError` if layers do not fit together, or vectors of `dim` numbers."""
    if not layers:
        raise ModelError(f"{what} has no layers")
    for number, layer in enumerate(layers):
        matrix, offset = np.asarray(layer.matrix), np.asarray(layer.offset)
        if matrix.ndim != 2 or matrix.shape[0] != dim or offset.shape != matrix.shape[1:]:
            raise ModelError(
                f"layer {number} of {what} has the shapes {matrix.shape} and {offset.shape}, "
                f"and gets {dim} numbers"
            )
        if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
            raise ModelError(f"layer {number} of {what} has NaN or infinity")
        dim = matrix.shape[1]
