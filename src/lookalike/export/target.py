"""Create the folder of an export, completely or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import StorageError
from lookalike.storage.files import storage_error
from lookalike.storage.writing import writing


@contextmanager
def new_folder(target: Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a folder to write into; it becomes `target` when the block ends, and is removed if that fails.

    It may replace an empty folder, or one that `is_ours`: an earlier export. After a kill that one is still
    there, except between two renames. Raises `StorageError` if other files are there
    or the disk refuses, and `LockedError` if another process writes there.
    """
    work = target.with_name(f".{target.name}.lookalike-export")
    new, old = work / "new", work / "old"
    with writing(work):
        try:
            if old.exists() and not target.exists():  # a kill came between the two renames
                old.rename(target)
            _check(target, is_ours)
            for leftover in (new, old):
                if leftover.exists():
                    shutil.rmtree(leftover)
            new.mkdir()
            yield new
            _check(target, is_ours)
            _swap(target, new, old)
        except OSError as error:
            raise storage_error(target, error) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _check(target: Path, is_ours: Callable[[Path], bool]) -> None:
    if target.exists() and not target.is_dir():
        raise StorageError(f"{target} is a file", "give a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()) and not is_ours(target):
        raise StorageError(
            f"{target} has other files, which an export would replace",
            "give a folder that does not exist yet, or is empty",
        )


def _swap(target: Path, new: Path, old: Path) -> None:
    """Move the target aside and give its name to the new folder."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
