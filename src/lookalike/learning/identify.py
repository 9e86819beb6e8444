"""Identifies pictures by the labelled pictures of a collection: a label and its probability, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, QueryError, call, counted
from lookalike.learning.identifier import Identifier, Trial, Verdicts, learn
from lookalike.learning.label_marks import Rows, label_marks, proposal_kind, read_labels
from lookalike.learning.saving import is_trained
from lookalike.learning.strangers import Strangers
from lookalike.models.head_model import base_path, way_back
from lookalike.search.engine import Engine
from lookalike.search.query import Query
from lookalike.search.results import Results
from lookalike.storage.given_labels import LABEL, fitted, label_kind
from lookalike.storage.label_values import means_folders, no_labels
from lookalike.storage.marks import Mark, write_marks
from lookalike.storage.parts import RESERVED_COLUMNS
from lookalike.storage.snapshot import Snapshot

Floats = NDArray[np.float32]
Reason = Literal["", "strange", "unsure"]

# More labelled pictures make it slower, and hardly better: of larger classes a sample is used.
_MOST = 10_000
_NEIGHBOURS = 5
# In fewer, learned to tell labels apart, pictures of a label are as near to each other as copies.
FEW_DIMENSIONS = 64
# Items at a time: by their vectors, and by a base that looks at their pictures.
_BLOCK_ROWS, _LOOKED_AT_ROWS = 4096, 128
# A mark of the kind of proposals whose value is an object with this name holds the label that was rejected.
_REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Identified:
    """What one picture was identified as: `label` is None if it is unknown, and `reason` says why.

    `strange`: it is unlike the pictures of the likeliest label. `unsure`: no label is likely enough.
    `likely` are the likeliest labels with their probabilities, best first, whether or not it is unknown;
    `probability` is that of the first, if the picture is of a known label at all. `neighbours` are the
    nearest labelled pictures with the first label. A labelled picture that is this very one, or a copy of it,
    is none of them: its id is `same`. `knows_strangers` is False where the model has learned to tell labels
    apart and its base cannot be asked: it takes many pictures of other things for one of them.
    """

    label: str | None
    probability: float
    reason: Reason
    likely: Sequence[tuple[str, float]]
    neighbours: Results
    same: str | None = None
    knows_strangers: bool = True

    def __repr__(self) -> str:
        why = self.reason and f", {self.reason}"
        return f"Identified({self.label or 'unknown'!r}, {self.probability:.2f}{why})"

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "label": self.label,
            "probability": round(self.probability, 4),
            "reason": self.reason,
            "likely": [{"label": one, "probability": round(chance, 4)} for one, chance in self.likely],
            "neighbours": [{"id": hit.id, "score": round(hit.score, 4)} for hit in self.neighbours],
            "same": self.same,
            "knows_strangers": self.knows_strangers,
        }


def _as_they_are(vectors: Floats) -> Floats:
    return vectors


@dataclass(frozen=True, slots=True)
class Learned:
    """An identifier, learned from the labels in `column`; `rows` are those of its vectors in the snapshot.

    Where a head on another model made the vectors, it goes by those of the base, which `to_base` finds in
    them. A head has learned to tell the known classes apart, and so finds one of them in everything; and it
    has seen the pictures that would be held out. Of another learned model, `strangers` asks the base which
    pictures are strange; `knows_strangers` is then said of each.
    """

    snapshot: Snapshot
    column: str
    rows: Rows
    identifier: Identifier
    to_base: Callable[[Floats], Floats] = _as_they_are
    knows_strangers: bool = True
    strangers: Strangers | None = None

    @property
    def trial(self) -> Trial:
        """How it did on pictures that were held out."""
        return self.identifier.trial

    def identify(self, vectors: Floats, pictures: Sequence[Query]) -> list[Identified]:
        """Identify unit vectors (Q, D) of Q pictures."""
        vectors = self.to_base(vectors)
        verdicts = self.identifier.judge(vectors)
        knows = np.full(len(vectors), self.knows_strangers)
        if self.strangers:
            strange, knows = self.strangers.asked(pictures)
            verdicts = verdicts.judged_strange(strange, knows)
        return [
            self._one(verdicts, place, vector, bool(knows[place])) for place, vector in enumerate(vectors)
        ]

    def propose(self, rows: Rows) -> tuple[Verdicts, bool]:
        """The verdicts on stored items, and whether strangers are known among those with an answer."""
        verdicts = self.identifier.judge(self.to_base(self.snapshot.vectors(rows)), most=1)
        if not self.strangers:
            return verdicts, self.knows_strangers
        asked = np.flatnonzero(~verdicts.unsure)  # of the others the base need not be asked
        strange, seen = np.zeros((2, len(rows)), bool)
        strange[asked], seen[asked] = self.strangers.among(rows[asked])
        verdicts = verdicts.judged_strange(strange, seen)
        return verdicts, bool(seen[verdicts.answered].all())

    def _one(self, verdicts: Verdicts, place: int, vector: Floats, knows_strangers: bool) -> Identified:
        """The answer for the picture at a place, with its unit `vector` (D,)."""
        likely = [
            (self.identifier.names[number], float(chance))
            for number, chance in zip(verdicts.order[place].tolist(), verdicts.chances[place], strict=True)
        ]
        reason: Reason = "strange" if verdicts.strange[place] else "unsure" if verdicts.unsure[place] else ""
        cosines = self.identifier.vectors @ vector
        nearest = int(cosines.argmax())
        return Identified(
            None if reason else likely[0][0],
            likely[0][1],
            reason,
            likely,
            self._neighbours(cosines, int(verdicts.order[place, 0])),
            self.snapshot.ids([int(self.rows[nearest])])[0]
            if cosines[nearest] >= self.identifier.itself
            else None,
            knows_strangers,
        )

    def _neighbours(self, cosines: Floats, number: int) -> Results:
        """The nearest labelled pictures of a class, without copies of the picture."""
        places = np.flatnonzero((self.identifier.classes == number) & (cosines < self.identifier.itself))
        best = places[np.argsort(-cosines[places], kind="stable")[:_NEIGHBOURS]]
        return Results(self.snapshot, self.rows[best], cosines[best], None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A label that is proposed for an item, and its probability."""

    id: str
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Proposals:
    """What is proposed for the `asked` items without a label, surest first; `trial` is that of the judge.

    `knows_strangers` is that of `Identified`.
    """

    asked: int
    proposed: Sequence[Proposal]
    trial: Trial
    knows_strangers: bool = True

    def __repr__(self) -> str:
        return (
            f"Proposals({counted(len(self.proposed), 'label')} for {counted(self.asked, 'item')} without one)"
        )


