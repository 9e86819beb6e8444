"""What the tests of building share: how they look at a collection, parts made by hand, and bad files."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from conftest import write_picture

import lookalike
from lookalike.storage.parts import Part, embedding_column

JPEGS = [b"one", b"2", b"x" * 512, b"y" * 513, b"\xff\xd8" * 700, b"six"]
NOTHING = {"embedded": 0, "failed": 0, "unchanged": 0, "removed": 0}


def counts(report: lookalike.Report) -> dict[str, int]:
    """The counts of a report that are not zero."""
    found = {name: getattr(report, name) for name in NOTHING}
    return {name: count for name, count in found.items() if count}


def ids(collection: lookalike.Collection) -> list[str]:
    return collection.items(["id"])["id"].to_pylist()


def labels(collection: lookalike.Collection) -> dict[str, str | None]:
    return {row["id"]: row["label"] for row in collection.items(["id", "label"]).to_pylist()}


def vectors(collection: lookalike.Collection) -> dict[str, bytes]:
    return dict(zip(ids(collection), map(bytes, collection.embeddings()), strict=True))


def failures(collection: lookalike.Collection) -> list[tuple[str, str, str]]:
    return [(row["id"], row["stage"], row["error"]) for row in collection.failures().to_pylist()]


def files(root: Path) -> dict[str, tuple[int, int]]:
    """Every file of the parts with its inode and time of modification: what a rewrite changes."""
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in root.rglob("part-*")
    }


def edit_manifest(collection: lookalike.Collection, **changes: object) -> lookalike.Collection:
    """Write other fields into collection.json, and open the collection again."""
    path = collection.path / "collection.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return lookalike.open(collection.path)


def rows_of(
    ids: Sequence[str],
    labels: Sequence[str | None] | None = None,
    dtype: str = "float32",
    **columns: pa.Array,
) -> pa.Table:
    """Rows as a build hands them to a part: no thumbnail columns yet, unit vectors of 4 dimensions."""
    vectors = np.random.default_rng(len(ids)).normal(size=(len(ids), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(ids)
    known = {
        "id": pa.array(ids, pa.string()),
        "uri": pa.array([f"file:///{number}" for number in range(count)], pa.string()),
        "size_bytes": pa.array(range(count), pa.int64()),
        "mtime_ns": pa.array(range(count), pa.int64()),
        "sha256": pa.array(["0" * 64] * count, pa.string()),
        "width": pa.array([64] * count, pa.int32()),
        "height": pa.array([48] * count, pa.int32()),
        "label": pa.array(labels or [None] * count, pa.string()),
        **columns,
        "embedding": embedding_column(vectors, dtype),
    }
    nullable = {"label", *columns}
    fields = [pa.field(name, array.type, nullable=name in nullable) for name, array in known.items()]
    return pa.Table.from_arrays(list(known.values()), schema=pa.schema(fields))


def written(root: Path, number: int = 0, ids: Sequence[str] = ("a.jpg", "b.jpg", "c.jpg")) -> Part:
    """A committed part of such rows."""
    part = Part(root, number)
    part.write(rows_of(ids, dtype="float32"), JPEGS[: len(ids)])
    return part


def add_bad_files(folder: Path) -> None:
    """One of every kind of file that has the name of an image and is none."""
    whole = (folder / "brick" / "brick-000.jpg").read_bytes()
    (folder / "text.jpg").write_text("not a picture")
    (folder / "page.png").write_text("<html><body>404</body></html>")
    (folder / "empty.jpg").touch()
    (folder / "truncated.png").write_bytes((folder / "sea" / "sea-002.png").read_bytes()[:900])
    (folder / "headless.jpg").write_bytes(whole[:20])
    (folder / "broken-link.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "again").symlink_to(".")
    os.mkfifo(folder / "fifo.jpg")
    header = bytearray((folder / "sea" / "sea-002.png").read_bytes())
    header[16:24] = (20_000).to_bytes(4, "big") + (15_000).to_bytes(4, "big")
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(header)
    write_picture(folder / "directory.jpg" / "inside.jpg", 7)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Without the rights of root, whom permissions do not stop; `folder` is given to that user."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
