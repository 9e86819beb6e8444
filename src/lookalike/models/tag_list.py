"""A user's own list of tags: read from a file or given as names; a model that knows words looks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, SourceError
from lookalike.models.model import LoadedModel, Tags, unit

Floats = NDArray[np.float32]

_MOST_TAGS, _MOST_CHARACTERS = 10_000, 200
_MOST_BYTES = _MOST_TAGS * _MOST_CHARACTERS * 4


def tag_list(given: str | Path | Sequence[str]) -> tuple[str, ...]:
    """The distinct tags of a list, or of a text file with one on each line, in their order.

    Empty lines are skipped. Raises `SourceError` if the file cannot be read, there are no tags or more than
    10,000, or one has more than 200 characters.
    """
    what, lines = (
        ("the list", list(given)) if not isinstance(given, str | Path) else (given, _lines(Path(given)))
    )
    if not all(isinstance(line, str) for line in lines):
        raise SourceError("a tag is not text", "tags are names: ['daisy', 'rose']")
    names = tuple(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))
    if not names:
        raise SourceError(f"{what} has no tags", "write one on each line")
    if len(names) > _MOST_TAGS:
        raise SourceError(f"{what} has {len(names):,} tags, the limit is {_MOST_TAGS:,}", "use fewer")
    for name in names:
        if len(name) > _MOST_CHARACTERS or not name.isprintable():
            raise SourceError(
                f"{what} has the tag {name[:40]!r}, which is too long or cannot be printed",
                f"a tag has at most {_MOST_CHARACTERS} letters",
            )
    return names


def with_tags(model: LoadedModel, names: tuple[str, ...]) -> LoadedModel:
    """The model, giving tags of this list only; without names, the model as it is.

    Raises `ModelError` if it knows no words, and `QueryError` if it does not know one of these.
    """
    if not names:
        return model
    if model.tags_of is None:
        raise ModelError(
            f"the model {model.name} knows no words, so it cannot tag by a list",
            "leave `tags` out, or build with a model that has a text tower",
        )
    return replace(
        model,
        tags=partial(_tags, model.tags_of, names),
        tag_list=names,
        loader=model.loader and partial(_with_tags_again, model.loader, names),
    )


def check_tags(model: LoadedModel) -> None:
    """Try the words of a model's tags; raises `QueryError` and `ModelError` as these do."""
    if model.tags is not None:
        model.tags(np.ones((1, model.dim), np.float32))


def _tags(
    tags_of: Callable[[tuple[str, ...], Floats], Tags], names: tuple[str, ...], features: Floats
) -> Tags:
    return tags_of(names, unit(features))


def _with_tags_again(loader: Callable[[], LoadedModel], names: tuple[str, ...]) -> LoadedModel:
    return with_tags(loader(), names)


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"the tags {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SourceError(f"the tags {path} are not text in UTF-8", "save the file as UTF-8") from None
    if len(data) > _MOST_BYTES:
        raise SourceError(f"{path} is too large for a list of tags", f"it may have {_MOST_TAGS:,} tags")
    return text.splitlines()
