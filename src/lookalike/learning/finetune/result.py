"""What fine-tuning gives: a trained network that can be saved, and a report of what it is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from lookalike.errors import counted
from lookalike.learning.familiar import Familiar
from lookalike.learning.finetune.checkpoint import Checkpoint
from lookalike.learning.finetune.export import model_files
from lookalike.learning.finetune.network import Network
from lookalike.learning.saving import save_model
from lookalike.models.class_words import ClassWords, files_of
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model

# By how many of its standard errors held-out retrieval has to rise, as for heads.
_ERRORS = 2


@dataclass(frozen=True, slots=True)
class Report:
    """What was learnt from, and what came of it.

    For the `question` new, whole classes are held out.
    `before` and `after` are the mean MAP@R of `judged` held-out pictures among all `held_out`, by the vectors
    of the collection and by those of the exported model; `gain` is the mean difference. `scores` are those of
    the other held-out pictures, before training and after each epoch; they chose `best_epoch`. `thumbnails`
    were learnt from in place of originals. Of `triplets` that were learnt, if any, all these are the share of
    an anchor's triplets that are in the right order, and `judged` are anchors.
    """

    model: str
    loss: str
    question: str
    layers: str
    device: str
    classes: int
    learnt_from: int
    held_out: int
    judged: int
    unlabelled: int
    singles: int
    unreadable: int
    thumbnails: int
    steps: int
    best_epoch: int
    scores: tuple[float, ...]
    before: float
    after: float
    gain: float
    standard_error: float
    told: str = ""
    triplets: int = 0

    @property
    def is_gain(self) -> bool:
        """Whether held-out pictures are found better, by more than two standard errors."""
        return self.gain > _ERRORS * self.standard_error

    def __str__(self) -> str:
        learnt = counted(self.triplets, "triplet") if self.triplets else counted(self.classes, "class")
        lines = [
            f"{self.model}, {self.loss}: {learnt} learnt from {counted(self.learnt_from, 'image')} in "
            f"{self.steps:,} steps; epoch {self.best_epoch} of {len(self.scores) - 1} was best",
            f"{self._measure}: {self.before:.3f} before, {self.after:.3f} after ({self.gain:+.3f}, "
            f"standard error {self.standard_error:.3f})",
        ]
        counts = {
            "without a label": self.unlabelled,
            "alone in their class": self.singles,
            "unreadable": self.unreadable,
        }
        if any(counts.values()):
            lines.append("left out: " + ", ".join(f"{many:,} {why}" for why, many in counts.items() if many))
        if self.told:
            lines.append(f"read: {self.told}")
        if self.thumbnails:
            lines.append(f"read as thumbnails, as the originals are not here: {self.thumbnails:,}")
        return "\n".join(lines)

    @property
    def _measure(self) -> str:
        if self.triplets:
            return (
                f"triplets in the right order, of {counted(self.judged, 'anchor')} "
                f"among {self.held_out:,} held-out images"
            )
        new = " of new classes" if self.question == "new" else ""
        return f"MAP@R of {self.judged:,} held-out images{new} among {self.held_out:,}"


@dataclass(frozen=True)
class FineTuned:
    """A trained network as it is saved: `file` is its ONNX file, `words` the classes that it was
    taught, if they have names, and `familiar` what the collection's vectors say of these."""

    network: Network
    file: bytes
    words: ClassWords | None
    report: Report
    checkpoint: Checkpoint
    familiar: Familiar | None = None

    def __repr__(self) -> str:
        return f"FineTuned({self.report})"

    def save(self, folder: str | Path, name: str | None = None) -> LoadedModel:
        """Write the folder of the model, whole or not at all; `name` is the folder's unless given.

        Raises `ModelError` if there is something at `folder`, `StorageError` if it cannot be written: the
        same training then goes on from its end when it is started again.
        """
        target = Path(folder)
        chosen = name or target.resolve().name
        files = {
            **model_files(
                self.network, self.file, chosen, **(self.familiar.fields() if self.familiar else {})
            ),
            **(files_of(self.words) if self.words else {}),
            **(self.familiar.files() if self.familiar else {}),
        }
        save_model(target, chosen, files, asdict(self.report))
        self.checkpoint.remove()
        return load_model(f"{target}/")
