"""Adding and removing single pictures, without a source that the collection mirrors."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from lookalike.builder.build import Report, commit_part, derive, next_number
from lookalike.builder.part import make_part
from lookalike.errors import ImageError, SourceError
from lookalike.images.picture import ImageLike
from lookalike.sources.sample import Sample
from lookalike.storage.manifest import Manifest, read_manifest
from lookalike.storage.parts import list_parts
from lookalike.storage.snapshot import Snapshot, pinned_model
from lookalike.storage.writing import writing

# Files, which are called by their place below a source of the collection, or else by their name; or
# pictures of any kind by the id that each is to have.
Pictures = Sequence[str | Path] | Mapping[str, ImageLike] | str | Path


def add_pictures(root: Path, pictures: Pictures, *, label: str | None = None) -> Report:
    """Embed pictures and add them as a part; one whose id is there takes the place of that item.

    `label` is that of all of them. One that cannot be read becomes a row of the failures. A file below a
    source folder is what the next build of that folder expects there; others stay through every build.
    Raises `SourceError` where two have the same id, `ModelError` where the model is not here.
    """
    with writing(root):
        manifest = read_manifest(root)
        samples = list(_samples(pictures, manifest, label))
        ids = [one.id for one in samples]
        if len(set(ids)) < len(ids):
            twice = next(id_ for id_ in ids if ids.count(id_) > 1)
            raise SourceError(f"two pictures have the id {twice!r}", "give them ids: {id: picture, ...}")
        model = pinned_model(root, manifest)
        made = make_part(samples, model, dtype=manifest.dtype, threads=os.cpu_count() or 1)
        replaced = _take_out(root, set(made.rows["id"].to_pylist()))
        commit_part(root, next_number(root), made)
        derive(root)
    return Report(made.rows.num_rows, len(made.failures), 0, replaced)


def remove_items(root: Path, ids: Sequence[str]) -> int:
    """Remove items; returns how many. Raises `UnknownIdError` for one that is not there, and removes none."""
    with writing(root):
        Snapshot.open(root).rows_of(ids)
        count = _take_out(root, set(ids))
        derive(root)
    return count


def _samples(pictures: Pictures, manifest: Manifest, label: str | None) -> Iterator[Sample]:
    metadata = {} if label is None else {"label": label}
    if isinstance(pictures, Mapping):
        for id_, picture in pictures.items():
            if not isinstance(picture, str | Path):
                yield Sample(id_, f"added:{quote(id_)}", None, 0, partial(_encoded, picture), metadata)
            else:
                yield _file(Path(picture), id_, metadata)
        return
    for path in [pictures] if isinstance(pictures, str | Path) else pictures:
        yield _file(Path(path), _id_of(Path(path), manifest), metadata)


def _file(path: Path, id_: str, metadata: Mapping[str, str]) -> Sample:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    return Sample(id_, path.resolve().as_uri(), status.st_size, status.st_mtime_ns, path.read_bytes, metadata)


def _id_of(path: Path, manifest: Manifest) -> str:
    """The id that a build of a source above the file would give it, else the file's name."""
    for uri in manifest.sources:
        if uri.startswith("file://") and path.resolve().as_uri().startswith(uri):
            return path.resolve().relative_to(_folder_of(uri)).as_posix()
    return path.name


def _folder_of(uri: str) -> Path:
    from urllib.parse import unquote, urlsplit

    return Path(unquote(urlsplit(uri).path))


def _encoded(picture: ImageLike) -> bytes:
    """A picture in memory as bytes: encoded ones as they are, pixels as PNG; `OSError` where it is none."""
    if isinstance(picture, bytes):
        return picture
    try:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
    except (OSError, TypeError, ValueError, ImageError) as error:
        raise OSError(f"not a picture: {error}") from None
    return buffer.getvalue()


def _take_out(root: Path, ids: set[str]) -> int:
    """Rewrite the parts that have these items without them; returns how many those were."""
    count, wanted = 0, pa.array(sorted(ids), pa.string())
    for part in list_parts(root):
        gone = pc.is_in(part.items(["id"])["id"], wanted)
        if pc.any(gone).as_py():
            kept = part.items().filter(pc.invert(gone))
            count += len(gone) - len(kept)
            part.write(kept, part.thumbnails(kept["id"].to_pylist()))
    return count
