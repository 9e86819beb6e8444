"""Exclusive write access to a collection, and creating an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lookalike.errors import CollectionError, LockedError
from lookalike.storage.files import (
    MARKS_NAME,
    TEMPORARY_SUFFIX,
    check_writable,
    remove_temporary,
    remove_tree,
    storage_error,
)
from lookalike.storage.learned import FILE_NAME, remove_others, write_learned
from lookalike.storage.leases import lease
from lookalike.storage.manifest import MANIFEST_NAME, Manifest, is_collection, read_manifest, write_manifest
from lookalike.storage.parts import Part, list_parts
from lookalike.storage.stores import each, is_remote

LOCK_NAME = ".lock"


def check_target(root: Path) -> None:
    """Raise `CollectionError` if `root` cannot become or be updated as a collection: it has other files."""
    check_writable(root)
    if root.exists() and not root.is_dir():
        raise CollectionError(f"{root} is a file", "give another path")
    strange = root.is_dir() and not is_collection(root)
    own = {LOCK_NAME, MARKS_NAME, MANIFEST_NAME + TEMPORARY_SUFFIX}  # what a build killed at its start leaves
    if strange and any(one.name not in own and not FILE_NAME.match(one.name) for one in root.iterdir()):
        raise CollectionError(f"{root} has other files and is not a collection", "give another path")


def create(root: Path, manifest: Manifest, learned: bytes | None = None) -> Manifest:
    """Create an empty collection, in place of an existing one; call with the lock held.

    `learned` is what the model learned from the images; the returned manifest names it.
    """
    check_target(root)
    for name in ("items", "failures", "thumbnails", "derived"):
        remove_tree(root / name)
    if learned is not None:
        manifest = replace(manifest, model=replace(manifest.model, sha256=write_learned(root, learned)))
    write_manifest(root, manifest)
    remove_others(root, manifest.model)
    return manifest


@contextmanager
def writing(root: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock of the folder's one writer; raises `LockedError` if another process holds it.

    Removes what a killed writer left half written. Yields a function that raises `LockedError` once the
    lock is lost, which only happens in an object store, to a writer that was stopped for long.
    """
    path = root / LOCK_NAME
    with lease(path) if is_remote(path) else _file_lock(path) as check:
        try:
            _remove_leftovers(root)
            yield check
            check()
        except BaseException:
            with suppress(CollectionError, OSError):  # a full disk needs the room of what is half done
                check()
                _remove_leftovers(root)
            raise


@contextmanager
def _file_lock(path: Path) -> Iterator[Callable[[], None]]:
    """Lock a local file; the operating system frees the lock when its holder dies, so it is never lost."""
    import filelock  # importing it takes a tenth of a second, which readers need not wait

    lock = filelock.FileLock(path, blocking=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise LockedError(
            f"{path.parent} is being written by another process, which holds {path}",
            "wait until it has finished",
        ) from None
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield lambda: None
    finally:
        lock.release()


def _remove_leftovers(root: Path) -> None:
    """Remove files that a killed writer left: temporary ones, and tars that no committed part names."""
    if not is_collection(root):
        return
    remove_temporary(root)
    remove_others(root, read_manifest(root).model)
    named = set(each(list_parts(root), Part.thumbnails_path, root))
    for tar in (root / "thumbnails").glob("*.tar"):
        if tar not in named:
            tar.unlink()
