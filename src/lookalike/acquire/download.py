"""Download a list of URLs into shards of resized images, with a status row for every URL.

One event loop handles the network and passes the bodies to threads, one a core, that decode and resize,
because decoders release the interpreter lock. The list is read as it is needed, with a few shards open at a
time, so memory does not grow with the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.acquire.output import Output, open_output
from lookalike.acquire.report import DownloadReport, Tally
from lookalike.acquire.resize import MEASURES, Resize
from lookalike.acquire.seen import Seen
from lookalike.acquire.shards import writing_shard
from lookalike.acquire.status import (
    DUPLICATE,
    FAILED,
    FIELDS,
    SUCCESS,
    Chunk,
    chunks_left,
    column_name,
    failed_chunks,
    status_files,
    write_status,
)
from lookalike.checking import checked
from lookalike.errors import ImageError, LookalikeError, SourceError
from lookalike.images.memory import DECODING
from lookalike.parallel import cores
from lookalike.sources.fetch import Fetched, FetchError, FetchOptions
from lookalike.sources.fetch.fetcher import Fetcher
from lookalike.sources.url_lists import UrlList, open_url_list
from lookalike.storage.stores import is_remote, place

SHARD_SIZE = 1000

# While the last URLs of a shard wait for slow hosts, this many further shards may be begun.
_OPEN_SHARDS = 4
_REPORT_EVERY_S = 0.5

# The number of tasks for each connection: URLs of a busy host wait without blocking others.
_WINDOW = 16

# The facts about an image, written beside it with its URL.
_BESIDE = ("url", *MEASURES)

OnProgress = Callable[[DownloadReport], None]
Chunks = Iterator[tuple[Chunk, Sequence[bool]]]


@checked
def download(
    urls: str | Path,
    out: str | Path,
    *,
    url_column: str | None = None,
    metadata_columns: Sequence[str] | None = None,
    format: str = "tar",
    resize: Resize = Resize(),
    fetch: FetchOptions = FetchOptions(),
    shard_size: int = SHARD_SIZE,
    count: int | None = None,
    retry_failed: bool = False,
    threads: int | None = None,
    max_memory_bytes: int | None = None,
    on_progress: OnProgress | None = None,
) -> DownloadReport:
    """Download a list of URLs into a folder of shards, continuing where an earlier run stopped.

    `count` limits the rows of the list, `retry_failed` takes only URLs that failed, into new shards.
    `max_memory_bytes` limits the memory for decoding, all threads together, by default to 1 GB.
    `on_progress` is called twice a second.
    Raises `LookalikeError` for a list or a folder that cannot be used; a URL that fails is a status row.
    """
    if is_remote(place(out)):
        hint = f"download to a folder, then pack it: `lookalike.acquire.pack.pack(folder, {str(out)!r})`"
        raise LookalikeError(f"a download must be able to resume, which does not work in {out}", hint)
    url_list = open_url_list(urls, url_column, metadata_columns)
    with (
        DECODING.limited_to(max_memory_bytes),
        open_output(Path(out), format, asdict(resize)) as output,
    ):
        if retry_failed:
            chunks = failed_chunks(output.status_folder, url_list.columns, shard_size, output.is_free)
        else:
            rows = islice(url_list.rows(), count)
            chunks = chunks_left(rows, output.status_folder, shard_size, Seen(), output.is_free)
        run = _Run(output, url_list, resize, fetch, threads or cores())
        try:
            asyncio.run(run.all(chunks, on_progress))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            output.write_report(run.report().as_dict())
        if not status_files(output.status_folder):
            raise SourceError(f"{url_list.address} is an empty list")
    return run.report()


class _Shard:
    """A shard being filled: images are written as they arrive, rows when it is committed."""

    def __init__(self, output: Output, chunk: Chunk, columns: Mapping[str, pa.DataType]) -> None:
        self.chunk = chunk
        self.left = len(chunk.rows)
        self._output, self._columns = output, columns
        self._rows: list[dict[str, Any]] = [
            {
                "key": output.key(chunk.number, index),
                "url": url,
                **{column_name(name): value for name, value in metadata.items()},
            }
            for index, (url, metadata) in enumerate(chunk.rows)
        ]
        self._listed = [column_name(name) for name in columns]
        types = {field.name: field.type for field in FIELDS if field.name in _BESIDE}
        types |= dict(zip(self._listed, columns.values(), strict=True))
        output.begin(chunk.number)
        self._stack = ExitStack()
        self._add = self._stack.enter_context(writing_shard(output.shard(chunk.number), output.format, types))

    def add(self, index: int, outcome: Mapping[str, Any], data: bytes | None = None) -> None:
        """Complete a row, and write its image if there is one."""
        row = self._rows[index]
        row.update(outcome)
        if data is not None:
            self._add(row["key"], data, {name: row[name] for name in (*_BESIDE, *self._listed)})
        self.left -= 1

    def commit(self) -> None:
        self._stack.close()
        write_status(self._output.status(self.chunk.number), self.chunk, self._rows, self._columns)
        self._output.finish(self.chunk.number)

    def abandon(self, error: BaseException) -> None:
        """Remove what was written."""
        with suppress(BaseException):  # the file sees the error, removes itself and raises the error again
            self._stack.__exit__(type(error), error, error.__traceback__)


class _Run:
    """One run of a download."""

    def __init__(
        self, output: Output, url_list: UrlList, resize: Resize, options: FetchOptions, threads: int
    ) -> None:
        self._output, self._columns, self._resize = output, url_list.columns, resize
        self._decoders = ThreadPoolExecutor(threads, "decode")
        self._tally = Tally()
        self._fetcher = Fetcher(options)
        self._window = asyncio.Semaphore(_WINDOW * options.concurrency)
        self._may_open = asyncio.Semaphore(_OPEN_SHARDS)
        self._open: set[_Shard] = set()

    def report(self) -> DownloadReport:
        return self._tally.report(self._fetcher.slowest_hosts())

    async def all(self, chunks: Chunks, on_progress: OnProgress | None) -> None:
        """Download every chunk; an exception in any task stops all."""
        try:
            async with self._fetcher, asyncio.TaskGroup() as tasks:
                reporting = tasks.create_task(self._report_now_and_then(on_progress))
                async with asyncio.TaskGroup() as fetches:
                    while following := await asyncio.to_thread(next, chunks, None):
                        await self._begin(*following, fetches)
                reporting.cancel()
        except BaseException as error:
            for shard in self._open:
                shard.abandon(error)
            raise
        finally:
            self._decoders.shutdown(cancel_futures=True)

    async def _begin(self, chunk: Chunk, duplicate: Sequence[bool], tasks: asyncio.TaskGroup) -> None:
        """Start a task for each URL of a chunk as the window allows."""
        await self._may_open.acquire()
        shard = _Shard(self._output, chunk, self._columns)
        self._open.add(shard)
        for index, (url, _) in enumerate(chunk.rows):
            if duplicate[index]:
                await self._finish(shard, index, {"status": DUPLICATE})
            else:
                await self._window.acquire()
                tasks.create_task(self._one(shard, index, url))

    async def _one(self, shard: _Shard, index: int, url: str) -> None:
        """Fetch a URL, resize its image and record its row."""
        try:
            async with self._fetcher.fetching(
                url
            ) as fetched:  # its slot is held, which limits the bodies in memory
                outcome, data = await self._decoded(fetched)
            received = len(fetched.data)
        except FetchError as error:
            outcome, data, received = _failed(error.kind, error, error.http_status), None, 0
        finally:
            self._window.release()
        await self._finish(shard, index, outcome, data, received)

    async def _decoded(self, fetched: Fetched) -> tuple[dict[str, Any], bytes | None]:
        loop = asyncio.get_running_loop()
        try:
            image = await loop.run_in_executor(self._decoders, self._resize, fetched.data)
        except (ImageError, MemoryError) as error:
            return _failed("image", error, fetched.http_status), None
        outcome = {"status": SUCCESS, "http_status": 200, "bytes": len(image.data)}
        return {**image.measures(), **outcome}, image.data

    async def _finish(
        self,
        shard: _Shard,
        index: int,
        outcome: dict[str, Any],
        data: bytes | None = None,
        received: int = 0,
    ) -> None:
        """Record a row; the last one commits the shard."""
        self._tally.add(outcome, received)
        shard.add(index, outcome, data)
        if not shard.left:
            self._open.remove(shard)
            await asyncio.to_thread(shard.commit)
            self._may_open.release()

    async def _report_now_and_then(self, on_progress: OnProgress | None) -> None:
        while on_progress:
            await asyncio.sleep(_REPORT_EVERY_S)
            on_progress(self.report())


def _failed(kind: str, error: BaseException, http_status: int | None) -> dict[str, Any]:
    message = str(error) or "too large for the memory of this machine"
    return {"status": FAILED, "error": kind, "error_message": message, "http_status": http_status}


def _first(error: BaseException) -> BaseException:
    """Return the first task's error, without the exception groups around it."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
