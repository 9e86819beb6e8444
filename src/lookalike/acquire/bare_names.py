"""Names without folder and ending, as the original image_embeddings library gives them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from lookalike.images.formats import SUFFIXES

# Characters that a file name cannot have, or that would end or change the path in a picture's address.
_UNSAFE = re.compile(r"[/\\?#%\x00-\x1f\x7f]")
# A file's name has at most 255 bytes, including an ending and a number.
_LONGEST_BYTES = 200


def bare_names(ids: Sequence[str]) -> list[str]:
    """Name each image by its file's name without the ending: `2021/beach.jpg` becomes `beach`.

    No two share a name, and the order of the ids does not matter: if several would, all of them get their
    folders (`2021_beach`), and if need be the ending too (`2021_beach.jpg`), and at last a number.
    The names are safe in file systems and addresses: `#`, `?`, `%` and the like become `_`.
    """
    names = [_safe(_without_ending(id_.rpartition("/")[2])) for id_ in ids]
    for longer in (_without_ending, str):
        count = Counter(names)
        names = [_safe(longer(id_)) if count[one] > 1 else one for one, id_ in zip(names, ids, strict=True)]
    return _numbered(names)


def _without_ending(path: str) -> str:
    ending = PurePosixPath(path).suffix
    return path.removesuffix(ending) if ending.lower() in SUFFIXES else path


def _safe(name: str) -> str:
    short = _UNSAFE.sub("_", name).encode()[:_LONGEST_BYTES].decode(errors="ignore")
    return short if short not in ("", ".", "..") else "_"


def _numbered(names: list[str]) -> list[str]:
    """The names; the second use of a name gets `~2`, the third `~3`."""
    taken, found, count = set(names), list[str](), Counter[str]()
    for name in names:
        count[name] += 1
        unique = name
        while count[name] > 1 and unique in taken:
            unique = f"{name}~{count[name]}"
            count[name] += unique in taken
        taken.add(unique)
        found.append(unique)
    return found
