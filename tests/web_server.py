"""A web server on the loopback that misbehaves as the web does, and counts what it is asked."""

from __future__ import annotations

import asyncio
import gzip
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from conftest import picture

HTML = b"<!DOCTYPE html><html><body>Not found, but with a picture's name</body></html>"


def jpeg(seed: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    picture(seed, size=size).save(file, "JPEG", quality=90)
    return file.getvalue()


@dataclass
class Web:
    """A running server. `asked` counts paths; `most_at_once` the most requests in progress."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    robots: bytes | None = None
    delay_s: float = 0.0
    retry_after: str = "1"
    closed: asyncio.Event | None = None

    async def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the plain answers: /NAME/REST."""
        name, _, rest = path.lstrip("/").partition("/")
        if name == "robots.txt" and self.robots is not None:
            return 200, {}, self.robots
        if name == "ok":  # /ok/SEED.jpg
            await asyncio.sleep(self.delay_s)
            return 200, {"Content-Type": "image/jpeg"}, jpeg(int(rest.partition(".")[0]))
        first = self.asked[path] == 1
        made = {
            "html.jpg": lambda: (200, {"Content-Type": "image/jpeg"}, HTML),
            "half.jpg": lambda: (200, {}, jpeg(5, (400, 300))[:3000]),
            "loop": lambda: (302, {"Location": f"/loop/{int(rest) + 1}"}, b""),
            "to": lambda: (302, {"Location": rest}, b""),
            "status": lambda: (int(rest[:3]), {}, b"no"),
            "busy": lambda: (429, {"Retry-After": "1"}, b"") if first else (200, {}, jpeg(2)),
            "later": lambda: (503, {"Retry-After": self.retry_after}, b""),
            "unavailable": lambda: (503, {}, b"") if first else (200, {}, jpeg(2)),
            "tagged": lambda: (200, {"X-Robots-Tag": rest.replace("_", " ")}, jpeg(3)),
            "bomb": lambda: (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(50_000_000))),
            "packed": lambda: (200, {"Content-Encoding": "gzip"}, gzip.compress(jpeg(4))),
        }
        return made.get(name, lambda: (404, {}, b"nothing here"))()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError), closing(writer):
            while request := await reader.readuntil(b"\r\n\r\n"):
                lines = request.decode("latin-1").split("\r\n")
                path = lines[0].split(" ")[1]
                self.headers = dict(line.split(": ", 1) for line in lines[1:] if line)
                self.asked[path] += 1
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    if not await self._odd(path, writer):
                        break
                finally:
                    self.at_once -= 1

    async def _odd(self, path: str, writer: asyncio.StreamWriter) -> bool:
        """Answer; False where the connection ends with it."""
        if path.startswith("/never"):
            await asyncio.sleep(60)
        if path.startswith("/trickle"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                writer.write(b"\xff")
                await writer.drain()
                await asyncio.sleep(0.1)
        if path.startswith("/endless"):  # 10 GB by its header, or without one
            size = b"Content-Length: 10000000000\r\n" if path.endswith("announced") else b""
            writer.write(b"HTTP/1.1 200 OK\r\n" + size + b"Connection: close\r\n\r\n\xff\xd8")
            while True:
                writer.write(bytes(2**16))
                await writer.drain()
        if path.startswith("/truncated"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n\xff\xd8" + bytes(100))
            await writer.drain()
            return False
        status, headers, body = await self.answer(path)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return True


@contextmanager
def web(**settings: Any) -> Iterator[Web]:
    """The server, in a thread, for a with block."""
    site = Web(**settings)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
        site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        site.closed = asyncio.Event()
        ready.set()
        await site.closed.wait()
        server.close()

    def in_thread() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=in_thread)
    thread.start()
    ready.wait()
    try:
        yield site
    finally:
        loop.call_soon_threadsafe(site.closed.set)
        thread.join()
