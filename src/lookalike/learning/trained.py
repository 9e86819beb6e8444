"""A model that was learned on the vectors of another, in memory until it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lookalike.learning.familiar import Familiar
from lookalike.learning.saving import save_head
from lookalike.models.class_words import ClassWords
from lookalike.models.head_model import Branch, Floats, Layer, apply, dim_of
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model
from lookalike.models.spec import ModelSpec


@dataclass(frozen=True)
class Trained:
    """Layers, or branches of them, on the unit vectors of `base`.

    `base_path` is where a base that is a file or a folder is found; `words` are the classes that it was
    taught; `report`, a dataclass, says what was learned and measured; `files` are further files of the
    model's folder, by name. `familiar` is kept where the layers keep nothing of the base.
    """

    base: ModelSpec
    layers: Sequence[Layer | Branch]
    report: Any
    base_path: str = ""
    words: ClassWords | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    familiar: Familiar | None = None

    def __repr__(self) -> str:
        said = str(self.report).splitlines()[0]
        return f"Trained(on {self.base.name}, {self.dim:,} dimensions: {said})"

    @property
    def dim(self) -> int:
        return dim_of(self.layers, self.base.dim)

    def from_base(self, vectors: Floats) -> Floats:
        """The unit vectors float32 (N, D) of unit vectors (N, D_in) of the base."""
        return apply(self.layers, vectors)

    def save(self, folder: str | Path, name: str | None = None) -> LoadedModel:
        """Write the folder of the model, whole or not at all; `name` is the folder's unless given.

        Raises `ModelError` if there is something at `folder`, `StorageError` if it cannot be written.
        """
        target = Path(folder)
        save_head(
            target,
            name or target.resolve().name,
            self.base,
            self.layers,
            base_path=self.base_path,
            words=self.words,
            report=asdict(self.report),
            files={**self.files, **(self.familiar.files() if self.familiar else {})},
            fields=self.familiar.fields() if self.familiar else None,
        )
        return load_model(f"{target}/")
