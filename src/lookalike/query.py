"""What a user asks with, a picture or an item, turned into one query vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import UnknownIdError
from lookalike.images import ImageLike
from lookalike.parts import matrix

_ID_PREFIX = "id:"

# Comparing an unknown id with this many takes a fraction of a second.
_COMPARED_IDS = 20_000


@dataclass(frozen=True, slots=True)
class Id:
    """An item of the collection, by its id."""

    id: str


Query = ImageLike | Id


def parse_query(text: str) -> Query:
    """The query that a word of the command line means: `id:…` is an item, else a picture's path."""
    return Id(text.removeprefix(_ID_PREFIX)) if text.startswith(_ID_PREFIX) else text


def query_vector(collection: Collection, query: Query) -> NDArray[np.float32]:
    """The unit vector float32 (D,) of a query; raises `QueryError` or `ImageError`."""
    if isinstance(query, Id):
        return _stored_vector(collection, query.id)
    return np.asarray(collection.model.embed([query])[0])


def unknown_id(collection: Collection, id_: str, known: Sequence[str]) -> UnknownIdError:
    """The error for an id that is not there, with the nearest of those that are."""
    nearest = get_close_matches(id_, known[:_COMPARED_IDS], n=3, cutoff=0.4)
    return UnknownIdError(f"{collection.name} has no item {id_!r}", nearest)


def _stored_vector(collection: Collection, id_: str) -> NDArray[np.float32]:
    for part in collection.parts():
        rows = part.items(["id", "embedding"])  # at once: a build may replace the file meanwhile
        row = pc.index(rows["id"], id_).as_py()
        if row >= 0:
            vector: NDArray[np.float32] = matrix(rows["embedding"].slice(row, 1))[0]
            return vector
    raise unknown_id(collection, id_, collection.items(["id"])["id"].to_pylist())