def learned(engine: Engine, column: str = LABEL, *, rows: Rows | None = None, right: float = 0.9) -> Learned:
    """Learn to identify by the labels in a column; the engine keeps what was learned of all its rows.

    Of more than 10,000 labelled pictures it uses a sample, small classes whole. Raises `LookalikeError` if
    the column is missing, or too few pictures share a label.
    """
    if not 0.5 <= right < 1:
        raise LookalikeError(
            f"right is {right:g}, but must be at least 0.5 and below 1: the share of answers that are right"
        )
    if rows is not None:
        return _learned(engine.snapshot, column, rows, right)
    key = repr((column, right))
    found: Learned = engine.kept("identifier", key, lambda: _learned(engine.snapshot, column, None, right))
    return found


def identify(
    engine: Engine,
    queries: Sequence[Query],
    learn: Callable[[], Learned],
    pictures: Sequence[Query] | None = None,
) -> list[Identified]:
    """Identify pictures by what `learn` returns, which is called once all of them are read.

    Where `queries` are vectors, `pictures` are what these were made of.
    Raises `QueryError` for words, `UnknownIdError`, and `ImageError` for an unreadable picture.
    """
    directions = [engine.direction(query) for query in queries]
    for direction in directions:
        if not direction.is_likeness:
            raise QueryError("only pictures can be identified", "give a picture, or `Id(...)` for an item")
    if not directions:
        return []
    return learn().identify(np.stack([one.vector for one in directions]), pictures or queries)


