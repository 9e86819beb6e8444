"""The users of a model: a vector for each, in the space of its items, in `users.json` and `users.npy`."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError, one_line

Floats = NDArray[np.float32]

NAMES, VECTORS = "users.json", "users.npy"
_COMPARED = 20_000


@dataclass(frozen=True, slots=True)
class Users:
    """U users: their `names`, and `vectors` float32 (U, D) of unit length, zero for one who is not known."""

    names: Sequence[str]
    vectors: Floats

    def vector(self, name: str) -> Floats:
        """The vector (D,) of a user; raises `QueryError` with similar names if there is none."""
        try:
            found: Floats = self.vectors[self.names.index(name)]
        except ValueError:
            near = get_close_matches(name, self.names[:_COMPARED], n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "recommend by what the user `liked`"
            raise QueryError(f"the model does not know the user {name!r}", hint) from None
        if not found.any():
            raise QueryError(f"the model knows nothing of the user {name!r}")
        return found


def user_files(names: Sequence[str], vectors: Floats) -> dict[str, bytes]:
    """The two files of a model's users, by name."""
    data = io.BytesIO()
    np.save(data, np.ascontiguousarray(vectors, np.float32))
    return {
        NAMES: (json.dumps({"names": list(names)}, ensure_ascii=False) + "\n").encode(),
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
        names = json.loads((folder / NAMES).read_bytes())["names"]
        vectors = np.load(folder / VECTORS, allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the users of {folder} cannot be read: {one_line(error)}") from None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ModelError(f"the users of {folder} cannot be read: names have to be a list of texts")
    if vectors.dtype != np.float32 or vectors.shape != (len(names), dim) or not np.isfinite(vectors).all():
        raise ModelError(
            f"the users of {folder} cannot be read: {VECTORS} has to be ({len(names)}, {dim}) numbers"
        )
    return Users(names, vectors)
