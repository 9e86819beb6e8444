"""Write shards, files of many images each, in four formats; a shard appears whole or not at all.

    with writing_shard(shard_path(out, 0, "tar"), types) as add:
        add("2021/beach.jpg", data, {"caption": "a beach"})

| format | `out/00000.…` holds |
|---|---|
| `tar` | WebDataset: members `KEY.jpg` and `KEY.json` |
| `tfrecord` | a `tf.train.Example` for each image: `image`, `image_name` and the metadata |
| `parquet` | a row an image: `path`, the metadata, and `image` as Hugging Face's struct of bytes and path |
| `folder` | the same rows without the image, which is its own file at `out/PATH` |

A key is the relative path of an image, with `/`; without a suffix, it gets one from its bytes. Keys
must be unique within a shard; for `folder`, within `out`. Metadata are scalars of the Arrow types in `types`,
and may have their own `path`, which all but `folder` write instead of the key.
"""

from __future__ import annotations

import errno
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookalike.errors import LookalikeError, StorageError
from lookalike.images.formats import SUFFIXES
from lookalike.sources.tfrecord_format import encode_example, framed
from lookalike.storage.files import replacing, write_bytes

Types = Mapping[str, pa.DataType]
# Adds one image to the open shard: its key, its encoded bytes, its metadata.
Add = Callable[[str, bytes, Mapping[str, Any]], None]

# Parquet is written and read a group of rows at a time; at 100 kB an image this is 10 MB.
_ROWS_A_GROUP = 100
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

# A name is too long, has characters or bytes that the file system refuses, or is another image's folder.
_NAME_ERRORS = frozenset(
    {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
)


class NameRefusedError(LookalikeError):
    """An image cannot be a file under its name; the shard goes on without it."""


# The first bytes of each format.
_STARTS = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"BM", ".bmp"),
    (b"P5", ".pgm"),
    (b"P6", ".ppm"),
)


def shard_path(folder: Path, number: int, format_: str) -> Path:
    """Return the path of a shard: `00000.tar`, `00001.tar` and so on."""
    suffix = {"folder": "parquet"}.get(format_, format_)
    return folder / f"{number:05d}.{suffix}"


@contextmanager
def writing_shard(path: Path, format_: str, types: Types) -> Iterator[Add]:
    """Give a function that adds images to a shard; the shard gets its name when the block ends.

    Until then it has a temporary name, and it is removed if the block fails. Raises `StorageError` if the
    disk is full or refuses.
    """
    with FORMATS[format_](path, types) as add:
        yield add


@contextmanager
def _tar(path: Path, types: Types) -> Iterator[Add]:
    """Write WebDataset: members of one image are neighbours and share a name up to the first dot."""
    taken: set[str] = set()

    def add(key: str, data: bytes, metadata: Mapping[str, Any]) -> None:
        path = metadata.get("path", key)
        name = PurePosixPath(_with_suffix(key, data))
        stem = str(name.with_name(name.stem.replace("%", "%25").replace(".", "%2E")))
        while stem in taken:  # a.jpg and a.png
            stem += "_"
        taken.add(stem)
        text = json.dumps({**_present(metadata), "path": path}, ensure_ascii=False, default=str).encode()
        for member, content in ((stem + name.suffix, data), (stem + ".json", text)):
            header = tarfile.TarInfo(member)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))

    with (
        replacing(path) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield add


@contextmanager
def _tfrecord(path: Path, types: Types) -> Iterator[Add]:
    """Write the features of the original image_embeddings library, and the metadata."""

    def add(key: str, data: bytes, metadata: Mapping[str, Any]) -> None:
        described: dict[str, Sequence[bytes | int | float]] = {
            name: [value if isinstance(value, int | float) else str(value).encode()]
            for name, value in _present(metadata).items()
        }
        file.write(framed(encode_example({**described, "image_name": [key.encode()], "image": [data]})))

    with replacing(path) as file:
        yield add


@contextmanager
def _parquet(path: Path, types: Types) -> Iterator[Add]:
    """Write rows with the image, which Hugging Face datasets shows as pictures."""
    schema = pa.schema([("path", pa.string()), *types.items(), ("image", _IMAGE_TYPE)])
    features = {"info": {"features": {"image": {"_type": "Image"}}}}
    with _rows(path, schema.with_metadata({"huggingface": json.dumps(features)})) as add_row:

        def add(key: str, data: bytes, metadata: Mapping[str, Any]) -> None:
            add_row({"path": key, **metadata, "image": {"bytes": data, "path": key}})

        yield add


@contextmanager
def _folder(path: Path, types: Types) -> Iterator[Add]:
    """Write files under their own names; the table beside them comes last and proves that all are there."""
    with _rows(path, pa.schema([("path", pa.string()), *types.items()])) as add_row:

        def add(key: str, data: bytes, metadata: Mapping[str, Any]) -> None:
            key = _with_suffix(key, data)
            if safe_key(key) != key:
                raise ValueError(f"{key!r} is not a relative path")
            try:
                write_bytes(path.parent / key, data)
            except StorageError as error:
                if getattr(error.__cause__, "errno", None) in _NAME_ERRORS:
                    raise NameRefusedError(f"the file system refuses the name: {error.message}") from None
                raise
            add_row({**metadata, "path": key})

        yield add


@contextmanager
def _rows(path: Path, schema: pa.Schema) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Write a Parquet file row by row, in groups small enough to be read one at a time."""
    waiting: list[Mapping[str, Any]] = []

    def add(row: Mapping[str, Any]) -> None:
        waiting.append(row)
        if len(waiting) == _ROWS_A_GROUP:
            flush()

    def flush() -> None:
        writer.write_table(pa.Table.from_pylist(waiting, schema))
        waiting.clear()

    # Encoded images do not compress, and hardly two are equal.
    plain = [name for name in schema.names if name != "image"]
    with (
        replacing(path) as file,
        pq.ParquetWriter(
            file,
            schema,
            compression=dict.fromkeys(plain, "zstd"),
            use_dictionary=plain,
            write_page_checksum=True,
        ) as writer,
    ):
        yield add
        if waiting:
            flush()


FORMATS = {"tar": _tar, "tfrecord": _tfrecord, "parquet": _parquet, "folder": _folder}


def safe_key(name: str) -> str:
    """Make a name a relative path that stays in its folder: no root, no `..`, no empty parts."""
    parts = [part for part in re.split(r"[/\\]", name.replace("\0", "")) if part not in ("", ".", "..")]
    return "/".join(parts) or "_"


def suffix_of(data: bytes) -> str:
    """Return the suffix for encoded bytes; `.img` if the format is unknown."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    if data[4:8] == b"ftyp":
        return ".avif" if data[8:12] in (b"avif", b"avis") else ".heic"
    return next((suffix for start, suffix in _STARTS if data.startswith(start)), ".img")


def _with_suffix(key: str, data: bytes) -> str:
    return key if PurePosixPath(key).suffix.lower() in SUFFIXES else key + suffix_of(data)


def _present(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if value is not None}
