"""One tree of errors. Each says what happened, and its hint says what to do next."""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence


def one_line(error: BaseException) -> str:
    """What an error says, without line breaks; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


class LookalikeError(Exception):
    """Anything that Lookalike reports on purpose: one line of message, and a hint with the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class ExtraError(LookalikeError):
    """A library that an optional part needs is not installed."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(need, f"pip install 'lookalike[{extra}]'")


class MemoryLimitError(LookalikeError):
    """Work needs more memory than it may take; `need_bytes` would do."""

    def __init__(self, what: str, need_bytes: int, limit_bytes: int, otherwise: str = "") -> None:
        self.what, self.need_bytes = what, need_bytes
        super().__init__(
            f"{what} needs at least {need_bytes:,} bytes, the limit is {limit_bytes:,}",
            f"raise it with --max-memory {math.ceil(need_bytes / 1e6)}MB{otherwise}",
        )


class ImageError(LookalikeError):
    """A picture cannot be read, or is larger than the limit."""


class SourceError(LookalikeError):
    """A source of images is missing, empty or of a kind that is not known."""


class ModelError(LookalikeError):
    """A model is unknown, cannot run here, or is not the one a collection was built with."""


class CollectionError(LookalikeError):
    """A folder is not a collection, is damaged, or has a format that this version does not read."""


class ChangedError(CollectionError):
    """A collection was changed by a build while a state of it was read."""


class LockedError(CollectionError):
    """Another process is writing the collection."""


class StorageError(CollectionError):
    """The disk refused a write: full, read-only or without permission."""


class StoreError(LookalikeError, OSError):
    """An object store cannot be reached, or refuses; `strerror` is its reason."""

    def __init__(self, address: str, reason: str) -> None:
        scheme = address.partition("://")[0]
        super().__init__(
            f"{address}: {reason}",
            f"check the address, the network and the credentials that {scheme}:// takes from the environment",
        )
        self.errno, self.strerror = errno.EIO, reason


class QueryError(LookalikeError):
    """A query is no picture, names an unknown id, or asks for an impossible number of results."""


class UnknownColumnError(QueryError):
    """A condition names a column that is not there."""


class UnknownWordError(QueryError):
    """A model has no such word; `nearest` are words that it knows and that may be meant."""

    def __init__(self, message: str, hint: str, nearest: Sequence[str]) -> None:
        super().__init__(message, hint)
        self.nearest = list(nearest)


class UnknownIdError(QueryError, KeyError):
    """A collection has no item of that id; `nearest` are the ids that are spelled most like it."""

    def __init__(self, message: str, nearest: Sequence[str]) -> None:
        super().__init__(message, f"did you mean {' or '.join(nearest)}?" if nearest else "")
        self.nearest = list(nearest)
