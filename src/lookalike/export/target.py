"""The folder that an export makes: there when all of it is written, and never half of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.collection import LOCK_NAME, writing
from lookalike.errors import StorageError
from lookalike.files import storage_error


@contextmanager
def new_folder(target: Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """A folder to write into, which takes the name `target` when the block ends and vanishes if it fails.

    Takes the place of nothing, of an empty folder, or of one that `is_ours`: an earlier export. A kill leaves
    that one, or for the moment between two renames none. Raises `StorageError` where other files are there
    or the disk refuses, and `LockedError` where another process writes there.
    """
    _check(target, is_ours)
    unfinished = target.with_name(target.name + ".unfinished")
    with writing(unfinished):
        try:
            _empty(unfinished)  # of an export that was killed
            yield unfinished
            _check(target, is_ours)
            _move(unfinished, target)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise storage_error(target, error) from error
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def _check(target: Path, is_ours: Callable[[Path], bool]) -> None:
    if target.exists() and not target.is_dir():
        raise StorageError(f"{target} is a file", "give a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()) and not is_ours(target):
        raise StorageError(
            f"{target} holds other files, which an export would replace",
            "give a folder that does not exist yet, or is empty",
        )


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK_NAME:
            entry.unlink()


def _move(unfinished: Path, target: Path) -> None:
    """Rename, with what is at the target moved aside first and removed last."""
    replaced = target.with_name(target.name + ".replaced")
    if replaced.exists():
        shutil.rmtree(replaced)
    (unfinished / LOCK_NAME).unlink()
    if target.exists():
        target.rename(replaced)
    unfinished.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)
