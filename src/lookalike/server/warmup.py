"""What the first search would have to wait for, done while nobody waits."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from lookalike.errors import LookalikeError
from lookalike.search.where import parse_condition
from lookalike.server.live import LiveCollection


def warm_up(collections: Iterable[LiveCollection]) -> None:
    """Load the library of conditions, the models and their words; what cannot be had is left for a request.

    Of collections that are equally made the first takes all the time.
    """
    for live in collections:
        with suppress(LookalikeError, OSError):
            items = live.state().items
            parse_condition("id = ''", items.schema).mask(items[:1])
        with suppress(LookalikeError, OSError):
            live.state().collection.model.embed_text("dog")
