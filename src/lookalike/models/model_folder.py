"""The folder of a model that is being made: there whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import ModelError


def check_free(folder: Path) -> None:
    """Raise `ModelError` if there is something at `folder`."""
    if os.path.lexists(folder):
        raise ModelError(f"{folder} exists already", "give another folder as `out`")


@contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """A folder to write the files into, which becomes `folder` when the block ends without an exception.

    Raises `OSError` if it cannot be written, and leaves nothing behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as unfinished:
        made = Path(unfinished) / "model"
        made.mkdir()
        yield made
        made.rename(folder)
