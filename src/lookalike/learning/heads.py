"""Learns a head on stored vectors from the labels in a column."""

from __future__ import annotations

from typing import Literal

from lookalike.errors import LookalikeError
from lookalike.learning.trained import Trained
from lookalike.storage.snapshot import Snapshot

METHODS = ("auto",)
For = Literal["same", "new"]


def train_head(
    snapshot: Snapshot, label: str, *, method: str = "auto", for_: For = "same", seed: int = 0
) -> Trained:
    """Learn a head from the labels in a column."""
    raise LookalikeError(f"{snapshot.name}: the method {method} cannot learn {label} {for_} {seed} yet")
