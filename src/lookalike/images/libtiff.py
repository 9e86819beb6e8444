"""What libtiff, and the libjpeg in it, says about a damaged TIFF, which Pillow calls "decoder error -2".

libtiff writes to the file descriptor 2, from any thread. So a TIFF that failed is decoded once more while no
other thread decodes one, and only then does a program that has given us this descriptor record it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from lookalike.errors import ImageError

# A context in which the file descriptor 2 is recorded, whose value returns the text so far.
Recorder = Callable[[], AbstractContextManager[Callable[[], str]]]

# libtiff starts a line with the name of a function, or of the file, which Pillow calls tempfile.tif.
_COMPLAINT = re.compile(r"^(?:(?:_?TIFF|JPEGLib|\w+Decode)\w*|tempfile\.tif): (?!Warning)(.+)$", re.MULTILINE)
_MOST_CHARACTERS = 200


class Complaints:
    """Many threads may decode TIFFs, or one listens to libtiff."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._changed = threading.Condition()
        self._decoding, self._is_listening = 0, False

    @contextmanager
    def recorded_by(self, recorder: Recorder) -> Iterator[None]:
        """Let failures during the block have libtiff's words."""
        self._recorder = recorder
        try:
            yield
        finally:
            self._recorder = None

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Hold while a TIFF is decoded; waits while another thread listens."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_listening)
            self._decoding += 1
        try:
            yield
        finally:
            with self._changed:
                self._decoding -= 1
                self._changed.notify_all()

    def about(self, decode: Callable[[], object]) -> str:
        """What libtiff says first in `decode`, without line breaks and full stop; empty if unknown."""
        if self._recorder is None:
            return ""
        with self._listening(), suppress(OSError), self._recorder() as text_so_far:
            with suppress(ImageError):
                decode()
            if found := _COMPLAINT.search(text_so_far()):
                line = "".join(one if one.isprintable() else " " for one in found[1])
                return line[:_MOST_CHARACTERS].rstrip(". ")
        return ""

    @contextmanager
    def _listening(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_listening)
            self._is_listening = True
            self._changed.wait_for(lambda: not self._decoding)
        try:
            yield
        finally:
            with self._changed:
                self._is_listening = False
                self._changed.notify_all()


COMPLAINTS = Complaints()
