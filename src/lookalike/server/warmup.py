"""What the first search would have to wait for, done while nobody waits."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from lookalike.errors import LookalikeError
from lookalike.server.live import Served


def warm_up(collections: Iterable[Served]) -> None:
    """Open the indexes or hold the vectors, load the library of conditions, the models and their words.

    What cannot be had is left for a request. Of collections that are equally made the first takes most time.
    """
    for live in collections:
        with suppress(LookalikeError, OSError):
            live.engine().matching("width < 0")
        with suppress(LookalikeError, OSError):
            engine = live.engine()
            _ = engine.background, engine.index or engine.hold()
        with suppress(LookalikeError, OSError):
            live.engine().snapshot.model.embed_text("dog")
