"""Applies a plan: moves files, never deletes them, and can move them all back.

Before the first file moves, it checks everything and writes a journal into the target folder. The journal
lists all moves, so even moves interrupted by a kill can be undone.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lookalike.analysis.plan import File, Group, Identity, Plan, identity
from lookalike.errors import LookalikeError
from lookalike.storage.files import TEMPORARY_SUFFIX, remove, storage_error, sync_folder, write_bytes

JOURNAL = "moved-duplicates.json"
Moves = Sequence[tuple[Path, Path]]


def apply_plan(plan: Plan, target: str | Path) -> int:
    """Move the files of a plan into the folder `target`, named by their ids; returns how many.

    Raises `LookalikeError` before it moves anything if a file, including one that stays, is gone or has
    changed, if two of them are one file under two names, if a name is taken in the target, or if the target
    has the files of another plan.
    """
    root = Path(target).absolute()
    if (root / JOURNAL).exists():
        raise LookalikeError(
            f"{root} has the files of another plan",
            f"use another folder, or move them back: `lookalike.analysis.moving.undo_moves({str(root)!r})`",
        )
    moves = [(Path(move.file.path), _inside(root, move.file.id)) for move in plan.moves()]
    sources, targets = {source for source, _ in moves}, {to for _, to in moves}
    if len(sources) < len(moves) or len(targets) < len(moves):
        raise LookalikeError("the plan would move a file twice, or two files to one name", "make it again")
    for group in plan.groups:
        if Path(group.keep.path) in sources:
            raise LookalikeError(f"the plan would both keep and move {group.keep.path}", "make it again")
        for file in (group.keep, *_files(group)):
            _check_unchanged(file)
    _check_distinct([file for group in plan.groups for file in (group.keep, *_files(group))])
    for _, to in moves:
        if to.exists() or to.is_symlink():
            raise LookalikeError(f"{to} already exists, nothing was moved", "use another folder as `to`")
    journal = [[str(source), str(to)] for source, to in moves]
    write_bytes(root / JOURNAL, json.dumps(journal, indent=2).encode("ascii"))
    for source, to in moves:
        _move(source, to)
    return len(moves)


def undo_moves(target: str | Path) -> int:
    """Move back the files that `apply_plan` moved into the folder; returns how many.

    A move that a kill interrupted, leaving the file in both places, is undone too. Raises `LookalikeError`
    before it moves anything if a name has been taken meanwhile, or a file is gone.
    """
    root = Path(target).absolute()
    moves = _journal(root)
    # Files that a kill left in place need not move back.
    moved = [(source, to) for source, to in moves if _is_there(to) or not source.exists()]
    copied = [(source, to) for source, to in moved if _is_copied(source, to)]
    for source, to in moved:
        if not _is_there(to):
            raise LookalikeError(f"{to} is gone, nothing was moved", f"it belongs at {source}")
        if _is_there(source) and (source, to) not in copied:
            raise LookalikeError(f"{source} exists again, nothing was moved", f"move it away, or keep {to}")
    for source, to in moved:
        if (source, to) in copied:
            _remove_copy(source, to)
        else:
            _move(to, source)
    for source, to in moves:
        remove(_temporary(source))
        remove(_temporary(to))
        _remove_empty(to.parent, root)
    remove(root / JOURNAL)
    return len(moved)


def _is_copied(source: Path, to: Path) -> bool:
    """Whether a kill left a file in both places, between the copy and the removal."""
    if source.is_symlink() or to.is_symlink() or not (source.is_file() and to.is_file()):
        return False
    return identity(source) != identity(to) and filecmp.cmp(source, to, shallow=False)


def _remove_copy(source: Path, to: Path) -> None:
    """Remove the second of two files with the same bytes, once the first is on the disk."""
    try:
        _sync(source)
        to.unlink()
    except OSError as error:
        raise storage_error(to, error) from error


def _journal(root: Path) -> Moves:
    try:
        rows = json.loads((root / JOURNAL).read_bytes())
        moves = [(Path(source), Path(to)) for source, to in rows]
    except FileNotFoundError:
        raise LookalikeError(f"{root} has no files of a plan: {JOURNAL} is missing") from None
    except (OSError, ValueError, TypeError) as error:
        raise LookalikeError(f"{root / JOURNAL} cannot be read: {error}") from None
    for _, to in moves:
        if ".." in to.parts or not to.is_relative_to(root):
            raise LookalikeError(f"{root / JOURNAL} names {to}, which is not in the folder", "was it moved?")
    return moves


def _inside(root: Path, id_: str) -> Path:
    """The path of an id in the target; raises if it would be outside."""
    parts = PurePosixPath(id_).parts
    if not parts or ".." in parts or PurePosixPath(id_).is_absolute() or parts == (JOURNAL,):
        raise LookalikeError(f"the plan has the id {id_!r}, which cannot name a file in {root}")
    return root.joinpath(*parts)


def _check_unchanged(file: File) -> None:
    """Raise `LookalikeError` unless a file is as it was when the plan was made."""
    path = Path(file.path)
    try:
        if path.is_symlink() or not path.is_file():
            raise LookalikeError(
                f"{path} is gone, or no longer a file; nothing was moved", "make the plan again"
            )
        with path.open("rb") as opened:
            checksum = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise LookalikeError(
            f"{path} cannot be read, nothing was moved: {error.strerror}", "make the plan again"
        ) from None
    if checksum != file.sha256:
        raise LookalikeError(
            f"{path} has changed since the plan was made, nothing was moved",
            "build the collection again, then make the plan again",
        )


def _files(group: Group) -> list[File]:
    return [move.file for move in group.move]


def _check_distinct(files: Sequence[File]) -> None:
    """Raise if two paths lead to one file: by a link, another mount or a hard link."""
    seen: dict[Identity, str] = {}
    for file in files:
        other = seen.setdefault(identity(Path(file.path)), file.path)
        if other != file.path:
            raise LookalikeError(
                f"{other} and {file.path} are one file, nothing was moved", "make the plan again"
            )


def _move(source: Path, to: Path) -> None:
    """Move one file, never over another; across devices by a copy that gets its name when it is complete.

    The source is removed once the copy and its name are on the disk.
    """
    try:
        made = [folder for folder in to.parents if not folder.exists()]
        to.parent.mkdir(parents=True, exist_ok=True)
        if _is_there(to):
            raise FileExistsError(errno.EEXIST, "a file with this name exists", str(to))
        try:
            source.rename(to)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy = _temporary(to)
            shutil.copy2(source, copy)
            _sync(copy)
            copy.rename(to)
            for folder in {to.parent, *(folder.parent for folder in made)}:
                sync_folder(folder)
            source.unlink()
    except OSError as error:
        raise storage_error(to, error) from error


def _temporary(path: Path) -> Path:
    """The name of an incomplete copy, which no other file has and which is never too long."""
    own = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
    return path.with_name(f".lookalike-{own}{TEMPORARY_SUFFIX}")


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _sync(path: Path) -> None:
    """Wait until a file and its name are on the disk."""
    with path.open("rb") as written:
        os.fsync(written.fileno())
    sync_folder(path.parent)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder of the target if it is empty now, and those above it."""
    while folder != root and folder.is_dir() and folder.is_relative_to(root) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
