"""Addresses: a folder on this machine, or one behind `s3://` and anything else that fsspec opens.

`place` returns a `pathlib.Path` for the first kind and a `StorePath` for the second, with as much of the
path interface as collections and sources use. Credentials and endpoints are left to the store's own
environment variables and configuration files.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard, TypeVar, cast
from urllib.parse import quote

from lookalike.errors import ExtraError, LookalikeError, StoreError, one_line
from lookalike.parallel import in_order

# Stores whose objects appear whole or not at all, so a part can be committed there.
ATOMIC = frozenset("s3 s3a gs gcs az abfs abfss memory".split())
# A scheme has at least two letters, so that a drive letter is not one.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# Others may write there meanwhile, so listings are not cached. With more than one request at a time, s3fs
# would ask for an object's size before each read, and read large ones in pieces of perhaps two versions.
_S3_OPTIONS = {"use_listings_cache": False, "max_concurrency": 1}
_OPTIONS = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS}
_AT_ONCE = 16
_BUFFER_BYTES = 1 << 22

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def place(address: str | os.PathLike[str]) -> Path:
    """Turn an address into a path; one with a scheme, such as `s3://bucket/photos`, is in an object store.

    Only text can be an address: a path stays a path. No request is made yet.
    Raises `ExtraError` if the library for it is not installed, `LookalikeError` for an unknown scheme and for
    something that is no path.
    """
    if isinstance(address, StorePath):
        return cast(Path, address)
    if not isinstance(address, str | os.PathLike):
        raise LookalikeError(
            f"a path is a text or a pathlib.Path, not a value of the type {type(address).__name__}",
            "give one folder or address",
        )
    scheme = _SCHEME.match(address) if isinstance(address, str) else None
    if scheme is None or not isinstance(address, str):
        return Path(address)
    text = scheme[1].lower() + address[scheme.end(1) :].rstrip("/")
    return cast(Path, StorePath(_file_system(text, scheme[1].lower()), text))


def is_remote(path: object) -> TypeGuard[StorePath]:
    """Whether a path is in an object store."""
    return isinstance(path, StorePath)


def each(things: Iterable[Thing], work: Callable[[Thing], Result], root: Path) -> Iterator[Result]:
    """Yield the result of `work` for each thing, in order; several run at once if `root` is in a store.

    A request to a store takes the same time, however many are in progress.
    """
    return in_order(work, things, _AT_ONCE, ahead=_AT_ONCE) if is_remote(root) else map(work, things)


class StorePath:
    """A path in an object store, with the methods of `pathlib.Path` that we need.

    Missing objects raise `FileNotFoundError`; every other failure is a `StoreError`, which is also an
    `OSError`. It is deliberately not an `os.PathLike`, so that nothing takes it for a local file's name.
    """

    __slots__ = ("_found", "_system", "_text")

    def __init__(self, system: Any, text: str, found: Mapping[str, Any] | None = None) -> None:
        self._system, self._text, self._found = system, text, found

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"StorePath({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorePath) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __lt__(self, other: StorePath) -> bool:
        return self._text < other._text

    def __truediv__(self, name: str) -> StorePath:
        return StorePath(self._system, f"{self._text}/{name}")

    @property
    def scheme(self) -> str:
        return self._text.partition("://")[0]

    @property
    def _inside(self) -> PurePosixPath:
        return PurePosixPath(self._text.partition("://")[2])

    @property
    def name(self) -> str:
        return self._inside.name

    @property
    def suffix(self) -> str:
        return self._inside.suffix

    @property
    def stem(self) -> str:
        return self._inside.stem

    @property
    def parent(self) -> StorePath:
        if "/" not in self._text.partition("://")[2]:
            return self
        return StorePath(self._system, self._text.rpartition("/")[0])

    @property
    def parents(self) -> list[StorePath]:
        found = [self.parent]
        while found[-1].parent != found[-1]:
            found.append(found[-1].parent)
        return found

    def with_name(self, name: str) -> StorePath:
        return self.parent / name

    def resolve(self) -> StorePath:
        return self

    def relative_to(self, other: StorePath) -> PurePosixPath:
        return self._inside.relative_to(other._inside)

    def is_relative_to(self, other: StorePath) -> bool:
        return self.scheme == other.scheme and self._inside.is_relative_to(other._inside)

    def as_uri(self) -> str:
        return f"{self.scheme}://{quote(str(self._inside), safe='/@')}"

    def is_symlink(self) -> bool:
        return False

    def exists(self) -> bool:
        return bool(self._kind())

    def is_dir(self) -> bool:
        """Whether there are objects below it, or it is a bucket."""
        return self._kind() == "directory"

    def is_file(self) -> bool:
        return self._kind() == "file"

    def stat(self) -> os.stat_result:
        """The kind, the size in bytes and the modification time, which is 0 if unknown."""
        found = self._info()
        mode = stat.S_IFDIR if found["type"] == "directory" else stat.S_IFREG
        modified = modified_ns(found)
        size = int(found.get("size") or 0)
        return os.stat_result((mode, 0, 0, 0, 0, 0, size, 0, modified / 1e9, 0), {"st_mtime_ns": modified})

    def iterdir(self) -> Iterator[StorePath]:
        with _clear_errors(self):
            found = self._system.ls(self._key, detail=True)
        for info in found:
            name = info["name"].rstrip("/").rpartition("/")[2]
            if info["name"].rstrip("/") != self._key.rstrip("/"):
                yield StorePath(self._system, f"{self._text}/{name}", info)

    def glob(self, pattern: str) -> Iterator[StorePath]:
        """The paths that match a pattern of names joined by `/`; none if there is no folder."""
        name, _, below = pattern.partition("/")
        try:
            entries = [entry for entry in self.iterdir() if fnmatchcase(entry.name, name)]
        except FileNotFoundError:
            return
        for entry in entries:
            if not below:
                yield entry
            elif entry.is_dir():
                yield from entry.glob(below)

    def rglob(self, pattern: str) -> Iterator[StorePath]:
        """The objects below, at any depth, whose names match."""
        for below, info in self.files().items():
            found = StorePath(self._system, f"{self._text}/{below}", info)
            if fnmatchcase(found.name, pattern):
                yield found

    def files(self) -> dict[str, dict[str, Any]]:
        """The relative path of every object below and the store's facts about it, a page a request."""
        with _clear_errors(self):
            found = self._system.find(self._key, detail=True)
        start = self._key.rstrip("/") + "/"
        return {name.removeprefix(start): info for name, info in found.items() if name.startswith(start)}

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: a folder exists as soon as something is in it."""

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with _clear_errors(self):
                self._system.rm_file(self._key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove every object below; no error if there are none."""
        # One by one: given a path to remove recursively, fsspec treats it as a pattern.
        for _ in each(list(self.rglob("*")), lambda path: path.unlink(missing_ok=True), cast(Path, self)):
            pass

    def open(self, mode: str = "rb", buffering: int = -1) -> io.RawIOBase | io.BufferedReader:
        """Open the file for reading; with `buffering=0` each read is a request for just that range."""
        if mode != "rb":
            raise ValueError(f"files in a store are opened to read and written by `put`, not mode {mode!r}")
        return io.BufferedReader(_Reader(self), _BUFFER_BYTES) if buffering else _Reader(self)

    def read_bytes(self) -> bytes:
        """The whole object, in one request."""
        with _clear_errors(self):
            return bytes(self._system.cat_file(self._key))

    def read_tail(self, size: int) -> bytes:
        """The last `size` bytes, or all if there are fewer, in one request."""
        with _clear_errors(self):
            return bytes(self._system.cat_file(self._key, start=-size))

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes at each (offset, size), one request each, many at once; shorter past the end."""
        wanted = [(start, start + size) for start, size in ranges if size]
        with _clear_errors(self):
            read = self._system.cat_ranges(
                [self._key] * len(wanted),
                [start for start, _ in wanted],
                [end for _, end in wanted],
                on_error="raise",
            )
        found = iter(read)
        return [bytes(next(found)) if size else b"" for _, size in ranges]

    def put(self, data: bytes, create: bool = False) -> None:
        """Write the whole object atomically; with `create`, raises `FileExistsError` if it exists.

        A store without conditional writes overwrites it nevertheless.
        """
        with _clear_errors(self):
            if not create:
                self._system.pipe_file(self._key, data)
                return
            try:
                self._system.pipe_file(self._key, data, mode="create")
            except (OSError, NotImplementedError) as error:
                if isinstance(error, OSError) and error.errno != errno.ENOSYS:
                    raise
                self._system.pipe_file(self._key, data)

    @property
    def _key(self) -> str:
        return str(self._system._strip_protocol(self._text))

    def _kind(self) -> str:
        try:
            return str(self._info()["type"])
        except FileNotFoundError:
            return ""

    def _info(self) -> Mapping[str, Any]:
        """What the listing that it came from said about it, or else what the store says now."""
        if self._found is not None:
            return self._found
        with _clear_errors(self):
            return cast(Mapping[str, Any], self._system.info(self._key))


class _Reader(io.RawIOBase):
    """A file in a store, of known size; every read is a request for a range."""

    def __init__(self, path: StorePath) -> None:
        self._path, self._size, self._at = path, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        (data,) = self._path.read_ranges([(self._at, max(0, min(len(buffer), self._size - self._at)))])
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        return self.read(max(0, self._size - self._at)) or b""


def modified_ns(info: Mapping[str, Any]) -> int:
    """The modification time in a listing, in nanoseconds since 1970; 0 if the store gives none."""
    for name in ("LastModified", "mtime", "updated", "last_modified", "created"):
        value = info.get(name)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            value = value.timestamp()
        if isinstance(value, int | float):
            return round(value * 1e6) * 1000
    return 0


def _file_system(text: str, scheme: str) -> Any:
    """The fsspec file system for an address."""
    if re.match(r"[^/]*:[^/]*@", text.partition("://")[2]):
        raise LookalikeError(
            f"an address of {scheme}:// holds a password, which would be written into the collection",
            "give it by the store's environment variables or configuration",
        )
    if scheme in ("http", "https", "file", "local"):
        raise LookalikeError(
            f"{text} is not a folder in an object store",
            "give a folder, or an address such as s3://bucket/photos",
        )
    try:
        import fsspec
    except ImportError:
        raise ExtraError(f"{text} needs fsspec", "s3" if scheme in ("s3", "s3a") else "remote") from None
    try:
        return fsspec.core.url_to_fs(text, **_OPTIONS.get(scheme, {}))[0]
    except ImportError as error:
        if scheme in ("s3", "s3a"):
            raise ExtraError(f"{text} needs s3fs", "s3") from None
        raise LookalikeError(f"{text} needs a library that is not installed", one_line(error)) from None
    except ValueError as error:
        raise LookalikeError(f"{text} cannot be opened: {one_line(error)}") from None


@contextmanager
def _clear_errors(path: StorePath) -> Iterator[None]:
    """Turn any error of a store's library into `FileNotFoundError` or `StoreError`."""
    try:
        yield
    except FileNotFoundError as error:
        what = one_line(error) if " " in str(error) else "there is no such object"
        raise FileNotFoundError(errno.ENOENT, what, str(path)) from error
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, "it already exists", str(path)) from error
    except Exception as error:  # each library has its own errors for connections and credentials
        raise StoreError(str(path), one_line(error)) from error
