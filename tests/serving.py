"""A real server on a free port for a with block, and how to read its answers."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from PIL import Image

import lookalike
from lookalike.server import Access, create_app
from lookalike.server.run import listen
from lookalike.sources.fetch import FetchOptions


class Server(uvicorn.Server):
    """Ends the connections too that a browser opened, for later use, while the server ended."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        await asyncio.sleep(0)  # until they have ended


@contextmanager
def running(
    *collections: lookalike.Collection,
    port: int = 0,
    access: Access | None = None,
    url_queries: FetchOptions | None = None,
    max_condition_s: float = 5.0,
    read_only: bool = False,
) -> Iterator[str]:
    """Serve collections; gives the address of the page, like `http://127.0.0.1:40123/`."""
    with listen("127.0.0.1", port) as listener:
        paths = [one.path for one in collections]
        app = create_app(paths, access, url_queries, max_condition_s=max_condition_s, read_only=read_only)
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=5,
        )
        server = Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
            app.state.pictures.close()


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def problem(response: httpx.Response) -> tuple[int, str, str]:
    """Status, end of the type, and detail of an answer that says what went wrong."""
    assert response.headers["content-type"] == "application/problem+json"
    fields = response.json()
    assert fields["status"] == response.status_code
    assert fields["title"]
    return response.status_code, fields["type"].removeprefix("urn:lookalike:"), fields["detail"]
