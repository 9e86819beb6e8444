"""The users of a model: a vector for each, in the space of its items, in `users.json` and `users.npy`.

`users.json` also has the ids of the items in the events, and which of them each user had.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError, one_line

Floats = NDArray[np.float32]

NAMES, VECTORS = "users.json", "users.npy"
_COMPARED = 20_000


@dataclass(frozen=True, slots=True)
class Users:
    """U users: their `names`, and `vectors` float32 (U, D) of unit length, zero for one who is not known.

    `had` are the places in `items`, ids, of what each user had in the events; empty if the model lacks them.
    """

    names: Sequence[str]
    vectors: Floats
    items: Sequence[str] = ()
    had: Sequence[Sequence[int]] = ()

    def vector(self, name: str) -> Floats:
        """The vector (D,) of a user; raises `QueryError` with similar names if there is none."""
        try:
            found: Floats = self.vectors[self.names.index(name)]
        except ValueError:
            near = get_close_matches(name, self.names[:_COMPARED], n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "name what the user likes: `liked`"
            raise QueryError(f"the model does not know the user {name!r}", hint) from None
        if not found.any():
            raise QueryError(f"the model knows nothing of the user {name!r}")
        return found

    def items_of(self, name: str) -> list[str]:
        """The ids of the items that a user had in the events, in the order of ids."""
        return [self.items[place] for place in self.had[self.names.index(name)]] if self.had else []


def user_files(users: Users) -> dict[str, bytes]:
    """The two files of a model's users, by name."""
    data = io.BytesIO()
    fields = {"names": list(users.names), "items": list(users.items), "had": [list(one) for one in users.had]}
    np.save(data, np.ascontiguousarray(users.vectors, np.float32))
    return {
        NAMES: (json.dumps(fields, ensure_ascii=False) + "\n").encode(),
        VECTORS: data.getvalue(),
    }


def read_users(folder: str | Path, dim: int) -> Users:
    """The users in the folder of a model with `dim` dimensions.

    Raises `ModelError` if the model has none, or its files do not fit.
    """
    path, folder = str(folder), Path(folder)
    if not path or not (folder / NAMES).exists():  # a built-in model has no folder
        raise ModelError(
            "the model of this collection knows no users",
            "train one from events: `lookalike.train(c, events=path)`",
        )
    try:
        fields = json.loads((folder / NAMES).read_bytes())
        names, items, had = fields["names"], fields.get("items", []), fields.get("had", [])
        vectors = np.load(folder / VECTORS, allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the users of {folder} cannot be read: {one_line(error)}") from None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ModelError(f"the users of {folder} cannot be read: names have to be a list of texts")
    if not _fit(items, had, len(names)):
        raise ModelError(
            f"the users of {folder} cannot be read: had has to have places in items for each name"
        )
    if vectors.dtype != np.float32 or vectors.shape != (len(names), dim) or not np.isfinite(vectors).all():
        raise ModelError(
            f"the users of {folder} cannot be read: {VECTORS} has to be ({len(names)}, {dim}) numbers"
        )
    return Users(names, vectors, items, had)


def _fit(items: Any, had: Any, count: int) -> bool:
    """Whether `had` is empty, or has a list of places in `items`, texts, for each of `count` users."""
    if not isinstance(items, list) or not isinstance(had, list) or len(had) not in (0, count):
        return False
    places = range(len(items))
    return all(isinstance(one, str) for one in items) and all(
        isinstance(one, list) and all(type(place) is int and place in places for place in one) for one in had
    )
