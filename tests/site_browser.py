"""A static site as a browser gets it: a plain file server, and a tab that asks no other host for anything."""

from __future__ import annotations

import functools
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pages import watch


class FileServer(http.server.ThreadingHTTPServer):
    """What any web host does. `asked` has the paths; one with a part in `held` waits until that is out."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.held: set[str] = set()
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        while any(part in self.path for part in self.server.held):
            time.sleep(0.02)
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    with FileServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.held.clear()
            server.shutdown()
            thread.join()


@contextmanager
def tab(window: Any, address: str) -> Iterator[Any]:
    """A tab; at its end it has asked no other host, and logged no error but those taken out of `errors`."""
    page = window.new_page()
    page.errors = []
    asked = watch(page, page.errors)
    page.goto(address)
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert page.errors == []
