"""What the tests of marks share: marks made at a second, and the files that they lie in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from lookalike.storage.marks import Mark

A, B, C = (letter * 64 for letter in "abc")
START = datetime(2026, 3, 1, 12, 0, 0, 5, UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def mark(second: int, kind: str, pictures: dict[str, str], value: object) -> Mark:
    return Mark(at(second), kind, tuple(pictures), tuple(pictures.values()), value)


def files(root: Path) -> list[Path]:
    return sorted((root / "marks").iterdir())


def the_file(root: Path) -> Path:
    (path,) = files(root)
    return path
