"""A head: a few layers on top of another model's unit vectors, in a folder of `model.json` and `head.npz`.

What it gives can be computed from vectors that are stored already, without any picture. A head may have
several branches, such as how likely each class is, and the old vector: their unit vectors stand side by side.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel, unit
from lookalike.models.npz import read_npz
from lookalike.models.onnx_model import DESCRIPTION, FORMAT, FORMAT_VERSION, read_description
from lookalike.models.spec import ModelSpec

Floats = NDArray[np.float32]

End = Literal["", "softmax"]

KIND, LAYERS = "head", "head.npz"

# Of a spec, what belongs to the words of a model and not to its pictures: a head has words of its own.
_OF_WORDS = ("text_sha256", "prompts")


@dataclass(frozen=True, eq=False)
class Layer:
    """x becomes x @ matrix + offset: `matrix` float32 (D_in, D_out), `offset` float32 (D_out,)."""

    matrix: Floats
    offset: Floats


@dataclass(frozen=True)
class Branch:
    """Layers with ReLU between them; none of them leaves the vector as it is.

    Each number x of the base's vector first becomes sign(x) |x|^power, and the vector is scaled to length 1.
    `end` softmax makes the last numbers positive with a sum of 1. In the result, scaled to length 1, the
    branch has the `weight`, above 0.
    """

    layers: tuple[Layer, ...] = ()
    power: float = 1.0
    end: End = ""
    weight: float = 1.0


def branches_of(parts: Sequence[Layer | Branch]) -> tuple[Branch, ...]:
    """The branches of a head; layers alone are its only one."""
    layers = tuple(one for one in parts if isinstance(one, Layer))
    branches = tuple(one for one in parts if isinstance(one, Branch))
    if layers and branches:
        raise TypeError("a head has either layers or branches")
    return branches or (Branch(layers),)


def apply(parts: Sequence[Layer | Branch], vectors: Floats) -> Floats:
    """The unit vectors float32 (N, D_out) of the base's unit vectors (N, D_in), by layers or branches."""
    return unit(
        np.concatenate([one.weight * unit(_through(one, vectors)) for one in branches_of(parts)], axis=1)
    )


def _through(branch: Branch, vectors: Floats) -> Floats:
    vectors = powered(vectors, branch.power)
    for number, layer in enumerate(branch.layers):
        vectors = np.maximum(vectors, 0) if number else vectors
        vectors = vectors @ layer.matrix + layer.offset
    return softmax(vectors) if branch.end == "softmax" else vectors


def powered(vectors: Floats, power: float) -> Floats:
    """sign(x) |x|^power of each number of vectors (N, D), scaled to length 1."""
    return vectors if power == 1 else unit(np.sign(vectors) * np.abs(vectors) ** np.float32(power))


def softmax(scores: Floats) -> Floats:
    """Positive numbers with a sum of 1 in each row, in proportion to exp(scores)."""
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def dim_of(parts: Sequence[Layer | Branch], dim: int) -> int:
    """The numbers in a vector of a head on vectors of `dim` numbers."""
    return sum(one.layers[-1].matrix.shape[1] if one.layers else dim for one in branches_of(parts))


def to_files(
    name: str,
    base: ModelSpec,
    parts: Sequence[Layer | Branch],
    base_path: str = "",
    more: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """The files of a head by name, with `more` fields in its description.

    Raises `ModelError` if its layers do not fit together, or the base.
    """
    branches = branches_of(parts)
    _check(branches, base.dim, name)
    layers = [layer for branch in branches for layer in branch.layers]
    data = io.BytesIO()
    arrays = {
        f"{what}_{number}": np.ascontiguousarray(array, np.float32)
        for number, layer in enumerate(layers)
        for what, array in (("matrix", layer.matrix), ("offset", layer.offset))
    }
    np.savez(data, **arrays)  # type: ignore[arg-type]
    said = [described(one) for one in branches]
    fields = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "kind": KIND,
        "name": name,
        "sha256": _checksum(base, branches, data.getvalue()),
        "dim": dim_of(branches, base.dim),
        "base": base.to_fields(),
        **({"base_path": base_path} if base_path else {}),
        **({"branches": said} if said != [{"layers": len(layers)}] else {}),
        **(more or {}),
    }
    text = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    return {DESCRIPTION: text.encode(), LAYERS: data.getvalue()}


