"""The words that a site's visitors can search for: the collection's own, its model's, or any text."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import ModelError, QueryError
from lookalike.export.files import write, write_json
from lookalike.export.text import BrowserText
from lookalike.export.vector_format import float32_file, int8_file
from lookalike.images.color_names import NAMES
from lookalike.models.class_words import ClassWords, class_tables, read_words
from lookalike.models.known import BUILT_IN
from lookalike.search.colored import shares_of
from lookalike.search.engine import Engine
from lookalike.search.own_words import own_tables, own_words
from lookalike.storage.snapshot import Snapshot

logger = logging.getLogger(__name__)


def write_words(engine: Engine, data: Path, count: int, text: BrowserText | None) -> dict[str, Any]:
    """Write the words into a folder, and the colours of the first `count` pictures.

    Returns which there are: any, the built-in model's names, the classes that a model was taught, own ones,
    any `text`, `colors`, and those that only a server reads.
    """
    snapshot = engine.snapshot
    knows_names = snapshot.manifest.model.name == BUILT_IN and _can_read(snapshot)
    if knows_names:
        from lookalike.models.relatives import said_of_kinds
        from lookalike.models.words import tables

        rules, directions = tables()
        write_json(data / "words.json", rules | {"kinds": said_of_kinds()})
        write(data / "words.bin", int8_file(directions))
    classes = _classes(snapshot)
    if classes:
        write_json(data / "class_words.json", class_tables(classes))
        write(data / "class_words.bin", int8_file(classes.vectors))
    if text:
        write(data / "rivals.bin", float32_file(text.rivals))
    own = own_words(snapshot, engine.vectors_at)
    write_json(data / "own_words.json", own_tables(own))
    if own.words:
        write(data / "own_words.bin", int8_file(np.stack([one.vector for one in own.words])))
    colors = _write_colors(engine, data, count)
    reads_here = bool(knows_names or classes or text)
    return {
        "words": reads_here or bool(own.words),
        **({"colors": list(NAMES)} if colors else {}),
        "model_words": knows_names,
        "class_words": classes is not None,
        "own_words": bool(own.words),
        **({"text": text.entry} if text else {}),
        "words_elsewhere": not reads_here
        and (bool(snapshot.manifest.model.text_sha256) or _can_read(snapshot)),
    }


def _write_colors(engine: Engine, data: Path, count: int) -> bool:
    """Write the share of each named colour in each picture, (count, C) bytes, if colours are words here."""
    try:
        if not engine.words.takes_colors:
            return False
        shares = shares_of(engine.snapshot)
    except (ModelError, QueryError) as error:  # no words at all, no thumbnails, or too many pictures
        logger.info("the site knows no colours: %s", error.message)
        return False
    write(data / "colors.bin", shares[:count].tobytes())
    return True


def _can_read(snapshot: Snapshot) -> bool:
    """Whether the collection's model is here and knows words."""
    with suppress(ModelError):  # another version: items and own words can still be queries
        return snapshot.model.text_vector is not None
    return False


def _classes(snapshot: Snapshot) -> ClassWords | None:
    """The classes that the collection's model was taught; None if it has none, or is not here."""
    with suppress(ModelError):
        return read_words(Path(snapshot.model.path), snapshot.dim) if snapshot.model.path else None
    return None
