"""The tree of errors. Each says what happened, and its hint says what to do next."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from lookalike.extras import install_command


def one_line(error: BaseException) -> str:
    """An error's message without line breaks, or its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


def counted(count: int, noun: str) -> str:
    """A number of things as one says it: `1 image`, `2,000 images`, `1 class`, `2 queries`."""
    if count == 1:
        return f"1 {noun}"
    ending = "ies" if noun.endswith("y") else "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{count:,} {noun.removesuffix('y') if ending == 'ies' else noun}{ending}"


def call_of_build(root: object, rest: str = "") -> str:
    """The call that builds the collection at a path, as a hint has it."""
    return f"`lookalike.build(source, collection={str(root)!r}{rest})`"


def call(path: object, method: str) -> str:
    """A method of the collection at a path, as a hint has it: `lookalike.open('photos/').index()`."""
    return f"`lookalike.open({str(path)!r}).{method}`"


class LookalikeError(Exception):
    """Any error that Lookalike raises on purpose: a one-line message, and a hint with the next step.

    Backticks in a hint contain Python: an argument, as in "raise `max_megapixels`", or a call. The
    command line turns both into its own flags and commands.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class ArgumentError(LookalikeError, TypeError):
    """An argument of a public function has the wrong type."""


class ExtraError(LookalikeError):
    """An optional feature needs a library that is not installed."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(need, install_command(extra))
        self.extra = extra


class MemoryLimitError(LookalikeError):
    """The work needs more memory than the limit; `need_bytes` would be enough."""

    def __init__(self, what: str, need_bytes: int, limit_bytes: int, otherwise: str = "") -> None:
        self.what, self.need_bytes = what, need_bytes
        super().__init__(
            f"{what} needs at least {need_bytes:,} bytes, the limit is {limit_bytes:,}",
            f"raise it to `max_memory_bytes={need_bytes}`{otherwise}",
        )


class ImageError(LookalikeError):
    """A picture cannot be read, or is larger than the limit."""


class SourceError(LookalikeError):
    """A source of images is missing, empty or of an unknown kind."""


class ModelError(LookalikeError):
    """A model is unknown, cannot run here, or is not the one that the collection was built with."""


class ModelExtraError(ModelError, ExtraError):
    """The model of a collection needs a library that is not installed."""


class NoGainError(LookalikeError):
    """Nothing that was learned finds held-out pictures better; `report` has what was measured."""

    def __init__(self, message: str, hint: str, report: Any) -> None:
        super().__init__(message, hint)
        self.report = report


class CollectionError(LookalikeError):
    """A folder is not a collection, is damaged, or has a format that this version cannot read."""


class ChangedError(CollectionError):
    """A build changed the collection while a state of it was being read."""


class LockedError(CollectionError):
    """Another process is writing the collection."""


class StorageError(CollectionError):
    """The disk could not be written: it is full, read-only, or permission is missing."""


class StoreError(LookalikeError, OSError):
    """An object store cannot be reached, or refuses the request; `strerror` is the reason."""

    def __init__(self, address: str, reason: str) -> None:
        scheme = address.partition("://")[0]
        super().__init__(
            f"{address}: {reason}",
            f"check the address, the network and the credentials that {scheme}:// takes from the environment",
        )
        self.errno, self.strerror = errno.EIO, reason


class QueryError(LookalikeError):
    """A query is not a picture, names an unknown id, or asks for an impossible number of results."""


class UnknownColumnError(QueryError, KeyError):
    """A collection has no column of that name."""


class UnknownWordError(QueryError):
    """A model does not know a word; `nearest` are words that it knows and that may be meant."""

    def __init__(self, message: str, hint: str, nearest: Sequence[str]) -> None:
        super().__init__(message, hint)
        self.nearest = list(nearest)


class UnknownIdError(QueryError, KeyError):
    """A collection has no item with that id; `nearest` are the ids with the most similar spelling.

    `example` is an id that it has; None if it has no items.
    """

    def __init__(self, message: str, nearest: Sequence[str], example: str | None = None) -> None:
        shown = f"an id is a name below the source, such as {example}" if example else ""
        super().__init__(message, f"did you mean {' or '.join(nearest)}?" if nearest else shown)
        self.nearest = list(nearest)
