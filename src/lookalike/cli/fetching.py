"""Says on stderr what is fetched from a hub, before it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.cli.output import say

_HUB = "lookalike.models.hub"


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def said_what_is_fetched() -> Iterator[None]:
    """During the block, each fetch is a line on stderr."""
    logger, handler = logging.getLogger(_HUB), _Saying()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
