"""Runs the server of a collection in its own process and sends it requests, for server.py and search.py.

Requests are HTTP/1.1 over persistent connections. It uses nothing of the library but its command line.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

CLIENTS = 8
Request = Callable[[int], bytes]


@dataclass(frozen=True)
class Server:
    """A running server: its port, its process, and its start time (`time.perf_counter`)."""

    port: int
    process: subprocess.Popen[str]
    started_s: float


@contextmanager
def serving(collection: Path) -> Iterator[Server]:
    """Run `lookalike serve` on a free port during the block, once it prints its address."""
    words = [sys.executable, "-m", "lookalike", "serve", str(collection), "--port", "0", "--no-browser"]
    started_s = time.perf_counter()
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        found = re.search(r":(\d+)/", line)
        assert found, line
        try:
            yield Server(int(found[1]), process, started_s)
        finally:
            process.terminate()


async def load_of(
    port: int, request: Request, seconds: float, clients: int = CLIENTS
) -> list[tuple[float, int]]:
    """Each client sends the next request when the last is answered. Returns latency and status of each."""
    answers: list[tuple[float, int]] = []
    numbers, end = iter(range(10**9)), time.perf_counter() + seconds

    async def client() -> None:
        async with connection(port) as (reader, writer):
            while (started := time.perf_counter()) < end:
                status = await ask(reader, writer, request(next(numbers)))
                answers.append((time.perf_counter() - started, status))

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def load_at(port: int, request: Request, seconds: float, rate: float) -> list[tuple[float, int]]:
    """Requests that are due at a fixed rate, each sent by the first client that is free."""
    answers: list[tuple[float, int]] = []
    numbers, began = iter(range(int(seconds * rate))), time.perf_counter()

    async def client() -> None:
        async with connection(port) as (reader, writer):
            for number in numbers:
                due = began + number / rate
                await asyncio.sleep(max(0, due - time.perf_counter()))
                status = await ask(reader, writer, request(number))
                answers.append((time.perf_counter() - due, status))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return answers


async def status_of(port: int, request: bytes) -> int:
    """Send one request over a connection of its own; returns the status."""
    async with connection(port) as (reader, writer):
        return await ask(reader, writer, request)


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send a request and read its whole answer, whose length the server states; returns the status."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length, head
    await reader.readexactly(int(length[1]))
    return int(head[9:12])


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: bytes, kind: str = "application/json") -> bytes:
    about = f"Content-Type: {kind}\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{about}\r\n\r\n".encode() + body


def figures(answers: list[tuple[float, int]], span_s: float, server_cpu_s: float) -> dict[str, float]:
    """Requests a second, latencies in ms, errors, and the server's processor time for each request."""
    times = sorted(1000 * latency for latency, _ in answers)
    return {
        "rate": len(times) / span_s,
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(len(times) * 0.99)],
        "most_ms": times[-1],
        "errors": sum(status != 200 for _, status in answers),
        "cpu_ms": 1000 * server_cpu_s / len(times),
    }


def cpu_s(process: subprocess.Popen[str]) -> float:
    """The server's processor time: unlike elapsed time, the same on a busy machine."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: subprocess.Popen[str], kind: str = "RssAnon") -> float:
    """The server's own memory in MB; `RssFile` is mapped from files and can be reclaimed."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{kind}:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
