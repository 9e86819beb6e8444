"""What was learned from labels and what it is worth: retrieval before and after, on pictures held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.learning.choice import difference


@dataclass(frozen=True, slots=True)
class Change:
    """A measure before and after, the mean over queries; `gain` is the mean difference, with its `error`."""

    before: float
    after: float
    gain: float
    error: float

    @classmethod
    def between(cls, before: NDArray[np.float64], after: NDArray[np.float64]) -> Change:
        """The change between the results of (Q,) queries, NaN where there is none; all 0 without any."""
        known = ~np.isnan(before)
        if not known.any():
            return cls(0.0, 0.0, 0.0, 0.0)
        return cls(float(before[known].mean()), float(after[known].mean()), *difference(before, after))

    def __str__(self) -> str:
        return (
            f"{self.before:.3f} -> {self.after:.3f} (gain {self.gain:+.3f}, standard error {self.error:.3f})"
        )


@dataclass(frozen=True, slots=True)
class LabelReport:
    """The result of learning from the labels in a column.

    `method` says what the model is made of, or is empty if nothing is better. `items` of `classes` were
    learned from; `unlabelled` ones were left out, and `singles` are alone in their class. The measures are
    of `queries` that the judged model had not learned from: whole classes if `question` is new.
    `average_precision`, `precision_at_1` and `precision_at_5` are measured among all other items (among those
    held out, for new classes), `alone` is the average precision among those held out only. `tried` are the
    means of mAP and precision at 5 by which the method was chosen, on other held-out items.
    """

    label: str
    question: str
    method: str
    kept: bool
    items: int
    classes: int
    unlabelled: int
    singles: int
    queries: int
    average_precision: Change
    precision_at_1: Change
    precision_at_5: Change
    alone: Change
    tried: tuple[tuple[str, float], ...]
    seconds: float

    def __str__(self) -> str:
        """What was learned, and a line for each measure: before, after, and the gain with its error."""
        asked = "of new classes, " if self.question == "new" else ""
        among = "those held out" if self.question == "new" else "all others"
        lines = [
            self.method or "nothing that is better",
            f"mAP {asked}among {among}: {self.average_precision}",
            f"precision@1 {asked}among {among}: {self.precision_at_1}",
            f"precision@5 {asked}among {among}: {self.precision_at_5}",
        ]
        if self.question == "same":
            lines.append(f"mAP among those held out: {self.alone}")
        left_out = f"; {self.unlabelled:,} without a label left out" if self.unlabelled else ""
        alone = f"; {self.singles:,} alone in their class" if self.singles else ""
        lines.append(
            f"{self.queries:,} pictures asked that were held out, of {self.items:,} of {self.classes:,} "
            f"classes; then all were learned from, in {self.seconds:.0f} s{left_out}{alone}"
        )
        return "\n".join(lines)
