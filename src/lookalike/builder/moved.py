"""Recognises a renamed or moved source folder by its bytes, and points its rows to the new place.

A missing folder may just as well be on a disk that is offline today. So only rows whose exact bytes
are found again change their address; rows of images that are not listed stay unchanged.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from lookalike.builder.listing import Listing
from lookalike.parallel import in_order
from lookalike.sources.sample import Sample
from lookalike.storage.manifest import Manifest
from lookalike.storage.parts import Part, list_parts, set_column

_READERS = 8
_READ_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Move:
    """`old_uri` is the source's earlier address, `same` the ids of images with exactly the same bytes."""

    old_uri: str
    same: frozenset[str]


def find_move(root: Path, manifest: Manifest, listing: Listing) -> Move | None:
    """Find the source of the collection that was moved to the listed place; None if there is none.

    Its folder is gone, and at least half of the listed images with its ids also have its bytes.
    """
    for old_uri in manifest.sources:
        if old_uri == listing.source_uri or not _is_gone(old_uri):
            continue
        rows = _rows_of(root, old_uri)
        common = {id_: sha256 for id_, sha256 in rows.items() if id_ in listing.samples}
        same = frozenset(_same(common, listing.samples))
        if same and 2 * len(same) >= len(common):
            return Move(old_uri, same)
    return None


def follow(root: Path, move: Move, listing: Listing) -> None:
    """Point the rows of the moved source to the listed files.

    If an id is listed with other bytes, the image has changed and its row goes; a row whose image
    is not listed keeps its old address. A kill in between leaves some rows for the next build.
    """
    mine = set(_rows_of(root, listing.source_uri))  # from a build that was killed here
    number = max(
        (part.number for kind in ("items", "failures") for part in list_parts(root, kind)), default=-1
    )
    for part in list_parts(root):
        if not part.items(["uri"])["uri"][0].as_py().startswith(move.old_uri):
            continue
        rows = part.items()
        ids = rows["id"].to_pylist()
        follows = [id_ in move.same and id_ not in mine for id_ in ids]
        stays = [id_ not in listing.samples for id_ in ids]
        if all(follows):
            part.write(_readdressed(rows, listing.samples))
        elif not all(stays):
            followed, left = rows.filter(pa.array(follows)), rows.filter(pa.array(stays))
            if left.num_rows and followed.num_rows:  # all rows of a part come from one source
                number += 1
                _write(Part(root, number), part, _readdressed(followed, listing.samples))
                followed = followed.slice(0, 0)
            _write(part, part, left if left.num_rows else _readdressed(followed, listing.samples))


def without_moved(root: Path, manifest: Manifest, move: Move) -> Manifest:
    """The manifest without the old address, unless some rows still have it."""
    if _rows_of(root, move.old_uri):
        return manifest
    return manifest.without_source(move.old_uri)


def _write(part: Part, thumbnails_from: Part, rows: pa.Table) -> None:
    part.write(rows, thumbnails_from.thumbnails(rows["id"].to_pylist()), thumbnails_from.made_by())


def _readdressed(rows: pa.Table, samples: Mapping[str, Sample]) -> pa.Table:
    found = [samples[id_] for id_ in rows["id"].to_pylist()]
    columns = {
        "uri": [one.uri for one in found],
        "size_bytes": [
            old if one.size_bytes is None else one.size_bytes
            for one, old in zip(found, rows["size_bytes"].to_pylist(), strict=True)
        ],
        "mtime_ns": [one.mtime_ns for one in found],
    }
    for name, values in columns.items():
        field = rows.schema.field(name)
        rows = set_column(rows, name, pa.array(values, field.type), field.nullable)
    return rows


def _is_gone(uri: str) -> bool:
    """Whether a source was a local folder that no longer exists."""
    path = os.fsdecode(unquote_to_bytes(uri.removeprefix("file://").partition("#")[0]))
    return uri.startswith("file://") and not os.path.lexists(path)


def _rows_of(root: Path, uri: str) -> dict[str, str]:
    """The checksums of a source's images by their ids."""
    found: dict[str, str] = {}
    for part in list_parts(root):
        rows = part.items(["id", "uri", "sha256"])
        if rows["uri"][0].as_py().startswith(uri):
            found |= dict(zip(rows["id"].to_pylist(), rows["sha256"].to_pylist(), strict=True))
    return found


def _same(wanted: Mapping[str, str], samples: Mapping[str, Sample]) -> Iterator[str]:
    """The ids whose samples have these checksums."""

    def matches(id_: str) -> bool:
        try:
            return hashlib.sha256(samples[id_].read()).hexdigest() == wanted[id_]
        except OSError:  # the build will report it
            return False

    found = in_order(matches, wanted, _READERS, ahead=_READ_AHEAD)
    return (id_ for id_, is_same in zip(wanted, found, strict=True) if is_same)