def is_head(folder: Path) -> bool:
    """Whether a folder holds a head."""
    return (folder / LAYERS).is_file() and (folder / DESCRIPTION).is_file()


def read_head(folder: Path) -> tuple[ModelSpec, str, tuple[Branch, ...]]:
    """The spec and the path of the model that a head sits on, and its branches; raises as `load`."""
    _, base, base_path, branches = _read(folder, _stamps(folder))
    return base, base_path, branches


def keeps_base(parts: Sequence[Layer | Branch], dim: int) -> bool:
    """Whether there is a way back to the vectors of a base of `dim` numbers."""
    return any(_is_whole(one, dim) for one in branches_of(parts))


def way_back(folder: Path, sha256: str) -> Callable[[Floats], Floats] | None:
    """How to get from a head's vectors (N, D) to what unit vectors of its base were, (N, D_in) of length 1.

    They are as they were, or their roots, if a branch has no layers; less their mean, if it has one layer
    with an inverse. None if there is no such branch, or the folder holds no head of this checksum.
    """
    folder = folder.resolve()
    try:
        spec, base, _, branches = _read(folder, _stamps(folder))
    except ModelError:
        return None
    ends = np.cumsum([dim_of([one], base.dim) for one in branches]).tolist()
    whole = [
        (branch, slice(end - base.dim, end))
        for branch, end in zip(branches, ends, strict=True)
        if _is_whole(branch, base.dim)
    ]
    if spec.sha256 != sha256 or not whole:
        return None
    branch, part = min(whole, key=lambda one: len(one[0].layers))
    if not branch.layers:
        return lambda vectors: unit(vectors[:, part])
    try:
        inverse = np.linalg.inv(branch.layers[0].matrix)
    except np.linalg.LinAlgError:
        return None
    return lambda vectors: unit(vectors[:, part] @ inverse)


def _is_whole(branch: Branch, dim: int) -> bool:
    return len(branch.layers) < 2 and not branch.end and dim_of([branch], dim) == dim


def load(folder: Path, find_base: Callable[[ModelSpec, str], LoadedModel | None]) -> LoadedModel:
    """Load the head in a folder; `find_base` returns the model it sits on, from its spec and path.

    Without a base, which is None where vectors were made elsewhere, it takes vectors and no pictures; the
    same if `find_base` raises `ModelError`, which is then raised for a picture.
    Raises `ModelError` if something in the folder is missing, damaged or does not fit together.
    """
    folder = folder.resolve()
    spec, base_spec, base_path, branches = _read(folder, _stamps(folder))
    why = ModelError(
        f"{base_spec.name}, whose vectors {spec.name} takes, is not available here",
        "search by `Id(...)` or by a vector",
    )
    try:
        base = find_base(base_spec, base_path)
    except ModelError as error:
        base, why = None, error

    def from_base(vectors: Floats) -> Floats:
        return apply(branches, vectors)

    def features(pixels: Pixels) -> Floats:
        if base is None:
            raise ModelError(why.message, why.hint)
        return from_base(base.embed_pixels(pixels))

    return LoadedModel(
        spec,
        features,
        base.device if base else "cpu",
        path=str(folder),
        base=base_spec,
        from_base=from_base,
        device_note=base.device_note if base else "",
    )


def base_path(folder: Path) -> str:
    """Where the file or folder of a head's base is; empty for a base that is known by its name."""
    return str(read_description(folder / DESCRIPTION).get("base_path", ""))


