"""Which other files an ONNX file takes weights from, read without running it.

A network with more than 2 GB of weights, or exported so, keeps them in files beside it ("external data").
Their names are in the file, and may point anywhere: they are checked here before onnxruntime opens one.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISFIFO

from lookalike.errors import ModelError
from lookalike.models.protobuf import fields

# A protobuf message, what an ONNX file is, has to be smaller.
_MOST_BYTES = 2**31 - 1

# The numbers of the fields that lead to tensors, by message (onnx.proto of ONNX 1.17).
FIELDS = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
}
_KEY, _VALUE = 1, 2  # of a StringStringEntryProto


def files_of(path: Path) -> list[Path]:
    """The ONNX file and those that it takes weights from, by name.

    Raises `ModelError` if it is not an ONNX file, or one of the others is missing or outside of its folder.
    """
    try:
        about = path.stat()
        if S_ISFIFO(about.st_mode):
            raise ModelError(f"{path} is a pipe", "write it to a file first")
        size = about.st_size
        if size > _MOST_BYTES:
            raise ModelError(
                f"{path} has {size / 1e9:.1f} GB, an ONNX file has at most 2.1",
                "export it with its weights in files beside it (external data)",
            )
        with path.open("rb") as file:
            if not size:
                raise ValueError("it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                names = sorted(set(_locations(data)))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ModelError(f"{path} is not an ONNX file: {error}") from None
    return [path, *(_beside(path, name) for name in names)]


def checksum_of(files: list[Path]) -> str:
    """The SHA-256 of an ONNX file; with others, that of the lines `SHA256 NAME` of all."""
    try:
        digests = []
        for path in files:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from None
    if len(files) == 1:
        return digests[0]
    names = ["", *(path.relative_to(files[0].parent).as_posix() for path in files[1:])]
    lines = "".join(f"{digest} {name}\n" for digest, name in zip(digests, names, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _beside(path: Path, name: str) -> Path:
    """The file of weights with a name; raises `ModelError` unless it lies in the folder of the network."""
    folder = path.parent
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ":" in name or {"", ".", ".."} & {*parts}:
        raise ModelError(
            f"{path} takes weights from {name!r}, which is not a file in its folder", "do not trust this file"
        )
    found = folder.joinpath(*parts)
    if not found.is_file():
        raise ModelError(f"{path} takes weights from {name}, which is missing", f"put it into {folder}")
    if not found.resolve().is_relative_to(folder.resolve()):
        raise ModelError(
            f"{path} takes weights from {name}, a link to outside of its folder", "put the file itself there"
        )
    return found


def _locations(data: mmap.mmap | bytes) -> Iterator[str]:
    """The names of files in all tensors of an ONNX file; raises `ValueError` if it is not one."""
    has_graph = False
    open_ = [("ModelProto", slice(0, len(data)))]
    while open_:  # graphs lie in graphs, as deep as a file likes
        message, whole = open_.pop()
        for number, place in _places(data, whole):
            inner = FIELDS[message].get(number)
            has_graph |= inner == "GraphProto"
            if inner == "StringStringEntryProto":
                entry = {key: data[one] for key, one in _places(data, place)}
                if entry.get(_KEY) == b"location":
                    yield entry.get(_VALUE, b"").decode()
            elif inner is not None:
                open_.append((inner, place))
    if not has_graph:
        raise ValueError("it holds no graph")


def _places(data: mmap.mmap | bytes, message: slice) -> Iterator[tuple[int, slice]]:
    """The fields of a message that are bytes, by number."""
    found = fields(data, message.start, message.stop)
    return ((number, one) for number, one in found if isinstance(one, slice))
