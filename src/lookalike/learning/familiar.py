"""What a learned model keeps of its base: the mean of each class that it learned, by the base's vectors.

A network that has learned to tell labels apart finds one of them in everything; its base does not. The base's
vector of a picture of something else is farther from every mean than those of the learnt pictures are.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.learning.identifier import STRANGE
from lookalike.learning.labels import folds_of_items
from lookalike.learning.saving import is_trained
from lookalike.models.model import unit
from lookalike.models.npz import read_npz
from lookalike.models.onnx_model import DESCRIPTION, read_description
from lookalike.models.spec import ModelSpec
from lookalike.storage.snapshot import Snapshot

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

FILE, FIELD = "familiar.npz", "familiar"
# A megabyte of means of 1,280 numbers.
_MOST_CLASSES = 400
_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """The `names` of C classes and their `means`, unit vectors float32 (C, D) of the model `base`.

    A picture is strange if its cosine with every mean is below `least`. `base_path` is where a base that is a
    file or a folder is found.
    """

    names: tuple[str, ...]
    means: Floats
    least: float
    base: ModelSpec
    base_path: str = ""

    def is_strange(self, vectors: Floats) -> NDArray[np.bool_]:
        """Whether each picture is strange, (N,), by the base's unit vectors float32 (N, D)."""
        return np.asarray((vectors @ self.means.T).max(axis=1) < self.least)

    @staticmethod
    def of(snapshot: Snapshot, vectors: Floats, classes: Ints, names: tuple[str, ...]) -> Familiar | None:
        """What to keep of the learnt pictures' vectors (N, D) of a snapshot, with their `classes` (N,).

        None if there are too many classes, or the vectors are of a model that was learned itself: then they
        tell no strangers.
        """
        base, path = snapshot.manifest.model, snapshot.manifest.model_path
        if len(names) > _MOST_CLASSES or is_trained(path):
            return None
        means = _means(vectors, classes).astype(np.float16).astype(np.float32)  # as they are kept
        known = tuple(names[one] for one in np.unique(classes).tolist())
        return Familiar(known, means, _least(vectors, classes), base, path)

    def files(self) -> dict[str, bytes]:
        """The file of a model's folder, by its name."""
        data = io.BytesIO()
        np.savez(
            data,
            names=np.array(self.names, str),
            means=self.means.astype(np.float16),
            least=np.float64(self.least),
        )
        return {FILE: data.getvalue()}

    def fields(self) -> dict[str, Any]:
        """What the model's description says of the file."""
        checksum = hashlib.sha256(self.files()[FILE]).hexdigest()
        path = {"base_path": self.base_path} if self.base_path else {}
        return {FIELD: {"sha256": checksum, "base": self.base.to_fields(), **path}}


def read_familiar(folder: Path, sha256: str) -> Familiar | None:
    """What the model of this checksum in a folder keeps of its base; None if it keeps nothing.

    Raises `ModelError` if the file is missing or damaged.
    """
    try:
        fields = read_description(folder / DESCRIPTION)
    except ModelError:
        return None
    if fields.get("sha256") != sha256 or FIELD not in fields:
        return None
    path = folder / FILE
    try:
        said = fields[FIELD]
        base, base_path = ModelSpec.from_fields(said["base"]), str(said.get("base_path", ""))
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != said["sha256"]:
            raise ModelError(f"{path} is not the file that {DESCRIPTION} describes", "bring the right one")
        arrays = read_npz(data)
        names, means = tuple(arrays["names"].tolist()), unit(arrays["means"].astype(np.float32))
        return Familiar(names, means, float(arrays["least"]), base, base_path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "bring the whole folder of the model") from None


def _least(vectors: Floats, classes: Ints) -> float:
    """The cosine with the nearest mean that one in ten of the pictures that are held out does not reach."""
    folds = folds_of_items(classes, _FOLDS, seed=0)
    found = np.empty(len(vectors), np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        found[out] = (vectors[out] @ _means(vectors[~out], classes[~out]).T).max(axis=1)
    return float(np.quantile(found, STRANGE))


def _means(vectors: Floats, classes: Ints) -> Floats:
    """The mean of each class that has pictures, in order, of unit length."""
    return unit(np.stack([vectors[classes == one].mean(axis=0) for one in np.unique(classes)]))