def _stamps(folder: Path) -> tuple[tuple[int, ...], ...]:
    """What tells whether the files of a head are those that were read before; raises `ModelError`."""
    try:
        stats = [(folder / name).stat() for name in (DESCRIPTION, LAYERS)]
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from None
    return tuple((one.st_size, one.st_mtime_ns, one.st_ino) for one in stats)


@lru_cache(maxsize=4)
def _read(folder: Path, stamps: object) -> tuple[ModelSpec, ModelSpec, str, tuple[Branch, ...]]:
    """The spec of a head, the spec and the path of its base, and its branches."""
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
        arrays = read_npz(data)
        count = sum(name.startswith("matrix_") for name in arrays)
        layers = [Layer(arrays[f"matrix_{number}"], arrays[f"offset_{number}"]) for number in range(count)]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    branches = _branches(fields.get("branches", [{"layers": count}]), layers, folder / DESCRIPTION)
    _check(branches, base.dim, str(path))
    if dim_of(branches, base.dim) != spec.dim:
        raise ModelError(f"{path} gives {dim_of(branches, base.dim)} numbers, not {spec.dim}")
    if _checksum(base, branches, data) != spec.sha256:
        raise ModelError(f"{path} is not the head that {DESCRIPTION} describes", "bring the right one")
    return spec, base, base_path, branches


def described(branch: Branch) -> dict[str, Any]:
    """A branch as JSON has it: the number of its layers, and what is not as usual."""
    usual, values = Branch(), {"power": branch.power, "end": branch.end, "weight": branch.weight}
    more = {name: value for name, value in values.items() if value != getattr(usual, name)}
    return {"layers": len(branch.layers), **more}


def _branches(given: Any, layers: Sequence[Layer], path: Path) -> tuple[Branch, ...]:
    """The branches that JSON describes, of these layers in turn; raises `ModelError`."""
    try:
        found, at = [], 0
        for one in given:
            count, end = one["layers"], one.get("end", "")
            numbers = [one.get(name, 1.0) for name in ("power", "weight")]
            if type(count) is not int or count < 0 or end not in get_args(End):
                raise ValueError(f"invalid branch {one}")
            if not all(type(number) in (int, float) and 0 < number < 1e6 for number in numbers):
                raise ValueError(f"invalid branch {one}")
            found.append(Branch(tuple(layers[at : at + count]), float(numbers[0]), end, float(numbers[1])))
            at += count
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} has invalid branches: {error}") from None
    if not found or at != len(layers):
        raise ModelError(f"{path} describes {at} layers, {LAYERS} has {len(layers)}")
    return tuple(found)


def _without_words(base: ModelSpec) -> dict[str, Any]:
    return {name: value for name, value in base.to_fields().items() if name not in _OF_WORDS}


def _checksum(base: ModelSpec, branches: Sequence[Branch], data: bytes) -> str:
    """The checksum of a head: of what it computes and of the model whose vectors it takes."""
    said = json.dumps([described(one) for one in branches])
    return hashlib.sha256(base.sha256.encode() + said.encode() + data).hexdigest()


def _check(branches: Sequence[Branch], dim_in: int, what: str) -> None:
    """Raise `ModelError` if layers do not fit together, or vectors of `dim_in` numbers."""
    if branches == (Branch(),):
        raise ModelError(f"{what} has no layers")
    for branch in branches:
        dim = dim_in
        for number, layer in enumerate(branch.layers):
            matrix, offset = np.asarray(layer.matrix), np.asarray(layer.offset)
            if matrix.ndim != 2 or matrix.shape[0] != dim or offset.shape != matrix.shape[1:]:
                raise ModelError(
                    f"layer {number} of {what} has the shapes {matrix.shape} and {offset.shape}, "
                    f"and gets {dim} numbers"
                )
            if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
                raise ModelError(f"layer {number} of {what} has NaN or infinity")
            dim = matrix.shape[1]
