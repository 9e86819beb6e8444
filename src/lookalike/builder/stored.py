"""Builds a collection from the vectors of another, by a model that is a head on them: nothing is decoded.

Part n is made of part n: rows, labels, thumbnails, EXIF and failures are copied, vectors and tags are made
anew. A part whose rows are there already is left alone, so after a kill the next build continues, and a
build of a collection that has changed does only what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lookalike.builder.tagging import tag_columns
from lookalike.errors import CollectionError, ModelError
from lookalike.models.model import LoadedModel
from lookalike.storage.files import MARKS_NAME, write_bytes
from lookalike.storage.manifest import Manifest, is_collection, read_manifest, write_manifest
from lookalike.storage.part_state import PartState
from lookalike.storage.parts import (
    FAILURE_SCHEMA,
    TAG_FIELDS,
    Part,
    embedding_column,
    list_parts,
    matrix,
    set_column,
)
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.stores import is_remote
from lookalike.storage.writing import create

Progress = Callable[[int, int], None]

SCHEME = "collection:"

_RANGES = ("thumb_offset", "thumb_size")
_TAGS = tuple(field.name for field in TAG_FIELDS)


@dataclass(frozen=True, slots=True)
class Copied:
    """What a build from stored vectors did, in numbers of items."""

    made: int
    unchanged: int
    removed: int
    failed: int


def uri_of_collection(root: Path) -> str:
    """The address of a collection as a source of another."""
    return SCHEME + (str(root) if is_remote(root) else quote(str(root.resolve())))


def check_base(source: Path, root: Path, model: LoadedModel) -> None:
    """Raise an error unless a model takes the vectors of the collection `source`, for another at `root`."""
    has = read_manifest(source).model
    if root.resolve() == source.resolve():
        raise CollectionError(f"{root} would replace itself", "give another `collection`")
    if model.base is None:
        raise ModelError(
            f"{source} is a collection: it has vectors and no pictures, and {model.name} needs pictures",
            "build from the pictures, or give a model that `lookalike.train(collection)` made",
        )
    if model.base != has:
        what = "another version of it" if model.base.name == has.name else has.name
        raise ModelError(
            f"{model.name} takes vectors of the model {model.base.name}, those of {source} are of {what}",
            "train it on this collection, or build from the pictures",
        )


def check_base_is_here(model: LoadedModel) -> None:
    """Raise `ModelError` if a model is a head whose base cannot embed pictures here."""
    if model.base is not None:
        model.features(np.zeros((1, model.size_px, model.size_px, 3), np.uint8))


def check_goes_on(source: Path, root: Path, model: LoadedModel) -> None:
    """Raise an error if the collection at `root` is another than the one to be made."""
    if not is_collection(root):
        return
    hint = "give another `collection`, or start again from nothing with `rebuild=True`"
    before = read_manifest(root)
    if before.model != model.spec:
        what = "another version of it" if before.model.name == model.name else before.model.name
        raise ModelError(f"{root} was built with {what}, not with {model.name}", hint)
    if uri_of_collection(source) not in before.sources:
        raise CollectionError(f"{root} was not made of {source}", hint)


def build_from_stored(
    source: Path,
    root: Path,
    model: LoadedModel,
    *,
    dtype: str,
    rebuild: bool,
    still_ours: Callable[[], None],
    on_progress: Progress | None,
) -> Copied:
    """Make the collection at `root` of that at `source`, or bring it up to date; call with the lock held."""
    snapshot = Snapshot.open(source)
    manifest = Manifest(
        model.spec, dtype, {**snapshot.manifest.sources, uri_of_collection(source): {}}, model.path
    )
    if rebuild or not is_collection(root):
        create(root, manifest)
    elif read_manifest(root) != manifest:
        write_manifest(root, manifest)
    removed = _remove_moved(root, snapshot)
    failed = _copy_failures(source, root)
    made = done = 0
    for state in snapshot.parts:
        target = Part(root, state.part.number)
        described = state.described()
        if not _is_made(target, described):
            still_ours()
            _write(target, state, model, dtype)
            made += state.count
        done += state.count
        if on_progress:
            on_progress(done, len(snapshot))
    _copy_marks(source, root)
    return Copied(made, len(snapshot) - made, removed, failed)


def _remove_moved(root: Path, snapshot: Snapshot) -> int:
    """Remove the rows whose id is not in the part of that number any more; how many are nowhere."""
    ids = {state.part.number: state.described()["id"] for state in snapshot.parts}
    everywhere = pa.chunked_array([chunk for one in ids.values() for chunk in one.chunks], pa.string())
    gone = 0
    for part in list_parts(root):
        rows = part.items()
        here = ids.get(part.number, pa.chunked_array([], pa.string()))
        kept = pc.is_in(rows["id"], here.combine_chunks())
        if not pc.all(kept).as_py():
            others = rows["id"].filter(pc.invert(kept))
            known = pc.is_in(others, everywhere.combine_chunks())
            gone += len(others) - (pc.sum(known).as_py() or 0)
            part.keep(rows.filter(kept))
    return gone


def _is_made(target: Part, described: pa.Table) -> bool:
    """Whether a part has these rows already, whatever its vectors, tags and thumbnails are called."""
    if not target.items_path.exists():
        return False
    there = target.described()
    both = [
        table.drop_columns([*_RANGES, *(set(_TAGS) & {*table.column_names})]) for table in (there, described)
    ]
    return bool(both[0].equals(both[1]))


def _write(target: Part, state: PartState, model: LoadedModel, dtype: str) -> None:
    """Write a part of the rows of another."""
    assert model.from_base is not None
    rows = state.items()
    ranges = zip(*(rows[name].to_pylist() for name in _RANGES), strict=True)
    thumbnails = state.thumbnails(ranges)
    vectors = model.from_base(matrix(rows["embedding"]))
    if not np.isfinite(vectors).all():
        raise ModelError(f"{model.name} gave NaN or infinity", "train it again")
    rows = rows.drop_columns(["embedding", *(set(_TAGS) & {*rows.column_names})])
    if model.tags is not None:
        for field, column in zip(TAG_FIELDS, tag_columns(model.tags(vectors)), strict=True):
            rows = rows.append_column(field, column)
    rows = set_column(rows, "embedding", embedding_column(vectors, dtype), nullable=False)
    target.write(rows, thumbnails)


def _copy_failures(source: Path, root: Path) -> int:
    """Copy the failures of each part; returns how many there are."""
    failures = {part.number: part.failures() for part in list_parts(source, "failures")}
    there = {part.number: part.failures() for part in list_parts(root, "failures")}
    for number in sorted({*failures, *there}):
        wanted = failures.get(number, FAILURE_SCHEMA.empty_table())
        if number not in there or not there[number].equals(wanted):
            Part(root, number).write_failures(wanted)
    return sum(table.num_rows for table in failures.values())


def _copy_marks(source: Path, root: Path) -> None:
    """Copy what people said about the pictures; a file of marks may be read twice, or merged, at no harm."""
    try:
        files = [path for path in (source / MARKS_NAME).iterdir() if path.name.endswith(".parquet")]
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in files:
        copy = root / MARKS_NAME / path.name
        if not copy.exists():
            write_bytes(copy, path.read_bytes())
