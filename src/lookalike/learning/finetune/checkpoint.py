"""Where training stands, in one file: a run that was killed goes on from it."""

from __future__ import annotations

import pickle
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from lookalike.storage.files import remove_tree, replacing

State = dict[str, Any]

KEY_DIGITS = 16  # of a key, in the name of its folder
_FILE = "checkpoint.pt"
_ABANDONED_S = 30 * 86_400


class Checkpoint:
    """The file with the state of one run, in a folder of its own.

    `key` says what the run learns and how; a file with another key is of another run, and is not read.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def read(self, device: str) -> State | None:
        """The state that was written last; None if there is none of this run."""
        try:
            found: State = torch.load(self._path, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            return None
        return found if isinstance(found, dict) and found.get("key") == self.key else None

    def write(self, state: State) -> None:
        """Write the state whole or not at all; raises `StorageError` if the disk is full."""
        with replacing(self._path) as file:
            torch.save({"key": self.key, **state}, file)

    def remove(self) -> None:
        """Remove the file and its folder: the run has ended."""
        remove_tree(self.folder)

    @property
    def _path(self) -> Path:
        return self.folder / _FILE


def remove_abandoned(folder: Path) -> None:
    """Remove the files of runs in a folder that nobody went on from for 30 days, and no others."""
    for path in folder.glob(f"{'[0-9a-f]' * KEY_DIGITS}/{_FILE}"):
        with suppress(OSError):  # another run may remove it at the same time
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
                path.parent.rmdir()