def identify_missing(
    knowing: Learned,
    rows: Rows | None = None,
    *,
    write: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Proposals:
    """Propose labels for the rows, ascending, that have none; `write` keeps them as marks to be confirmed.

    A label that was rejected for an item is not proposed for it again. `on_progress` is called with the
    numbers of items done and to do.
    """
    snapshot = knowing.snapshot
    labels = read_labels(snapshot, knowing.column, rows)
    missing = labels.rows[labels.unlabelled]
    said = snapshot.marked(proposal_kind(knowing.column))
    found: list[Proposal] = []
    knows = knowing.knows_strangers or knowing.strangers is not None
    step = _BLOCK_ROWS if knowing.strangers is None else _LOOKED_AT_ROWS
    for start in range(0, len(missing), step):
        some = missing[start : start + step]
        verdicts, knows_these = knowing.propose(some)
        knows &= knows_these
        answered = np.flatnonzero(verdicts.answered)
        labels_of = [knowing.identifier.names[one] for one in verdicts.order[answered, 0].tolist()]
        chances = [round(chance, 4) for chance in verdicts.chances[answered, 0].astype(float).tolist()]
        rows = some[answered]
        found += [
            Proposal(*one)
            for row, *one in zip(rows.tolist(), snapshot.ids(rows), labels_of, chances, strict=True)
            if said[row] != {_REJECTED: one[1]}
        ]
        on_progress(start + len(some), len(missing))
    found.sort(key=lambda one: (-one.probability, one.id))
    if write and found:
        values = [{"label": one.label, "probability": one.probability} for one in found]
        kind = proposal_kind(knowing.column)
        write_marks(snapshot.root, label_marks(snapshot, kind, [one.id for one in found], values))
    return Proposals(len(missing), found, knowing.trial, knows)


def proposals(snapshot: Snapshot, column: str = LABEL) -> list[Proposal]:
    """The proposals that wait for a person, surest first."""
    waiting = snapshot.marked(proposal_kind(column))
    rows = [row for row, value in enumerate(waiting) if _is_proposal(value)]
    found = [
        Proposal(id_, waiting[row]["label"], float(waiting[row]["probability"]))
        for row, id_ in zip(rows, snapshot.ids(rows), strict=True)
    ]
    return sorted(found, key=lambda one: (-one.probability, one.id))


def confirm(snapshot: Snapshot, ids: Sequence[str] | None = None, column: str = LABEL) -> int:
    """Turn proposals into labels: all that wait, or those of some items; returns how many.

    Raises `UnknownIdError`, or `LookalikeError` for an item without a proposal; then none is confirmed.
    """
    waiting = _waiting(snapshot, ids, column)
    give_labels(snapshot, waiting, column)
    return len(waiting)


def reject(snapshot: Snapshot, ids: Sequence[str], column: str = LABEL) -> None:
    """Withdraw the proposals for items, which are not proposed again; raises as `confirm`."""
    waiting = _waiting(snapshot, ids, column)
    values = [{_REJECTED: waiting[id_]} for id_ in ids]
    write_marks(snapshot.root, label_marks(snapshot, proposal_kind(column), ids, values))


def give_labels(snapshot: Snapshot, labels: Mapping[str, str], column: str = LABEL) -> None:
    """Mark the label of items, by id, and withdraw what was proposed for them; raises as `given`."""
    write_marks(snapshot.root, given(snapshot, labels, column))


def given(snapshot: Snapshot, labels: Mapping[str, str], column: str = LABEL) -> list[Mark]:
    """The marks that give items, by id, a label and withdraw proposals; a new column is one of text.

    Raises `UnknownIdError`, or `LookalikeError` for a label that the column cannot have.
    """
    for label in dict.fromkeys(labels.values()):
        _check_label(snapshot, label, column)
    ids = list(labels)
    marks = label_marks(snapshot, label_kind(column), ids, list(labels.values()))
    return marks + label_marks(snapshot, proposal_kind(column), ids, [None] * len(ids))


def _waiting(snapshot: Snapshot, ids: Sequence[str] | None, column: str) -> dict[str, str]:
    """The proposed labels, by id; raises if one of the items has none."""
    waiting = {one.id: one.label for one in proposals(snapshot, column)}
    snapshot.rows_of(ids or ())
    for id_ in ids or ():
        if id_ not in waiting:
            raise LookalikeError(
                f"no label is proposed for {id_}",
                f"propose some: {call(snapshot.root, 'identify_missing(write=True)')}",
            )
    return waiting if ids is None else {id_: waiting[id_] for id_ in ids}


def _check_label(snapshot: Snapshot, label: str, column: str) -> None:
    if means_folders(snapshot, column):
        raise LookalikeError("the folder of an item is where its file is", "give labels of another column")
    if column in RESERVED_COLUMNS or not column.isprintable():
        raise LookalikeError(f"the column {column!r} cannot have labels", "use `label`, or a new column")
    if not label.strip():
        raise LookalikeError("an empty text cannot be a label", "give the name of what the picture shows")
    schema = snapshot.all_columns
    if column in schema.names and fitted(label, schema.field(column).type) is None:
        raise LookalikeError(f"the column {column} has {schema.field(column).type}, and {label!r} is none")


def _is_proposal(value: object) -> bool:
    match value:
        case {"label": str(), "probability": int() | float()}:
            return True
    return False


def _learned(snapshot: Snapshot, column: str, rows: Rows | None, right: float) -> Learned:
    """Learn to identify from the labelled items, up to a sample; raises `LookalikeError` without labels."""
    labels = read_labels(snapshot, column, rows)
    places = labels.labelled
    if not len(places):
        raise no_labels(snapshot, column)
    names, classes = np.unique([str(labels.values[at]) for at in places], return_inverse=True)
    kept = _sample(classes, _MOST)
    chosen = labels.rows[places[kept]]
    model, path = snapshot.manifest.model, snapshot.manifest.model_path
    to_base = way_back(Path(path), model.sha256) if path else None
    knows_strangers = not is_trained(base_path(Path(path)) if to_base else path)
    to_base = to_base or _as_they_are
    vectors = to_base(snapshot.vectors(chosen))
    identifier = learn(vectors, classes[kept], names.tolist(), right=right)
    strangers = None
    if not knows_strangers:
        if vectors.shape[1] < FEW_DIMENSIONS:
            identifier = replace(identifier, itself=np.inf)
        strangers = Strangers.of(snapshot, names.tolist(), chosen)
    return Learned(snapshot, column, chosen, identifier, to_base, knows_strangers, strangers)


def _sample(classes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Ascending places of at most about `most` members (N,): at most so many of each class, at least 2."""
    sizes = np.bincount(classes)
    cap = int(sizes.max())
    while cap > 2 and np.minimum(sizes, cap).sum() > most:
        cap = max(2, cap * 9 // 10)
    draw = np.random.default_rng(0).permutation(len(classes))
    order = draw[np.argsort(classes[draw], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    within = np.arange(len(order)) - starts[classes[order]]
    return np.sort(order[within < cap])
