"""Read what the original image_embeddings library writes: Parquet parts, or an array with a list of names.

    parquet/part-000.parquet     image_name (binary), embedding (list of float32); part-001.parquet and on
    embeddings/embedding.npy     float32 (N, D)
    embeddings/id_name.json      [{"id": 0, "name": "rose_17"}, ...]

`lookalike export --to image-embeddings` makes the two folders; the library has one name for either.
https://github.com/rom1504/image_embeddings
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from lookalike.builder.array_files import count_rows, embedding_rows, open_npy
from lookalike.builder.vectors import slices
from lookalike.errors import SourceError, one_line

ARRAY, ID_NAME = "embedding.npy", "id_name.json"
PARTS_FOLDER, ARRAY_FOLDER, PICTURES_FOLDER = "parquet", "embeddings", "images"

_PART = re.compile(r"part-(\d{3})\.parquet")


def part_name(number: int) -> str:
    """Name a part; there are a thousand at most."""
    return f"part-{number:03d}.parquet"


def is_original(folder: Path) -> bool:
    """Return whether a folder is one of the library's, or contains its folders."""
    parts, array = folder / PARTS_FOLDER, folder / ARRAY_FOLDER
    return bool(_parts(folder) or _parts(parts)) or any(
        (one / name).is_file() for one in (folder, array) for name in (ARRAY, ID_NAME)
    )


def original_rows(folder: Path) -> Iterator[tuple[NDArray[Any], pa.Table]]:
    """Yield vectors, and tables with their names as `image_name`, from the parts or else the array.

    Raises `SourceError` if a part or a file is missing: a number is left out, or the list has
    more or fewer names than there are vectors.
    """
    parts = _parts(folder / PARTS_FOLDER) or _parts(folder)
    array = folder / ARRAY_FOLDER if (folder / ARRAY_FOLDER).is_dir() else folder
    if not parts:
        return array_rows(array)
    names = _names(array / ID_NAME) if (array / ID_NAME).exists() else None
    _check_parts(parts)
    total = sum(count_rows(path) for path in parts.values())
    if names is not None and len(names) != total:
        raise SourceError(
            f"{parts[0].parent} has {total:,} vectors, but {array / ID_NAME} names {len(names):,}",
            "copy the folder again: a part is missing, or comes from another folder",
        )
    return (rows for number in sorted(parts) for rows in embedding_rows(parts[number]))


def _parts(folder: Path) -> dict[int, Path]:
    """Return the parts in a folder by number; none if there is other Parquet too."""
    matches = [(_PART.fullmatch(path.name), path) for path in folder.glob("*.parquet")]
    found = {int(match[1]): path for match, path in matches if match}
    return found if len(found) == len(matches) else {}


def _check_parts(parts: dict[int, Path]) -> None:
    missing = [number for number in range(max(parts)) if number not in parts]
    if missing:
        folder = next(iter(parts.values())).parent
        raise SourceError(
            f"{folder} has no {part_name(missing[0])}, but {part_name(max(parts))}: "
            f"{len(missing):,} of {max(parts) + 1:,} parts {'is' if len(missing) == 1 else 'are'} missing",
            "copy the missing parts there, or import the parts that are there one by one",
        )


def array_rows(folder: Path) -> Iterator[tuple[NDArray[Any], pa.Table]]:
    """Yield the same from the array and the list of names in a folder."""
    if not (folder / ID_NAME).exists():
        hint = f"copy it there; or give {folder / ARRAY} itself, and the ids are the numbers of the rows"
        raise SourceError(f"{folder} has {ARRAY}, but no {ID_NAME}", hint)
    if not (folder / ARRAY).exists():
        raise SourceError(f"{folder} has {ID_NAME}, but no {ARRAY}", "copy it there")
    names = _names(folder / ID_NAME)
    vectors, column = open_npy(folder / ARRAY), pa.array(names, pa.string())
    if len(vectors) != len(names):
        raise SourceError(
            f"{folder / ARRAY} has {len(vectors):,} vectors, and {ID_NAME} names {len(names):,}"
        )
    pieces = zip(slices(vectors), slices(column), strict=True)
    return ((piece, pa.table({"image_name": some})) for piece, some in pieces)


def _names(path: Path) -> list[str]:
    """Read the names in the order of the vectors; raises `SourceError` if the list is invalid."""
    try:
        entries = json.loads(path.read_bytes())
        found = {entry["id"]: entry["name"] for entry in entries}
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read {path}: {one_line(error)}") from None
    except (TypeError, KeyError):
        found, entries = {}, [None]
    in_order = [found.get(number) for number in range(len(entries))]
    names = [name for name in in_order if isinstance(name, str)]
    if len(names) < len(in_order):
        raise SourceError(
            f"{path} is not a list of names, each with its number from 0 on",
            'it should look like: [{"id": 0, "name": "rose_17"}, ...]',
        )
    return names
