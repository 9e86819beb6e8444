"""Says on stderr what models fetch, or take long to compute, and what an export leaves out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.cli.output import say

_LOGGERS = ("lookalike.models", "lookalike.export")


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def said_what_is_fetched() -> Iterator[None]:
    """During the block, each fetch, long work on words and remark on an export is a line on stderr."""
    loggers, handler = [logging.getLogger(name) for name in _LOGGERS], _Saying()
    before = [(one.level, one.propagate) for one in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.level, logger.propagate = level, propagate
