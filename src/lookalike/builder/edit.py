"""Adds and removes single pictures, without a source that the collection mirrors."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from lookalike.builder.build import Report
from lookalike.builder.committing import commit_part, derive, next_number
from lookalike.builder.part import make_part
from lookalike.checking import checked
from lookalike.errors import ImageError, SourceError
from lookalike.images.picture import ImageLike
from lookalike.parallel import cores
from lookalike.sources.folder import id_of, uri_of
from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample
from lookalike.storage.learned import pinned_model
from lookalike.storage.manifest import Manifest, read_manifest
from lookalike.storage.parts import list_parts
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.writing import writing

# Either files, whose id is their path below a source of the collection or else their name; or pictures of any
# kind, by the id that each is to have.
Pictures = Sequence[str | Path] | Mapping[str, ImageLike] | str | Path


@checked
def add_pictures(root: Path, pictures: Pictures, *, label: str | None = None) -> Report:
    """Embed pictures and add them; one added before under the same id is replaced.

    `label` applies to all of them. A picture that cannot be read becomes a row of the failures. A file below
    a source folder is stored as the next build of that folder expects it; others survive every build except
    `rebuild`, which knows only its source.
    Raises `SourceError` if two have the same id or a source has a picture of that id, and `ModelError`
    if the model is missing.
    """
    read_manifest(root)  # before taking the lock, which would create the folder
    with writing(root):
        manifest = read_manifest(root)
        samples = list(_samples(pictures, manifest, label))
        ids = [one.id for one in samples]
        _check_ids(root, samples, manifest)
        model = pinned_model(root, manifest)
        make = partial(make_part, model=model, dtype=manifest.dtype, threads=cores())
        parts = [make(some) for some in _by_source(samples, manifest)]
        number = next_number(root)
        _forget_failures(root, ids)
        for place, made in enumerate(parts):
            commit_part(root, number + place, made)
        # Only now, so that no item is ever missing.
        replaced = _take_out(root, {id_ for made in parts for id_ in made.rows["id"].to_pylist()}, number)
        derive(root)
    embedded = sum(made.rows.num_rows for made in parts)
    return Report(embedded, len(samples) - embedded, 0, replaced)


def remove_items(root: Path, ids: Sequence[str]) -> int:
    """Remove items; returns how many. Raises `UnknownIdError`, and removes none, if an id is unknown.

    The next build of a source brings back what is still there.
    """
    read_manifest(root)
    with writing(root):
        Snapshot.open(root).rows_of(ids)
        count = _take_out(root, set(ids))
        derive(root)
    return count


def _samples(pictures: Pictures, manifest: Manifest, label: str | None) -> Iterator[Sample]:
    """The pictures as samples, with the ids and addresses that a build of their folders would give them."""
    metadata = {} if label is None else {"label": label}
    folders = [_folder_of(uri) for uri in manifest.sources if uri.startswith("file://")]
    if not isinstance(pictures, Mapping):
        for path in [pictures] if isinstance(pictures, str | Path) else pictures:
            id_, place = _as_listed(Path(path).absolute(), folders)
            yield _file(place, id_, uri_of(os.fsencode(place)), metadata)
        return
    for id_, picture in pictures.items():
        uri = f"added:{quote(str(id_))}"
        if not isinstance(picture, str | Path):
            yield Sample(id_, uri, None, 0, partial(_encoded, picture), metadata)
            continue
        listed, place = _as_listed(Path(picture).absolute(), folders)
        # A build of the folder would think that its own item is gone, because it has another id.
        own = listed == id_ or not any(place.is_relative_to(folder) for folder in folders)
        yield _file(place, id_, uri_of(os.fsencode(place)) if own else uri, metadata)


def _by_source(samples: Sequence[Sample], manifest: Manifest) -> list[list[Sample]]:
    """Group the samples by source, because all rows of a part come from one; those without one together."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        source = next((uri for uri in manifest.sources if sample.uri.startswith(uri)), "")
        found.setdefault(source, []).append(sample)
    return list(found.values())


def _file(path: Path, id_: str, uri: str, metadata: Mapping[str, str]) -> Sample:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"cannot read {path}: not a regular file")
    read = LocalFile(os.fsencode(path), status.st_size)
    return Sample(id_, uri, status.st_size, status.st_mtime_ns, read, metadata)


def _as_listed(path: Path, folders: Sequence[Path]) -> tuple[str, Path]:
    """The id and path that a build of a folder above the file would give it; else its name and real path.

    A build follows links below its folder, and keeps their names.
    """
    for above in path.parents:
        folder = above.resolve()
        if folder in folders:
            below = path.relative_to(above)
            return id_of(os.fsencode(below)), folder / below
    return path.name, path.resolve()


def _folder_of(uri: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))


def _encoded(picture: ImageLike) -> bytes:
    """The bytes of a picture: encoded ones as they are, pixels as PNG; raises `OSError` if it is none."""
    if isinstance(picture, bytes):
        return picture
    try:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
    except (OSError, TypeError, ValueError, ImageError) as error:
        raise OSError(f"not a picture: {error}") from None
    return buffer.getvalue()


def _check_ids(root: Path, samples: Sequence[Sample], manifest: Manifest) -> None:
    """Raise `SourceError` for an id that is empty, given twice, or already a picture's in a source."""
    ids = [one.id for one in samples]
    for id_ in ids:
        if not isinstance(id_, str) or not id_:
            raise SourceError(f"the id {id_!r} is empty or not text", "give them ids: {id: picture, ...}")
        if ids.count(id_) > 1:
            raise SourceError(f"two pictures have the id {id_!r}", "give them ids: {id: picture, ...}")
    snapshot = Snapshot.open(root)
    for sample in samples:
        row = snapshot.find(sample.id)
        there = sample.uri if row is None else snapshot.values("uri", [row])[0]
        if there != sample.uri and there.startswith(tuple(manifest.sources)):
            raise SourceError(
                f"the id {sample.id!r} belongs to {there}", "give it another: {id: picture, ...}"
            )


def _take_out(root: Path, ids: set[str], before: int | None = None) -> int:
    """Rewrite the parts that contain these items without them (only parts numbered below `before`, if given).

    Returns how many items were removed.
    """
    count, wanted = 0, pa.array(sorted(ids), pa.string())
    for part in list_parts(root):
        if before is not None and part.number >= before:
            continue
        gone = pc.is_in(part.items(["id"])["id"], wanted)
        if pc.any(gone).as_py():
            kept = part.items().filter(pc.invert(gone))
            count += len(gone) - len(kept)
            part.keep(kept)
    return count


def _forget_failures(root: Path, ids: Sequence[str]) -> None:
    """Remove these items from the failures, which are a log of the last attempt."""
    for part in list_parts(root, "failures"):
        table = part.failures()
        others = table.filter(pc.invert(pc.is_in(table["id"], pa.array(ids, pa.string()))))
        if others.num_rows < table.num_rows:
            part.write_failures(others)
