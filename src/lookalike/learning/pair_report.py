"""What was learned from pairs or triplets and what it is worth, on items held out."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.learning.pairs import left_out
from lookalike.learning.report import Change


@dataclass(frozen=True, slots=True)
class PairReport:
    """The result of learning from pairs or triplets.

    `method` says what the model is made of, or is empty if nothing is better. `lines` of the table were read;
    those of `unknown` items, `invalid` and `contradictory` ones were left out. `learned` pairs, or triplets,
    of `items` were learned from, which hang together in `groups`. The measures are of `queries` that the
    judged model had not learned from. Of pairs, `average_precision` is that of an item's partners, among the
    items held out and `others` of which nothing was said: with one partner, the mean of one divided by its
    rank; `precision_at_1` is the share of items whose nearest is a partner. Of triplets, `in_order` is the
    share of those that are in the right order. `tried` are the figures by which the method was chosen.
    """

    what: str
    method: str
    kept: bool
    lines: int
    unknown: int
    invalid: int
    contradictory: int
    learned: int
    items: int
    groups: int
    others: int
    queries: int
    average_precision: Change | None
    precision_at_1: Change | None
    in_order: Change | None
    tried: tuple[tuple[str, float], ...]
    seconds: float

    @property
    def main(self) -> Change:
        """The measure that decides."""
        found = self.in_order or self.average_precision
        assert found is not None
        return found

    def __str__(self) -> str:
        """What was learned, and a line for each measure: before, after, and the gain with its error."""
        lines = [self.method or "nothing that is better"]
        if self.in_order:
            lines.append(f"triplets in the right order: {self.in_order}")
        else:
            among = f" and {self.others:,} others" if self.others else ""
            lines.append(f"mAP of partners among those held out{among}: {self.average_precision}")
            lines.append(f"partner first: {self.precision_at_1}")
        unit = "triplets" if self.in_order else "items"
        lines.append(
            f"{self.queries:,} {unit} asked that were held out; then all {self.learned:,} {self.what} of "
            f"{self.items:,} items in {self.groups:,} groups were learned from, in {self.seconds:.0f} s"
        )
        if out := left_out(self.unknown, self.contradictory, self.invalid):
            lines.append(f"left out of {self.lines:,} {self.what}: {out}")
        return "\n".join(lines)
