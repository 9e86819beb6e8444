"""A sample: one image that a source yields, not read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lookalike.storage.parts import Failure


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, not read yet.

    `id` names it in the collection and is unique there; for a folder it is the relative path.
    `uri`, `size_bytes` and `mtime_ns` together tell a later build whether it has changed; the size is None
    if only reading would tell.
    `read` returns the encoded bytes and may raise `OSError`. `metadata` becomes columns.
    """

    id: str
    uri: str
    size_bytes: int | None
    mtime_ns: int
    read: Callable[[], bytes]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def refused(self, reason: str) -> Failure:
        """Return the failure of a sample that was listed but cannot be used."""
        return Failure(self.id, self.uri, "list", reason)


def clean_text(text: str) -> str:
    """The text with halves of characters, which JSON can write but UTF-8 cannot, as \\ud83d."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
