"""Models that are files: a network `net.onnx`, or a folder with `image.onnx` and `model.json`."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np

from lookalike.errors import ModelError
from lookalike.models.halving import Halving
from lookalike.models.model import LoadedModel
from lookalike.models.onnx_network import Network
from lookalike.models.onnx_weights import checksum_of, files_of
from lookalike.models.runner import grey_pictures
from lookalike.models.spec import ModelSpec, check_model_name
from lookalike.models.text_onnx import has_text, text_files, text_tower
from lookalike.models.tower_words import with_text_tower

FORMAT, FORMAT_VERSION = "lookalike-model", 1
DESCRIPTION, NETWORK = "model.json", "image.onnx"

# What a description may leave out. The values of a float input are then from 0 to 1.
DEFAULTS = {"crop": 1.0, "resize": "crop"}
_AS_THEY_ARE = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}

_NOT_OURS = {"precision", "revision"}  # what a spec of PyTorch says: a file has its own arithmetic

_MOST_PX = 4096
_MOST_BYTES = 1_000_000  # of a description


def load(path: Path, device: str) -> LoadedModel:
    """Load the model in a folder or an ONNX file, after trying it on grey pictures.

    Raises `ModelError` if something is missing or does not fit together.
    """
    path = path.resolve()
    parts = [path / DESCRIPTION, path / NETWORK] if path.is_dir() else [path]
    try:
        for part in parts:
            if not S_ISREG(part.stat().st_mode):  # a pipe would be waited for
                raise ModelError(f"{part} is not a file")
        parts += files_of(parts[-1])[1:]
        if path.is_dir() and has_text(path):
            parts += text_files(path)
        stamps = tuple((one.stat().st_size, one.stat().st_mtime_ns, one.stat().st_ino) for one in parts)
    except OSError as error:
        raise ModelError(
            f"{error.filename} cannot be read: {error.strerror}",
            f"a model is a folder with {DESCRIPTION} and {NETWORK}, or a file that ends in .onnx",
        ) from None
    return _load(path, device, stamps)


@lru_cache(maxsize=4)
def _load(path: Path, device: str, stamps: object) -> LoadedModel:
    if path.is_dir():
        fields = read_description(path / DESCRIPTION)
        if kind := fields.get("kind"):  # a head that has its layers is not loaded here
            raise ModelError(
                f"{path / DESCRIPTION} describes a model of the kind {kind!r}, and "
                + ("head.npz, its layers, is missing" if kind == "head" else "none is known but 'head'"),
                "bring the whole folder" if kind == "head" else "upgrade Lookalike, or leave `kind` out",
            )
        model = described(fields, path / NETWORK, path, device)
        if has_text(path) or "text" in fields or fields.get("text_sha256"):
            return with_text_tower(model, text_tower(path, fields, device))
        return model
    return described({"name": path.stem}, path, path, device)


def described(fields: dict[str, Any], network_path: Path, path: Path, device: str = "cpu") -> LoadedModel:
    """Load a network by the fields of its description; `path` is where it will be found again.

    Raises `ModelError` if they do not fit together.
    """
    fields = {name: value for name, value in {**DEFAULTS, **fields}.items() if name not in _NOT_OURS}
    checksum = checksum_of(files_of(network_path))
    if fields.get("sha256") not in (None, checksum):
        raise ModelError(
            f"{network_path} is not the network that {DESCRIPTION} describes: its SHA-256 is {checksum}",
            "bring the right one, or describe it anew: `lookalike.add_model(file, out=folder)`",
        )
    network = Network.open(network_path, device)
    said = fields.get("dim")
    try:
        spec = ModelSpec.from_fields(
            {
                **fields,
                "sha256": checksum,
                "dim": 0 if said is None else said,
                "size_px": fields.get("size_px", network.size_px or 0),
            }
        )
    except KeyError as error:
        raise ModelError(f"{path} does not say its {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from None
    spec = _normalised(spec, fields, network)
    _check(spec, network)
    grey = grey_pictures(spec.size_px)
    spec = replace(spec, dim=network.features(spec, grey).shape[1])
    return LoadedModel(spec, Halving(partial(network.features, spec)), device, path=str(path))


def read_description(path: Path) -> dict[str, Any]:
    """Read a `model.json`; raises `ModelError` if it is not one."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ModelError(
            f"{path} has more than {_MOST_BYTES:,} bytes", "it is not the description of a model"
        )
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not the description of a model")
    version = found.get("version", FORMAT_VERSION)
    if found.get("format", FORMAT) != FORMAT or type(version) is not int or version < 1:
        raise ModelError(f"{path} is not the description of a model")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{path} has version {version}, this Lookalike reads up to {FORMAT_VERSION}", "upgrade Lookalike"
        )
    return found


def to_description(spec: ModelSpec, **more: Any) -> bytes:
    """The text of the `model.json` of a model, with `more` fields."""
    # Where a description leaves these out, they have other values than where a manifest does.
    said = {"resize": spec.resize, "mean": list(spec.mean), "std": list(spec.std)}
    fields = {"format": FORMAT, "version": FORMAT_VERSION, **spec.to_fields(), **said, **more}
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


def _normalised(spec: ModelSpec, fields: dict[str, Any], network: Network) -> ModelSpec:
    """The spec with mean and std of values from 0 to 1, where the description leaves them out."""
    if network.dtype is np.uint8:
        if spec.mean or spec.std:
            raise ModelError(
                f"{network.path} takes whole numbers from 0 to 255, so mean and std have no meaning",
                "leave them out",
            )
        return spec
    if "mean" in fields and "std" in fields and not spec.mean and not spec.std:
        return spec  # floats from 0 to 255
    return replace(spec, mean=spec.mean or _AS_THEY_ARE["mean"], std=spec.std or _AS_THEY_ARE["std"])


def _check(spec: ModelSpec, network: Network) -> None:
    """Raise `ModelError` if a description makes no sense, or the network is another."""
    path = network.path
    check_model_name(spec.name)
    if not spec.size_px:
        raise ModelError(
            f"{path} takes pictures of any size",
            f"say which it was made for: `lookalike.add_model({str(path)!r}, size_px=224, out=folder)`",
        )
    if not 1 <= spec.size_px <= _MOST_PX:
        raise ModelError(
            f"the size of {spec.name} is {spec.size_px} px", f"it has to be from 1 to {_MOST_PX}"
        )
    if network.size_px not in (None, spec.size_px):
        raise ModelError(
            f"{path} takes {network.size_px} x {network.size_px} px, not {spec.size_px} x {spec.size_px}",
            "give the size that it was made for",
        )
    if not 0.01 <= spec.crop <= 1:
        raise ModelError(f"the crop of {spec.name} is {spec.crop:g}", "it has to be from 0.01 to 1")
    if any(abs(one) > 1 for one in spec.mean):
        raise ModelError(
            f"the mean of {spec.name} is {list(spec.mean)}, but the values of pixels are from 0 to 1 here",
            "divide mean and std by 255",
        )
    if spec.dim < 0:
        raise ModelError(f"the dim of {spec.name} is {spec.dim}", "it has to be above 0")
    network.check_output(spec.output)
