"""Prepares whatever the first search would have to wait for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.server.live import Served


def warm_up(collections: Iterable[Served]) -> None:
    """Open indexes or hold vectors; load conditions, models and words, learning a collection's own.

    Failures are left for a request to report. Of collections with the same model, the first takes most time.
    """
    # RuntimeError: the server ended meanwhile, and Python starts no more threads.
    passed = LookalikeError, OSError, RuntimeError
    for live in collections:
        with suppress(*passed):
            live.engine().matching("width < 0")
        with suppress(*passed):
            engine = live.engine()
            _ = engine.background, engine.index or engine.hold()
        with suppress(*passed):
            model = live.engine().snapshot.model
            model.embed_text("dog")
            if model.presence is not None:
                model.presence("dog", np.empty((0, model.dim), np.float32))
        with suppress(*passed):
            _ = live.engine().words
