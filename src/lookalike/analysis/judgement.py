"""What an evaluation found: measures of all queries, of classes and of splits, and the worst queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.analysis.bootstrap import Estimate
from lookalike.errors import counted

Measures = Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Class:
    """One class: its label, its numbers of items and queries, and the measures of its queries."""

    label: str
    items: int
    queries: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Confusion:
    """`count` items of the class `label` whose nearest vote for the class `predicted`."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One item that was found: its id, its label and its cosine."""

    id: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Worst:
    """A query that went wrong: its id, label and MAP@R, and the items found, the nearest first."""

    id: str
    label: str
    map_at_r: float
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the queries: their number, that of their classes, and their measures."""

    queries: int
    classes: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `evaluate`.

    `overall` is the mean over queries, `per_class_mean` the mean over classes, in which a small class counts
    as much as a large one. `unlabelled` items were left out. `gallery` items were ranked. `singles` have no
    right answer among these, so they were not used as queries. If it is known from which items a model has
    learned, `seen` are the measures of the queries whose class is among these, and `unseen` of the others;
    None if there are none.
    """

    name: str
    model: str
    dim: int
    items: int
    queries: int
    unlabelled: int
    singles: int
    voters: int
    without_duplicates: bool
    overall: Measures
    per_class_mean: Mapping[str, float]
    classes: tuple[Class, ...]
    confusions: tuple[Confusion, ...]
    worst: tuple[Worst, ...]
    gallery: int
    seen: Part | None = None
    unseen: Part | None = None

    @property
    def mistakes(self) -> list[Confusion]:
        """The confusions of a class with another, the commonest first."""
        return [one for one in self.confusions if one.label != one.predicted]

    def __repr__(self) -> str:
        measures = ", ".join(f"{name} {one.value:.3f}" for name, one in self.overall.items())
        return f"Evaluation({self.name!r}, {counted(self.queries, 'query')}: {measures})"


@dataclass(frozen=True, slots=True)
class Split:
    """The items with one value of a column asked, and those with other values ranked."""

    value: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Splits:
    """The result of `evaluate_splits`: a split for each value of the column, by value."""

    name: str
    column: str
    splits: tuple[Split, ...]

    def __len__(self) -> int:
        return len(self.splits)

    def __repr__(self) -> str:
        return f"Splits({self.name!r} by {self.column}: {', '.join(one.value for one in self.splits)})"
