"""Says on stderr what models fetch, or take long to compute, before they do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.cli.output import say

_MODELS = "lookalike.models"


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def said_what_is_fetched() -> Iterator[None]:
    """During the block, each fetch, and each long work on words, is a line on stderr."""
    logger, handler = logging.getLogger(_MODELS), _Saying()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
