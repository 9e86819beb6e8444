"""Keeps the messages of C libraries about damaged pictures out of the terminal.

libtiff reports each flaw of a file on the file descriptor 2, past Python, and from any thread. So during
a command that descriptor leads nowhere, and `sys.stderr` to its old target: nothing is switched while
threads run. The failure's row says what is wrong. `faulthandler` still reports a crash.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STDERR = 2


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
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.close()
        sys.stderr = ours
        os.dup2(kept, _STDERR)
        faulthandler.disable()
        os.close(nowhere)
        os.close(kept)


def _descriptor(stream: io.TextIOWrapper) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
