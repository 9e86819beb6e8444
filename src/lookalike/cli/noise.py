"""Keeps the messages of C libraries about damaged pictures out of the terminal.

libtiff reports each flaw of a file on the file descriptor 2, past Python, and from any thread. So during
a command that descriptor leads nowhere, and `sys.stderr` to its old target. The failure's row says what is
wrong: for it, the descriptor leads to a file while one damaged TIFF is decoded again. `faulthandler` still
reports a crash.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from lookalike.images.libtiff import COMPLAINTS

_STDERR = 2
_MOST_BYTES = 10_000


@contextmanager
def without_noise() -> Iterator[None]:
    """Let only Python write to the terminal's stderr during the block; no change if it is another file."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    warnings.filterwarnings("ignore", module="PIL")
    ours = sys.stderr
    if not isinstance(ours, io.TextIOWrapper) or _descriptor(ours) != _STDERR:
        yield
        return
    ours.flush()
    kept = os.dup(_STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    sys.stderr = io.TextIOWrapper(
        io.FileIO(os.dup(kept), "w"),
        ours.encoding,
        "backslashreplace",
        line_buffering=True,
        write_through=True,
    )
    faulthandler.enable(kept)
    os.dup2(nowhere, _STDERR)
    try:
        with COMPLAINTS.recorded_by(partial(_recorded, nowhere)):
            yield
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.close()
        sys.stderr = ours
        os.dup2(kept, _STDERR)
        faulthandler.disable()
        os.close(nowhere)
        os.close(kept)


@contextmanager
def _recorded(nowhere: int) -> Iterator[Callable[[], str]]:
    """Lead the descriptor to a file during the block; the value returns what is in it."""
    with tempfile.TemporaryFile() as file:

        def text_so_far() -> str:
            file.seek(0)
            return file.read(_MOST_BYTES).decode("utf-8", "replace")

        os.dup2(file.fileno(), _STDERR)
        try:
            yield text_so_far
        finally:
            os.dup2(nowhere, _STDERR)


def _descriptor(stream: io.TextIOWrapper) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
